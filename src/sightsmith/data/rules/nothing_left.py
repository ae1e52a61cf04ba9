"""Whether any usable picture is left."""

from sightsmith.data.verdict import Checked, Verdict

ORDER = 55
FATAL = frozenset({"no-pictures"})


def find(data: Checked, verdict: Verdict) -> None:
    if not len(verdict.usable):
        verdict.say("no-pictures", "error", f"no {data.nouns[0]} is left that training may use. See the errors above.")
