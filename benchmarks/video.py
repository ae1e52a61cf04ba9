"""Claims about clips, each a part: `python -m benchmarks.video [PART …]`.

- `order`: whether the frames of a sign's track run forwards or backwards. Both directions have the same frames, so the
  mean of the frames' answers is right half of the time; an LSTM ≥ 0.9, over 4 folds of whole tracks;
- `moving`: digits that move to the left, right, up or down, around the edges; an LSTM ≥ 0.98;
- `signs`: the class of a track of signs, at 16 × 16 pixels, over 4 folds: here the order says nothing, and the net that
  `train` keeps by itself is not worse than the mean of the frames' answers;
- `fights`: `fight_clips`, over 4 folds, beside the mean of the frames' answers; over `smallcnn`, because `resnet18`
  from random weights takes an hour;
- `rows`: the LSTM over the rows of a digit ≥ 0.97;
- `cached`: an epoch over a frozen ResNet-18 whose features are kept, ≥ 5 × as fast as one that runs it again.

The test clips are read once; settings were chosen on validation clips. Each net has the same splits; intervals are of
the difference between paired answers, by groups. Finished trainings are kept in `runs/video`.
"""

import csv
import json
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import timm
from PIL import Image
from safetensors.torch import save_file
from sklearn.datasets import load_digits

from benchmarks.common import ROOT, claim, data, machine, sightsmith
from sightsmith.bundle.location import baselines_folder

FOLDER = ROOT / "runs" / "video"
_FOLDS = 4
_STEPS = {"left": (0, -3), "right": (0, 3), "up": (-3, 0), "down": (3, 0)}
_SIDE, _FRAMES, _CLIPS = 24, 8, 1200  # of the moving digits
_ROUNDS = 2  # of the frozen backbone: trainings of each way


Answers = dict[str, dict[str, bool]]  # by net and clip: whether it was answered right


class Clip(NamedTuple):
    path: str  # of a video or of a folder of frames
    label: str
    group: str  # clips of one group are in one split


def order(folder: Path) -> bool:
    """Train on the tracks of signs, forwards and backwards."""
    tracks = {name: frames for name, _, frames in _tracks()}
    clips = [
        Clip(str(_frame_folder(folder / way / name, frames[::step])), way, name)
        for name, frames in tracks.items()
        for way, step in (("forwards", 1), ("backwards", -1))
    ]
    flags = ("--size", "32", "--frames", "10", "--sampling", "uniform", "--epochs", "40")
    right = _folds(folder, clips, flags, "lstm")
    print(f"order of {len(clips)} tracks: {_told(right)}")
    return claim("order of frames: accuracy of lstm, 4 folds", _mean(right["lstm"]), 0.9, unit="")


def moving(folder: Path) -> bool:
    """Train on digits that move."""
    table = folder / "moving.csv"
    if not table.exists():
        _write(table, _moving_digits(folder / "clips"))
    flags = ("--size", str(_SIDE), "--frames", str(_FRAMES), "--sampling", "uniform", "--epochs", "12")
    right = _right(folder / "moving-lstm", table, flags, "lstm")
    print(f"moving digits: {_told(right)}")
    return claim("digits that move: accuracy of lstm", _mean(right["lstm"]), 0.98, unit="")


def signs(folder: Path) -> bool:
    """Train on the classes of signs; the net is the one that training keeps."""
    clips = [Clip(str(_frame_folder(folder / name, frames)), label, name) for name, label, frames in _tracks()]
    flags = ("--size", "16", "--frames", "10", "--sampling", "uniform")
    right = _folds(folder, clips, flags)
    print(f"class of {len(clips)} tracks: {_told(right)}")
    low, high = _interval(right["kept"], right["frames"])
    print(f"signs: kept by train above frames {_gain(right):+.3f} (95 %: {low:+.3f}…{high:+.3f})")
    return claim("signs: upper end of the net kept above frames", high, 0.0, unit="")


