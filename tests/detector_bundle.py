"""A small real bundle of a detector: it has learned to find bright and dark rectangles."""

from functools import cache
from pathlib import Path

import numpy as np
import torch

from drafts import record_of
from sightsmith.bundle.definition import Definition, Graph
from sightsmith.bundle.manifest import Manifest, TaskRecord, versions
from sightsmith.bundle.store import Bundle, write_bundle
from sightsmith.bundle.witnesses import Witnesses, encode_items
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs import picture
from sightsmith.kinds.boxes.truth import Boxed, boxed
from sightsmith.nets.build import build_net
from sightsmith.runtime.torch_session import TorchSession
from sightsmith.tasks.detect import Settings, learner
from sightsmith.tasks.parts.learner import Facts

NAMES = ("bright", "dark")
SIDE = 64
SPEC = Preprocessing(height=SIDE, width=SIDE, resize="letterbox", mean=(0.5,) * 3, std=(0.25,) * 3)


def scene(rng: np.random.Generator, width: int = SIDE, height: int = SIDE) -> tuple[np.ndarray, Boxed]:
    """Return a grey picture with a bright rectangle on the left and a dark one on the right, and its truth."""
    pixels = rng.integers(110, 140, (height, width, 3)).astype(np.uint8)
    found = []
    for label, level in enumerate((250, 5)):
        sides = (rng.uniform(0.25, 0.4, 2) * (width, height)).astype(int)
        left = label * width // 2 + int(rng.integers(0, width // 2 - sides[0]))
        top = int(rng.integers(0, height - sides[1]))
        pixels[top : top + sides[1], left : left + sides[0]] = level
        found.append((left, top, left + sides[0], top + sides[1]))
    return pixels, boxed(np.array(found, float), np.arange(2), (width, height))


@cache
def trained(net: str = "small_rcnn", steps: int = 60):
    """Return a built detector that has learned the rectangles."""
    torch.manual_seed(0)
    rng = np.random.default_rng(1)
    built = build_net(net, {}, channels=3, classes=2, height=SIDE, width=SIDE)
    learns = learner({"net": built.module}, Facts(names=NAMES, input_settings=SPEC), Settings()).train()
    optimiser = torch.optim.AdamW(learns.parameters(), lr=3e-3)
    for step in range(steps):
        pairs = [scene(rng) for _ in range(12)]
        optimiser.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 5, (steps - step) / 30)
        targets = np.stack([np.c_[one.boxes_N4 / SIDE, one.labels_N, one.ignored_N] for _, one in pairs])
        batch = (
            {"pixels": torch.from_numpy(np.stack([pixels for pixels, _ in pairs]))},
            torch.from_numpy(targets).float(),
        )
        optimiser.zero_grad()
        learns.loss(batch, "net").backward()
        torch.nn.utils.clip_grad_norm_(learns.parameters(), 10.0)
        optimiser.step()
    return built


def write_detector_bundle(path: Path) -> Bundle:
    """Write its bundle, with five witnesses of other sizes than the input."""
    built, rng = trained(), np.random.default_rng(2)
    definition = Definition(
        input="picture",
        input_settings=SPEC,
        kind="boxes",
        names=NAMES,
        calibrated={"thresholds": [0.3, 0.3], "overlap": 0.6},
        programs=("once",),
        graphs={"model": Graph(inputs=picture.ports(SPEC), outputs=("detections",))},
    )
    encoded, inputs = encode_items([scene(rng, 90, 70)[0] for _ in range(5)], definition)
    session = TorchSession("detect", {"net": built.module.eval()}, definition, "fp32", graph="model")
    manifest = Manifest(
        name="rectangles",
        created="2026-01-02T03:04:05+00:00",
        task=TaskRecord(name="detect", settings={}),
        nets={"net": record_of(built)},
        definition=definition,
        definition_digest=definition.digest(),
        versions=versions(),
    )
    return write_bundle(
        path,
        manifest,
        weights={"net": {name: value.numpy() for name, value in built.module.state_dict().items()}},
        witnesses=Witnesses(encoded, inputs, session.run(inputs)),
        splits={"train": [], "val": [], "test": []},
        files={},
    )
