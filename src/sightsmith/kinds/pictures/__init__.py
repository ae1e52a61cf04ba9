"""Pictures: what a generator makes of a seed."""
