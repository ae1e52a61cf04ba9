"""Claims about detectors, each a part: `python -m benchmarks.detection [PART …]`.

- `bccd`: 10 minutes with seeds 0, 1 and 2, and 30 minutes with seed 0, from random numbers on one core each: mAP 50:95
  on the test pictures of `bccd_voc` ≥ that of the peer (`detection_peer.py`), which trains after ours, on the same core
  and for the seconds that ours took; mAP 50 ≥ 0.85 after 30 minutes; `curves-bccd.png` shows mAP on the validation over
  time;
- `speed`: pictures a second in training, loading included, ≥ the peer's; short trainings in turn on one core;
- `driving`: 20 minutes each on `coad_driving_coco`: the interval of mAP is above that of random boxes;
- `decoding`: from the candidates to the objects in ≤ 10 % of the net's time;
- `served`: pictures a second of the service ≥ 0.85 × the raw backend.

`bccd` and `driving` run side by side, one on each core that the process may use. Finished trainings are kept in
`runs/detection`, so an interrupted run goes on with the next one.
"""

import csv
import json
import os
import shutil
import statistics
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from benchmarks import detection_peer as peer
from benchmarks.common import claim, data, each_on_a_core, evaluated, machine, on_core, sightsmith
from benchmarks.detection_peer import BATCH, FOLDER, SIDE, Training
from benchmarks.detection_runtime import decoding, served

TRAININGS = ((10, 0), (10, 1), (10, 2), (30, 0))
"""Minutes and seed."""
_SAME = ("--size", str(SIDE), "--batch-size", str(BATCH), "--threads", "1", "--overwrite")
_DRIVING = ("yolo", "fasterrcnn_mobilenet_v3_large_320_fpn")
_EPOCHS, _ROUNDS = 4, 3  # Half of the epochs are with mosaic, as all of the peer's


def train(core: int, name: str, folder: Path, *flags: str) -> Training:
    """Train `yolo` on one core."""
    out = FOLDER / name
    command = (sys.executable, "-m", "sightsmith.cli", "train", folder, "--out", out, *_SAME, *flags)
    processor = on_core(core, FOLDER, *command)
    rows = list(csv.DictReader((out / "report" / "metrics.csv").open(encoding="utf-8")))
    seconds = np.cumsum([float(row["seconds"]) for row in rows]).tolist()
    return Training(list(zip(seconds, (float(row["val_map"]) for row in rows), strict=True)), processor)


def compared(core: int, minutes: int, seed: int) -> None:
    """Train ours, then the peer for as long, unless their results are kept from an earlier run."""
    name = f"bccd-{minutes}-{seed}"
    if not kept(name).exists():
        training = train(core, name, data("bccd_voc"), "--minutes", str(minutes), "--seed", str(seed))
        metrics = evaluated(FOLDER / name)
        keep(name, {"map": metrics["map"], "map_50": metrics["map_50"], **training._asdict()})
    other, folder = f"peer-{name}", peer.converted()
    if not kept(other).exists():
        seconds = read(name)["curve"][-1][0]
        timed = (f"time={seconds / 3600}", f"seed={seed}", "patience=1000")
        training = peer.train(core, other, folder, *timed)
        keep(other, {**peer.measure(core, other, folder), **training._asdict()})
    for one in (name, other):
        result = read(one)
        epochs, (last, _) = len(result["curve"]), result["curve"][-1]
        print(
            f"{one}: mAP {result['map']:.4f}, mAP 50 {result['map_50']:.4f}; {epochs} epochs, {last:.0f} s", flush=True
        )
    draw()


def kept(name: str) -> Path:
    return FOLDER / f"{name}.json"


def keep(name: str, result: dict[str, Any]) -> None:
    kept(name).write_text(json.dumps(result), encoding="utf-8")


