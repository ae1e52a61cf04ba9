"""The life of a real service: what it shows, when it is ready, how it starts, refuses to start, and ends."""

import asyncio
import contextlib
import io
import json
import shutil
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from serving_app import running

PREDICT = "/v1/models/digits/predict"


# --- what it shows ----------------------------------------------------------------------------------------------


def test_the_list_of_models(service):
    answer = service.client.get("/v1/models").json()
    assert answer["models"] == [{"name": "digits", "ready": True, "kind": "labels", "classes": 10, "explains": True}]
    assert answer["limits"] == {"bytes": 300_000, "pixels": 50_000_000}


def test_the_facts_of_a_model(service, exported_bundle):
    facts = service.client.get("/v1/models/digits").json()
    manifest = json.loads((exported_bundle / "manifest.json").read_text(encoding="utf-8"))
    assert facts["classes"] == manifest["classes"]
    assert facts["definition"] == manifest["definition"]
    assert facts["metrics"] == manifest["metrics"]
    assert facts["input"] == {"height": 16, "width": 16, "channels": 1, "resize": "squash"}
    assert facts["licences"]["data"] == "CC BY 4.0"
    assert "OpenVINO" in facts["backend"]
    assert facts["card"] == (exported_bundle / "README.md").read_text(encoding="utf-8")
    assert "<h1>digits</h1>" in facts["card_html"]
    assert "library_name" not in facts["card_html"]


def test_the_examples_are_the_witnesses(service, exported_bundle):
    files = sorted((exported_bundle / "witnesses").glob("*.png"))
    assert service.client.get("/v1/models/digits").json()["examples"] == len(files)
    for number, file in enumerate(files):
        response = service.client.get(f"/v1/models/digits/examples/{number}")
        assert response.content == file.read_bytes()
        assert response.headers["content-type"] == "image/png"
    assert service.client.get(f"/v1/models/digits/examples/{len(files)}").status_code == 404


def test_examples_stay_hidden_unless_asked_for(serving, exported_bundle):
    with serving(exported_bundle) as service:
        assert service.client.get("/v1/models/digits").json()["examples"] == 0
        assert service.client.get("/v1/models/digits/examples/0").status_code == 404


@pytest.mark.parametrize(
    ("method", "path", "status", "said"),
    [
        ("GET", "/v1/models/digit", 404, "Did you mean 'digits'?"),
        ("GET", "/v1/models?name=digits", 400, "unknown query parameter 'name'"),
        ("GET", "/livez?x=1", 400, "unknown query parameter 'x'"),
        ("GET", "/readyz?x=1", 400, "unknown query parameter 'x'"),
        ("GET", "/v1/models/digits?x=1", 400, "unknown query parameter 'x'"),
        ("GET", "/v1/models/digits/examples/first", 400, "valid integer"),
        ("GET", "/v2", 404, "there is no '/v2' here"),
        ("GET", "/static/../run.py", 404, "there is no"),
        ("GET", "/static/%2e%2e/run.py", 404, "there is no"),
        ("GET", PREDICT, 405, "use POST"),
        ("DELETE", "/v1/models/digits", 405, "use GET"),
    ],
)
def test_every_refusal_is_json_with_an_error(service, method, path, status, said):
    response = service.client.request(method, path)
    assert response.status_code == status
    assert list(response.json()) == ["error"]
    assert said in response.json()["error"]


@pytest.mark.parametrize("path", ["/", "/docs", "/static/page.js", "/livez", "/openapi.json", "/v1/models/nothing"])
def test_every_answer_has_the_security_headers(service, path):
    headers = service.client.get(path).headers
    policy = headers["content-security-policy"]
    assert policy.startswith("default-src 'none'")
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_name_nothing_from_elsewhere_and_nothing_inline(service, path):
    page = service.client.get(path).text
    assert "http://" not in page
    assert "https://" not in page
    assert "style=" not in page
    assert "<style" not in page
    assert " on" + "click" not in page
    assert page.count("<script") == page.count("<script src=")
    assert service.client.head(path).status_code == 200


def test_the_documentation_covers_every_route(service):
    paths = service.client.get("/openapi.json").json()["paths"]
    assert set(paths) == {
        "/v1/models/{name}/predict", "/v1/models", "/v1/models/{name}", "/v1/models/{name}/examples/{index}",
        "/livez", "/readyz",
    }  # fmt: skip
    predict = paths["/v1/models/{name}/predict"]["post"]
    assert {"multipart/form-data", "image/jpeg", "application/json"} <= set(predict["requestBody"]["content"])
    assert {"400", "404", "408", "413", "415", "422", "503"} <= set(predict["responses"])


def test_no_torch_in_the_process(service, digit):
    assert service.predict(digit, explain="true").status_code == 200
    maps = Path(f"/proc/{service.process.pid}/maps").read_text(encoding="utf-8")
    assert "openvino" in maps
    assert "libtorch" not in maps
    assert "libc10" not in maps


def test_two_models_at_once(serving, exported_bundle, tmp_path, digit):
    other = tmp_path / "other"
    shutil.copytree(exported_bundle, other)
    with serving(exported_bundle, f"second={other}") as service:
        assert [model["name"] for model in service.client.get("/v1/models").json()["models"]] == ["digits", "second"]
        assert service.predict(digit).json() == service.predict(digit, model="second").json()
        assert set(service.client.get("/readyz").json()["models"]) == {"digits", "second"}


