"""Positions of samples: in which splits and groups they are, and leaving them out."""

from collections.abc import Sequence

from sightsmith.data.verdict import Checked, Verdict

PRECEDENCE = {"test": 0, "val": 1, "train": 2, None: 3}
"""Which copy of a picture stays: taking one out of the test would change the measurement."""


def straddles(data: Checked, places: Sequence[int]) -> bool:
    """Tell whether samples are in more than one split; one without counts as train."""
    return len({data.splits[place] or "train" for place in places}) > 1


def one_group(data: Checked, places: Sequence[int]) -> bool:
    groups = {data.source.samples[place].group for place in places}
    return len(groups) == 1 and None not in groups


def splits_of(data: Checked, places: Sequence[int]) -> str:
    return " and ".join(dict.fromkeys(data.splits[place] or "no split" for place in places))


def single(data: Checked, verdict: Verdict, code: str, message: str, found: dict[int, str]) -> None:
    """Add an error of single pictures, which training leaves out."""
    verdict.add(data, code, "error", message, [(place,) for place in found], list(found.values()))
    verdict.bad[list(found)] = True
    for place, why in found.items():
        verdict.leave_out([place], f"{code}: {why}")