def fights(folder: Path) -> bool:
    """Train on clips with and without fights."""
    clips = [Clip(str(path), path.parent.name, path.stem) for path in sorted(data("fight_clips").glob("*/*.mp4"))]
    right = _folds(folder, clips, ("--net.backbone", "smallcnn"))
    low, high = _interval(right["kept"], right["frames"])
    print(f"fights: {_told(right)}; kept above frames {_gain(right):+.3f} (95 %: {low:+.3f}…{high:+.3f})")
    return True


def rows(folder: Path) -> bool:
    """Train the LSTM over rows on the built-in digits."""
    bundle = folder / "rows"
    if not bundle.exists():
        sightsmith("train", "digits", "--model", "rowlstm", "--out", bundle, quiet=True)
    metrics = json.loads(sightsmith("evaluate", bundle, "--json", quiet=True))["metrics"]
    return claim("digits by rows: accuracy of rowlstm", metrics["accuracy"], 0.97, unit="")


def cached(folder: Path) -> bool:
    """Time the epochs of both ways in turn; with both, the decoded clips are in memory and validation is timed too."""
    weights, table = folder / "resnet18.safetensors", folder / "fights.csv"
    if not weights.exists():
        save_file(timm.create_model("resnet18").state_dict(), weights)  # any weights take as long
    paths = sorted(data("fight_clips").glob("*/*.mp4"))
    _write(table, [Clip(str(path), path.parent.name, path.stem) for path in paths])
    frozen, seconds = {"again": "2", "kept": "all"}, defaultdict(list)
    for _ in range(_ROUNDS):
        for way, epochs in frozen.items():
            bundle = folder / way
            net = ("--model", "lstm", "--net.backbone", "resnet18", "--weights", weights, "--freeze-epochs", epochs)
            still = ("--sampling", "uniform", "--augment", "none", "--epochs", "3", "--threads", "1")
            same = ("--no-baselines", "--no-near-duplicates", "--overwrite")
            sightsmith("train", table, *net, *still, *same, "--out", bundle, quiet=True)
            with (bundle / "report" / "metrics.csv").open(newline="") as file:
                seconds[way] += [float(row["seconds"]) for row in csv.DictReader(file)][:2]
    again, kept = (statistics.median(seconds[way]) for way in frozen)
    print(f"epochs of {len(paths)} clips: {again:.2f} s with the backbone, {kept:.3f} s on its features")
    return claim("frozen backbone: epoch on kept features", again / kept, 5.0)


def _folds(folder: Path, clips: list[Clip], flags: Iterable[str], net: str | None = None) -> Answers:
    """Train on each fold and return by net which test clips it answered right, by their paths."""
    tables = [folder / f"fold-{fold}.csv" for fold in range(_FOLDS)]
    for fold, table in enumerate(tables):
        if not table.exists():
            _write(table, clips, fold)

    def trained(table: Path) -> Answers:
        return _right(table.with_name(f"{table.stem}-{net or 'auto'}"), table, flags, net)

    right: Answers = defaultdict(dict)
    with ThreadPoolExecutor(2) as two:  # a fold for each core
        for found in two.map(trained, tables):
            for name, answers in found.items():
                right[name] |= answers
    return right


def _write(table: Path, clips: Iterable[Clip], fold: int = 0) -> None:
    """Write a table that tests on one fold of the groups, balanced by label, and validates on a part of the others."""
    clips, by_label = list(clips), defaultdict(list)
    for group, label in dict.fromkeys((clip.group, clip.label) for clip in clips):
        by_label[label].append(group)
    rng, split_of = np.random.default_rng(0), {}
    for groups in by_label.values():
        for number, at in enumerate(rng.permutation(len(groups))):
            turn = (number + fold) % _FOLDS
            split_of.setdefault(groups[at], "test" if turn == 0 else "val" if turn == 1 and number % 8 < 4 else "train")
    with table.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "label", "split", "group"))
        writer.writerows((clip.path, clip.label, split_of[clip.group], clip.group) for clip in clips)


