"""Clients that misuse their connections, and those that use them while others do."""

import asyncio
import contextlib
import inspect
import io
import json
import logging
import re
import signal
import socket
import threading
import time
from importlib.metadata import version
from pathlib import Path

import httpx
import numpy as np
import pytest
from PIL import Image
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from sightsmith.serving.guard import allowed_hosts
from sightsmith.serving.log_lines import CountRepeats
from sightsmith.serving.settings import ServeSettings

PREDICT = "/v1/models/digits/predict"
UNREAD = b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 400
IMPATIENT = """
import resource, sys
from sightsmith import cli
from sightsmith.serving.connections import PatientProtocol

PatientProtocol.write_seconds = {seconds}
resource.setrlimit(resource.RLIMIT_NOFILE, (100, 100))
sys.argv[1:1] = ["serve"]
cli.main()
"""


OF_UVICORN = {
    "attributes": "connections loop transport cycle pipeline headers url parser app flow",
    "methods": "connection_made data_received on_message_begin on_url on_header on_headers_complete on_body "
    "on_message_complete send_400_response pause_writing resume_writing connection_lost shutdown",
}
"""What serving/connections.py uses of uvicorn's protocol; uvicorn documents none of it and has no setting instead."""


def test_uvicorn_still_has_what_is_used_of_it():
    loop = asyncio.new_event_loop()
    try:
        protocol = HttpToolsProtocol(Config(app=None, http="httptools", log_config=None), ServerState(), {}, _loop=loop)
        protocol.url = b"/"  # set for each request
        missing = [name for names in OF_UVICORN.values() for name in names.split() if not hasattr(protocol, name)]
    finally:
        loop.close()
    missing += [
        name for name in ("response_started", "response_complete") if name not in _assigned(RequestResponseCycle)
    ]
    missing += [name for name in ("startup", "shutdown", "handle_exit") if not callable(getattr(Server, name, None))]
    assert not missing, f"uvicorn {version('uvicorn')} lacks {missing}: adapt serving/connections.py and run.py to it"


def _assigned(cls: type) -> set[str]:
    """Return the attributes that a class sets on itself."""
    return set(re.findall(r"self\.(\w+)(?:: \w+)? = ", inspect.getsource(cls.__init__)))


def connect(service) -> socket.socket:
    host, port = service.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=30)


def leave_unread(service, stack) -> socket.socket:
    """Ask for more than the buffers on both sides hold, and read nothing."""
    client = stack.enter_context(contextlib.closing(socket.socket()))
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    host, port = service.url.removeprefix("http://").split(":")
    client.settimeout(30)
    client.connect((host, int(port)))
    client.setblocking(False)
    with contextlib.suppress(BlockingIOError, ConnectionError):
        client.sendall(UNREAD)
    return client


def sockets_of(pid: int) -> int:
    """Return how many sockets a process has open."""
    links = []
    for handle in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            links.append(str(handle.readlink()))
    return sum(link.startswith("socket:") for link in links)


def test_who_does_not_read_is_cut_off(serving, exported_bundle):
    with serving(exported_bundle, script=IMPATIENT.format(seconds=0.3)) as service, contextlib.ExitStack() as stack:
        assert service.client.get("/livez").status_code == 200
        before = sockets_of(service.process.pid)
        client = leave_unread(service, stack)
        deadline = time.monotonic() + 30
        while sockets_of(service.process.pid) == before:  # until it is taken
            assert time.monotonic() < deadline
        while sockets_of(service.process.pid) > before:  # until it is let go
            assert time.monotonic() < deadline
        client.setblocking(True)
        client.settimeout(30)
        with contextlib.suppress(ConnectionResetError):
            answers = b"".join(iter(lambda: client.recv(65536), b""))
            assert answers.count(b"HTTP/1.1 200") < 400
        assert service.client.get("/livez").status_code == 200


def answers(service) -> bool:
    with contextlib.suppress(httpx.TransportError):
        return httpx.get(f"{service.url}/livez", timeout=30).status_code == 200
    return False


