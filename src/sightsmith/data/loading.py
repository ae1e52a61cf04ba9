"""Batches for training and evaluation: deterministic, resumable at any step, bounded in memory.

The order of an epoch and every random choice in it are functions of (seed, epoch, step, picture), so a training that
was killed resumes with the same batches, and workers change only the speed.

Shapes: N pictures, B in a batch, H height, W width, C channels.
"""

import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from sightsmith.core.errors import DataError, PictureError, SettingsError
from sightsmith.core.ports import Arrays
from sightsmith.data.augment import Augmentation, vary_batch
from sightsmith.data.pixels import Fetcher
from sightsmith.inputs.picture import PIXELS

_PREFETCH = 3  # Batches that each worker keeps ready


class Order:
    """Which pictures make which batch of which epoch.

    Args:
        count: how many pictures there are; at least 1.
        batch_size: pictures in a batch, for each of `world` processes.
        shuffle: a new order each epoch, and full batches only: the last is filled up from the start of the epoch's
            order. Otherwise the order is 0…count-1 and the last batch may be short.
        strata_N: with shuffle, the number of each picture's stratum: each is then shown equally often.
        rank: which process this is, 0…world-1.
        world: how many processes share the pictures.
    """

    def __init__(
        self,
        count: int,
        batch_size: int,
        seed: int = 0,
        *,
        shuffle: bool = True,
        strata_N: NDArray[np.int64] | None = None,
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if count < 1 or batch_size < 1 or not 0 <= rank < world:
            raise SettingsError(
                f"batches need at least 1 picture, a batch size of at least 1 and a rank below the world's size; "
                f"got {count} pictures, batch size {batch_size}, rank {rank} of {world}"
            )
        self.batch_size, self.epoch = batch_size, 0
        self._count, self._seed, self._shuffle = count, seed, shuffle
        self._strata_N, self._rank, self._world = strata_N, rank, world

    def __len__(self) -> int:
        return -(-self._count // (self.batch_size * self._world))

    def set_epoch(self, epoch: int) -> None:
        """Go to an epoch, counted from 0."""
        self.epoch = epoch

    def batches(self, start: int = 0) -> Iterator[NDArray[np.int64]]:
        """Yield the positions of each batch of the epoch from batch `start` on."""
        order = self._order()[self._rank :: self._world]
        for step in range(start, len(self)):
            yield order[step * self.batch_size : (step + 1) * self.batch_size]

    def _order(self) -> NDArray[np.int64]:
        if not self._shuffle:
            return np.arange(self._count)
        rng = np.random.default_rng((self._seed, self.epoch))
        order = rng.permutation(self._count) if self._strata_N is None else _balanced(self._strata_N, rng)
        return np.resize(order, len(self) * self.batch_size * self._world)


def _balanced(strata_N: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Return N positions in random order, equally many of each class; small classes are repeated."""
    strata = np.unique(strata_N)
    each = -(-len(strata_N) // len(strata))
    drawn = [np.resize(rng.permutation(np.flatnonzero(strata_N == one)), each) for one in strata]
    return rng.permutation(np.concatenate(drawn))[: len(strata_N)]


class Loader:
    """An epoch of batches `(inputs, targets_B)`: arrays as the input's ports describe them, and targets, on the device.

    Pixels travel to the device as bytes and are varied there, a batch at a time; the task normalises them. Lightning
    resumes inside an epoch by `state_dict` and `load_state_dict`.

    Args:
        targets: of each picture, first axis N.
        vary: augmentation of whole batches; None for evaluation.
        workers: processes that fetch; 0 fetches in this one.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        targets: NDArray[Any],
        order: Order,
        *,
        vary: Augmentation | None = None,
        seed: int = 0,
        device: torch.device | str = "cpu",
        workers: int = 0,
    ) -> None:
        self.order = order
        self.device = torch.device(device)
        self._fetcher, self._targets = fetcher, torch.from_numpy(np.asarray(targets))
        self._vary, self._seed = vary, seed
        self._generator = torch.Generator()
        self._start = self._given = 0
        self._workers = _worker_loader(fetcher, order, workers) if workers else None

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
        start, self._start = self._start, 0
        for step, (positions, arrays) in enumerate(self._fetched(start), start):
            inputs = {
                name: torch.from_numpy(array).to(self.device, non_blocking=True) for name, array in arrays.items()
            }
            if self._vary is not None and PIXELS in inputs:
                self._generator.manual_seed(step_seed(self._seed, self.order.epoch, step))
                inputs[PIXELS] = vary_batch(inputs[PIXELS], self._vary, self._generator)
            targets_B = self._targets[torch.from_numpy(positions)].to(self.device, non_blocking=True)
            self._given = step + 1
            yield inputs, targets_B

    def _fetched(self, start: int) -> Iterator[tuple[NDArray[np.int64], Arrays]]:
        if self._workers is None:
            for positions in self.order.batches(start):
                yield positions, _fetch(self._fetcher, positions, self.order.epoch)
            return
        feed: _Feed = self._workers.batch_sampler  # type: ignore[assignment]
        feed.start = start
        for positions, arrays in zip(self.order.batches(start), self._workers, strict=True):
            if isinstance(arrays, str):
                raise DataError(arrays)
            yield positions, arrays


def step_seed(seed: int, epoch: int, step: int, stream: int = 0) -> int:
    """Return the seed of one stream of random numbers in one step of training, in 0…2⁶³-1.

    Stream 0 varies the batch; stream 1 is the net's and the task's (dropout, mixing).
    """
    words = np.random.SeedSequence((seed, epoch, step, stream)).generate_state(2)
    return (int(words[0]) << 32 | int(words[1])) & (2**63 - 1)


def _fetch(fetcher: Fetcher, positions: NDArray[np.int64], epoch: int) -> Arrays:
    try:
        return fetcher.fetch(positions, epoch)
    except PictureError as error:
        raise DataError(_changed(error)) from error


def _changed(error: PictureError) -> str:
    return f"{error} It could be read when training started. Put it back, then go on with --resume."


class _Feed:
    """The batches of an epoch as (epoch, positions), for workers."""

    def __init__(self, order: Order) -> None:
        self._order = order
        self.start = 0

    def __iter__(self) -> Iterator[tuple[int, NDArray[np.int64]]]:
        epoch = self._order.epoch
        return ((epoch, positions) for positions in self._order.batches(self.start))

    def __len__(self) -> int:
        return len(self._order) - self.start


class _Fetching(Dataset[Any]):
    """The work of a worker process: whole batches, and errors as text (an exception would lose type and message).

    Batches are NumPy arrays, which travel through a pipe: tensors would go through shared memory, and if that is
    full (64 MB in a container by default) the batch is lost silently and training hangs.
    """

    def __init__(self, fetcher: Fetcher) -> None:
        self._fetcher = fetcher

    def __getitems__(self, item: tuple[int, NDArray[np.int64]]) -> Arrays | str:
        epoch, positions = item
        try:
            return self._fetcher.fetch(positions, epoch)
        except PictureError as error:
            return _changed(error)


def _worker_loader(fetcher: Fetcher, order: Order, workers: int) -> DataLoader[Any]:
    return DataLoader(
        _Fetching(fetcher),
        batch_sampler=_Feed(order),  # type: ignore[arg-type]
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
    """Ignore terminal signals in a worker: the main process finishes its step, saves, and ends the workers."""
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
