"""What a request may not be: every refusal, with its status and what to do instead."""

import base64
import contextlib
import io
import json
import socket
import struct
import time
import zlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

PREDICT = "/v1/models/digits/predict"


def error_of(response, status: int) -> str:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    assert list(response.json()) == ["error"]
    return response.json()["error"]


def test_an_unknown_model_names_the_nearest(service, digit):
    assert "Did you mean 'digits'?" in error_of(service.predict(digit, model="digit"), 404)


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({"tpo": "3"}, "unknown query parameter 'tpo'. Did you mean 'top'?"),
        ({"top": "0"}, "greater than or equal to 1"),
        ({"top": "many"}, "valid integer"),
        ({"explain": "maybe"}, "query parameter 'explain'"),
        ({"label": "3"}, "needs explain=true"),
        ({"explain": "true", "label": "33"}, "Did you mean '3'?"),
    ],
)
def test_wrong_parameters(service, digit, query, said):
    assert said in error_of(service.predict(digit, **query), 400)


def test_a_parameter_given_twice(service, digit):
    assert "more than once" in error_of(service.client.post(f"{PREDICT}?top=1&top=2", content=digit), 400)


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b'{"imag": "aaaa"}', "unknown JSON field 'imag'. Did you mean 'image'?"),
        (b'{"image": 3}', "must be the picture's file in base64"),
        (b"{}", "must be the picture's file in base64"),
        (b'{"image": "a*b"}', "not base64"),
        (b"[1]", "must be an object"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_wrong_json(service, body, said):
    response = service.client.post(PREDICT, content=body, headers={"Content-Type": "application/json"})
    assert said in error_of(response, 400)


@pytest.mark.parametrize(
    ("form", "said"),
    [
        ({"files": {"files": b"x"}}, "unknown form field 'files'. Did you mean 'file'?"),
        ({"files": [("file", b"x"), ("file", b"y")]}, "one picture"),
        ({"files": {"file": b"x"}, "data": {"top": "3"}}, "unknown form field 'top'"),
        ({"content": b"x", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        (
            {"content": b'--B\r\nContent-Disposition: form-data; name="file"\r\n\r\ntext\r\n--B--\r\n',
             "headers": {"Content-Type": "multipart/form-data; boundary=B"}},
            "no file in its field 'file'",
        ),
        ({"content": b"--B--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=B"}}, "no file"),
    ],
)  # fmt: skip
def test_wrong_forms(service, form, said):
    assert said in error_of(service.client.post(PREDICT, **form), 400)


@pytest.mark.parametrize("charset", ["punycode", "undefined", "idna", "utf-16", "nonsense", "x" * 5000])
def test_a_form_in_a_charset_of_the_clients_choice(service, digit, charset):
    """Python decodes punycode in quadratic time: this form would take minutes, on the event loop."""
    name = b"a" * 200_000
    body = b'--B\r\nContent-Disposition: form-data; name="x"\r\n\r\n' + name + b"\r\n--B--\r\n"
    headers = {"Content-Type": f"multipart/form-data; boundary=B; charset={charset}"}
    said = error_of(service.client.post(PREDICT, content=body, headers=headers), 415)
    assert "must be utf-8" in said
    assert len(said) < 300


def test_a_form_in_utf8_says_so(service, digit):
    body = b'--B\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\n' + digit + b"\r\n--B--\r\n"
    headers = {"Content-Type": "multipart/form-data; boundary=B; charset=UTF-8"}
    assert service.client.post(PREDICT, content=body, headers=headers).json() == service.predict(digit).json()


def test_a_forms_text_is_short(service):
    response = service.client.post(PREDICT, files={"file": b"x"}, data={"file": "a" * 5000})
    assert "maximum size of 4KB" in error_of(response, 400)


LONG = "top" * 10_000


@pytest.mark.parametrize(
    ("path", "query", "status"),
    [
        (PREDICT, {LONG: "1"}, 400),
        (PREDICT, {"top": LONG}, 400),
        (PREDICT, {"explain": "true", "label": LONG}, 400),
        (f"/v1/models/{LONG}/predict", {}, 404),
        (f"/v2/{LONG}", {}, 404),
        (f"/static/{'a/' * 10_000}", {}, 404),
    ],
)
def test_what_is_repeated_of_a_request_is_short(service, digit, path, query, status):
    assert len(error_of(service.client.post(path, content=digit, params=query), status)) < 400


def test_a_long_unknown_json_field_costs_and_repeats_nothing(service):
    body = json.dumps({"image" * 50_000: ""}).encode()
    before = resident(service.process.pid)
    response = service.client.post(PREDICT, content=body, headers={"Content-Type": "application/json"})
    said = error_of(response, 400)
    assert "all else in it may have 10,000 bytes" in said
    assert len(said) < 300
    assert resident(service.process.pid) - before < 20_000_000


@pytest.mark.parametrize(
    "body",
    [
        b"[" + b"1," * 60_000 + b"1]",
        b'{"image": [' + b"1," * 60_000 + b"1]}",
        b'{"image": "aaaa", "more": [' + b"1," * 60_000 + b"1]}",
        b'{"image": "' + b"a" * 120_000,
    ],
    ids=["a list", "in the field", "beside it", "without an end"],
)
def test_a_large_json_is_a_picture_and_little_else(service, body):
    """The parser would hold up every thread for seconds where a body of the largest size is made of small values."""
    response = service.client.post(PREDICT, content=body, headers={"Content-Type": "application/json"})
    assert "all else in it may have 10,000 bytes" in error_of(response, 400)


@pytest.mark.parametrize("written", [b"%s", b"data:image/bmp;base64,%s"])
@pytest.mark.parametrize("slash", [b"/", b"\\/"])
@pytest.mark.parametrize("side", [100, 300])  # 40 kB of JSON are read by the event loop, 360 kB in a thread
def test_a_large_picture_in_json(service, side, written, slash):
    file = io.BytesIO()
    pixels_HWC = np.random.default_rng(0).integers(0, 256, (side, side, 3), dtype=np.uint8)
    Image.fromarray(pixels_HWC).save(file, "BMP")
    text = (written % base64.b64encode(file.getvalue())).replace(b"/", slash)
    response = service.client.post(
        PREDICT, content=b' {"image" : "%s" }' % text, headers={"Content-Type": "application/json"}
    )
    assert response.json() == service.predict(file.getvalue()).json()


@pytest.mark.parametrize("kind", ["text/html", "application/pdf", "application/x-www-form-urlencoded", "nonsense"])
def test_other_content_types(service, digit, kind):
    said = error_of(service.client.post(PREDICT, content=digit, headers={"Content-Type": kind}), 415)
    assert repr(kind) in said
    assert ("curl" in said) == ("urlencoded" in kind)


def test_a_compressed_body(service, digit):
    response = service.client.post(PREDICT, content=zlib.compress(digit), headers={"Content-Encoding": "deflate"})
    assert "Content-Encoding" in error_of(response, 415)


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (b"", "zero bytes"),
        (b"GIF89a not ours", "not a picture in a known format"),
        (b"\x89PNG\r\n\x1a\n", "not a picture in a known format"),
    ],
)
def test_what_is_no_picture(service, picture, said):
    assert said in error_of(service.predict(picture), 422)