def test_more_clients_than_descriptors_keep_nobody_out(serving, exported_bundle, digit):
    with serving(exported_bundle, script=IMPATIENT.format(seconds=60)) as service, contextlib.ExitStack() as stack:
        for _ in range(150):
            leave_unread(service, stack)
        deadline = time.monotonic() + 30
        while not answers(service):  # refused while all of them are still being answered
            assert time.monotonic() < deadline
        for _ in range(5):
            assert httpx.get(f"{service.url}/livez", timeout=30).status_code == 200
            assert httpx.post(f"{service.url}{PREDICT}", content=digit, timeout=30).status_code == 200
        assert len("".join(service.complained)) < 10_000


def test_a_client_that_stays_connected_loses_nothing_at_the_end(serving, exported_bundle, digit):
    with serving(exported_bundle) as service:
        begun = threading.Barrier(9)
        answers: list[httpx.Response] = []

        def ask() -> None:
            with httpx.Client(base_url=service.url, timeout=30) as client:
                answer = client.post(PREDICT, content=digit)
                begun.wait(30)
                while answer.headers.get("connection") != "close":
                    answer = client.post(PREDICT, content=digit)
            answers.append(answer)

        threads = [threading.Thread(target=ask) for _ in range(8)]
        for thread in threads:
            thread.start()
        begun.wait(30)
        service.signal(signal.SIGTERM)
        for thread in threads:
            thread.join(30)
        assert [answer.status_code for answer in answers] == [200] * 8
        assert service.end() == 0
        assert service.complained == []


def exchange(service, *parts: bytes) -> bytes:
    """Send parts, each once the service may have seen the one before, and return all that comes back."""
    with connect(service) as client:
        for part in parts:
            client.sendall(part)
            assert service.client.get("/livez").status_code == 200
        return b"".join(iter(lambda: client.recv(65536), b""))


HOST = b"Host: localhost\r\n"
LIVE = b"GET /livez HTTP/1.1\r\n" + HOST
LAST = LIVE + b"Connection: close\r\n\r\n"
CHUNKED = f"POST {PREDICT} HTTP/1.1\r\n".encode() + HOST + b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    "request_",
    [
        CHUNKED + b"Content-Length: 5\r\n\r\n0\r\n\r\n",
        CHUNKED.replace(b": chunked", b": gzip, chunked") + b"\r\n0\r\n\r\n",
        b"GET /livez HTTP/1.1\r\n\r\n",
        LIVE + HOST + b"\r\n",
        b"CONNECT localhost:80 HTTP/1.1\r\n" + HOST + b"Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
    ],
    ids=["two lengths", "a coding", "no host", "two hosts", "connect", "tls"],
)
def test_a_request_that_can_be_read_in_two_ways_hides_no_other(service, request_):
    answer = exchange(service, request_ + LAST)
    assert answer.startswith(b"HTTP/1.1 400")
    assert answer.count(b"HTTP/1.1") == 1
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
def test_an_offer_of_another_protocol_is_passed_over(service, digit, upgrade):
    """Java's client offers HTTP/2 with each first request, as `curl --http2` does."""
    offer = b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: " + upgrade + b"\r\nHTTP2-Settings: AAMAAABk\r\n"
    head = f"POST {PREDICT} HTTP/1.1\r\nContent-Type: image/png\r\n".encode() + HOST + offer
    whole = head + f"Content-Length: {len(digit)}\r\n\r\n".encode() + digit
    chunks = b"%x\r\n%b\r\n0\r\n\r\n" % (len(digit), digit)
    split = (head[:90], head[90:] + b"Transfer-Encoding: chunked\r\n\r\n" + chunks[:50], chunks[50:])
    answer = exchange(service, whole + whole, *split, LIVE + offer + b"\r\n" + LAST)
    assert answer.count(b"HTTP/1.1 200 OK") == 5
    assert answer.count(b'"label"') == answer.count(b'"score"') == 3 * 5


@pytest.mark.parametrize("begin", [LIVE, CHUNKED + b"\r\n1\r\nx\r\n0\r\n"], ids=["header", "trailers"])
def test_a_header_ends(service, begin):
    line = b"X: " + b"y" * 997
    with connect(service) as client, pytest.raises(ConnectionError):
        client.sendall(begin)
        for _ in range(64_000):
            client.sendall(line + b"\r\n")
    assert service.client.get("/livez").status_code == 200


