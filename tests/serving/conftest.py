"""A real service in a process of its own, spoken to over HTTP."""

import io
import os
import queue
import re
import signal
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image

from moving_clips import moving_square, write_squares_bundle
from video_files import write_video

START = 60
"""Seconds that a start or an end may take on a busy machine."""


class Service:
    """A running `sightsmith serve`, or a script that stands in for its command line."""

    def __init__(self, arguments: list[str], script: str | None = None) -> None:
        program = ["-m", "sightsmith.cli", "serve"] if script is None else ["-c", script]
        self.process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        self._lines: queue.Queue[str | None] = queue.Queue()
        self.said: list[str] = []
        self.complained: list[str] = []
        self._readers = [
            threading.Thread(target=self._read_said, daemon=True),
            threading.Thread(target=self._read_complained, daemon=True),
        ]
        for reader in self._readers:
            reader.start()

    def _read_said(self) -> None:
        for line in self.process.stdout:
            self.said.append(line)
            self._lines.put(line)
        self._lines.put(None)

    def _read_complained(self) -> None:
        self.complained.extend(self.process.stderr)

    def wait_until_ready(self) -> "Service":
        while True:
            line = self._lines.get(timeout=START)
            if line is None:
                self.process.wait(START)
                self._readers[1].join(START)
                raise AssertionError(f"the service ended with {self.process.returncode}: {''.join(self.complained)}")
            if found := re.search(r"Ready after .* at (http://\S+) ", line):
                self.url = found[1]
                self.curl = self._lines.get(timeout=START).strip()
                self.client = httpx.Client(base_url=self.url, timeout=START)
                return self

    def predict(self, picture: bytes, model: str = "digits", **query) -> httpx.Response:
        headers = {"Content-Type": "image/png"}
        return self.client.post(f"/v1/models/{model}/predict", content=picture, headers=headers, params=query)

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def end(self) -> int:
        """Wait for the end and return the exit code."""
        code = self.process.wait(START)
        for reader in self._readers:
            reader.join(START)
        return code

    def close(self) -> None:
        if hasattr(self, "client"):
            self.client.close()
        if self.process.poll() is None:
            self.signal(signal.SIGKILL)
        self.end()
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.stderr.close()


@pytest.fixture(scope="session")
def serving():
    """Return a context manager that runs a service with the arguments given and ends it."""

    @contextmanager
    def run(*arguments: str | Path, ready: bool = True, script: str | None = None):
        service = Service([*map(str, arguments), *([] if "--port" in arguments else ["--port", "0"])], script)
        try:
            yield service.wait_until_ready() if ready else service
        finally:
            service.close()

    return run


@pytest.fixture(scope="session")
def service(serving, exported_bundle):
    """Return a service of the digits, shared by every test that leaves it as it was."""
    with serving(exported_bundle, "--examples", "--max-upload", "300000") as running:
        yield running


@pytest.fixture
def opened(browser):
    """Return a context manager that opens a page and fails where it complains or asks anybody else for anything."""

    @contextmanager
    def open_page(url: str, path: str = "/", *, expected: str = "", **options):
        context = browser.new_context(**options)
        context.grant_permissions(["clipboard-read", "clipboard-write"], origin=url)
        page = context.new_page()
        complaints, elsewhere = [], []
        page.on("console", lambda said: complaints.append(said.text) if said.type in {"error", "warning"} else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: elsewhere.append(asked.url) if not asked.url.startswith((url, f"blob:{url}")) else None,
        )
        page.goto(f"{url}{path}")
        yield page
        context.close()
        assert [said for said in complaints if not (expected and expected in said)] == []
        assert elsewhere == []

    return open_page


@pytest.fixture(scope="session")
def generator_bundle(made_once):
    """Return the folder of a small VAE of the digits, exported: 16×16 grey pictures of ten classes."""

    def make(folder: Path) -> None:
        from digit_training import settings
        from sightsmith.bundle.store import Bundle
        from sightsmith.runtime.export import export
        from sightsmith.training.train import train

        train(settings("digits", folder / "vae", task={"name": "vae"}), quiet=True)
        export(Bundle.open(folder / "vae"), ["openvino"], quiet=True)

    return made_once("generator_bundle", make) / "vae"


@pytest.fixture(scope="session")
def generator(serving, generator_bundle, exported_bundle):
    """Return a service of the VAE, and of the digits' classifier beside it."""
    with serving(generator_bundle, exported_bundle) as running:
        yield running


@pytest.fixture(scope="session")
def digit() -> bytes:
    """Return one of the digits, a 7 of 8×8 pixels, as PNG."""
    return digits_as_png(1)[0]


@pytest.fixture(scope="session")
def digits() -> list[bytes]:
    """Return fifty digits as PNG."""
    return digits_as_png(50)


def digits_as_png(count: int) -> list[bytes]:
    from small_bundle import digit_pictures

    return [encoded(Image.fromarray(picture)) for picture in digit_pictures()[0][1500 : 1500 + count]]


def encoded(image: Image.Image, form: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, form, **options)
    return file.getvalue()


@pytest.fixture(scope="session")
def moves_bundle(made_once):
    """Return the folder of a small net that tells videos of squares that move left or right, exported to OpenVINO."""
    pytest.importorskip("av", reason="needs PyAV: pip install 'sightsmith[video]'")

    def make(folder: Path) -> None:
        from sightsmith.runtime.export import export

        export(write_squares_bundle(folder / "moves"), ["openvino"], quiet=True)

    return made_once("moves_bundle", make) / "moves"


@pytest.fixture(scope="session")
def video(tmp_path_factory) -> bytes:
    """Return an MP4 of 4.8 s, which browsers play: a square that moves to the left and to the right in turn, thrice."""
    pytest.importorskip("av", reason="needs PyAV: pip install 'sightsmith[video]'")
    frames_THWC = np.concatenate([moving_square(bool(turn % 2), 50) for turn in range(6)])
    return write_video(tmp_path_factory.mktemp("video") / "moves.mp4", frames_THWC, codec="libvpx-vp9").read_bytes()
