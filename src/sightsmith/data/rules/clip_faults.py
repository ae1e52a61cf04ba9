"""Clips that can be decoded, and are not what they seem: cut off, damaged, turned by an odd angle, of one frame."""

from sightsmith.core.counts import many
from sightsmith.data.problem import Severity
from sightsmith.data.verdict import Checked, Verdict

ORDER = 15
INPUTS = ("clip",)
BAD = frozenset({"cut-off"})

_FINDINGS: dict[str, tuple[Severity, str, str, str]] = {  # Severity, verb, and the rest of the message
    "cut-off": ("error", "ends", "end", "sooner than the file says: copy again or delete."),
    "damaged-frames": (
        "warning",
        "has",
        "have",
        "parts that cannot be decoded, which are left out or guessed. Look at them, and export them again.",
    ),
    "odd-rotation": (
        "warning",
        "has",
        "have",
        "a rotation tag that is no multiple of 90°, which is ignored. Correct the tag, or turn the frames.",
    ),
    "one-frame": ("warning", "has", "have", "one frame alone, which shows no motion. Use them as pictures, or delete."),
    "variable-rate": (
        "info",
        "has",
        "have",
        "a variable frame rate. Frames are chosen by their times, not by their numbers.",
    ),
}


def find(data: Checked, verdict: Verdict) -> None:
    for code, (severity, one, several, rest) in _FINDINGS.items():
        notes = {place: faults[code] for place, faults in sorted(data.scan.faults.items()) if code in faults}
        message = f"{many(len(notes), f'clip {one}', f'clips {several}')} {rest}"
        if code in BAD:
            verdict.reject_each(data, code, message, notes)
        else:
            verdict.add_each(data, code, severity, message, notes)
