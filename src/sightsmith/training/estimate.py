"""Fitting a learner in one step, without gradient descent; its curve has one epoch."""

import math
import time

import torch

from sightsmith.core.progress import duration
from sightsmith.training.checkpoints import save_tree
from sightsmith.training.curves import Curves, Epoch
from sightsmith.training.run import Run
from sightsmith.training.trainer import Loaders, outputs_of


def estimate(run: Run, loaders: Loaders) -> None:
    """Fit the learner to all training pictures, each once and unvaried, and save its weights as the best ones."""
    started, learner, metric = time.monotonic(), run.learner, run.task.kind.METRIC
    batches, targets_of = zip(*loaders.train, strict=True)
    feeds = {name: torch.cat([batch[name] for batch in batches]).cpu() for name in batches[0]}
    targets = torch.cat(targets_of).cpu()
    with torch.no_grad():
        learner.eval().fit(feeds, targets)
    figures = run.task.validation(*outputs_of(run, loaders.val))
    seconds = time.monotonic() - started
    curves = Curves(run.work.path)
    curves.keep_until(0)
    epoch = Epoch(
        number=1,
        step=1,
        lr=0.0,
        train_loss=math.nan,
        figures=figures,
        metric=metric.name,
        best=True,
        seconds=seconds,
        rate=len(targets) / max(seconds, 1e-9),
    )
    curves.add(epoch, [])
    weights = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    save_tree({"epoch": 1, "score": epoch.score, "weights": weights}, run.work.best)
    run.tell(f"fitted to {len(targets):,} pictures in {duration(seconds)}: val {metric.title} {epoch.score:.4f}")
