"""Cores, memory, processor features and the installed part of Sightsmith, read without torch."""

import importlib.util
import os
import platform
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sightsmith.core.counts import many
from sightsmith.core.errors import BackendError


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """The machine, as far as speed depends on it."""

    cores: int  # Cores this process may use: the lower of its affinity and its cgroup's quota
    memory: int  # Bytes of memory free for use now
    processor: str  # The processor's own name
    bf16: bool  # The processor supports bfloat16 (AMX or AVX512-BF16)
    amx: bool  # The processor has Intel's matrix tiles

    def __str__(self) -> str:
        """Describe the constant facts in one line; equal machines give equal text."""
        features = ", ".join(name for name, has in (("AMX", self.amx), ("bf16", self.bf16)) if has) or "no bf16"
        return f"{self.processor}, {many(self.cores, 'core')} ({features})"


@cache
def this_machine() -> Machine:
    info = _read("/proc/cpuinfo")
    flags = set(_after(info, "flags").split())
    amx = {"amx_tile", "amx_bf16"} <= flags
    return Machine(
        cores=usable_cores(),
        memory=free_memory(),
        processor=_after(info, "model name") or platform.processor() or platform.machine(),
        bf16=amx or "avx512_bf16" in flags,
        amx=amx,
    )


def require_training(work: str) -> None:
    """Raise BackendError, which says how to install it, if torch is missing for a work such as "train"."""
    if importlib.util.find_spec("torch") is None:
        raise BackendError(
            f"{work}: this needs the training part, which is not installed: pip install 'sightsmith[train]'."
        )


def used_memory() -> int:
    """Return the bytes of this process that are in memory now; 0 if the system does not tell."""
    return _pages(1)


def reserved_memory() -> int:
    """Return the bytes of address space that this process has now; 0 if the system does not tell."""
    return _pages(0)


def _pages(place: int) -> int:
    pages = _read("/proc/self/statm").split()
    return int(pages[place]) * os.sysconf("SC_PAGE_SIZE") if len(pages) > place else 0


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _read("/sys/fs/cgroup/cpu.max").split()
    if len(quota) == 2 and quota[0].isdigit():
        count = min(count, max(1, round(int(quota[0]) / int(quota[1]))))
    return max(1, count)


def free_memory() -> int:
    """Return the bytes of memory that can be taken now without swapping."""
    available = _after(_read("/proc/meminfo"), "MemAvailable").split()
    free = int(available[0]) * 1024 if available else 2 * 2**30
    limit, used = _read("/sys/fs/cgroup/memory.max").strip(), _read("/sys/fs/cgroup/memory.current").strip()
    if limit.isdigit() and used.isdigit():
        free = min(free, max(0, int(limit) - int(used) + _reclaimable(_read("/sys/fs/cgroup/memory.stat"))))
    return free


def _reclaimable(stat: str) -> int:
    """Return the bytes of a cgroup's memory.stat that the kernel gives back when they are needed: cached files."""
    values = dict(line.split(maxsplit=1) for line in stat.splitlines() if len(line.split()) == 2)
    return sum(int(values.get(name, 0)) for name in ("active_file", "inactive_file", "slab_reclaimable"))


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _after(text: str, key: str) -> str:
    for line in text.splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""
