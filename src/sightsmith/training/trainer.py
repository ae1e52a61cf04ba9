"""Lightning's Trainer, set up: quiet, fast, with our callbacks and checkpoints; and the loaders that feed it."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer
from numpy.typing import NDArray

from sightsmith.data.augment import Augmentation
from sightsmith.data.loading import Loader, Order
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.pixels import (
    TARGETS,
    Decoding,
    Fetcher,
    InMemory,
    fits_in_cache,
    fits_in_memory,
    require_cache,
)
from sightsmith.data.scenes import Placed, Scenes
from sightsmith.training.checkpoints import SafeCheckpointIO
from sightsmith.training.dataset import Subset
from sightsmith.training.loggers import make_logger
from sightsmith.training.run import Run

_NOISY = ("lightning.pytorch", "lightning.fabric")
_UNVARIED = Augmentation()


@dataclass(frozen=True, slots=True)
class Loaders:
    train: Loader
    val: Loader
    calibration: Loader  # of the samples that calibrate: those of validation unless some were held out for it
    sample: Loader | None  # of training pictures in random order, not varied, by which a learner is prepared
    in_memory: bool  # All pictures are in memory, ready for the net, so no worker is needed
    cached: bool  # The training pictures are in memory, decoded

    def close(self) -> None:
        self.train.close()
        self.val.close()
        self.calibration.close()


def make_loaders(run: Run, train: Subset, val: Subset, calibration: Subset) -> Loaders:
    """Make the loaders; pictures that are kept in memory are decoded now.

    A learner that is fitted in one step gets the training pictures as they are, each once and in order.

    Raises:
        SettingsError: a cache was asked for and does not fit.
        PictureError: a picture cannot be decoded.
    """
    settings, batch, vary = run.settings, run.plan.batch_size.value, bool(run.learner.OPTIMISERS)
    variation: Augmentation = run.plan.augment.value if vary else _UNVARIED
    strata_N = train.strata_N if settings.balanced and vary else None
    order = Order(len(train), batch, settings.seed, strata_N=strata_N, shuffle=vary)
    fetch_train, fetch_val = _fetcher(run, train, variation), _fetcher(run, val, _UNVARIED)
    in_batches = variation.in_place if hasattr(run.task.kind, "GEOMETRY") else variation
    train_loader = _loader(run, fetch_train, train, order, in_batches if vary else None)
    val_loader = calibration_loader = _plain_loader(run, fetch_val, val)
    if len(calibration):
        calibration_loader = _plain_loader(run, _fetcher(run, calibration, _UNVARIED), calibration)
    sample = None
    if run.learner.PREPARED_BY:
        fetch = fetch_train if fetch_train.in_memory else _fetcher(run, train, _UNVARIED)
        unchanging = Order(len(train), batch, settings.seed)
        sample = Loader(fetch, train.targets, unchanging, device=run.plan.device.value)
    in_memory = fetch_train.in_memory and fetch_val.in_memory
    prepared = in_memory and not train.pictures.all_arrays
    cached = prepared or (isinstance(fetch_train, (Scenes, Decoding)) and fetch_train.cached)
    return Loaders(train_loader, val_loader, calibration_loader, sample, in_memory, cached)


def _plain_loader(run: Run, fetcher: Fetcher, part: Subset) -> Loader:
    """Make a loader of pictures that are not varied, in their order."""
    return _loader(run, fetcher, part, Order(len(part), run.plan.batch_size.value * 2, shuffle=False), None)


def _loader(run: Run, fetcher: Fetcher, part: Subset, order: Order, vary: Augmentation | None) -> Loader:
    workers = 0 if fetcher.in_memory else run.plan.workers.value
    device, seed = run.plan.device.value, run.settings.seed
    varied = getattr(run.read.file, "VARIED", "")  # inputs such as seeds have none
    return Loader(fetcher, part.targets, order, vary=vary, varied=varied, seed=seed, workers=workers, device=device)


def _fetcher(run: Run, part: Subset, vary: Augmentation) -> Fetcher:
    """Arrays are resized once, and clips decoded once if they fit in memory; files of pictures as needed.

    A cache that was asked for keeps those too.
    """
    read, quiet, cached = run.read, run.quiet, run.settings.cache == "ram"
    if hasattr(run.task.kind, "GEOMETRY"):
        return _placed_fetcher(run, part, vary)
    kept = run.settings.cache == "auto" and run.plan.frames.value is not None  # a clip is many pictures to decode
    if not vary.per_picture:
        if cached or ((kept or part.pictures.all_arrays) and fits_in_memory(len(part), read)):
            return InMemory(part.ready(read, quiet=quiet))
        return Decoding(part.pictures, read, vary, run.settings.seed)
    return Decoding(_kept(run, part) if cached or kept else part.pictures, read, vary, run.settings.seed)


def _placed_fetcher(run: Run, part: Subset, vary: Augmentation) -> Fetcher:
    """Make the fetcher of pictures that move together with their targets; decoded ones are kept if they fit."""
    read, kind, quiet, wanted = run.read, run.task.kind, run.quiet, run.settings.cache
    if vary.moves:
        items = _kept(run, part) if wanted in ("ram", "auto") else part.pictures
        return Scenes(items, part.targets, read, kind, vary, run.settings.seed)
    placed = Placed(part.pictures, part.targets, read, kind)
    if wanted == "ram" or (wanted == "auto" and fits_in_memory(len(part), read)):
        pixels = part.ready(read, quiet=quiet)
        return InMemory({**pixels, TARGETS: placed.targets(range(len(part)))})
    return placed


def _kept(run: Run, part: Subset) -> PictureIndex:
    """Return the items of a part decoded, in memory; as they are if that was not asked for and they do not fit.

    Raises SettingsError: it was asked for, and they do not fit.
    """
    if run.settings.cache == "ram":
        require_cache(part.pictures, run.read)
    elif not fits_in_cache(part.pictures, run.read):
        return part.pictures
    return part.decoded(run.read, quiet=run.quiet)


def make_trainer(run: Run, callbacks: list[Callback]) -> Trainer:
    """Make the Trainer: one device, no bar, no files of its own.

    Raises SettingsError: the logger's package is not installed, or the place of its records cannot be used.
    """
    settings, plan = run.settings, run.plan
    kind, _, number = plan.device.value.partition(":")
    return Trainer(
        accelerator={"cuda": "gpu"}.get(kind, kind),
        devices=[int(number)] if number and kind == "cuda" else 1,
        precision="bf16-mixed" if plan.precision.value == "bf16" else "32-true",
        max_epochs=plan.epochs.value,
        accumulate_grad_batches=settings.accumulate,
        deterministic=settings.deterministic,
        benchmark=not settings.deterministic,
        callbacks=callbacks,
        plugins=[SafeCheckpointIO()],
        logger=make_logger(run),
        default_root_dir=run.work.path,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        inference_mode=False,
    )


@contextmanager
def quiet_lightning() -> Iterator[None]:
    """Keep Lightning's tips and warnings from the terminal, as long as the block runs."""
    loggers = [logging.getLogger(name) for name in _NOISY]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", module=r"lightning\..*")
        warnings.filterwarnings("ignore", message=r".*(lightning|does not have many workers|LeafSpec).*")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)


