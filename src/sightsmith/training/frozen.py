"""Features of a frozen backbone, computed once, on which each epoch trains the head.

A varied item has other features in each epoch. So features of a few views of each training item are computed, drawn as
the first epochs would vary it, and the epochs show the views in turn.
"""

from dataclasses import replace

import numpy as np
import torch

from sightsmith.core.ports import Arrays
from sightsmith.core.progress import track
from sightsmith.data.augment import Augmentation
from sightsmith.data.loading import Loader, Order
from sightsmith.data.pixels import InMemory, Views, fits_beside
from sightsmith.tasks.parts.learner import FEATURES
from sightsmith.training.choice import Choice
from sightsmith.training.plan import Plan
from sightsmith.training.run import Run
from sightsmith.training.trainer import Loaders

_VIEWS = 4  # Of a varied item, at most


def with_features(run: Run, loaders: Loaders) -> tuple[Loaders, Plan]:
    """Return loaders of features instead of items, and the plan that says so; the same loaders if none are kept.

    Raises DataError: an item cannot be read any more.
    """
    if run.settings.cache == "off":
        return loaders, _without(run.plan, "as --cache off says")
    if not run.learner.keeps_features:
        return loaders, _without(run.plan, f"the task needs the {run.task.nouns} themselves")
    run.learner.to(run.plan.device.value).eval()
    shape = _shape(run, loaders.val)
    if not shape:
        return loaders, _without(run.plan, "its features are not one array")
    epochs, held_out = range(_views(run)), loaders.calibration is not loaders.val
    counted = [*(loaders.train for _ in epochs), loaders.val, *([loaders.calibration] if held_out else [])]
    size = sum(loader.order.count for loader in counted) * int(np.prod(shape)) * np.dtype(np.float32).itemsize
    if not fits_beside(size):
        return loaders, _without(run.plan, "its features do not fit in memory")
    views = Views([_features(run, _in_order(loaders.train, epoch), shape) for epoch in epochs])
    val = calibration = _of_features(run, loaders.val, shape)
    if held_out:
        calibration = _of_features(run, loaders.calibration, shape)
    run.learner.train()
    train = replace(loaders.train, fetcher=views, vary=None, workers=0)
    each = "" if len(epochs) == 1 else f", {len(epochs)} views of each"
    plan = replace(
        run.plan,
        cache=Choice("ram", f"features of the frozen backbone, computed once{each}: {size / 2**20:,.1f} MiB"),
        workers=Choice(0, "the features are in memory"),
    )
    return replace(loaders, train=train, val=val, calibration=calibration, in_memory=True), plan


def _without(plan: Plan, why: str) -> Plan:
    """Return the plan with the reason for which features are not kept."""
    return replace(plan, cache=Choice(plan.cache.value, f"the frozen backbone runs in each epoch: {why}"))


def _views(run: Run) -> int:
    """Return how many views of each training item there are: no more than epochs that are asked for."""
    varied = run.plan.augment.value != Augmentation()
    return min(_VIEWS, run.settings.epochs or _VIEWS) if varied else 1


def _in_order(loader: Loader, epoch: int) -> Loader:
    """Return a loader of each item once, varied as in an epoch."""
    return replace(loader, order=Order(loader.order.count, loader.order.batch_size, shuffle=False, epoch=epoch))


def _of_features(run: Run, loader: Loader, shape: tuple[int, ...]) -> Loader:
    """Return a loader of the features of items that are not varied."""
    return replace(loader, fetcher=InMemory(_features(run, loader, shape)), workers=0)


def _shape(run: Run, loader: Loader) -> tuple[int, ...]:
    """Return the shape of an item's features; empty if a net gives several tensors."""
    feeds, _ = next(iter(replace(loader, workers=0)))
    with torch.inference_mode(), run.plan.autocast():
        features = run.learner.features(feeds)
    return tuple(features.shape[1:]) if isinstance(features, torch.Tensor) else ()


def _features(run: Run, loader: Loader, shape: tuple[int, ...]) -> Arrays:
    """Return the features of all items of a loader in its order, float32, and end its workers."""
    features_N = np.empty((loader.order.count, *shape), dtype=np.float32)
    start = 0
    with torch.inference_mode(), run.plan.autocast():
        for feeds, _ in track(loader, "Computing features", len(loader), quiet=run.quiet):
            batch_B = run.learner.features(feeds).float().cpu().numpy()
            features_N[start : start + len(batch_B)] = batch_B
            start += len(batch_B)
    loader.close()
    return {FEATURES: features_N}
