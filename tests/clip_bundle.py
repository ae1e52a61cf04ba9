"""Videos of a square that moves left or right, and the bundle of a small net that tells which."""

from pathlib import Path

import numpy as np

NAMES = ("left", "right")
SECONDS = 0.8
"""Length of one move."""


def moving_square(rightwards: bool, seed: int) -> np.ndarray:
    """Return 20 frames (T, H, W, 3) of a white square that crosses a noisy ground."""
    rng = np.random.default_rng(seed)
    frames_THWC = np.repeat(rng.integers(0, 160, (1, 48, 64, 3), dtype=np.uint8), 20, axis=0)
    places_T, top = np.linspace(4, 48, 20).astype(int) + rng.integers(-3, 4), rng.integers(4, 34)
    for frame, place in zip(frames_THWC, places_T if rightwards else places_T[::-1], strict=True):
        frame[top : top + 10, place : place + 10] = 255
    return frames_THWC


def write_moves_bundle(path: Path):
    """Train an LSTM for seconds, and write its bundle."""
    import torch

    from drafts import record_of
    from sightsmith.bundle.definition import Definition, Graph
    from sightsmith.bundle.manifest import Manifest, TaskRecord, versions
    from sightsmith.bundle.store import write_bundle
    from sightsmith.bundle.witnesses import Witnesses, encode_items
    from sightsmith.core.preprocessing import Preprocessing
    from sightsmith.inputs import clip
    from sightsmith.nets.build import build_net
    from sightsmith.runtime.torch_session import TorchSession
    from sightsmith.tasks import classify_clips as task
    from sightsmith.tasks.parts.learner import Facts

    torch.manual_seed(0)
    picture = Preprocessing(height=16, width=16, mean=(0.3,) * 3, std=(0.3,) * 3, resize="squash")
    settings = clip.Settings(frames=4, sampling="segments", picture=picture)
    built = build_net("lstm", {"hidden": 16, "backbone": "smallcnn"}, **task.sizes(NAMES, settings))
    clips, targets_N = [moving_square(bool(seed % 2), seed) for seed in range(40)], np.arange(40) % 2
    frames = torch.from_numpy(np.stack([clip.feeds(one, settings)[clip.FRAMES] for one in clips]))
    targets = torch.from_numpy(targets_N)
    facts = Facts(names=NAMES, input_settings=settings)
    learns = task.learner({"net": built.module}, facts, task.Settings()).train()
    optimiser = torch.optim.AdamW(learns.parameters(), lr=5e-3)
    for _ in range(40):
        optimiser.zero_grad()
        torch.nn.functional.cross_entropy(learns.answer({clip.FRAMES: frames}), targets).backward()
        optimiser.step()
    definition = Definition(
        input="clip",
        input_settings=settings,
        kind="labels",
        names=NAMES,
        programs=task.PROGRAMS[:1],
        graphs={"model": Graph(inputs=clip.ports(settings), outputs=task.OUTPUTS)},
    )
    items, inputs = encode_items(clips[:4], definition)
    session = TorchSession("classify_clips", {"net": built.module.eval()}, definition, "fp32", graph="model")
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
        splits={"train": 40},
        files={},
    )
