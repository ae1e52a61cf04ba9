"""A small real bundle whose evidence has a known place: noise with one coloured patch, whose colour is the class.

Pictures without a patch are a class too, so that empty noise speaks for none of the colours.
"""

from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = ("red", "green", "blue")
CLASSES = (*COLOURS, "none")
SIDE = 32
PATCH = 10
"""Side of the patch in a picture of SIDE."""
FRAMES = 5
"""Frames of an input of the model of clips."""


def patch_picture(
    rng: np.random.Generator,
    target: int,
    left: int,
    top: int,
    *,
    width: int = SIDE,
    height: int = SIDE,
    patch: int = PATCH,
) -> np.ndarray:
    """Return (H, W, 3) uint8 grey noise with a patch of the class's colour at a place, none for the class "none"."""
    noise = rng.integers(-1, 2, (height, width, 1)) * rng.integers(0, 50)
    picture = rng.integers(60, 150) + np.repeat(noise, 3, axis=2)
    if target == len(COLOURS):
        return picture.astype(np.uint8)
    picture[top : top + patch, left : left + patch] = rng.integers(0, 70, (patch, patch, 3))
    picture[top : top + patch, left : left + patch, target] += 170
    return picture.astype(np.uint8)


def patch_pictures(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return (N, SIDE, SIDE, 3) uint8 pictures with patches anywhere, and their classes (N,)."""
    rng = np.random.default_rng(seed)
    targets = rng.integers(len(CLASSES), size=count)
    places = rng.integers(0, SIDE - PATCH + 1, (count, 2))
    pictures = [patch_picture(rng, int(one), *map(int, place)) for one, place in zip(targets, places, strict=True)]
    return np.stack(pictures), targets


@cache
def trained(net: str, steps: int = 150, width: int = 8):
    """Return a built net that has learned the patches' colours."""
    import torch

    from sightsmith.core.preprocessing import Preprocessing
    from sightsmith.inputs.picture import PIXELS
    from sightsmith.nets.build import build_net
    from sightsmith.tasks.classify import Settings, learner
    from sightsmith.tasks.parts.learner import Facts

    torch.manual_seed(0)
    pixels, targets = patch_pictures(1500, seed=1)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(targets)
    built = build_net(net, {"width": width}, channels=3, classes=len(CLASSES), height=SIDE, width=SIDE)
    facts = Facts(names=CLASSES, input_settings=Preprocessing(height=SIDE, width=SIDE))
    learns = learner({"net": built.module}, facts, Settings(label_smoothing=0.05)).train()
    optimiser = torch.optim.AdamW(learns.parameters(), lr=5e-3)
    for _ in range(steps):
        chosen = torch.randint(0, len(images), (48,))
        loss = learns.loss(({PIXELS: images[chosen]}, labels[chosen]), "net")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return built


def write_patch_bundle(path: Path, net: str = "smallresnet", *, resize: str = "crop", names=CLASSES, **changes):
    """Write a bundle of a net that has learned the patches; `changes` are further arguments of `write_trained`."""
    from drafts import define, write_trained
    from sightsmith.core.preprocessing import Preprocessing

    built = trained(net)
    definition = define(Preprocessing(height=SIDE, width=SIDE, resize=resize), names)
    parts = {"name": f"patches-{net}", "splits": {"train": [], "val": [], "test": []}} | changes
    return write_trained(path, built, definition, list(patch_pictures(4, seed=2)[0]), {}, **parts)


def write_clip_bundle(path: Path, clips, **changes):
    """Write a bundle of the net that answers clips by the mean over the frames; the clips are its witnesses."""
    from drafts import write_trained
    from sightsmith.bundle.definition import Definition, Graph
    from sightsmith.bundle.manifest import TaskRecord
    from sightsmith.core.preprocessing import Preprocessing
    from sightsmith.inputs import clip
    from sightsmith.nets.build import build_net

    settings = clip.Settings(frames=FRAMES, picture=Preprocessing(height=SIDE, width=SIDE))
    built = build_net("frames", {"backbone": "smallcnn"}, channels=3, classes=len(CLASSES), height=SIDE, width=SIDE)
    built.module.net.load_state_dict(trained("smallcnn", width=32).module.state_dict())
    definition = Definition(
        input="clip",
        input_settings=settings,
        kind="labels",
        names=CLASSES,
        calibrated={},
        programs=("once",),
        graphs={"model": Graph(inputs=clip.ports(settings), outputs=("logits",))},
    )
    parts = {
        "name": "patches",
        "task": TaskRecord(name="classify_clips", settings={}),
        "splits": {"train": [], "val": [], "test": []},
    }
    return write_trained(path, built, definition, clips, {}, **parts | changes)


def write_pictures(folder: Path, count: int, seed: int, names=CLASSES) -> None:
    pictures, targets = patch_pictures(count, seed)
    for at, (picture, target) in enumerate(zip(pictures, targets, strict=True)):
        path = folder / names[target] / f"{at:03d}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(path)
