"""Showing why a model answered as it did, and judging the explanation."""
