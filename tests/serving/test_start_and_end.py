"""How a real service starts, refuses to start, and ends."""

import contextlib
import io
import shutil
import signal
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

PREDICT = "/v1/models/digits/predict"


def refused(serving, *arguments: str | Path) -> tuple[int, str]:
    with serving(*arguments, ready=False) as service:
        code = service.end()
        assert service.said == []
        return code, "".join(service.complained)


def test_a_taken_port_is_known_before_anything_is_loaded(serving, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = refused(serving, tmp_path / "no-such-bundle", "--port", str(port))
    assert code == 2
    assert f"port {port} of 127.0.0.1 is taken" in said
    assert f"--port {port + 1}" in said
    assert "no-such-bundle" not in said
    assert "Traceback" not in said


def test_a_tampered_bundle_is_not_served(serving, exported_bundle, tmp_path):
    copy = tmp_path / "tampered"
    shutil.copytree(exported_bundle, copy)
    weights = copy / "backends" / "openvino" / "model.bin"
    content = bytearray(weights.read_bytes())
    content[len(content) // 2] ^= 1
    weights.write_bytes(content)
    code, said = refused(serving, copy)
    assert code == 2
    assert "model.bin: changed after it was written" in said
    assert "Traceback" not in said


def test_a_model_that_answers_its_witnesses_wrong_is_not_served(serving, exported_bundle, tmp_path):
    """A whole and well-formed bundle whose witnesses tell of another model."""
    from sightsmith.bundle import store
    from sightsmith.bundle.store import Bundle, add_files
    from sightsmith.bundle.witnesses import save

    copy = tmp_path / "wrong"
    shutil.copytree(exported_bundle, copy)
    bundle = Bundle.open(copy)
    found = bundle.witnesses()
    flipped = {name: array[..., ::-1] if name == "logits" else array for name, array in found.outputs.items()}
    shutil.rmtree(copy / store.WITNESSES)
    save(replace(found, outputs=flipped), copy / store.WITNESSES, bundle.manifest.definition)
    arrays = "witnesses/arrays.safetensors"
    digests = {name: digest for name, digest in bundle.manifest.files.items() if name != arrays}
    add_files(replace_files(bundle, digests), {})
    code, said = refused(serving, copy)
    assert code == 3
    assert "does not answer as it did when trained" in said
    assert "Traceback" not in said


def replace_files(bundle, digests):
    """Write the bundle's manifest again with the digests its files have now."""
    from sightsmith.core.files import sha256

    name = "witnesses/arrays.safetensors"
    bundle.manifest = replace(bundle.manifest, files={**digests, name: sha256(bundle.folder / name)})
    (bundle.folder / "manifest.json").write_text(bundle.manifest.to_text(), encoding="utf-8")
    return bundle


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/no/such/bundle"], "no such bundle"),
        (["{bundle}", "{bundle}"], "two bundles are called 'digits'"),
        (["a/b={bundle}"], "cannot stand in an address"),
        (["{bundle}", "--port", "70000"], "port must be in 0…65535"),
        (["{bundle}", "--queue", "0"], "queue must be in 1…100000"),
        (["{bundle}", "--host", "no.such.host.invalid"], "cannot be resolved"),
        (["{bundle}", "--backend", "openvin"], "Did you mean 'openvino'"),
        (["{bundle}", "--prt", "1"], "--port"),
    ],
)
def test_what_cannot_be_served_is_said_plainly(serving, exported_bundle, arguments, said):
    code, complained = refused(serving, *(argument.format(bundle=exported_bundle) for argument in arguments))
    assert code == 2
    assert said in complained
    assert "Traceback" not in complained


def test_no_bundle_at_all():
    from sightsmith.core.errors import SettingsError
    from sightsmith.serving.run import serve

    with pytest.raises(SettingsError, match="at least one bundle"):
        serve([])


# --- the end ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_request_under_way_is_answered_before_the_end(serving, exported_bundle, digit, number):
    with serving(exported_bundle) as service:
        host, port = service.url.removeprefix("http://").split(":")
        address = (host, int(port))
        with socket.create_connection(address, timeout=30) as connection:
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: image/png\r\n"
            connection.sendall(f"{head}Content-Length: {len(digit)}\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 100")
            service.signal(number)
            refuses_new_connections(address)
            connection.sendall(digit)
            answer = b"".join(iter(lambda: connection.recv(65536), b""))  # to the end: the service closes it
        assert answer.startswith(b"HTTP/1.1 200")
        assert b'"label"' in answer
        assert service.end() == 0
        assert service.complained == []


def refuses_new_connections(address) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            socket.create_connection(address, timeout=5).close()
        except ConnectionRefusedError:
            return
        except ConnectionResetError:  # it was still in line when the service closed the line
            continue
    raise AssertionError("the service goes on taking connections")