def _right(bundle: Path, table: Path, flags: Iterable[str], net: str | None) -> Answers:
    """Train unless it is done, and return by net which test clips it answers right; the bundle's own is also `kept`.

    One training fits `lstm` and `frames`: one is kept, and the other is its baseline.
    """
    if not bundle.exists():
        chosen = ("--model", net) if net else ()
        same = ("--no-near-duplicates", "--threads", "1", "--overwrite")
        sightsmith("train", table, *chosen, *flags, *same, "--out", bundle, quiet=True)
    kept = json.loads((bundle / "manifest.json").read_text())["nets"]["net"]["name"]
    right = {path.name: _answers(path, table) for path in baselines_folder(bundle).iterdir() if path.is_dir()}
    return right | dict.fromkeys((kept, "kept"), _answers(bundle, table))


def _answers(bundle: Path, table: Path) -> dict[str, bool]:
    sightsmith("evaluate", bundle, quiet=True)
    with (bundle / "report" / "predictions.csv").open(newline="") as file:
        return {f"{table.stem}/{row['key']}": row["target"] == row["answer"] for row in csv.DictReader(file)}


def _tracks() -> Iterator[tuple[str, str, list[Path]]]:
    """Yield name, class and frames of each track of signs."""
    for folder in sorted(path for path in data("gtsrb_tracks").iterdir() if path.is_dir()):
        by_track: dict[str, list[Path]] = defaultdict(list)
        for path in sorted(folder.glob("*.ppm")):
            by_track[path.stem.partition("_")[0]].append(path)
        for track, frames in by_track.items():
            yield f"{folder.name}-{track}", folder.name, frames


def _frame_folder(folder: Path, frames: list[Path]) -> Path:
    if not folder.exists():
        folder.mkdir(parents=True)
        for number, frame in enumerate(frames):
            (folder / f"{number:02}{frame.suffix}").symlink_to(frame)
    return folder


def _moving_digits(folder: Path) -> Iterator[Clip]:
    """Write clips of digits that start anywhere and move around the edges, so that one frame tells no direction."""
    digits_NHW, rng = (load_digits().images * 16).clip(0, 255).astype(np.uint8), np.random.default_rng(0)
    for number in range(_CLIPS):
        label = list(_STEPS)[number % len(_STEPS)]
        at = int(rng.integers(len(digits_NHW)))
        canvas_HW = np.zeros((_SIDE, _SIDE), dtype=np.uint8)
        canvas_HW[:8, :8] = digits_NHW[at]
        start_2 = rng.integers(_SIDE, size=2)
        clip = folder / f"{number:05}"
        clip.mkdir(parents=True)
        for frame in range(_FRAMES):
            moved_HW = np.roll(canvas_HW, start_2 + frame * np.array(_STEPS[label]), axis=(0, 1))
            Image.fromarray(moved_HW).save(clip / f"{frame}.png")
        yield Clip(str(clip), label, f"digit {at}")


def _mean(right: dict[str, bool]) -> float:
    return float(np.mean(list(right.values())))


def _gain(right: Answers) -> float:
    return _mean(right["kept"]) - _mean(right["frames"])


def _interval(first: dict[str, bool], second: dict[str, bool]) -> tuple[float, float]:
    """Return the 95 % interval of the difference in accuracy between paired answers, by the bootstrap."""
    gains_N = np.array([float(first[key]) - float(second[key]) for key in first])
    drawn_RN = np.random.default_rng(0).integers(len(gains_N), size=(5000, len(gains_N)))
    low, high = np.quantile(gains_N[drawn_RN].mean(axis=1), (0.025, 0.975))
    return float(low), float(high)


def _told(right: Answers) -> str:
    return ", ".join(f"{net} {_mean(found):.3f}" for net, found in right.items())


PARTS: dict[str, Callable[[Path], Any]] = {
    "rows": rows,
    "moving": moving,
    "order": order,
    "signs": signs,
    "fights": fights,
    "cached": cached,
}


def main() -> None:
    print(machine(), flush=True)
    asked = sys.argv[1:] or list(PARTS)
    unknown = sorted(set(asked) - set(PARTS))
    if unknown:
        sys.exit(f"{unknown[0]!r} is no part; there are {', '.join(PARTS)}")
    reached = []
    for name in asked:
        folder = FOLDER / name
        folder.mkdir(parents=True, exist_ok=True)
        reached.append(PARTS[name](folder))
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
