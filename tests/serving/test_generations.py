"""`POST /v1/images/generations`: what OpenAI's own client gets, and what it is refused."""

import asyncio
import base64
import io
import json
import os
import shlex
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import numpy as np
import openai
import pytest
from PIL import Image

from doc_pages import DOCS, blocks
from serving_app import running
from sightsmith.core.errors import BackendError
from sightsmith.kinds.pictures.marks import SOURCE_TYPE
from sightsmith.serving.settings import ServeSettings

ROUTE = "/v1/images/generations"


@pytest.fixture
def client(generator):
    with openai.OpenAI(base_url=f"{generator.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def ask(service, **fields) -> httpx.Response:
    return service.client.post(ROUTE, json={"model": "vae", "prompt": "", **fields})


def pixels(data) -> np.ndarray:
    """Return the pictures of an answer, N H W."""
    texts = [one["b64_json"] if isinstance(one, dict) else one.b64_json for one in data]
    return np.stack([np.asarray(Image.open(io.BytesIO(base64.b64decode(text)))) for text in texts])


def error_of(response: httpx.Response, status: int) -> dict:
    assert response.status_code == status, response.text
    assert list(response.json()) == ["error"]
    assert list(response.json()["error"]) == ["message", "type", "param", "code"]
    return response.json()["error"]


# --- what is made -----------------------------------------------------------------------------------------------


def test_the_openai_client_gets_the_pictures_of_generate(client, generator_bundle):
    from sightsmith.runtime.generation import generate
    from sightsmith.runtime.predictor import Predictor
    from sightsmith.runtime.settings import GenerateSettings

    got = client.images.generate(
        model="vae",
        prompt="",
        n=5,
        size="16x16",
        response_format="b64_json",
        quality="standard",
        user="somebody",
        extra_body={"seed": 11, "label": "7"},
    )
    assert got.created > 1_700_000_000
    assert (got.seed, got.size, got.output_format) == (11, "16x16", "png")
    assert [(one.index, one.label) for one in got.data] == [(index, "7") for index in range(5)]
    with Predictor.open(generator_bundle) as predictor:
        answers = [answer for _, answer in generate(predictor, GenerateSettings(count=5, seed=11, label="7"))]
    expected = np.stack([answer.pixels_HWC[..., 0] for answer in answers])
    assert np.ptp(expected) > 50
    apart = np.abs(pixels(got.data).astype(int) - expected)
    assert np.quantile(apart, 0.99) <= 1


def test_every_picture_says_that_it_was_generated_and_how(generator):
    (one,) = ask(generator, seed=4, index=3).json()["data"]
    png = base64.b64decode(one["b64_json"])
    assert SOURCE_TYPE.encode() in png
    comment = Image.open(io.BytesIO(png)).text["Comment"]
    facts = json.loads(comment.partition(": ")[2])
    assert facts.pop("definition")
    assert facts == {"model": "vae", "seed": 4, "index": 3, "label": "3"}


def test_a_drawn_seed_is_told_and_gives_the_same_pictures_again_from_any_index(generator):
    drawn = ask(generator, n=20).json()
    other = ask(generator, n=20).json()
    assert drawn["seed"] != other["seed"]
    assert [one["index"] for one in drawn["data"]] == list(range(20))
    assert [one["label"] for one in drawn["data"]] == [*"01234567890123456789"]
    some = ask(generator, n=3, seed=drawn["seed"], index=12).json()
    assert [(one["index"], one["label"]) for one in some["data"]] == [(12, "2"), (13, "3"), (14, "4")]
    assert np.abs(pixels(some["data"]).astype(int) - pixels(drawn["data"])[12:15]).max() <= 1


def test_a_class_is_asked_for_by_the_prompt_or_by_its_label(generator):
    by_label = ask(generator, seed=1, label="3", n=2).json()["data"]
    assert ask(generator, seed=1, prompt="3", n=2).json()["data"] == by_label
    assert ask(generator, seed=1, prompt="3", label="3", n=2).json()["data"] == by_label
    assert (pixels(by_label) != pixels(ask(generator, seed=1, label="4", n=2).json()["data"])).any()


def test_the_only_generator_needs_no_name_and_null_means_the_default(generator):
    expected = ask(generator, seed=5).json()["data"]
    fields = {"prompt": "", "seed": 5, "n": None, "size": "auto", "response_format": None, "stream": False}
    assert generator.client.post(ROUTE, json=fields).json()["data"] == expected
    assert generator.client.post(ROUTE, json={"seed": 5}).json()["model"] == "vae"


def test_pictures_between_two(generator):
    first = pixels(ask(generator, seed=1, index=2, label="3").json()["data"])
    second = pixels(ask(generator, seed=8, index=5, label="3").json()["data"])
    path = {
        share: pixels(
            ask(generator, seed=1, index=2, other_seed=8, other_index=5, share=share, label="3").json()["data"]
        )
        for share in (0, 0.5, 1)
    }
    np.testing.assert_array_equal(path[0], first)
    np.testing.assert_array_equal(path[1], second)
    for end in (first, second):
        assert 0 < np.linalg.norm(path[0.5].astype(int) - end) < np.linalg.norm(first.astype(int) - second)


def test_clients_at_once_share_runs_and_get_what_each_gets_alone(generator):
    alone = [pixels(ask(generator, seed=seed, n=4).json()["data"]) for seed in range(12)]
    before = generator.client.get("/v1/models/vae").json()["load"]
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda seed: ask(generator, seed=seed, n=4), range(12)))
    after = generator.client.get("/v1/models/vae").json()["load"]
    for expected, answer in zip(alone, answers, strict=True):
        assert np.abs(pixels(answer.json()["data"]).astype(int) - expected).max() <= 1
    assert after["pictures"] - before["pictures"] == 48
    assert after["runs"] - before["runs"] < 48
    assert after["largest"] <= 16


