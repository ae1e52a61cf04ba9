"""Train in a process of its own, so that it can be killed: `trainer_process.py SETTINGS.toml`."""

import resource
import sys
from pathlib import Path

import torch

from sightsmith.core.errors import SightsmithError
from sightsmith.core.settings import from_mapping, read_toml
from sightsmith.training.fit import train
from sightsmith.training.settings import TrainSettings


def main() -> int:
    """Return the exit status."""
    torch.set_num_threads(1)
    raw = read_toml(Path(sys.argv[1]))
    limit = raw.pop("file_limit", None)
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    try:
        train(from_mapping(TrainSettings, raw, where=sys.argv[1]))
    except SightsmithError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
