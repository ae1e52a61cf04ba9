"""Fitting a learner in one step, without gradient descent; its curve has one epoch."""

import time

import numpy as np
import torch

from sightsmith.core.command import say
from sightsmith.core.progress import duration
from sightsmith.data.loading import Loader
from sightsmith.kinds.parts.metric import Metric
from sightsmith.tasks.parts.learner import Learner
from sightsmith.training.checkpoints import save_tree
from sightsmith.training.curves import Curves, Epoch
from sightsmith.training.module import Validate
from sightsmith.training.work_folder import WorkFolder


def estimate(
    learner: Learner, train: Loader, val: Loader, validate: Validate, metric: Metric, work: WorkFolder, *, quiet: bool
) -> None:
    """Fit a learner and save its weights as the best ones.

    Args:
        learner: its `fit` is called once.
        train: the training pictures, each once, without augmentation.
        metric: which of its figures is the headline.
        work: the folder for the curve and the weights.
    """
    started = time.monotonic()
    batches, truths_of = zip(*train, strict=True)
    feeds = {name: torch.cat([batch[name] for batch in batches]) for name in batches[0]}
    targets = torch.cat(truths_of)
    learner.eval()
    with torch.no_grad():
        learner.fit(feeds, targets)
        answers, truths = zip(*((learner.answer(items).numpy(), truth.numpy()) for items, truth in val), strict=True)
    figures = validate(np.concatenate(answers), np.concatenate(truths))
    seconds = time.monotonic() - started
    score = figures.pop(metric.name)
    epoch = Epoch(
        number=1,
        step=1,
        lr=0.0,
        train_loss=float("nan"),
        val_loss=figures.pop("loss", float("nan")),
        score=score,
        metric=metric.name,
        best=True,
        further={f"val_{name}": value for name, value in sorted(figures.items())},
        seconds=seconds,
        rate=len(targets) / max(seconds, 1e-9),
    )
    curves = Curves(work.path)
    curves.keep_until(0)
    curves.add(epoch, [])
    weights = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    save_tree({"epoch": 1, "score": score, "weights": weights}, work.best)
    if not quiet:
        say(f"fitted to {len(targets):,} pictures in {duration(seconds)}: val {metric.title} {score:.4f}")
