"""Starting the service and shutting it down cleanly."""

import asyncio
import errno
import gc
import logging
import math
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

import uvicorn
from uvicorn.loops.auto import auto_loop_factory

from sightsmith.core.errors import SettingsError
from sightsmith.core.machine import usable_cores
from sightsmith.runtime.predictor import Predictor
from sightsmith.serving.app import create_app
from sightsmith.serving.batching import THREADS as MODEL_THREADS
from sightsmith.serving.connections import PatientProtocol
from sightsmith.serving.decoders import Decoders
from sightsmith.serving.log_lines import count_repeats
from sightsmith.serving.served import Registry, ServedModel
from sightsmith.serving.settings import ServeSettings
from sightsmith.serving.threads import THREADS as DECODE_THREADS
from sightsmith.serving.uploads import Held

log = logging.getLogger("sightsmith.serving")

Bundles = Mapping[str, str | Path] | Sequence[str | Path]
"""Bundles by the name to serve them under, or a list of `PATH` or `NAME=PATH`; without a name one keeps its own."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_DEFAULTS = ServeSettings()
_SIGNALS = (signal.SIGINT, signal.SIGTERM)
_BACKLOG = 2048
_ACCEPTED = 16
"""Connections accepted per event-loop iteration: asyncio accepts up to its backlog before it checks a limit."""
_LAST_SECONDS = 3.0  # Seconds for threads to finish after the requests under way
_GRACE_SECONDS = 10.0  # Seconds after which a process with a hanging event loop is killed
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - addresses to show for them


def serve(bundles: Bundles, settings: ServeSettings = _DEFAULTS) -> None:
    """Serve models over HTTP until SIGTERM or SIGINT; requests under way are answered first.

    If a decoder or a model hangs in native code, Python could never end the process: it waits for its threads. The
    process then ends here, with 0, after all output is written and temporary folders are removed.

    Raises:
        BundleError: a bundle is missing, damaged or tampered with.
        ProofError: a model does not answer its witnesses as it did when trained.
        SettingsError: a name or address is invalid, or the address is in use; it is tried before a model is loaded.
    """
    begun = time.monotonic()
    asked = asked_names(bundles)
    with _noted_signals() as signals, _bind(settings.host, settings.port) as listening:
        predictors: dict[str, Predictor] = {}
        for name, path in asked:
            if signals.came:
                return
            predictor = Predictor.open(path, settings.backend, settings.precision, settings.threads)
            predictors[check_name(name or predictor.manifest.name, path, predictors)] = predictor
        with asyncio.Runner(loop_factory=auto_loop_factory()) as runner:
            runner.run(_serve(predictors, settings, listening, signals, begun))
        if signals.came and _threads_hang():
            _leave(predictors)


def asked_names(bundles: Bundles) -> list[tuple[str | None, Path]]:
    """Return the name asked for each bundle, None if it keeps its own, and its path.

    Raises SettingsError: there are no bundles.
    """
    if isinstance(bundles, (str, Path)):
        bundles = [bundles]
    if not bundles:
        raise SettingsError("serve: at least one bundle must be given, as PATH or NAME=PATH.")
    if isinstance(bundles, Mapping):
        return [(name, Path(path)) for name, path in bundles.items()]
    pairs: list[tuple[str | None, Path]] = []
    for bundle in map(str, bundles):
        name, equals, path = bundle.partition("=")
        pairs.append((name, Path(path)) if equals and not Path(bundle).exists() else (None, Path(bundle)))
    return pairs


def check_name(name: str, path: Path, taken: Mapping[str, object]) -> str:
    """Return the name of the bundle at `path`. Raises SettingsError: it is taken, or invalid in a URL."""
    if not _NAME.fullmatch(name):
        raise SettingsError(
            f"serve: {name!r} cannot stand in an address: a name has up to 100 letters, digits, '.', '_' and '-'. "
            f"Give another one: NAME={path}"
        )
    if name in taken:
        raise SettingsError(f"serve: two bundles are called {name!r}. Give one another name: NAME={path}")
    return name


def _threads_hang() -> bool:
    """Tell whether threads of the service still run a few seconds after it has stopped."""
    deadline = time.monotonic() + _LAST_SECONDS
    ours = (DECODE_THREADS, MODEL_THREADS)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith(ours)]
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return any(thread.is_alive() for thread in threads)


def _leave(predictors: dict[str, Predictor]) -> NoReturn:
    """End the process without waiting for its threads."""
    log.error("a picture or a model under way hangs; the service ends without it.")
    for predictor in predictors.values():
        predictor.close()
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):  # the reader is gone
            stream.flush()
    os._exit(0)


@dataclass(slots=True)
class _Signals:
    """Records a SIGTERM or SIGINT that arrives before or after the server installs its own handlers.

    Raising from a handler would be shorter, but it could interrupt an import or a close.
    """

    came: bool = False
    served: bool = False  # the server has taken over
    leaving: bool = False  # it has begun to shut down

    def note(self, number: int, _frame: FrameType | None) -> None:
        """Record a signal. During startup, a second one of the same kind ends the process at once."""
        self.came = True
        if not self.served:
            signal.signal(number, signal.SIG_DFL)


async def _serve(
    predictors: dict[str, Predictor], settings: ServeSettings, listening: socket.socket, signals: _Signals, begun: float
) -> None:
    with ExitStack() as stack:
        decoders = Decoders(max(2, usable_cores()))
        stack.callback(decoders.shutdown, wait=False, cancel_futures=True)
        models = {name: ServedModel(name, predictor, decoders, settings) for name, predictor in predictors.items()}
        for model in models.values():
            stack.callback(model.stop)
            await model.start()
        count_repeats()
        gc.freeze()  # loaded objects are permanent, so the garbage collector can skip them
        config = uvicorn.Config(
            create_app(Registry(models, settings, decoders, Held(settings)), lambda: signals.leaving),
            http=PatientProtocol,
            ws="none",
            lifespan="off",
            log_level="warning",
            access_log=False,
            server_header=False,
            backlog=_ACCEPTED,
            timeout_graceful_shutdown=max(1, round(settings.drain)),
        )
        server = _Server(config, signals, lambda: _announce(models, settings.host, listening, begun))
        await server.serve(sockets=[listening])


class _Server(uvicorn.Server):
    """uvicorn with notices of start and shutdown; it shuts down even if its event loop hangs."""

    def __init__(self, config: uvicorn.Config, signals: _Signals, announce: Callable[[], None]) -> None:
        super().__init__(config)
        self._signals, self._announce = signals, announce

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, then tell; or end, if a signal came before this server took them over."""
        await super().startup(sockets=sockets)
        for listening in sockets or ():
            listening.listen(_BACKLOG)
        self._signals.served = True
        if self._signals.came:
            self.should_exit = True
        else:
            self._announce()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let each answer from now on close its connection, and end."""
        self._signals.leaving = True
        await super().shutdown(sockets=sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin the shutdown; the system kills the process if that takes too long."""
        if not self.should_exit and hasattr(signal, "alarm"):
            drain = self.config.timeout_graceful_shutdown or 0
            signal.alarm(math.ceil(drain + _LAST_SECONDS + _GRACE_SECONDS))
        super().handle_exit(sig, frame)


