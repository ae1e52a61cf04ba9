"""The side of a detector's input, if nobody asks for one."""

STEP = 32  # Of the coarsest level of common detectors, in pixels
_LEAST, _USUAL = 64, 416


def input_side(shorter_side: int) -> int:
    """Return the side in pixels for pictures with this median shorter side: a multiple of 32, 64…416."""
    return min(_USUAL, max(_LEAST, -(-shorter_side // STEP) * STEP))