def test_an_idle_service_ends_at_once(serving, exported_bundle):
    with serving(exported_bundle) as service:
        assert service.client.get("/livez").status_code == 200  # leaves an idle connection open
        service.signal(signal.SIGTERM)
        assert service.end() == 0
        assert service.complained == []


def test_a_request_that_never_ends_does_not_hold_up_the_end_for_ever(serving, exported_bundle):
    with serving(exported_bundle, "--drain", "1") as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Type: image/png\r\n"
            connection.sendall(f"{head}Content-Length: 1000\r\n\r\n".encode())
            assert connection.recv(65536).startswith(b"HTTP/1.1 100")
            service.signal(signal.SIGTERM)
            refuses_new_connections((host, int(port)))
            service.signal(signal.SIGTERM)  # impatient, and no reason to end otherwise
            assert service.end() == 0


HANGING = """
import sys, threading
from sightsmith import cli
from sightsmith.serving.served import ServedModel

plain = ServedModel.{step}

def hang(self, given, *more):
    if {condition}:
        print("hangs", flush=True)
        threading.Event().wait()
    return plain(self, given, *more)

ServedModel.{step} = hang
sys.argv[1:1] = ["serve"]
cli.main()
"""


@pytest.mark.parametrize(
    ("step", "condition"),
    [("_decode", "given == b'hang'"), ("_run", "given[0][0]['pixels'].min() == 255")],
    ids=["decode", "run"],
)
def test_what_hangs_does_not_hold_up_the_end(serving, exported_bundle, tmp_path, monkeypatch, step, condition):
    """A decoder, or a model, that never comes back; and an unpacked bundle to clean up."""
    from sightsmith.bundle.store import Bundle
    from small_bundle import pack

    archive, temporary = tmp_path / "digits.zip", tmp_path / "temporary"
    pack(Bundle.open(exported_bundle), archive)
    temporary.mkdir()
    monkeypatch.setenv("TMPDIR", str(temporary))
    white = io.BytesIO()
    Image.new("L", (8, 8), 255).save(white, "PNG")
    picture = b"hang" if step == "_decode" else white.getvalue()
    script = HANGING.format(step=step, condition=condition)
    with serving(archive, "--drain", "1", script=script) as service, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(service.predict, picture)
        assert service._lines.get(timeout=30) == "hangs\n"
        assert list(temporary.iterdir())
        service.signal(signal.SIGTERM)
        assert service.end() == 0
        assert "hangs; the service ends without it" in "".join(service.complained)
        assert not list(temporary.glob("sightsmith-*"))
        assert answer.exception() is not None or answer.result().status_code >= 500


HASTY = """
import sys
from sightsmith import cli
from sightsmith.serving.connections import PatientProtocol

PatientProtocol.header_seconds = 0.5
sys.argv[1:1] = ["serve"]
cli.main()
"""


def test_connections_whose_request_does_not_come_are_closed_and_others_are_not(serving, exported_bundle, digit):
    with serving(exported_bundle, script=HASTY) as service:
        host, port = service.url.removeprefix("http://").split(":")
        head = f"POST {PREDICT} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        body = f"{head}Content-Length: {len(digit)}\r\n\r\n"
        full = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"
        with contextlib.ExitStack() as stack:
            silent, half, again, slow = (
                stack.enter_context(socket.create_connection((host, int(port)), timeout=30)) for _ in range(4)
            )
            slow.sendall(body.encode())
            half.sendall(full[:20])
            again.sendall(full)
            answer = b""
            while not answer.endswith(b"}"):  # header and body may come apart
                answer += again.recv(65536)
            assert answer.startswith(b"HTTP/1.1 200")
            again.sendall(full[:20])  # the second header stops half way
            assert [each.recv(65536) for each in (silent, half, again)] == [b"", b"", b""]
            slow.sendall(digit)  # a body has its own, longer time
            assert slow.recv(65536).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("moment", [0.0, 0.1, 0.2, 0.4])
def test_a_signal_while_starting_ends_quietly(serving, exported_bundle, moment):
    with serving(exported_bundle, ready=False) as service:
        listens(service.process.pid)
        time.sleep(moment)  # whatever it is doing then: importing, compiling, replaying
        service.signal(signal.SIGTERM)
        assert service.end() == 0
        assert service.complained == []


def listens(pid: int) -> None:
    """Return once the process has a listening socket."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        sockets = set()
        for handle in Path(f"/proc/{pid}/fd").iterdir():
            try:
                sockets.add(str(handle.readlink()))
            except OSError:
                continue
        rows = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text(encoding="ascii").splitlines()[1:]]
        if any(row[3] == "0A" and f"socket:[{row[9]}]" in sockets for row in rows):
            return
    raise AssertionError("the service does not listen")
