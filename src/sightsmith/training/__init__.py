"""Fitting a task's net: the loop, its callbacks, checkpoints and resuming."""