def test_a_body_in_far_too_many_chunks_is_refused_and_one_in_small_ones_is_not(serving, exported_bundle):
    noise = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "PNG")
    picture = file.getvalue()
    small = b"".join(b"10\r\n%b\r\n" % picture[at : at + 16] for at in range(0, len(picture) // 16 * 16, 16))
    rest = picture[len(picture) // 16 * 16 :]
    head = CHUNKED + b"Content-Type: image/png\r\n\r\n"
    with serving(exported_bundle) as service:
        whole = head + small + (b"%x\r\n%b\r\n" % (len(rest), rest) if rest else b"") + b"0\r\n\r\n"
        assert exchange(service, whole + LAST).count(b"HTTP/1.1 200 OK") == 2
        with connect(service) as client:
            with contextlib.suppress(ConnectionError):
                client.sendall(head + b"1\r\nx\r\n" * 1_000_000 + b"0\r\n\r\n")
            with contextlib.suppress(ConnectionError):  # a client that goes on sending may lose it
                answer = client.recv(65536)
                assert answer.startswith(b"HTTP/1.1 400")
                assert b"Send larger chunks" in answer
        with connect(service) as client:
            client.sendall(head + b"1\r\nx\r\n" * 11_000)
            answer = client.recv(65536)
        assert answer.startswith(b"HTTP/1.1 400")
        assert b"Send larger chunks" in answer
        assert service.client.get("/livez").status_code == 200


@pytest.mark.parametrize("path", ["/livez", "/", PREDICT])
@pytest.mark.parametrize(
    ("host", "allowed"),
    [
        ("localhost:1", True),
        ("LOCALHOST.", True),
        ("127.0.0.1", True),
        ("[::1]:8000", True),
        ("evil.example", False),
        ("127.0.0.1.evil.example:80", False),
        ("", False),
    ],
)
def test_on_loopback_a_page_cannot_reach_it_under_a_name_of_its_own(service, path, host, allowed):
    answer = service.client.get(path, headers={"Host": host})
    assert (answer.status_code != 421) == allowed
    if not allowed:
        assert "--allowed-hosts" in answer.json()["error"]


def test_which_hosts_are_allowed():
    loopback = {"localhost", "127.0.0.1", "::1"}
    assert allowed_hosts(ServeSettings(allowed_hosts=("Cats.Example",))) == loopback | {"cats.example"}
    assert allowed_hosts(ServeSettings(host="0.0.0.0")) is None
    assert allowed_hosts(ServeSettings(host="0.0.0.0", allowed_hosts=("a",))) == loopback | {"0.0.0.0", "a"}


def test_lines_that_repeat_are_counted():
    counter = CountRepeats()

    def passes(moment: float, message: str = "a %s") -> str | None:
        record = logging.LogRecord("n", logging.ERROR, "", 0, message, ("b",), None)
        record.created = moment
        return record.getMessage() if counter.filter(record) else None

    assert passes(100) == "a b"
    assert [passes(101 + n / 100) for n in range(50)] == [None] * 50
    assert passes(102, "other %s") == "other b"
    assert passes(111) == "a b (and 50 more like it before)"
    assert passes(130) == "a b"


def test_the_service_ends_where_its_event_loop_hangs(serving, exported_bundle):
    script = """
import sys
from sightsmith import cli
from sightsmith.serving import run
from sightsmith.serving.served import Registry

def hang(self, name):
    print("hangs", flush=True)
    threading.Event().wait()

import threading
Registry.model = hang
run._GRACE_SECONDS = run._LAST_SECONDS = 0.0
sys.argv[1:1] = ["serve"]
cli.main()
"""
    with serving(exported_bundle, "--drain", "1", script=script) as service, connect(service) as client:
        client.sendall(b"GET /v1/models/digits HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert service._lines.get(timeout=30) == "hangs\n"
        service.signal(signal.SIGTERM)
        assert service.end() == -signal.SIGALRM


def test_what_is_used_of_the_server_is_still_there():
    """uvicorn does not document what `connections.py` uses of its protocol; this fails once an update takes it away."""
    from uvicorn import Config
    from uvicorn.server import ServerState

    from sightsmith.serving.connections import PatientProtocol

    async def main() -> None:
        protocol = PatientProtocol(Config(None, lifespan="off"), ServerState(), {}, asyncio.get_running_loop())
        assert {"cycle", "connections", "transport", "loop", "headers", "pipeline"} <= set(vars(protocol))

    asyncio.run(main())
