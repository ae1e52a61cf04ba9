"""Clips of something that moves to the left or to the right, and small bundles of nets trained on them for seconds.

A bar on frames of 16 × 16 pixels for tests of nets, and a square on larger ones for tests of the service and its page.
"""

from pathlib import Path

import numpy as np

NAMES = ("left", "right")
FRAMES, SIDE, RATE = 5, 16, 10.0
"""Of clips of a bar: frames, pixels of a side, and frames a second."""
SECONDS = 0.8
"""Length of a clip of a square."""


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


def moving_square(rightwards: bool, seed: int) -> np.ndarray:
    """Return 20 frames (T, H, W, 3) of a white square that crosses a noisy ground."""
    rng = np.random.default_rng(seed)
    frames_THWC = np.repeat(rng.integers(0, 160, (1, 48, 64, 3), dtype=np.uint8), 20, axis=0)
    places_T, top = np.linspace(4, 48, 20).astype(int) + rng.integers(-3, 4), rng.integers(4, 34)
    for frame, place in zip(frames_THWC, places_T if rightwards else places_T[::-1], strict=True):
        frame[top : top + 10, place : place + 10] = 255
    return frames_THWC


def write_bars_bundle(path: Path, *, carries: bool, net: str = "lstm"):
    """Write the bundle of a net: sampled at a fixed spacing, with a graph of one frame, or uniformly."""
    sampling = {"sampling": "dense", "spacing": 1 / RATE} if carries else {"sampling": "uniform"}
    return _write(path, *clips_of(64), rate=RATE, net=net, frames=FRAMES, **sampling)


def write_squares_bundle(path: Path):
    """Write the bundle of an LSTM that sees four frames of each clip."""
    targets_N = np.arange(40) % 2
    clips = np.stack([moving_square(bool(target), seed) for seed, target in enumerate(targets_N)])
    rate = len(clips[0]) / SECONDS
    return _write(path, clips, targets_N, rate=rate, net="lstm", frames=4, sampling="segments")


def _write(path: Path, clips_NTHWC: np.ndarray, targets_N: np.ndarray, *, rate: float, net: str, **sampling):
    """Train a net on clips for 40 steps, and write its bundle."""
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
    settings = clip.Settings(picture=picture, **sampling)
    how = {"lstm": {"backbone": "smallcnn", "hidden": 16, "grid": 0}, "frames": {"backbone": "smallcnn"}}.get(net, {})
    built = build_net(net, how, **task.sizes(NAMES, settings))
    items = [Clip(one, rate=rate) for one in clips_NTHWC]
    frames = torch.from_numpy(np.stack([clip.feeds(item, settings)[clip.FRAMES] for item in items]))
    targets = torch.from_numpy(targets_N)
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
    witnesses, inputs = encode_items(items[:4], definition)
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
        witnesses=Witnesses(witnesses, inputs, session.run(inputs)),
        splits={"train": len(items)},
        files={},
    )
