"""Lightning's Trainer, set up: quiet, fast, with our callbacks and checkpoints; and the loaders that feed it."""

import logging
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from lightning.pytorch import Callback, Trainer

from sightsmith.data.augment import Augmentation
from sightsmith.data.loading import Loader, Order
from sightsmith.data.pixels import Decoding, Fetcher, InMemory, RamCache, fits_in_memory, load_all
from sightsmith.inputs import Reader
from sightsmith.tasks.parts.learner import Learner
from sightsmith.training.checkpoints import SafeCheckpointIO
from sightsmith.training.dataset import Subset
from sightsmith.training.loggers import make_logger
from sightsmith.training.plan import Plan
from sightsmith.training.settings import TrainSettings

_NOISY = ("lightning.pytorch", "lightning.fabric")


@dataclass(frozen=True, slots=True)
class Loaders:
    train: Loader
    val: Loader
    calibration: Loader  # of the samples that calibrate: those of validation unless some were held out for it
    in_memory: bool  # All pictures are in memory, ready for the net, so no worker is needed

    def close(self) -> None:
        self.train.close()
        self.val.close()
        self.calibration.close()


def make_loaders(
    settings: TrainSettings,
    plan: Plan,
    read: Reader,
    train: Subset,
    val: Subset,
    calibration: Subset,
    *,
    vary: bool = True,
    quiet: bool,
) -> Loaders:
    """Make the loaders; pictures that are kept in memory are decoded now.

    Without `vary` the training pictures come as they are, each once and in order.

    Raises:
        SettingsError: a cache was asked for and does not fit.
        PictureError: a picture cannot be decoded.
    """
    variation: Augmentation = plan.augment.value if vary else Augmentation()
    batch, workers, device = plan.batch_size.value, plan.workers.value, plan.device.value
    balanced = train.strata_N if settings.balanced else None
    fetch_train = _fetcher(settings, read, train, variation, quiet=quiet)
    fetch_val = _fetcher(settings, read, val, Augmentation(), quiet=quiet)
    val_loader = _plain_loader(plan, fetch_val, val)
    fetch_calibration = _fetcher(settings, read, calibration, Augmentation(), quiet=quiet) if len(calibration) else None
    return Loaders(
        train=Loader(
            fetch_train,
            train.targets,
            Order(len(train), batch, settings.seed, strata_N=balanced if vary else None, shuffle=vary),
            vary=variation if vary else None,
            seed=settings.seed,
            workers=0 if fetch_train.in_memory else workers,
            device=device,
        ),
        val=val_loader,
        calibration=_plain_loader(plan, fetch_calibration, calibration) if fetch_calibration else val_loader,
        in_memory=fetch_train.in_memory and fetch_val.in_memory,
    )


def _plain_loader(plan: Plan, fetcher: Fetcher, part: Subset) -> Loader:
    """Make a loader of pictures that are not varied, in their order."""
    return Loader(
        fetcher,
        part.targets,
        Order(len(part), plan.batch_size.value * 2, shuffle=False),
        workers=0 if fetcher.in_memory else plan.workers.value,
        device=plan.device.value,
    )


def _fetcher(settings: TrainSettings, read: Reader, part: Subset, vary: Augmentation, *, quiet: bool) -> Fetcher:
    """Arrays are resized once; files are decoded as needed unless a cache was asked for."""
    if part.pictures.all_arrays and not vary.per_picture and fits_in_memory(len(part), read):
        return InMemory(load_all(part.pictures, read, quiet=quiet))
    if settings.cache == "off":
        return Decoding(part.pictures, read, vary, settings.seed)
    if not vary.per_picture:
        return InMemory(load_all(part.pictures, read, quiet=quiet))
    return Decoding(RamCache(part.pictures, read.settings, quiet=quiet), read, vary, settings.seed)


def make_trainer(settings: TrainSettings, plan: Plan, folder: Path, callbacks: list[Callback]) -> Trainer:
    """Make the Trainer: one device, no bar, no files of its own.

    Raises SettingsError: the logger's package is not installed, or the place of its records cannot be used.
    """
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
        logger=make_logger(settings, plan, folder),
        default_root_dir=folder,
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
def fast_matmul(device: str) -> Iterator[None]:
    """Let a GPU use TF32 for fp32 matrix products, as long as the block runs."""
    before = torch.get_float32_matmul_precision()
    if device.startswith("cuda"):
        torch.set_float32_matmul_precision("high")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def repeatable(wanted: bool) -> Iterator[None]:
    """Use only operations that give the same bits every time, as long as the block runs, if wanted."""
    if not wanted:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled()
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    torch.use_deterministic_algorithms(True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])


def autocast(plan: Plan) -> torch.autocast:
    """Return the precision of the plan as a context, for work outside of the Trainer."""
    kind = plan.device.value.partition(":")[0]
    return torch.autocast(kind, torch.bfloat16, enabled=plan.precision.value == "bf16")


def outputs_of(learner: Learner, loader: Loader, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Return the answers to all pictures of a loader and their targets, first axis N."""
    answers, targets = [], []
    learner.eval().to(plan.device.value)
    with torch.inference_mode(), autocast(plan):
        for feeds, targets_B in loader:
            answers.append(learner.answer(feeds).float().cpu().numpy())
            targets.append(targets_B.cpu().numpy())
    return np.concatenate(answers), np.concatenate(targets)