def test_a_truncated_picture(service, digits):
    big = io.BytesIO()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(big, "PNG")
    assert "truncated or damaged" in error_of(service.predict(big.getvalue()[:-2000]), 422)


def chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def grey_png(width: int, height: int, rows: int) -> bytes:
    """Return a PNG that claims width × height grey pixels and holds some of its rows, in a few kilobytes."""
    packer = zlib.compressobj(9)
    pixels = b"".join([*(packer.compress(bytes(width + 1)) for _ in range(rows)), packer.flush()])
    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (grey_png(1, 49_999_999, 10), "65,535 pixels wide and high, this one is 1×49999999"),
        (grey_png(60, 4_000, 10), "truncated or damaged"),
        (grey_png(4, 4, 3), "truncated or damaged"),
    ],
    ids=["one column", "most rows", "one row"],
)
def test_a_picture_of_which_rows_lack(service, picture, said):
    assert said in error_of(service.predict(picture), 422)


def test_a_picture_that_takes_too_long_is_refused_and_its_place_is_free(serving, exported_bundle, digit):
    slow = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 4, (5000, 5000), dtype=np.uint8)
    Image.fromarray(noise).save(slow, "PNG", compress_level=1)
    with serving(exported_bundle, "--decode-seconds", "0.05", "--queue", "1") as service:
        said = error_of(service.predict(slow.getvalue()), 422)
        assert said == "a picture may take 0.05 s to decode, this one took longer. Make it smaller."
        assert service.predict(digit).status_code == 200


