"""A folder with `levels.txt`: the name of a picture and its level a line."""

from pathlib import Path

from sightsmith.core.records import Sample
from sightsmith.data.source import build_source


def detect(path):
    return (path / "levels.txt").is_file()


def open_source(location, options):
    lines = (Path(location) / "levels.txt").read_text().splitlines()
    pairs = [line.split() for line in lines]
    samples = [Sample(name, str(Path(location) / name), float(level)) for name, level in pairs]
    return build_source(format="levels", location=location, names=(), samples=samples, options=options, kind="level")