def test_the_printed_curl_line_and_the_documented_example_work(generator):
    line = generator.curl.removeprefix("Try: ")
    assert ROUTE in line
    done = subprocess.run(shlex.split(line), capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["data"]) == 4
    api = generator.client.get("/openapi.json").json()["paths"][ROUTE]["post"]
    (example,) = api["requestBody"]["content"]["application/json"]["schema"]["examples"]
    assert ask(generator, **{**example, "model": "vae"}).status_code == 200
    assert {"200", "400", "404", "503"} <= set(api["responses"])


def test_the_lines_of_the_documentation_work(generator, tmp_path):
    (lines,) = [block.text for block in blocks(DOCS / "serve.md") if "OpenAI(" in block.text]
    asking = lines.partition("\n")[2].replace("http://127.0.0.1:8156", generator.url).replace("sketches", "vae")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    subprocess.run(["bash", "-e", "-c", asking], cwd=tmp_path, check=True, env={**os.environ, "PATH": path})
    assert sorted(file.name for file in tmp_path.iterdir()) == [f"1-{index}.png" for index in range(4)]


def test_the_lists_say_what_the_page_needs(generator):
    by_name = {one["name"]: one for one in generator.client.get("/v1/models").json()["models"]}
    assert {name: one["takes"] for name, one in by_name.items()} == {"vae": "seed", "digits": "picture"}
    facts = generator.client.get("/v1/models/vae").json()
    assert facts["takes"] == "seed"
    assert facts["input"] == {"numbers": 65, "conditions": 10, "height": 16, "width": 16, "channels": 1}
    assert facts["classes"] == [*"0123456789"]
    assert generator.client.get("/readyz").json()["models"]["vae"]["ready"] is True


