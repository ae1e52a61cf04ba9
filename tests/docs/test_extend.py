"""Doing what docs/extend.md says: its files in a folder, its commands, and the contract tests over them."""

import re
import subprocess
import sys
from collections import Counter

import pytest

from doc_pages import DOCS, ROOT, blocks, environment, shell, write_files

pytestmark = pytest.mark.slow

PAGE = DOCS / "extend.md"
FOLDERS = (
    "data/rules",
    "data/sources",
    "nets",
    "nets/features",
    "nets/heads",
    "tasks",
    "runtime/backends",
    "explanation/methods",
)


@pytest.fixture
def extended(room):
    """Return a furnished folder with the page's files in it, which is on the Python path."""
    write_files(PAGE, room)
    return room


def test_the_commands_of_the_page_of_a_kind_use_its_files(room):
    page = DOCS / "extend-kind.md"
    write_files(page, room)
    told = "".join(shell(block.text, room) for block in blocks(page) if block.language == "bash")
    assert "lamps (levels): 120 pictures of levels from 0." in told
    assert "openvino fp32: 8 witnesses, level within" in told
    assert '"level": {"level": 0.' in told
    assert "openvino fp32: 8 witnesses, place within" in told
    truth = (room / "skies/spots.txt").read_text().split()[1:3]
    told_place = re.search(r'"spot": {"x": ([\d.]+), "y": ([\d.]+)}', told).groups()
    assert [abs(float(one) - float(other)) < 12 for one, other in zip(truth, told_place, strict=True)] == [True] * 2


def test_the_page_shows_one_file_of_each_kind():
    shown = [block.file for block in blocks(PAGE) if block.file]
    assert sorted(path.removeprefix("sightsmith/").rpartition("/")[0] for path in shown) == sorted(FOLDERS)


def test_the_commands_of_the_page_use_the_files(extended):
    scripts = [block.text for block in blocks(PAGE) if block.language == "bash"]
    told = "".join(shell(script, extended) for script in scripts)
    assert "flat (dotted): 120 pictures in 3 classes" in told
    assert "model          tinynet" in told
    assert "reference fp32: 8 witnesses" in told
    assert ": rise, " in told
    assert "Distance to the mean of each class: " in told
    asked = shell(
        "sightsmith inspect ordered; sightsmith inspect profiled; sightsmith doctor; sightsmith models --search file",
        extended,
        PYTHONPATH=str(extended),
    )
    assert "task          ordinal" in asked
    assert "reference      ready (fp32)" in asked
    assert "profile_ridge" in asked, "listed though no list of ours names it"
    assert "the mean features of each class" in asked


def test_the_contract_suites_take_the_files_in(extended):
    least = {
        "contract/test_tasks.py": 5,
        "contract/test_nets.py": 10,
        "nets/test_features.py": 5,
        "nets/test_fitted.py": 8,
    }
    chosen = "ordinal or tinynet and not golden or profile or centroid or same_name"
    files = [f"tests/{suite}" for suite in least]
    command = [sys.executable, "-m", "pytest", *files, "-k", chosen, "-p", "no:cacheprovider", "-vv", "-n", "0"]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(PYTHONPATH=str(extended)), text=True, capture_output=True, timeout=240
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = Counter(re.findall(r"^tests/(\S+?)::.* PASSED", done.stdout, re.MULTILINE))
    assert {suite: passed[suite] for suite in least if passed[suite] < least[suite]} == {}, done.stdout
