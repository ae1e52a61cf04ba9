"""Clips of a bar that moves to the left or to the right, and small bundles of nets trained on them for seconds."""

from pathlib import Path

import numpy as np

NAMES = ("left", "right")
FRAMES, SIDE, RATE = 5, 16, 10.0
"""Frames of a clip, pixels of a side, and frames a second."""


def bar_frames(columns, rng: np.random.Generator | None = None) -> np.ndarray:
    """Return frames (T, H, W, 3) with a bar at these columns, which wrap around."""
    columns_T = np.asarray(columns)[:, None]
    bars_TW = (np.arange(SIDE) - columns_T) % SIDE < 4
    frames_THWC = np.repeat(np.repeat(bars_TW[:, None, :, None] * np.uint8(200), SIDE, axis=1), 3, axis=3)
    return frames_THWC if rng is None else frames_THWC + rng.integers(0, 50, frames_THWC.shape, dtype=np.uint8)


def clips_of(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return clips (N, T, H, W, 3) and which way each moves (N,), left and right in turn."""
    rng = np.random.default_rng(0)
    targets_N = np.arange(count) % 2
    steps_T = np.arange(FRAMES) * 2
    starts_N = rng.integers(0, SIDE, count)
    clips = [
        bar_frames(start + (steps_T if target else -steps_T), rng)
        for start, target in zip(starts_N, targets_N, strict=True)
    ]
    return np.stack(clips), targets_N


def there_and_back(seconds: float = 4.0) -> np.ndarray:
    """Return a longer video whose bar moves to the right in its first half and to the left in its second."""
    half = round(seconds * RATE / 2)
    there = np.arange(half) * 2
    return bar_frames(np.concatenate([there, there[::-1]]), np.random.default_rng(1))


def write_bundle_of(path: Path, *, carries: bool, net: str = "lstm"):
    """Train a net and write its bundle: sampled at a fixed spacing, with a graph of one frame, or uniformly."""
    import torch

    from drafts import record_of
    from sightsmith.bundle.definition import Definition
    from sightsmith.bundle.manifest import Manifest, TaskRecord, versions
    from sightsmith.bundle.store import write_bundle
    from sightsmith.bundle.witnesses import Witnesses, encode_items
    from sightsmith.core.preprocessing import Preprocessing
    from sightsmith.core.video import Clip
    from sightsmith.inputs import Reader, clip
    from sightsmith.nets.build import build_net
    from sightsmith.runtime.torch_session import TorchSession
    from sightsmith.tasks import classify_clips as task
    from sightsmith.tasks.parts.learner import Facts
    from sightsmith.training.finalize import graphs_of, programs_of

    torch.manual_seed(0)
    picture = Preprocessing(height=SIDE, width=SIDE, mean=(0.3,) * 3, std=(0.3,) * 3, resize="squash")
    sampling = {"sampling": "dense", "spacing": 1 / RATE} if carries else {"sampling": "uniform"}
    settings = clip.Settings(frames=FRAMES, picture=picture, **sampling)
    built = build_net(
        net, {"backbone": "smallcnn"} | ({"hidden": 16} if net == "lstm" else {}), **task.sizes(NAMES, settings)
    )
    clips, targets_N = clips_of(64)
    frames, targets = torch.from_numpy(clips), torch.from_numpy(targets_N)
    facts = Facts(names=NAMES, input_settings=settings)
    learns = task.learner({"net": built.module}, facts, task.Settings()).train()
    optimiser = torch.optim.AdamW(learns.parameters(), lr=5e-3)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(learns.answer({clip.FRAMES: frames}), targets).backward()
        optimiser.step()
    nets = {"net": built.module.eval()}
    graphs = graphs_of(task, {"net": built}, Reader("clip", settings), {})
    definition = Definition(
        input="clip",
        input_settings=settings,
        kind="labels",
        names=NAMES,
        programs=programs_of(task, graphs),
        graphs=graphs,
    )
    items, inputs = encode_items([Clip(one, rate=RATE) for one in clips[:4]], definition)
    session = TorchSession("classify_clips", nets, definition, "fp32", graph="model")
    return write_bundle(
        path,
        Manifest(
            name=path.name,
            created="2026-01-02T03:04:05+00:00",
            task=TaskRecord(name="classify_clips", settings={}),
            nets={"net": record_of(built)},
            definition=definition,
            definition_digest=definition.digest(),
            versions=versions(),
        ),
        weights={"net": {name: value.numpy() for name, value in built.module.state_dict().items()}},
        witnesses=Witnesses(items, inputs, session.run(inputs)),
        splits={"train": 64},
        files={},
    )
