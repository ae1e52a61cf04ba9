"""Batches for training and evaluation: deterministic, resumable at any step, bounded in memory.

The order of an epoch and every random choice in it are functions of (seed, epoch, step, picture), so a training that
was killed resumes with the same batches, and workers change only the speed.

Shapes: N pictures, B in a batch, H height, W width, C channels.
"""

import math
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from dataclasses import KW_ONLY, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sightsmith.core.errors import DataError, PictureError
from sightsmith.core.ports import Arrays
from sightsmith.data.augment import Augmentation, vary_batch
from sightsmith.data.pixels import TARGETS, Fetcher
from sightsmith.inputs.picture import PIXELS

_PREFETCH = 3  # Batches that each worker keeps ready


@dataclass(slots=True)
class Order:
    """Which pictures make which batch of which epoch.

    With `shuffle` each epoch has a new order and full batches only: the last is filled up from the start of the
    epoch's order, of which `share` is shown. Otherwise the order is 0…count-1 and the last batch may be short.
    """

    count: int  # pictures, ≥ 1
    batch_size: int
    seed: int = 0
    _: KW_ONLY
    shuffle: bool = True
    strata_N: NDArray[np.int64] | None = None  # the stratum of each picture, when each is to be shown equally often
    share: float = 1.0  # of the pictures in an epoch, in (0, 1]
    mixed_epochs: float = math.inf  # the first epochs, in which several pictures may be put together
    epoch: int = 0

    def __len__(self) -> int:
        return math.ceil(self.count * self.share / self.batch_size)

    def set_epoch(self, epoch: int) -> None:
        self.epoch = epoch

    def batches(self, start: int = 0) -> Iterator[NDArray[np.int64]]:
        """Yield the positions of each batch of the epoch from batch `start` on."""
        order = self._order()
        for step in range(start, len(self)):
            yield order[step * self.batch_size : (step + 1) * self.batch_size]

    def _order(self) -> NDArray[np.int64]:
        if not self.shuffle:
            return np.arange(self.count)
        rng = np.random.default_rng((self.seed, self.epoch))
        order = rng.permutation(self.count) if self.strata_N is None else _balanced(self.strata_N, rng)
        return np.resize(order, len(self) * self.batch_size)


def _balanced(strata_N: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return N positions in random order, equally many of each class; small classes are repeated."""
    strata = np.unique(strata_N)
    each = -(-len(strata_N) // len(strata))
    drawn = [np.resize(rng.permutation(np.flatnonzero(strata_N == one)), each) for one in strata]
    return rng.permutation(np.concatenate(drawn))[: len(strata_N)]


@dataclass(eq=False, repr=False)
class Loader:
    """An epoch of batches `(inputs, targets_B)`: arrays as the input's ports describe them, and targets, on the device.

    Pixels travel to the device as bytes and are varied there, a batch at a time; the task normalises them. Lightning
    resumes inside an epoch by `state_dict` and `load_state_dict`.
    """

    fetcher: Fetcher
    targets: NDArray[Any]  # of each picture, first axis N
    order: Order
    _: KW_ONLY
    vary: Augmentation | None = None  # augmentation of whole batches; None for evaluation
    varied: str = PIXELS  # the array that it varies, of pictures or of clips
    seed: int = 0
    device: torch.device | str = "cpu"
    workers: int = 0  # processes that fetch; 0 fetches in this one

    def __post_init__(self) -> None:
        self._generator = torch.Generator()
        self._start = self._given = 0
        self._feed, self._fetching = _Feed(self.order), _Fetching(self.fetcher)
        self._workers = _worker_loader(self._fetching, self._feed, self.workers) if self.workers else None

    def __len__(self) -> int:
        return len(self.order)

    def close(self) -> None:
        """End the workers; the loader then goes on in this process."""
        self._workers = None

    def state_dict(self) -> dict[str, int]:
        return {"given": self._given}

    def load_state_dict(self, state: dict[str, int]) -> None:
        """Let the next epoch start after the batches that were given out already."""
        self._start = int(state["given"])

    def __iter__(self) -> Iterator[tuple[dict[str, Tensor], Tensor]]:
        """Yield the batches of the epoch. Raises DataError: a picture cannot be decoded any more."""
        start, self._feed.start, self._start = self._start, self._start, 0
        fetched = map(self._fetching.__getitems__, self._feed) if self._workers is None else self._workers
        for step, (positions, arrays) in enumerate(zip(self.order.batches(start), fetched, strict=True), start):
            if isinstance(arrays, str):
                raise DataError(arrays)
            inputs = {
                name: torch.from_numpy(array).to(self.device, non_blocking=True) for name, array in arrays.items()
            }
            if self.vary is not None and self.varied in inputs:
                self._generator.manual_seed(step_seed(self.seed, self.order.epoch, step))
                inputs[self.varied] = vary_batch(inputs[self.varied], self.vary, self._generator)
            targets_B = inputs.pop(TARGETS, None)  # moved with their pictures
            if targets_B is None:
                targets_B = torch.from_numpy(self.targets[positions]).to(self.device, non_blocking=True)
            self._given = step + 1
            yield inputs, targets_B


def step_seed(seed: int, epoch: int, step: int, stream: int = 0) -> int:
    """Return the seed of one stream of random numbers in one step of training, in 0…2⁶³-1.

    Stream 0 varies the batch; stream 1 is the net's and the task's (dropout, mixing).
    """
    words = np.random.SeedSequence((seed, epoch, step, stream)).generate_state(2)
    return (int(words[0]) << 32 | int(words[1])) & (2**63 - 1)


_Request = tuple[int, bool, NDArray[np.int64]]


@dataclass(slots=True)
class _Feed:
    """The batches of an epoch as (epoch, whether pictures may be put together, positions)."""

    order: Order
    start: int = 0

    def __iter__(self) -> Iterator[_Request]:
        epoch = self.order.epoch
        mix = epoch < self.order.mixed_epochs
        return ((epoch, mix, positions) for positions in self.order.batches(self.start))


class _Fetching(Dataset[Any]):
    """The work of a worker process: whole batches, and errors as text (an exception would lose type and message).

    Batches are NumPy arrays, which travel through a pipe: tensors would go through shared memory, and if that is
    full (64 MB in a container by default) the batch is lost silently and training hangs.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def __getitems__(self, item: _Request) -> Arrays | str:
        epoch, mix, positions = item
        try:
            return self._fetcher.fetch(positions, epoch, mix=mix)
        except PictureError as error:
            return f"{error} It could be read when training started. Put it back, then go on with --resume."


def _worker_loader(fetching: _Fetching, feed: _Feed, workers: int) -> DataLoader[Any]:
    return DataLoader(
        fetching,
        batch_sampler=feed,  # type: ignore[arg-type]
        num_workers=workers,
        collate_fn=_same,
        worker_init_fn=_start_worker,
        persistent_workers=True,
        prefetch_factor=_PREFETCH,
        generator=torch.Generator(),  # so that starting workers draws nothing from the global generator
        multiprocessing_context=multiprocessing.get_context("fork") if sys.platform == "linux" else None,
    )


def _same(batch: Any) -> Any:
    return batch


def _start_worker(worker: int) -> None:  # noqa: ARG001
    # A worker ignores the terminal's signals: the main process finishes its step, saves, and ends the workers.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
