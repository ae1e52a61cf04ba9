"""Learning from the loaders: by gradient descent, or in one step. Writes the best weights to the work folder."""

import math
import time
from contextlib import closing

import torch

from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.core.progress import duration
from sightsmith.training.callbacks import CheckpointWriter, Record, Steps
from sightsmith.training.checkpoints import load_tree, save_tree
from sightsmith.training.console import Console
from sightsmith.training.curves import Curves, Epoch
from sightsmith.training.module import Descent
from sightsmith.training.optim import RunningAverage, Schedule, make_optimisers
from sightsmith.training.run import Run
from sightsmith.training.threads import Threads
from sightsmith.training.trainer import Loaders, make_trainer, outputs_of, prepare


def learn(run: Run, loaders: Loaders) -> float:
    """Train or fit, and return the score of the best weights on validation.

    A net that had learned all before its training was stopped is left as it is.
    """
    if not run.work.has_learned:
        if run.learner.OPTIMISERS:
            _descend(run, loaders)
        else:
            _estimate(run, loaders)
        run.work.mark_learned()
    score: float = load_tree(run.work.best)["score"]
    return score


def _estimate(run: Run, loaders: Loaders) -> None:
    """Fit the learner to all training pictures, each once and unvaried, and save its weights as the best ones."""
    started, learner, metric = time.monotonic(), run.learner, run.task.kind.METRIC
    learner.require_memory(loaders.train.order.count)
    batches, targets_of = zip(*loaders.train, strict=True)
    feeds = {name: torch.cat([batch[name] for batch in batches]).cpu() for name in batches[0]}
    targets = torch.cat(targets_of).cpu()
    with torch.no_grad():
        learner.eval().fit(feeds, targets)
    figures = run.task.validation(*outputs_of(run, loaders.val))
    seconds = time.monotonic() - started
    curves = Curves(run.work.path)
    curves.keep_until(0)
    rate = len(targets) / max(seconds, 1e-9)
    epoch = Epoch(number=1, step=1, figures=figures, metric=metric.name, best=True, seconds=seconds, rate=rate)
    curves.add(epoch, [])
    weights = {f"learner.{name}": tensor for name, tensor in learner.state_dict().items()}
    save_tree({"epoch": 1, "score": epoch.score, "weights": weights}, run.work.best)
    sentences = learner.sentences()
    if sentences:
        run.work.write("rules.txt", "\n".join(sentences) + "\n")
        run.tell("\n".join(f"  {sentence}" for sentence in sentences))
    nouns = run.task.nouns
    run.tell(f"fitted to {len(targets):,} {nouns} in {duration(seconds)}: val {metric.title} {epoch.score:.4f}")


def _descend(run: Run, loaders: Loaders) -> None:
    """Train the learner by gradient descent, and write its best weights to the work folder."""
    settings, plan = run.settings, run.plan
    if settings.accumulate > 1 and len(run.learner.OPTIMISERS) > 1:
        raise SettingsError("train: accumulate must be 1 for a task with several optimisers; raise --batch-size.")
    epochs, batch_size = plan.epochs.value, plan.batch_size.value
    steps = math.ceil(len(loaders.train) / settings.accumulate)
    warmup = round(steps * plan.warmup_epochs.value)
    schedule = Schedule(peak=plan.lr.value, steps=steps * epochs, warmup=warmup, kind=plan.schedule.value)
    average = RunningAverage(plan.ema.value) if plan.ema.value else None
    console = Console(epochs, batch_size, run.task.rate, quiet=run.quiet)
    record = Record(run, schedule, average, console)
    threads = Threads(settings.threads, batch_size, run.tell, fixed=settings.deterministic)
    steps_callback, writer = Steps(run, loaders.train.order, schedule), CheckpointWriter(run, record)
    callbacks = [steps_callback, average, record, console, threads, writer]
    trainer = make_trainer(run, [callback for callback in callbacks if callback])
    module = Descent(run, lambda: make_optimisers(run), lambda: prepare(run, loaders))
    try:
        with closing(console):
            trainer.fit(module, loaders.train, loaders.val, ckpt_path=run.work.checkpoint(), weights_only=False)
    except SystemExit:  # Lightning's answer to a KeyboardInterrupt
        raise KeyboardInterrupt from None
    except RuntimeError as error:
        if "DataLoader worker" not in str(error):
            raise
        raise TrainingError(
            f"a process that decodes {run.task.nouns} was killed, often for lack of memory ({error}). Go on "
            f"with --resume and fewer of them: --workers {max(0, plan.workers.value - 1)}."
        ) from error