def test_an_archive_is_served_too(serving, exported_bundle, tmp_path, digit):
    from sightsmith.bundle.store import Bundle, pack

    archive = tmp_path / "digits.zip"
    pack(Bundle.open(exported_bundle), archive)
    with serving(archive) as service:
        assert service.predict(digit).status_code == 200


# --- ready ------------------------------------------------------------------------------------------------------


def test_ready_and_alive(service):
    assert service.client.get("/livez").json() == {"live": True}
    ready = service.client.get("/readyz")
    assert ready.status_code == 200
    assert ready.json()["ready"] is True
    assert ready.json()["models"]["digits"]["reason"] == ""


def test_the_witnesses_are_replayed_again_and_again(serving, exported_bundle):
    with serving(exported_bundle, "--recheck", "0.2") as service:
        first = service.client.get("/readyz").json()["models"]["digits"]["checked"]
        deadline = time.monotonic() + 30
        while service.client.get("/readyz").json()["models"]["digits"]["checked"] == first:
            assert time.monotonic() < deadline


@pytest.fixture
def other_model(exported_bundle, tmp_path):
    """Return the session of a model with the same shapes and other weights."""
    from sightsmith.runtime.export import export
    from sightsmith.runtime.predictor import Predictor
    from small_bundle import write_digits_bundle

    path = tmp_path / "other"
    write_digits_bundle(path, steps=3)
    export(path, ["openvino"], quiet=True)
    return Predictor.open(path).session


def test_a_live_model_that_goes_wrong_stops_being_ready_and_recovers(exported_bundle, other_model, digit):
    """The app in this process, so that the live model can be exchanged for one with other weights."""

    async def main():
        async with running(exported_bundle) as (model, client):
            assert (await client.get("/readyz")).status_code == 200
            right, model.predictor.session = model.predictor.session, other_model
            await model.check()
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert "does not answer as it did when trained" in ready.json()["error"]
            refused = await client.post(PREDICT, content=digit)
            assert refused.status_code == 503
            assert "is not ready" in refused.json()["error"]
            assert int(refused.headers["retry-after"]) >= 1
            assert (await client.get("/livez")).status_code == 200
            model.predictor.session = right
            await model.check()
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.post(PREDICT, content=digit)).status_code == 200

    asyncio.run(main())


@pytest.mark.parametrize("hangs", ["the model", "every decoder"])
def test_a_live_model_that_hangs_stops_being_ready(exported_bundle, monkeypatch, hangs):
    from sightsmith.runtime.predictor import Predictor
    from sightsmith.serving import served
    from sightsmith.serving.settings import ServeSettings

    async def main():
        with ThreadPoolExecutor(2) as decoders:
            model = served.ServedModel("digits", Predictor.open(exported_bundle), decoders, ServeSettings(recheck=0.1))
            await model.start()
            monkeypatch.setattr(served, "_PATIENCE", 0.2)
            let_go = threading.Event()
            stuck = []
            if hangs == "the model":
                stuck = [asyncio.create_task(model.batcher.in_model_thread(lambda: let_go.wait(30)))]
            else:
                for _ in range(2):
                    decoders.submit(let_go.wait, 30)
            deadline = time.monotonic() + 20
            while model.health.ready:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            assert "have not been answered for" in model.health.reason
            let_go.set()
            await asyncio.gather(*stuck)
            while not model.health.ready:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            assert model.batcher.load.pictures == 0
            await model.stop()

    asyncio.run(main())


def test_witnesses_larger_than_requests_may_be_do_not_make_a_model_not_ready(serving, exported_bundle):
    with serving(exported_bundle, "--max-pixels", "1") as service:
        assert service.client.get("/readyz").status_code == 200


# --- starts and refusals to start -------------------------------------------------------------------------------


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
    flipped = {name: array[..., ::-1] if name == "probabilities" else array for name, array in found.outputs.items()}
    shutil.rmtree(copy / store.WITNESSES)
    save(replace(found, outputs=flipped), copy / store.WITNESSES)
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
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: image/png\r\n"
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
            head = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Type: image/png\r\n"
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

def hang(self, given):
    if {condition}:
        print("hangs", flush=True)
        threading.Event().wait()
    return plain(self, given)

ServedModel.{step} = hang
sys.argv[1:1] = ["serve"]
cli.main()
"""


@pytest.mark.parametrize(
    ("step", "condition"), [("_decode", "given == b'hang'"), ("_run", "given[0].min() == 255")], ids=["decode", "run"]
)
def test_what_hangs_does_not_hold_up_the_end(serving, exported_bundle, tmp_path, monkeypatch, step, condition):
    """A decoder, or a model, that never comes back; and an unpacked bundle to clean up."""
    from sightsmith.bundle.store import Bundle, pack

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
        body = f"POST {PREDICT} HTTP/1.1\r\nHost: x\r\nContent-Type: image/png\r\nContent-Length: {len(digit)}\r\n\r\n"
        full = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
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
