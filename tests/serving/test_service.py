"""What a real service shows, and when it is ready."""

import asyncio
import json
import shutil
import threading
import time
from pathlib import Path

import pytest

from serving_app import running

PREDICT = "/v1/models/digits/predict"


# --- what it shows ----------------------------------------------------------------------------------------------


def test_the_list_of_models(service):
    answer = service.client.get("/v1/models").json()
    digits = {"name": "digits", "ready": True, "takes": "picture", "kind": "labels", "classes": 10, "explains": True}
    assert answer["models"] == [digits]
    assert answer["limits"] == {
        "bytes": 300_000,
        "pixels": 50_000_000,
        "generated_pictures": 64,
        "tiles": 256,
        "parts": 256,
    }


def test_the_facts_of_a_model(service, exported_bundle):
    facts = service.client.get("/v1/models/digits").json()
    manifest = json.loads((exported_bundle / "manifest.json").read_text(encoding="utf-8"))
    assert facts["classes"] == manifest["definition"]["names"]
    assert facts["definition"] == manifest["definition_digest"]
    assert facts["metrics"] == manifest["metrics"]
    assert facts["input"] == {"height": 16, "width": 16, "channels": 1, "resize": "squash"}
    assert facts["sees"] == "16×16 grey, resized by squash, bilinear"
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
        "/v1/images/generations", "/livez", "/readyz",
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
    from sightsmith.bundle.store import Bundle
    from small_bundle import pack

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
    export(write_digits_bundle(path, steps=3), ["openvino"], quiet=True)
    return Predictor.open(path).sessions


def test_a_live_model_that_goes_wrong_stops_being_ready_and_recovers(exported_bundle, other_model, digit):
    """The app in this process, so that the live model can be exchanged for one with other weights."""

    async def main():
        async with running(exported_bundle) as (model, client):
            assert (await client.get("/readyz")).status_code == 200
            right, model.predictor.sessions = model.predictor.sessions, other_model
            await model.check()
            ready = await client.get("/readyz")
            assert ready.status_code == 503
            assert "does not answer as it did when trained" in ready.json()["error"]
            refused = await client.post(PREDICT, content=digit)
            assert refused.status_code == 503
            assert "is not ready" in refused.json()["error"]
            assert int(refused.headers["retry-after"]) >= 1
            assert (await client.get("/livez")).status_code == 200
            model.predictor.sessions = right
            await model.check()
            assert (await client.get("/readyz")).status_code == 200
            assert (await client.post(PREDICT, content=digit)).status_code == 200

    asyncio.run(main())


@pytest.mark.parametrize(
    ("hangs", "said"),
    [("the model", "have not been answered for"), ("every decoder", "none of the threads that decode has come free")],
)
def test_a_live_model_that_hangs_stops_being_ready(exported_bundle, monkeypatch, hangs, said):
    from sightsmith.runtime.predictor import Predictor
    from sightsmith.serving import served
    from sightsmith.serving.decoders import Decoders
    from sightsmith.serving.settings import ServeSettings

    async def main():
        with Decoders(2) as decoders:
            model = served.ServedModel(
                "digits", Predictor.open(exported_bundle), decoders, ServeSettings(recheck=0.1, decode_seconds=0.1)
            )
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
            assert said in model.health.reason
            let_go.set()
            await asyncio.gather(*stuck)
            while not model.health.ready:
                assert time.monotonic() < deadline
                await asyncio.sleep(0.01)
            assert model.batcher.load.pictures == 0
            model.stop()

    asyncio.run(main())


def test_pictures_that_wait_for_a_decoder_do_not_delay_the_health(exported_bundle):
    async def main():
        async with running(exported_bundle) as (model, _):
            let_go = threading.Event()
            busy = [model._decoders.submit(let_go.wait, 30) for _ in range(20)]
            before = model._checked
            await asyncio.wait_for(model.check(), 20)
            assert model._checked > before
            assert model.health.ready
            assert not any(task.done() for task in busy)
            let_go.set()

    asyncio.run(main())


def test_the_class_map_is_computed_only_where_a_request_asks_for_it(digits_bundle, digit):
    from sightsmith.runtime.predictor import Predictor
    from sightsmith.serving import served
    from sightsmith.serving.decoders import Decoders
    from sightsmith.serving.settings import ServeSettings

    computed = []

    async def main():
        with Decoders(1) as decoders:
            predictor = Predictor.open(digits_bundle, backend="torch")
            for names, module in predictor.sessions["model"]._modules.items():
                module.register_forward_hook(lambda *_, names=names: computed.append(names))
            model = served.ServedModel("digits", predictor, decoders, ServeSettings())
            await model.start()
            assert set(computed) == {("logits",), ("logits", "class_map")}  # both are proved
            computed.clear()
            plain = await model.batcher.answer(digit)
            assert computed == [("logits",)]
            assert plain.class_map_Khw is None
            whole = await model.batcher.answer(digit, whole=True)
            assert computed == [("logits",), ("logits", "class_map")]
            assert whole.class_map_Khw is not None
            assert whole.scores_K == pytest.approx(plain.scores_K, abs=5e-2)
            model.stop()

    asyncio.run(main())


def test_witnesses_larger_than_requests_may_be_do_not_make_a_model_not_ready(serving, exported_bundle):
    with serving(exported_bundle, "--max-pixels", "1") as service:
        assert service.client.get("/readyz").status_code == 200
