"""Claims about makers of pictures, on Fashion-MNIST, each training on one core for the same time as its peer's.

- `gan`: FD ≤ 0.7 × that of the usual DCGAN loop (`peers/dcgan_loop.py`: same nets, batch statistics in both, fp32);
- `vae`: FD ≤ that of pythae's VAE (`peers/pythae_vae.py`), in an environment of its own;
- 10 minutes with seeds 0, 1 and 2, and 30 minutes with seed 0. A training and its peer run at the same time, each on a
  core of its own; they change cores from seed to seed;
- a `gan` with classes: ≥ 85 % of its pictures are of the class that was asked for, by a classifier trained apart;
- `generate` with OpenVINO: ≥ 1.5 × torch.

    python -m benchmarks.generation [gan] [vae] [consistency] [sampling]

FD is of 10,000 generated pictures beside the 10,000 of the test split, which nothing is chosen by. Of a peer's ways to
make pictures the one with the lowest FD counts. Finished trainings are kept in `runs/generation`, so an interrupted run
goes on with the next one; `curves-TASK.png` there shows FD over time, of 2,000 pictures beside 2,000 of the validation.
"""

import csv
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from numpy.typing import NDArray

import sightsmith as ss
from benchmarks.common import ROOT, alternate, claim, data, evaluated, machine, sightsmith
from sightsmith.data.settings import SourceOptions
from sightsmith.data.source import open_source
from sightsmith.kinds.pictures.features import features_of
from sightsmith.kinds.pictures.frechet import fd
from sightsmith.kinds.pictures.marks import grid, to_image

FOLDER, PEERS = ROOT / "runs" / "generation", ROOT / "benchmarks" / "peers"
ARCHIVE = FOLDER / "fashion_mnist.npz"
TRAININGS = ((10, 0), (10, 1), (10, 2), (30, 0))
"""Minutes and seed."""
_CURVE, _VALIDATION = 2_000, 6_000
_PEERS = {"gan": ("dcgan_loop.py", ()), "vae": ("pythae_vae.py", ("conv",))}


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
            arrays[f"{split}_images"] = np.stack([np.asarray(one.picture) for one in samples]).reshape(-1, 28, 28)
            arrays[f"{split}_labels"] = np.array([one.target for one in samples])
        np.savez(ARCHIVE, **arrays, classes=np.array(source.names))
    return ARCHIVE


def distance(split: str, pictures_NHW: NDArray[np.uint8]) -> float:
    """Return FD beside the first pictures of a split, as many as there are."""
    real_NHW = np.load(archive())[f"{split}_images"][: len(pictures_NHW)]
    return fd(features_of(real_NHW[..., None]), features_of(pictures_NHW[..., None]))


def on_core(core: int, *command: str | Path) -> subprocess.Popen[bytes]:
    """Start a command that computes with one thread on one core."""
    log = (FOLDER / f"core{core}.log").open("ab")
    bound = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONPATH": str(ROOT / "src")}
    return subprocess.Popen(
        ["taskset", "-c", str(core), *map(str, command)], stdout=log, stderr=log, env={**os.environ, **bound}
    )


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


def trained(task: str, python: str | Path) -> dict[str, dict[str, Any]]:
    """Run the trainings of a task and its peers that are not finished; return all, by name."""
    script, variants = _PEERS[task]
    found = {}
    for number, (minutes, seed) in enumerate(TRAININGS):
        for variant in variants or ("",):
            name = f"{task}-{minutes}-{seed}"
            peer = f"peer-{name}{variant and '-'}{variant}"
            kept = {one: FOLDER / f"{one}.json" for one in (name, peer)}
            core, running = number % 2, []
            if not kept[name].exists():
                running.append(on_core(core, *ours(task, minutes, seed)))
            if not kept[peer].exists():
                out = FOLDER / f"{peer}.npz"
                command = [python, PEERS / script, archive(), out, str(60 * minutes), str(seed)]
                running.append(on_core(1 - core, *command, *filter(None, [variant])))
            for process in running:
                if process.wait():
                    sys.exit(f"{name}: a training failed; see {FOLDER}/core*.log")
            if not kept[name].exists():
                kept[name].write_text(json.dumps(measure_ours(task, minutes, seed)), encoding="utf-8")
            if not kept[peer].exists():
                kept[peer].write_text(json.dumps(measure_peer(out)), encoding="utf-8")
                out.unlink()
            found |= {one: json.loads(path.read_text(encoding="utf-8")) for one, path in kept.items()}
            for one in kept:
                told = found[one]
                print(f"{one}: FD {told['fd']:.2f}, {told['steps']:,} steps in {told['seconds']:.0f} s", flush=True)
    return found


def against_peer(task: str, target: float, python: str | Path) -> bool:
    found = trained(task, python)
    reached = True
    for minutes in (10, 30):
        for variant in _PEERS[task][1] or ("",):
            seeds = [seed for one, seed in TRAININGS if one == minutes]
            suffix = f"-{variant}" if variant else ""
            ratios = [
                found[f"{task}-{minutes}-{seed}"]["fd"] / found[f"peer-{task}-{minutes}-{seed}{suffix}"]["fd"]
                for seed in seeds
            ]
            label = f"{task}, {minutes} min{suffix}: FD / peer's, median of {len(ratios)}"
            reached &= claim(label, statistics.median(ratios), target, at_most=True)
    draw(task, found)
    return reached


def draw(task: str, found: dict[str, dict[str, Any]]) -> None:
    """Draw FD over the time of training, ours and the peers'."""
    from matplotlib.figure import Figure

    mpl.rcParams.update({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False})
    figure = Figure(figsize=(7.4, 3.2), layout="constrained")
    axes = figure.subplots()
    for name, told in found.items():
        colour = "#ef6c00" if name.endswith("-mlp") else "#616161" if name.startswith("peer") else "#3949ab"
        minutes, fds = zip(*((at / 60, value) for at, value in told["curve"]), strict=True)
        axes.plot(minutes, fds, color=colour, lw=1.2, alpha=0.8, label=name)
    axes.set(xlabel="minutes of training", ylabel="FD, validation", yscale="log", title=task)
    axes.legend(fontsize=7, frameon=False, ncols=2)
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
        names = model.definition.names
        told = judge.predict([np.asarray(one.image) for one in made])
        right = sum(answer.top.name == names[at % len(names)] for at, answer in enumerate(told))
    to_image(grid([one.pixels_HWC for one in made[:100]], 10)).save(FOLDER / "gan-classes.png")
    print(f"the classifier's accuracy on real test pictures: {evaluated(classifier)['accuracy']:.3f}")
    return claim("gan with classes: pictures of the class asked for", right / len(made), 0.85, unit="")


def sampling() -> bool:
    """Compare the speed of `generate` by OpenVINO and by torch, fp32."""
    bundle = FOLDER / "gan-classes"
    sightsmith("export", bundle, "--to", "openvino", "--overwrite", quiet=True)
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
    parts = {
        "gan": lambda: against_peer("gan", 0.7, sys.executable),
        "vae": lambda: against_peer("vae", 1.0, peer_environment()),
        "consistency": consistency,
        "sampling": sampling,
    }
    archive()
    asked = sys.argv[1:] or list(parts)
    reached = [parts[name]() for name in asked]  # each is run, also after a miss
    sys.exit(not all(reached))


if __name__ == "__main__":
    main()