# --- what is refused --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "param", "said"),
    [
        ({"prompt": "a cat on a mat"}, "prompt", "takes a class by 'label', not text"),
        ({"prompt": "77"}, "prompt", "Did you mean '7'?"),
        ({"prompt": "1", "label": "2"}, "prompt", "Send one of them"),
        ({"label": "ten"}, "label", "knows no class 'ten'. The choices are: 0, 1"),
        ({"n": 65}, "n", "must be in 1…64"),
        ({"n": 0}, "n", "greater than or equal to 1"),
        ({"n": 2.5}, "n", "valid integer, got 2.5"),
        ({"n": True}, "n", "valid integer, got True"),
        ({"size": "1024x1024"}, "size", "makes pictures of 16x16 alone, got '1024x1024'"),
        ({"seed": 2**63}, "seed", "less than or equal to"),
        ({"seed": "1"}, "seed", "valid integer, got '1'"),
        ({"index": 2**63 - 1, "n": 2}, "index", "Ask for fewer"),
        ({"share": 0.5}, "other_seed", "need 'other_seed'"),
        ({"other_seed": 1, "share": 1.5}, "share", "less than or equal to 1"),
        ({"sead": 1}, "sead", "Did you mean 'seed'"),
        ({"response_format": "url"}, "response_format", "none is kept for a link"),
        ({"output_format": "webp"}, "output_format", "PNG is exact"),
        ({"quality": "hd"}, "quality", "one quality"),
        ({"style": "natural"}, "style", "one style"),
        ({"background": "transparent"}, "background", "no transparency"),
        ({"stream": True}, "stream", "in one step"),
        ({"model": "digits"}, "model", "POST it to /v1/models/digits/predict"),
        ({"model": 7}, "model", "valid string, got 7"),
    ],
)
def test_a_wrong_field_is_named(generator, fields, param, said):
    error = error_of(ask(generator, **fields), 400)
    assert error["param"] == param
    assert said in error["message"]
    assert error["type"] == "invalid_request_error"


def test_the_openai_client_raises_its_own_errors(client):
    with pytest.raises(openai.BadRequestError, match="16x16 alone") as refused:
        client.images.generate(model="vae", prompt="", size="32x32")
    assert (refused.value.param, refused.value.code) == ("size", "invalid_value")
    with pytest.raises(openai.NotFoundError, match="Did you mean 'vae'") as refused:
        client.images.generate(model="vea", prompt="")
    assert refused.value.code == "model_not_found"
    with pytest.raises(openai.NotFoundError, match="there is no '/v1/images/edits'"):
        client.images.edit(model="vae", image=b"", prompt="")


@pytest.mark.parametrize(
    ("request_", "status", "said"),
    [
        ({"content": b"{", "headers": {"Content-Type": "application/json"}}, 400, "not JSON"),
        ({"json": [1]}, 400, "must be an object"),
        ({"data": {"n": "1"}}, 415, "'application/x-www-form-urlencoded' is not application/json"),
        ({"json": {"prompt": "x" * 10_000}}, 413, "may have 10,000 bytes"),
        ({"json": {}, "headers": {"Content-Encoding": "gzip"}}, 415, "compressed"),
        ({"json": {}, "params": {"n": 1}}, 400, "unknown query parameter 'n'"),
    ],
)
def test_a_wrong_body(generator, request_, status, said):
    assert said in error_of(generator.client.post(ROUTE, **request_), status)["message"]


def test_what_is_refused_before_the_route_has_the_same_form(generator):
    assert "use POST" in error_of(generator.client.get(ROUTE), 405)["message"]
    stranger = generator.client.post(ROUTE, json={}, headers={"Host": "elsewhere.example"})
    assert "not 'elsewhere.example'" in error_of(stranger, 421)["message"]


def test_a_picture_sent_to_a_generator_and_a_seed_sent_to_a_service_without_one(generator, service, digit):
    refused = generator.predict(digit, model="vae")
    assert refused.status_code == 400
    assert refused.json()["error"] == f"model 'vae' makes pictures and takes none: POST a seed to {ROUTE}."
    assert "none is served here" in error_of(service.client.post(ROUTE, json={}), 400)["message"]


