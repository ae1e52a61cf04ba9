"""Code that several inputs share."""