def resident(pid: int) -> int:
    """Return the resident bytes of a process at its peak."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


@pytest.mark.parametrize(
    ("side", "said"),
    [(8_000, "may have 50 million pixels, this one has 8000×8000"), (15_000, "more pixels than a picture may have")],
)
def test_a_png_bomb_is_refused_before_it_unfolds(service, side, said):
    picture = grey_png(side, side, side)
    assert len(picture) < 300_000
    before = resident(service.process.pid)
    assert said in error_of(service.predict(picture), 422)
    assert resident(service.process.pid) - before < side * side // 2


def test_too_large_when_it_says_so(service):
    response = service.client.post(PREDICT, content=bytes(300_001), headers={"Content-Type": "image/png"})
    assert "may have 300,000 bytes" in error_of(response, 413)


@pytest.mark.parametrize("way", ["raw", "form", "json"])
def test_too_large_in_every_form(service, way):
    body = bytes(500_000)
    sent = {
        "raw": {"content": body},
        "form": {"files": {"file": body}},
        "json": {"json": {"image": base64.b64encode(body).decode()}},
    }[way]
    assert "may have 300,000 bytes" in error_of(service.client.post(PREDICT, **sent), 413)


def test_a_refusal_is_heard_by_a_client_that_only_sends(service):
    """Twenty times: an answer lost to a closed connection shows up as an exception here."""
    for _ in range(20):
        response = service.client.post(PREDICT, content=bytes(5_000_000), headers={"Content-Type": "image/png"})
        assert "may have 300,000 bytes" in error_of(response, 413)
        assert "connection" not in response.headers
        assert "there is no model" in error_of(service.predict(bytes(5_000_000), model="nothing"), 404)


def test_who_waits_to_be_asked_is_refused_without_sending(service):
    host, port = service.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: image/png\r\n"
        connection.sendall(f"{head}Content-Length: 9000000\r\n\r\n".encode())
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 413")
    assert b"connection: close" in answer.lower()


def test_too_large_without_saying_so_is_cut_off_while_it_streams(service):
    """An endless body: the connection ends, and what came is not kept."""
    before = resident(service.process.pid)
    host, port = service.url.removeprefix("http://").split(":")
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    piece = b"10000\r\n" + bytes(0x10000) + b"\r\n"
    sent = 0
    with socket.create_connection((host, int(port)), timeout=30) as connection:
        connection.sendall(head.encode())
        connection.settimeout(0.5)
        answer = b""
        while not answer and sent < 100_000_000:
            try:
                connection.sendall(piece)
                sent += len(piece)
            except (BrokenPipeError, ConnectionResetError, TimeoutError):
                break
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                answer = connection.recv(65536)
            connection.settimeout(30)
    assert sent < 90_000_000
    assert resident(service.process.pid) - before < 20_000_000
    assert service.client.get("/livez").status_code == 200


def test_a_request_that_trickles_in_is_let_go(serving, exported_bundle, digit):
    with serving(exported_bundle, "--upload-seconds", "0.3") as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = (
                f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\nContent-Length: 1000\r\n\r\n"
            )
            connection.sendall(head.encode())
            connection.sendall(digit[:20])
            answer = connection.recv(65536)
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"connection: close" in answer.lower()


WAITING = """
import sys, threading
from sightsmith import cli
from sightsmith.serving.served import ServedModel

plain = ServedModel._decode

def wait(self, picture):
    if picture == b"wait":
        print("decodes", flush=True)
        sys.stdin.readline()
    return plain(self, picture)

ServedModel._decode = wait
sys.argv[1:1] = ["serve"]
cli.main()
"""


def test_more_than_the_queue_takes_is_told_to_come_back(serving, exported_bundle, digit):
    with serving(exported_bundle, "--queue", "1", script=WAITING) as service, ThreadPoolExecutor(1) as pool:
        first = pool.submit(service.predict, b"wait")
        assert service._lines.get(timeout=30) == "decodes\n"
        refused = service.predict(digit)
        service.process.stdin.write("go on\n")
        service.process.stdin.flush()
        assert "1 pictures under way of the 1 it takes" in error_of(refused, 503)
        assert refused.headers["retry-after"] == "1"
        assert first.result().status_code == 422
        assert service.predict(digit).status_code == 200


def begin(service, length: int, sent: bytes = b"") -> socket.socket:
    """Begin a request that does not go on; return once the service reads its body."""
    host, port = service.url.removeprefix("http://").split(":")
    connection = socket.create_connection((host, int(port)), timeout=30)
    head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: image/png\r\n"
    connection.sendall(f"{head}Content-Length: {length}\r\n\r\n".encode())
    assert connection.recv(65536).startswith(b"HTTP/1.1 100")
    connection.sendall(sent)
    return connection


def test_clients_that_are_slow_to_send_keep_nobody_out(serving, exported_bundle, digit):
    with serving(exported_bundle, "--queue", "1") as service, contextlib.ExitStack() as stack:
        slow = [stack.enter_context(contextlib.closing(begin(service, len(digit), digit[:20]))) for _ in range(20)]
        assert service.predict(digit).status_code == 200
        slow[0].sendall(digit[20:])
        assert slow[0].recv(65536).startswith(b"HTTP/1.1 200")


def test_bodies_are_held_up_to_a_bound_on_all_together(serving, exported_bundle, digit):
    with serving(exported_bundle, "--queue", "1", "--max-upload", "1000") as service:
        with contextlib.ExitStack() as stack:
            for _ in range(8):
                stack.enter_context(contextlib.closing(begin(service, 1000, bytes(999))))
            deadline = time.monotonic() + 30
            while (refused := service.predict(digit)).status_code == 200:  # until the service has read them all
                assert time.monotonic() < deadline
            assert "bytes of 8,000 they may" in error_of(refused, 503)
            assert refused.headers["retry-after"] == "1"
        while service.predict(digit).status_code != 200:  # they have hung up: what they held is free again
            assert time.monotonic() < deadline
