"""A small real bundle: a net trained for seconds on the handwritten digits inside scikit-learn."""

from pathlib import Path

import numpy as np

CLASSES = tuple("0123456789")


def digit_pictures() -> tuple[np.ndarray, np.ndarray]:
    """Return the 1,797 digits as (N, 8, 8) uint8 and their classes (N,)."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    return (digits.images * 15.9).astype(np.uint8), digits.target


def write_digits_bundle(
    path: Path,
    *,
    steps: int = 120,
    temperature: float = 1.3,
    overwrite: bool = False,
    classes=CLASSES,
    name: str = "digits",
    splits=None,
):
    """Train a small net on digits and write its bundle; the last 400 digits are not trained on."""

    import torch

    from drafts import define, write_trained
    from sightsmith.core.preprocessing import Preprocessing
    from sightsmith.inputs.picture import PIXELS
    from sightsmith.nets.build import build_net
    from sightsmith.tasks.classify import Settings, learner
    from sightsmith.tasks.parts.learner import Facts

    threads = torch.get_num_threads()
    torch.set_num_threads(1)  # so small a net is slower on more
    torch.manual_seed(0)
    pictures, targets = digit_pictures()
    preprocessing = Preprocessing(height=16, width=16, colour="grey", mean=(0.3,), std=(0.35,), resize="squash")
    pixels = np.stack([preprocessing.apply(picture) for picture in pictures])
    built = build_net("smallresnet", {"width": 8}, channels=1, classes=10, height=16, width=16)
    facts = Facts(names=classes, input_settings=preprocessing)
    learns = learner({"net": built.module}, facts, Settings(label_smoothing=0.0)).train()
    optimiser = torch.optim.AdamW(learns.parameters(), lr=5e-3)
    images, labels = torch.from_numpy(pixels), torch.from_numpy(targets)
    for _ in range(steps):
        chosen = torch.randint(0, 1397, (64,))
        loss = learns.loss(({PIXELS: images[chosen]}, labels[chosen]), "net")
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    torch.set_num_threads(threads)
    return write_trained(
        path,
        built,
        define(preprocessing, classes, temperature=temperature),
        list(pictures[1400:1408]),
        {"label_smoothing": 0.0},
        name=name,
        splits={"train": 1397, "test": 400} if splits is None else splits,
        data={"location": "digits", "format": "built in", "licence": "CC BY 4.0", "counts": {"train": 1397}},
        metrics={"test": {"accuracy": 0.97, "intervals": {"accuracy": {"low": 0.95, "high": 0.98}}}},
        files={"report/note.txt": "how it went"},
        overwrite=overwrite,
    )


def pack(bundle, path: Path) -> Path:
    """Write an opened bundle as a zip archive."""
    from sightsmith.bundle.folder import zip_folder

    zip_folder(bundle.folder, path)
    return path
