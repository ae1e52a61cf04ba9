"""Labels: one of K names for an item, with a score for each name and a map of the evidence."""
