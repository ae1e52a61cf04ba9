"""Claim: training ResNet-18 at 224² is ≥ 3 × the articles' plain loop and ≥ 0.95 × a hand-written equal one.

Three ways over the same pictures in memory, batch 32, alternating, each round one epoch in this process:
- plain: the loop of the articles, fp32, NCHW, Adam, `loss.item()` every step;
- by hand: bf16 autocast where the processor has it, channels-last, fused AdamW, nothing else;
- sightsmith: `train` as a user runs it; its own rate of an epoch, from its metrics.csv (validation left out).
"""

import csv
import statistics
import sys
import tempfile
from pathlib import Path

import numpy as np
import timm
import torch
from torch import Tensor

from benchmarks.common import alternate, claim, machine, sightsmith
from sightsmith.core.machine import this_machine

_BATCH, _STEPS, _ROUNDS, _SIDE, _CLASSES = 32, 12, 3, 224, 10


def plain(images_BCHW: list[Tensor], targets: list[Tensor]) -> None:
    net = timm.create_model("resnet18", num_classes=_CLASSES)
    optimizer = torch.optim.Adam(net.parameters(), lr=1e-3, fused=False, foreach=False)
    for pixels, target in zip(images_BCHW, targets, strict=True):
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(net(pixels.float() / 255), target)
        loss.backward()
        optimizer.step()
        loss.item()


def by_hand(images_BCHW: list[Tensor], targets: list[Tensor]) -> None:
    net = timm.create_model("resnet18", num_classes=_CLASSES).to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, fused=True)
    for pixels, target in zip(images_BCHW, targets, strict=True):
        images = (pixels.float() / 255).contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16, enabled=this_machine().bf16):
            loss = torch.nn.functional.cross_entropy(net(images), target)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()


def ours(data: Path, folder: Path) -> float:
    out = folder / "out"
    sightsmith(
        "train", data, "--out", out, "--model", "resnet18", "--weights", "none", "--size", str(_SIDE),
        "--batch-size", str(_BATCH), "--epochs", "3", "--crop-share", "1", "--overwrite", "--workers", "0",
        quiet=True,
    )  # fmt: skip
    with (out / "report" / "metrics.csv").open(encoding="utf-8") as file:
        return max(float(row["images_per_second"]) for row in csv.DictReader(file))


def main() -> None:
    print(machine())
    rng = np.random.default_rng(0)
    count = _BATCH * _STEPS
    pixels = rng.integers(0, 256, (count, _SIDE, _SIDE, 3), dtype=np.uint8)
    labels = np.arange(count) % _CLASSES
    batches = [torch.from_numpy(part).permute(0, 3, 1, 2).contiguous() for part in np.split(pixels, _STEPS)]
    targets = [torch.from_numpy(part) for part in np.split(labels, _STEPS)]
    rates: list[float] = []
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "random.npz"
        held_out = rng.integers(0, 256, (2 * _CLASSES, _SIDE, _SIDE, 3), dtype=np.uint8)
        np.savez(
            data,
            train_images=pixels,
            train_labels=labels,
            val_images=held_out,
            val_labels=np.arange(len(held_out)) % _CLASSES,
        )
        found = alternate(
            {
                "plain": lambda: plain(batches, targets),
                "by hand": lambda: by_hand(batches, targets),
                "sightsmith": lambda: rates.append(ours(data, Path(folder))),
            },
            _ROUNDS,
            work=count,
        )
    found["sightsmith"] = statistics.median(rates[1:])
    for name, rate in found.items():
        print(f"{name}: {rate:.1f} pictures/s")
    reached = [
        claim("sightsmith / plain", found["sightsmith"] / found["plain"], 3),
        claim("sightsmith / by hand", found["sightsmith"] / found["by hand"], 0.95),
    ]
    sys.exit(not all(reached))


main()
