"""Claims about makers of pictures, on Fashion-MNIST: a training has one core and as much time as its peer.

- `gan`: FD ≤ 0.7 × that of the usual DCGAN loop (`peers/dcgan_loop.py`: same nets, batch statistics in both, fp32);
- `vae`: FD ≤ that of pythae's VAE (`peers/pythae_vae.py`), in an environment of its own;
- 10 minutes with seeds 0, 1 and 2, and 30 minutes with seed 0. A peer trains after ours, on the same core, for the
  seconds that ours took; two such pairs run at a time, each on a core of its own;
- a `gan` with classes: ≥ 85 % of its pictures are of the class that was asked for, by a classifier trained apart;
- `generate` with OpenVINO: ≥ 1.5 × torch.

    python -m benchmarks.generation [gan] [vae] [consistency] [sampling]

FD is of 10,000 generated pictures beside the 10,000 of the test split, which nothing is chosen by. Of a peer's ways to
make pictures the one with the lowest FD counts. Finished trainings are kept in `runs/generation`, so an interrupted run
goes on with the next one; `curves-TASK.png` there shows FD over time, of 2,000 pictures beside 2,000 of the validation.
"""

import csv
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

import sightsmith as ss
from benchmarks.common import ROOT, alternate, claim, data, each_on_a_core, evaluated, machine, on_core, sightsmith
from sightsmith.data.settings import SourceOptions
from sightsmith.data.source import open_source
from sightsmith.kinds.pictures.features import features_of
from sightsmith.kinds.pictures.frechet import fd
from sightsmith.kinds.pictures.marks import grid, to_image

FOLDER, PEERS = ROOT / "runs" / "generation", ROOT / "benchmarks" / "peers"
ARCHIVE = FOLDER / "fashion_mnist.npz"
TRAININGS = ((10, 0), (10, 1), (10, 2), (30, 0))
"""Minutes and seed."""
_VALIDATION = 6_000
_PEERS: dict[str, tuple[str, tuple[str, ...]]] = {"gan": ("dcgan_loop.py", ()), "vae": ("pythae_vae.py", ("conv",))}
_TARGETS = {"gan": 0.7, "vae": 1.0}


def archive() -> Path:
    """Write the data as arrays with a validation split that both sides leave out of the training."""
    if not ARCHIVE.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        source = open_source(str(data("fashion_mnist")), SourceOptions())
        parts: dict[str, list[Any]] = {"train": [], "test": []}
        for sample in source.samples:
            parts[sample.split or "train"].append(sample)
        parts["val"], parts["train"] = parts["train"][-_VALIDATION:], parts["train"][:-_VALIDATION]
        arrays: dict[str, NDArray[Any]] = {}
        for split, samples in parts.items():
            arrays[f"{split}_images"] = np.stack([np.asarray(one.item) for one in samples]).reshape(-1, 28, 28)
            arrays[f"{split}_labels"] = np.array([one.target for one in samples])
        np.savez(ARCHIVE, **arrays, classes=np.array(source.names))
    return ARCHIVE


def distance(split: str, pictures_NHW: NDArray[np.uint8]) -> float:
    """Return FD beside the first pictures of a split, as many as there are."""
    real_NHW = np.load(archive())[f"{split}_images"][: len(pictures_NHW)]
    return fd(features_of(real_NHW[..., None]), features_of(pictures_NHW[..., None]))


def ours(task: str, minutes: float, seed: int) -> list[str]:
    flags = ["--task", task, "--task.labels", "no", "--minutes", str(minutes), "--seed", str(seed), "--threads", "1"]
    out = FOLDER / f"{task}-{minutes}-{seed}"
    return [sys.executable, "-m", "sightsmith.cli", "train", str(ARCHIVE), *flags, "--no-near-duplicates",
            "--overwrite", "--out", str(out)]  # fmt: skip


def measure_ours(task: str, minutes: float, seed: int) -> dict[str, Any]:
    bundle = FOLDER / f"{task}-{minutes}-{seed}"
    with ss.load(bundle) as model:
        made_NHW = np.stack([one.pixels_HWC[..., 0] for one in model.generate(10_000, seed=1, quiet=True)])
    to_image(grid(list(made_NHW[:64, ..., None]), 8)).save(bundle.with_suffix(".png"))
    rows = list(csv.DictReader((bundle / "report" / "metrics.csv").open()))
    seconds = np.cumsum([float(row["seconds"]) for row in rows]).tolist()
    return {
        "seconds": seconds[-1],
        "steps": int(rows[-1]["step"]),
        "fd": distance("test", made_NHW),
        "curve": [[at, float(row["val_fd"])] for at, row in zip(seconds, rows, strict=True)],
    }


def measure_peer(out: Path) -> dict[str, Any]:
    """Measure what a peer wrote; of its ways to make pictures the best counts."""
    with np.load(out) as written:
        ways = [name for name in written.files if name.endswith((" statistics", " prior"))]
        found = {way: distance("test", written[way]) for way in ways}
        best = min(found, key=lambda way: found[way])
        to_image(grid(list(written[best][:64, ..., None]), 8)).save(out.with_suffix(".png"))
        return {
            "seconds": float(written["seconds"]),
            "steps": int(written["steps"]),
            "fd": found[best],
            "ways": found,
            "curve": [
                [float(at), distance("val", made_NHW)]
                for at, made_NHW in zip(written["curve_seconds"], written["curve"], strict=True)
            ],
        }


