"""The folder a trained model lives in: manifest, weights, witnesses, model card."""
