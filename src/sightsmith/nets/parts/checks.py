"""Checks that the settings of several nets share."""

from sightsmith.core.errors import SettingsError


def at_least(name: str, value: int, least: int) -> None:
    """Raise SettingsError if `value` is below `least`."""
    if value < least:
        raise SettingsError(f"{name} must be ≥ {least}, got {value!r}")


def between(name: str, value: float) -> None:
    """Raise SettingsError if `value` is outside [0, 1)."""
    if not 0 <= value < 1:
        raise SettingsError(f"{name} must be in [0, 1), got {value!r}")


def smallest_input(net: str, smallest: int, height: int, width: int) -> None:
    """Raise SettingsError if a side of the input is too small for the net."""
    if min(height, width) < smallest:
        raise SettingsError(
            f"{net} needs inputs of at least {smallest}×{smallest} pixels, got {width}×{height}. "
            f"Ask for a larger input, such as --size {smallest}."
        )


def multiples(net: str, step: int, height: int, width: int) -> None:
    """Raise SettingsError if a side of the input is not a multiple of `step` pixels, ≥ 1 of them."""
    if height % step or width % step or min(height, width) < step:
        near = max(step, round(max(height, width) / step) * step)
        raise SettingsError(
            f"{net} takes pictures whose sides are multiples of {step} pixels, not {width}×{height}. Choose such a "
            f"side, as --size {near}."
        )
