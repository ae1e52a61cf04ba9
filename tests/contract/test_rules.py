"""Every rule of the gate has the interface, and a rule in a folder on the package's path is found and runs."""

import os

import pytest

from processes import sightsmith
from sightsmith.data.rules import RULES
from sightsmith.kinds import KINDS

RULE = """
from sightsmith.data.verdict import Checked, Verdict

ORDER = 15
KINDS = ("labels",)


def find(data: Checked, verdict: Verdict) -> None:
    odd = [(place,) for place in range(len(data.source.samples)) if data.scan.widths[place] % 2]
    verdict.add(data, "odd-width", "warning", f"{len(odd)} pictures have an odd width.", odd)
"""


@pytest.mark.parametrize("name", RULES.names())
def test_a_rule_has_the_interface(name):
    rule = RULES.module(name)
    assert isinstance(rule.ORDER, int)
    assert callable(rule.find)
    assert rule.__doc__
    assert set(getattr(rule, "KINDS", ())) <= set(KINDS.names())
    for codes in (getattr(rule, "FATAL", frozenset()), getattr(rule, "BAD", frozenset())):
        assert isinstance(codes, frozenset)


def test_the_order_of_the_rules_is_told():
    orders = [RULES.module(name).ORDER for name in RULES.names()]
    assert len(set(orders)) == len(orders)


def test_a_file_on_the_path_is_a_rule(tmp_path):
    from PIL import Image

    for label, width in (("a", 9), ("b", 10)):
        (tmp_path / "photos" / label).mkdir(parents=True)
        for at in range(4):
            Image.effect_noise((width, 12), 50 + at).save(tmp_path / "photos" / label / f"{at}.png")
    place = tmp_path / "sightsmith" / "data" / "rules"
    place.mkdir(parents=True)
    (place / "odd_width.py").write_text(RULE)
    path = os.pathsep.join(filter(None, [str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    done = sightsmith("check", "photos", cwd=tmp_path, path=path)
    assert "warning: 4 pictures have an odd width. [odd-width]" in done.out
    assert "odd-width" not in sightsmith("check", "photos", cwd=tmp_path).out
