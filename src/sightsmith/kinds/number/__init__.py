"""Number: a quantity such as an age, a weight or a count, with a prediction interval."""
