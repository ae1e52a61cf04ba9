"""Pictures that cannot be decoded, or are over the bound on pixels."""

from sightsmith.core.counts import many
from sightsmith.data.verdict import Checked, Verdict

ORDER = 10
BAD = frozenset({"unreadable", "too-many-pixels"})


def find(data: Checked, verdict: Verdict) -> None:
    advice = {
        "unreadable": "cannot be decoded: export again or delete.",
        "too-many-pixels": f"over the bound of {data.settings.max_pixels:,} pixels: make smaller.",
    }
    for code, text in advice.items():
        found = {place: why for place, (kind, why) in sorted(data.scan.failures.items()) if kind == code}
        verdict.reject_each(data, code, f"{many(len(found), *data.nouns)} {text}", found)
