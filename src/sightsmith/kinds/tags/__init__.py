"""Tags: any number of K names fits an item, with a score and a threshold for each name."""
