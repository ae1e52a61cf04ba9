"""Parts that kinds of prediction, training and evaluation share."""
