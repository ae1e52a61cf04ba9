"""The folder format of a trained model: manifest, weights, witnesses, model card."""
