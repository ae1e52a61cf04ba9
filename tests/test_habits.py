"""The files around the code agree with each other: versions, checks, the changelog."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import yaml

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def test_pre_commit_runs_what_make_lint_runs(tmp_path):
    config = ROOT / ".pre-commit-config.yaml"
    hooks = yaml.safe_load(config.read_text(encoding="utf-8"))["repos"][0]["hooks"]
    rule = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    commands = [line.strip().replace("$(BIN)", ".venv/bin") for line in rule[1].splitlines()]
    assert [hook["entry"] for hook in hooks] == commands
    subprocess.run([sys.executable, "-m", "pre_commit", "validate-config", config], check=True)


def test_one_version_everywhere():
    version = PROJECT["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))["version"] == version
    assert f"## [{version}] - " in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_the_package_is_typed():
    assert (ROOT / "src/sightsmith/py.typed").is_file()
    assert "Typing :: Typed" in PROJECT["classifiers"]


def test_constraints_are_names_and_versions_alone():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if not line.startswith("#") and not re.fullmatch(r"[\w.-]+==[\w.+!-]+", line)] == []
