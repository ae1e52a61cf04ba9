"""Commands that start warm: forked from a process that has imported everything, which takes it 5 s and a command none.

Each command is a process of its own, with its own arguments, environment, folder, streams, limits and signals; what
it shares with the others is the memory of the imported modules. A command whose environment Python, OpenMP or the
locale read at their start is started cold, as a person starts it.

`python warm_start.py SOCKET serve` is that process; `python warm_start.py SOCKET ARGUMENTS…` takes the place of
`sightsmith`.
"""

import atexit
import gc
import io
import json
import os
import pkgutil
import resource
import signal
import socket
import sys
import threading
import traceback
from contextlib import suppress

_AT_START = ("PYTHON", "LC_", "LANG", "OMP_", "GOMP_", "HF_")
_PATH = "PYTHONPATH"
"""Not among those: its folders are added after the start."""
_MOST = 1 << 20
_IMPORTED = (
    "sightsmith.cli",
    "sightsmith.model",
    "sightsmith.overview",
    "sightsmith.training.fit",
    "sightsmith.nets.build",
    "sightsmith.nets.libraries.timm",
    "sightsmith.evaluation.compare",
    "sightsmith.explanation.explain",
    "sightsmith.runtime.export",
    "sightsmith.runtime.onnx_graph",
    "sightsmith.serving.run",
    "torch.export._trace",
    "torch._inductor.standalone_compile",
    "onnxscript.function_libs.torch_lib.ops",
    "onnxscript._framework_apis.torch_2_5",
    "sklearn.datasets",
)
"""Modules that start no thread: a fork has none of them."""


def serve(path: str) -> None:
    """Fork a command for each client, until the process that started this one has gone."""
    from importlib import import_module

    for name in _IMPORTED:
        import_module(name)
    gc.freeze()  # what is never collected is never copied
    parent = os.getppid()
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(path)
        listening.listen(16)
        listening.settimeout(5)
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for those who wait for the commands
        print("ready", flush=True)
        while os.getppid() == parent:
            with suppress(TimeoutError):
                client, _ = listening.accept()
                if os.fork() == 0:
                    listening.close()
                    _watch(client)
                client.close()


def _watch(client: socket.socket) -> None:
    """Fork the command, tell the client its number and then how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    message, streams, _, _ = socket.recv_fds(client, _MOST, 3)
    while not message.endswith(b"\n"):
        message += client.recv(_MOST)
    asked = json.loads(message)
    if _read_at_start(asked["environment"]) != _read_at_start(os.environ):
        client.sendall(b'{"cold": true}\n')
        os._exit(0)
    number = os.fork()
    if number == 0:
        client.close()
        _become(asked, streams)
        os._exit(_run())
    client.sendall(json.dumps({"number": number}).encode() + b"\n")
    _, status = os.waitpid(number, 0)
    client.sendall(json.dumps({"code": os.waitstatus_to_exitcode(status)}).encode() + b"\n")
    os._exit(0)


def _run() -> int:
    """Run the command line and what is to be run at its end, and return the exit code.

    The interpreter is not taken down: with so many modules that takes 2 s.
    """
    from sightsmith.cli import main

    try:
        main()
    except SystemExit as end:
        code = int(end.code or 0)
    except BaseException:  # noqa: BLE001 -- as the interpreter ends with any
        traceback.print_exc()
        code = 1
    threading._shutdown()
    atexit._run_exitfuncs()
    return code


def _read_at_start(environment) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_AT_START) and name != _PATH}


def _become(asked: dict, streams: list[int]) -> None:
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    sys.argv = ["sightsmith", *asked["arguments"]]
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # Anew, since the old ones believe that they can seek where these cannot; unbuffered, as the environment says.
    sys.stdin = io.TextIOWrapper(io.BufferedReader(io.FileIO(0, closefd=False)), encoding="utf-8")
    sys.stdout, sys.stderr = (
        io.TextIOWrapper(io.FileIO(number, "w", closefd=False), "utf-8", write_through=True) for number in (1, 2)
    )
    _add_to_path(asked["environment"].get(_PATH, "").split(os.pathsep))
    resource.setrlimit(resource.RLIMIT_FSIZE, tuple(asked["file_limit"]))


def _add_to_path(folders: list[str]) -> None:
    """Let the packages that are open to files from elsewhere have those of these folders."""
    before = list(sys.path)
    sys.path[:0] = [folder for folder in folders if folder and folder not in before]
    if sys.path == before:
        return
    for name in sorted(name for name in sys.modules if name.split(".")[0] == "sightsmith"):
        module = sys.modules[name]
        if hasattr(module, "extend_path"):
            module.__path__ = pkgutil.extend_path(module.__path__, name)


def ask(path: str, arguments: list[str]) -> int:
    """Have a command started, hand on the signals, and return its exit code; start it cold where that matters."""
    asked = {
        "arguments": arguments,
        "environment": dict(os.environ),
        "folder": os.getcwd(),  # noqa: PTH109 -- pathlib takes a while to import
        "file_limit": resource.getrlimit(resource.RLIMIT_FSIZE),
    }
    with socket.socket(socket.AF_UNIX) as server:
        server.connect(path)
        socket.send_fds(server, [json.dumps(asked).encode() + b"\n"], [0, 1, 2])
        with server.makefile() as answers:
            begun = json.loads(answers.readline())
            if "cold" in begun:
                os.execv(sys.executable, [sys.executable, "-m", "sightsmith.cli", *arguments])
            for kind in (signal.SIGINT, signal.SIGTERM):
                signal.signal(kind, lambda number, _: os.kill(begun["number"], number))
            code = json.loads(answers.readline())["code"]
    if code < 0:
        signal.signal(-code, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    return code


if __name__ == "__main__":
    if sys.argv[2:] == ["serve"]:
        serve(sys.argv[1])
    else:
        sys.exit(ask(sys.argv[1], sys.argv[2:]))