@pytest.mark.parametrize("bound", [{"max_pictures": 3}, {"max_pixels": 3 * 16 * 16 + 1}])
def test_a_bound_on_the_pictures_and_on_their_pixels(generator_bundle, bound):
    async def main() -> list[httpx.Response]:
        async with running(generator_bundle, ServeSettings(**bound)) as (_, client):
            return [await client.post(ROUTE, json={"n": count}) for count in (3, 4)]

    whole, refused = asyncio.run(main())
    assert len(whole.json()["data"]) == 3
    assert "must be in 1…3" in error_of(refused, 400)["message"]


def test_more_pictures_than_places_come_batch_by_batch(generator_bundle):
    async def main():
        async with running(generator_bundle, ServeSettings(queue=5, batch=8)) as (model, client):
            answers = await asyncio.gather(*(client.post(ROUTE, json={"n": 12, "seed": 1}) for _ in range(2)))
            return answers, model.under_way, model.batcher.load.largest

    answers, under_way, largest = asyncio.run(main())
    assert sorted(answer.status_code for answer in answers) == [200, 503]
    whole, refused = sorted(answers, key=lambda answer: answer.status_code)
    assert [one["index"] for one in whole.json()["data"]] == list(range(12))
    assert "of the 5 it takes" in error_of(refused, 503)["message"]
    assert (under_way, largest) == (0, 5)


def test_a_fault_of_the_model_is_not_to_be_sent_again_and_being_busy_is(generator_bundle):
    class Broken:
        precision = "fp32"

        def run(self, *_: object) -> None:
            raise BackendError("openvino: the model failed")

    async def main() -> list[httpx.Response]:
        async with running(generator_bundle, ServeSettings(queue=1)) as (model, client):
            with model.place():
                busy = await client.post(ROUTE, json={})
            model.predictor.sessions = {"model": Broken()}
            return [busy, await client.post(ROUTE, json={"n": 3})]

    busy, failed = asyncio.run(main())
    assert error_of(busy, 503)["type"] == "server_error"
    assert busy.headers["retry-after"] == "1"
    assert "x-should-retry" not in busy.headers
    assert error_of(failed, 500)["message"] == "openvino: the model failed"
    assert failed.headers["x-should-retry"] == "false"


# --- who hangs up -----------------------------------------------------------------------------------------------

HELD_UP = """
import sys
from sightsmith import cli
from sightsmith.serving.served import ServedModel

plain = ServedModel._decode

def wait(self, item):
    if item.seed == 99:
        print("decodes", flush=True)
        sys.stdin.readline()
    return plain(self, item)

ServedModel._decode = wait
sys.argv[1:1] = ["serve"]
cli.main()
"""


def test_a_closed_connection_frees_its_places(serving, generator_bundle):
    with (
        serving(generator_bundle, "--queue", "1", script=HELD_UP) as service,
        ThreadPoolExecutor(1) as pool,
    ):
        host, port = service.url.removeprefix("http://").split(":")
        body = b'{"seed": 99, "n": 64}'
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = f"POST {ROUTE} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
            connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
            assert service._lines.get(timeout=30) == "decodes\n"
            error_of(ask(service, seed=1), 503)
        answer, deadline = pool.submit(ask, service, seed=1), time.monotonic() + 30
        # Once the place is free a request waits for the model, which is still held up.
        with suppress(TimeoutError):
            while answer.result(timeout=0.5).status_code == 503:
                assert time.monotonic() < deadline
                answer = pool.submit(ask, service, seed=1)
        service.process.stdin.write("go on\n")
        service.process.stdin.flush()
        assert answer.result(timeout=30).status_code == 200
        # One picture of the first request was under way, and was left out of the run; the other 63 were never begun.
        assert service.client.get("/v1/models/vae").json()["load"]["pictures"] == 1
