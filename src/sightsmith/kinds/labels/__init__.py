"""Labels: which of K names fits an item, with a score for each name and where the evidence lies."""
