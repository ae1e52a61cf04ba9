"""Whether any usable picture is left."""

from sightsmith.data.verdict import Checked, Verdict

ORDER = 55
FATAL = frozenset({"no-pictures"})


def find(data: Checked, verdict: Verdict) -> None:  # noqa: ARG001 -- as every rule
    if not len(verdict.usable):
        verdict.say("no-pictures", "error", "no picture is left that training may use. See the errors above.")