@contextmanager
def _noted_signals() -> Iterator[_Signals]:
    """Record SIGTERM and SIGINT inside the block instead of being terminated.

    While the server runs uvicorn has its own handlers; when it has drained it puts these back and sends itself the
    signal once more.
    """
    signals = _Signals()
    if threading.current_thread() is not threading.main_thread():
        yield signals
        return
    before = {number: signal.signal(number, signals.note) for number in _SIGNALS}
    try:
        yield signals
    finally:
        if hasattr(signal, "alarm"):
            signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _bind(host: str, port: int) -> socket.socket:
    """Bind the address now, so that one in use is reported before a model is loaded."""
    try:
        found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(
            f"serve: host {host!r} cannot be resolved ({getattr(error, 'strerror', None) or error}). Give a name or "
            "address of this machine, such as 127.0.0.1, or 0.0.0.0 for all of them."
        ) from None
    family, _, _, _, address = found[0]
    # The protocol by its number: asyncio switches Nagle's delay off (40 ms an answer) only where it sees TCP's.
    listening = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind(address)
        # With SO_REUSEADDR two sockets may be bound to one address until one of them listens.
        listening.listen(_BACKLOG)
    except OSError as error:
        listening.close()
        raise _bind_failure(host, port, error) from None
    return listening


def _bind_failure(host: str, port: int, error: OSError) -> SettingsError:
    if error.errno == errno.EADDRINUSE:
        way_out = f"End it, or give another one: --port {port + 1 if port < 65535 else 0} (0 takes any free one)."
        return SettingsError(f"port {port} of {host} is taken: something else listens there. {way_out}")
    if error.errno == errno.EACCES:
        return SettingsError(f"serve: this user may not listen on port {port} of {host}. Give one above 1023.")
    return SettingsError(f"serve: cannot listen on port {port} of {host}: {error.strerror}.")


def _announce(models: dict[str, ServedModel], host: str, listening: socket.socket, begun: float) -> None:
    shown = _ANYWHERE.get(host, host)
    address = f"http://{f'[{shown}]' if ':' in shown else shown}:{listening.getsockname()[1]}"
    for model in models.values():
        counted = "".join(f", {len(names)} {noun}" for noun, names in model.names.items())
        print(f"{model.name}: {model.manifest.net.name}{counted}. {model.predictor.why}")
    first = next(iter(models.values()))
    print(f"Ready after {time.monotonic() - begun:.1f} s at {address} (API: {address}/docs). Ctrl+C ends it.")
    print(f"Try: {first.command(address)}", flush=True)