def compared(task: str, python: str | Path, core: int, minutes: int, seed: int) -> None:
    """Train ours on a core, then its peer for as long, unless their results are kept from an earlier run."""
    script, variants = _PEERS[task]
    name = f"{task}-{minutes}-{seed}"
    kept = FOLDER / f"{name}.json"
    if not kept.exists():
        on_core(core, FOLDER, *ours(task, minutes, seed))
        kept.write_text(json.dumps(measure_ours(task, minutes, seed)), encoding="utf-8")
    seconds = read(name)["seconds"]
    peer, out = FOLDER / f"peer-{name}.json", FOLDER / f"peer-{name}.npz"
    if not peer.exists():
        command = [python, PEERS / script, ARCHIVE, out, str(seconds), str(seed), *variants]
        on_core(core, FOLDER, *command)
        peer.write_text(json.dumps(measure_peer(out)), encoding="utf-8")
        out.unlink()
    for one in (name, f"peer-{name}"):
        told = read(one)
        print(f"{one}: FD {told['fd']:.2f}, {told['steps']:,} steps in {told['seconds']:.0f} s", flush=True)


def read(name: str) -> dict[str, Any]:
    """Return a result that is kept."""
    result: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return result


def against_peers(pythons: dict[str, str | Path]) -> bool:
    """Compare tasks with their peers, each by its interpreter; two pairs at a time."""
    trainings = [(task, minutes, seed) for minutes, seed in TRAININGS for task in pythons]
    each_on_a_core([lambda core, one=one: compared(one[0], pythons[one[0]], core, *one[1:]) for one in trainings])
    reached = [told(task) for task in pythons]  # each is told, also after a miss
    return all(reached)


def told(task: str) -> bool:
    """Print the ratios of a task and draw its curves."""
    target, reached = _TARGETS[task], True
    pairs = {one: (read(f"{task}-{one[0]}-{one[1]}"), read(f"peer-{task}-{one[0]}-{one[1]}")) for one in TRAININGS}
    for minutes in sorted({minutes for minutes, _ in TRAININGS}):
        ratios = [own["fd"] / peer["fd"] for (one, _), (own, peer) in pairs.items() if one == minutes]
        label = f"{task}, {minutes} min: FD / peer's, median of {len(ratios)} ({min(ratios):.2f}…{max(ratios):.2f})"
        reached &= claim(label, statistics.median(ratios), target, at_most=True)
    draw(task, pairs)
    return reached


def draw(task: str, pairs: dict[tuple[int, int], tuple[dict[str, Any], dict[str, Any]]]) -> None:
    """Draw FD over the time of training, ours and the peers'."""
    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for number, sides in enumerate(pairs.values()):
        for one, colour, label in zip(sides, ("#3949ab", "#616161"), ("Sightsmith", _PEERS[task][0]), strict=True):
            seconds_E, fds_E = np.array(one["curve"]).reshape(-1, 2).T
            axes.plot(seconds_E / 60, fds_E, color=colour, lw=1.2, alpha=0.8, label=label if number == 0 else None)
    axes.set(xlabel="minutes of training, one core", ylabel="FD, validation", yscale="log", title=task)
    axes.legend(frameon=False)
    figure.savefig(FOLDER / f"curves-{task}.png", dpi=110)


def consistency() -> bool:
    """Ask a `gan` with classes for each, and a classifier that was trained apart what it sees."""
    generator, classifier = FOLDER / "gan-classes", FOLDER / "classifier"
    if not classifier.exists():
        sightsmith("train", archive(), "--model", "smallcnn", "--epochs", "10", "--out", classifier, quiet=True)
    if not generator.exists():
        flags = ("--task", "gan", "--minutes", "10", "--no-near-duplicates", "--out", generator)
        sightsmith("train", archive(), *flags, quiet=True)
    with ss.load(generator) as model, ss.load(classifier) as judge:
        made = list(model.generate(5_000, seed=1, quiet=True))
        names = model.names
        told = judge.predict([np.asarray(one.image) for one in made])
        right = sum(answer.label == names[at % len(names)] for at, answer in enumerate(told))
    to_image(grid([one.pixels_HWC for one in made[:100]], 10)).save(FOLDER / "gan-classes.png")
    print(f"the classifier's accuracy on real test pictures: {evaluated(classifier)['accuracy']:.3f}")
    return claim("gan with classes: pictures of the class asked for", right / len(made), 0.85, unit="")


def sampling() -> bool:
    """Compare the speed of `generate` by OpenVINO and by torch, fp32."""
    bundle = FOLDER / "gan-classes"
    sightsmith("export", bundle, "--to", "openvino", quiet=True)
    count = 2_000
    with (
        ss.load(bundle, backend="openvino", precision="fp32") as fast,
        ss.load(bundle, backend="torch", precision="fp32") as plain,
    ):
        runs = {
            "openvino": lambda: list(fast.generate(count, seed=1, quiet=True)),
            "torch": lambda: list(plain.generate(count, seed=1, quiet=True)),
        }
        rates = alternate(runs, 5, work=count)
    print(f"generate: {rates} pictures/s")
    return claim("sampling: OpenVINO / torch", rates["openvino"] / rates["torch"], 1.5)


def peer_environment() -> Path:
    """Return the interpreter of pythae's environment, made once."""
    python = FOLDER / "pythae" / "bin" / "python"
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", FOLDER / "pythae"], check=True)
        pinned = ["--constraint", ROOT / "constraints.txt"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *pinned, "pythae", "torch"], check=True)
    return python


def main() -> None:
    print(machine())
    archive()
    asked = sys.argv[1:] or ["gan", "vae", "consistency", "sampling"]
    makers = {"gan": lambda: sys.executable, "vae": peer_environment}
    pythons = {task: python() for task, python in makers.items() if task in asked}
    reached = [against_peers(pythons)] if pythons else []
    reached += [part() for part in (consistency, sampling) if part.__name__ in asked]
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
