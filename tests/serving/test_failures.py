"""Whose fault it was: a model that fails, a client that hangs up, a name that no host has."""

import asyncio
import io
import logging
import signal
import socket
import threading

import httpx
import numpy as np
import pytest
from PIL import Image

from serving_app import running
from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.serving.run import serve
from sightsmith.serving.served import for_browsers
from sightsmith.serving.settings import ServeSettings

PREDICT = "/v1/models/digits/predict"


class OutOfMemory:
    """A session whose model cannot run any more."""

    precision = "fp32"

    def run(self, *_: object) -> None:
        raise BackendError("openvino: the model failed: out of memory")


def test_a_failure_of_the_model_is_not_called_the_clients(exported_bundle, digit, caplog):
    async def main() -> httpx.Response:
        async with running(exported_bundle) as (model, client):
            model.predictor.sessions = {"model": OutOfMemory()}
            return await client.post(PREDICT, content=digit)

    with caplog.at_level(logging.ERROR, logger="sightsmith.serving"):
        answer = asyncio.run(main())
    assert answer.status_code == 500
    assert answer.json() == {"error": "openvino: the model failed: out of memory"}
    assert "out of memory" in caplog.text


@pytest.mark.parametrize("error", [MemoryError(), OSError("out of memory error when reading image file")])
def test_no_memory_for_a_picture_is_not_called_damage(exported_bundle, digit, monkeypatch, error):
    """Pillow tells of both ways while it decodes, and the picture may be whole."""

    def fail(*_: object, **__: object) -> None:
        raise error

    async def main() -> httpx.Response:
        async with running(exported_bundle) as (_, client):
            monkeypatch.setattr("PIL.Image.open", fail)
            return await client.post(PREDICT, content=digit)

    answer = asyncio.run(main())
    assert answer.status_code == 503
    assert "no memory left" in answer.json()["error"]
    assert answer.headers["retry-after"] == "1"


def test_refusals_need_no_thread_of_their_own(exported_bundle, digit):
    """A thread that has to be started while the service serves may hang its event loop where memory is short."""

    async def main() -> list[str]:
        async with running(exported_bundle) as (_, client):
            for path in ("/", "/static/page.css", "/livez", "/livez?x=1", "/readyz", "/nothing", "/v1/models?x=1"):
                await client.get(path)
            await client.post(PREDICT, content=digit)
            await client.post(PREDICT, content=b"bad")
            return [thread.name for thread in threading.enumerate()]

    names = asyncio.run(main())
    assert not [name for name in names if "AnyIO" in name or "asyncio" in name]


@pytest.mark.parametrize("kind", ["image/png", "application/json", "multipart/form-data; boundary=x"])
def test_who_hangs_up_while_sending_leaves_no_trace_in_the_log(serving, exported_bundle, digit, kind):
    with serving(exported_bundle) as service:
        host, port = service.url.removeprefix("http://").split(":")
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: 5000\r\n\r\n"
        for _ in range(5):
            with socket.create_connection((host, int(port)), timeout=30) as client:
                client.sendall(head.encode() + b"--x\r\n")
        assert service.predict(digit).status_code == 200
        service.signal(signal.SIGTERM)
        assert service.end() == 0
        assert service.complained == []


@pytest.mark.parametrize("host", ["127.0.0..1", "a" * 64 + ".example"])
def test_a_host_that_no_name_may_have(exported_bundle, host):
    with pytest.raises(SettingsError, match=r"cannot be resolved .*such as 127\.0\.0\.1"):
        serve([exported_bundle], ServeSettings(host=host, port=0))


@pytest.mark.parametrize("form", ["PPM", "TIFF", "PNG", "JPEG", "BMP"])
def test_examples_are_in_a_form_that_browsers_show(form):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    content, media_type = for_browsers(file.getvalue())
    kept = form in {"PNG", "JPEG", "BMP"}
    assert (content == file.getvalue()) == kept
    assert media_type == f"image/{form.lower() if kept else 'png'}"
    with Image.open(io.BytesIO(content)) as image:
        assert image.format == (form if kept else "PNG")
        assert form == "JPEG" or (np.asarray(image.convert("RGB")) == pixels).all()
