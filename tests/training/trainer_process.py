"""Train in a process of its own, so that it can be killed: `trainer_process.py SETTINGS.toml`."""

import os
import resource
import signal
import sys
from itertools import count
from pathlib import Path

import torch
from torch.optim.optimizer import register_optimizer_step_post_hook

from sightsmith.core.errors import SightsmithError
from sightsmith.core.settings import from_mapping, read_toml
from sightsmith.training.settings import TrainSettings
from sightsmith.training.train import train


def main() -> int:
    """Return the exit status."""
    torch.set_num_threads(1)
    raw = read_toml(Path(sys.argv[1]))
    limit = raw.pop("file_limit", None)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    terminate_at = raw.pop("terminate_at_step", None)
    if terminate_at is not None:
        terminate_itself(terminate_at)
    try:
        train(from_mapping(TrainSettings, raw, where=sys.argv[1]))
    except SightsmithError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


def terminate_itself(step: int) -> None:
    """Send this process SIGTERM after an optimiser step: a signal from outside would arrive later on a busy machine."""
    steps = count(1)

    def after_step(*_: object) -> None:
        if next(steps) == step:
            os.kill(os.getpid(), signal.SIGTERM)

    register_optimizer_step_post_hook(after_step)


if __name__ == "__main__":
    sys.exit(main())