def read(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads(kept(name).read_text(encoding="utf-8"))
    return result


def pairs() -> dict[tuple[int, int], tuple[dict[str, Any], dict[str, Any]]]:
    """Return the results of ours and of the peer, by minutes and seed, as far as both are there."""
    names = {one: (f"bccd-{one[0]}-{one[1]}", f"peer-bccd-{one[0]}-{one[1]}") for one in TRAININGS}
    return {one: (read(own), read(other)) for one, (own, other) in names.items() if kept(other).exists()}


def bccd() -> bool:
    """Compare with the peer."""
    peer.install()
    peer.converted()
    each_on_a_core([lambda core, one=one: compared(core, *one) for one in TRAININGS])
    reached = True
    for minutes in sorted({minutes for minutes, _ in TRAININGS}):
        ratios = [own["map"] / other["map"] for (length, _), (own, other) in pairs().items() if length == minutes]
        label = f"{minutes} min: mAP / peer's, median of {len(ratios)} ({min(ratios):.3f}…{max(ratios):.3f})"
        reached &= claim(label, statistics.median(ratios), 1.0)
    return claim("mAP 50 after 30 minutes", pairs()[30, 0][0]["map_50"], 0.85, unit="") and reached


def draw() -> None:
    """Draw mAP on the validation over the time of training, ours and the peer's."""
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(7.4, 3.4), layout="constrained")
    axes = figure.subplots()
    for number, sides in enumerate(pairs().values()):
        for result, colour, label in zip(sides, ("#3949ab", "#e08214"), ("Sightsmith yolo", "YOLO11n"), strict=True):
            seconds_E, maps_E = np.array(result["curve"]).T
            axes.plot(seconds_E / 60, maps_E, color=colour, lw=1.2, alpha=0.8, label=label if number == 0 else None)
    axes.set(xlabel="minutes of training, one core", ylabel="mAP 50:95, validation", ylim=(0, None))
    axes.set_title("bccd_voc, 205 pictures, from random numbers")
    axes.legend(frameon=False)
    figure.savefig(FOLDER / "curves-bccd.png", dpi=110)


def speed() -> bool:
    """Compare the second epoch of short trainings in turn; validation has four pictures, so hardly any of its time."""
    peer.install()
    folder = FOLDER / "speed"
    if not folder.exists():
        shutil.copytree(peer.converted(), folder, copy_function=os.link, ignore=shutil.ignore_patterns("*.cache"))
        for path in [*sorted((folder / "images/val").iterdir())[4:], *sorted((folder / "labels/val").iterdir())[4:]]:
            path.unlink()
    pictures = len(list((folder / "images/train").iterdir()))
    core, rates = min(os.sched_getaffinity(0)), {"ours": [], "peer": []}

    def second_epoch(training: Training) -> float:
        return pictures / (training.curve[1][0] - training.curve[0][0])

    for _ in range(_ROUNDS):
        epochs = str(_EPOCHS)
        own = train(core, "speed-ours", folder, "--epochs", epochs, "--no-near-duplicates")
        other = peer.train(core, "speed-peer", folder, f"epochs={epochs}", "close_mosaic=0")
        rates["ours"].append(second_epoch(own))
        rates["peer"].append(second_epoch(other))
    ours, theirs = (statistics.median(found) for found in rates.values())
    print(f"training, one core: {rates} pictures/s")
    return claim("training: pictures a second / peer's", ours / theirs, 1.0)


def driving() -> bool:
    """Train a one-stage and a two-stage detector, and compare them with random boxes."""

    def run(core: int, net: str) -> None:
        out = FOLDER / f"driving-{net}"
        if not out.exists():
            flags = ("--model", net, "--weights", "none", "--minutes", "20", "--threads", "1", "--out", out)
            on_core(core, FOLDER, sys.executable, "-m", "sightsmith.cli", "train", data("coad_driving_coco"), *flags)

    each_on_a_core([lambda core, net=net: run(core, net) for net in _DRIVING])
    reached = True
    for net in _DRIVING:
        done = json.loads(sightsmith("evaluate", FOLDER / f"driving-{net}", "--json", quiet=True))
        span, prior, map_50 = done["intervals"]["map"], done["map_of_prior"], done["metrics"]["map_50"]
        print(f"{net}: mAP {span['value']:.4f} (95 %: {span['low']:.4f}…{span['high']:.4f}), mAP 50 {map_50:.4f}")
        reached &= claim(f"{net}: lower end of mAP / random boxes' {prior:.4f}", span["low"] / prior, 1.0)
    return reached


PARTS = {
    "decoding": decoding,
    "served": served,
    "speed": speed,
    "driving": driving,
    "bccd": bccd,
}


def main() -> None:
    print(machine(), flush=True)
    FOLDER.mkdir(parents=True, exist_ok=True)
    asked = sys.argv[1:] or list(PARTS)
    unknown = sorted(set(asked) - set(PARTS))
    if unknown:
        sys.exit(f"{unknown[0]!r} is no part; there are {', '.join(PARTS)}")
    reached = [PARTS[name]() for name in asked]
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