@contextmanager
def arithmetic(device: str, *, deterministic: bool) -> Iterator[None]:
    """Let a GPU use TF32 for fp32 matrix products; if wanted, use only operations that give the same bits every time.

    Torch's settings come back when the block ends. Lightning's Trainer would leave `deterministic` as it set it.
    """
    precision = torch.get_float32_matmul_precision()
    strict, warn_only = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
    )
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")
    if deterministic:
        os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
        torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(precision)
        torch.use_deterministic_algorithms(strict, warn_only=warn_only)


def prepare(run: Run, loaders: Loaders) -> None:
    """Prepare the learner for a validation."""
    if loaders.sample is None:
        return
    learner = run.learner.eval()
    batches = islice(loaders.sample, -(-learner.PREPARED_BY // run.plan.batch_size.value))
    with torch.no_grad(), run.plan.autocast():
        learner.prepare(batches)


def outputs_of(run: Run, loader: Loader) -> tuple[NDArray[Any], NDArray[Any]]:
    """Return the learner's answers to all pictures of a loader and their targets, first axis N."""
    learner = run.learner.eval().to(run.plan.device.value)
    with torch.inference_mode(), run.plan.autocast():
        pairs = [(learner.measured(batch).float().cpu().numpy(), batch[1].cpu().numpy()) for batch in loader]
    answers, targets = zip(*pairs, strict=True)
    return np.concatenate(answers), np.concatenate(targets)
