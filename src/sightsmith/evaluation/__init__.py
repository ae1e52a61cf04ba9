"""Measuring a model: metrics, the report, the comparison of runs."""
