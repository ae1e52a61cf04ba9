"""Bounds that several parts share; a module of its own so that the command line reads them without NumPy."""

MAX_PIXELS = 50_000_000
"""Bound on width × height of a picture, checked before its pixels are decoded."""

MAX_SIDE = 65_535
"""Bound on the width and on the height of a picture, that of JPEG."""
