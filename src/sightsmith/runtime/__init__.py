"""Running a bundle: backends, and the predictor in front of them."""
