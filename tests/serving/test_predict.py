"""`POST /v1/models/{name}/predict` of a real service: the ways to send a picture, and the answers."""

import base64
import io
import shlex
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image

PREDICT = "/v1/models/digits/predict"


def as_base64(picture: bytes) -> str:
    return base64.b64encode(picture).decode()


def test_the_answer_is_the_predictors_own(service, exported_bundle, digits):
    from sightsmith.runtime.predictor import Predictor

    with Predictor.open(exported_bundle) as predictor:
        for picture in digits[:10]:
            got = service.predict(picture).json()
            expected = predictor.predict_one(picture).to_json(top=5)
            assert [one["label"] for one in got] == [one["label"] for one in expected]
            np.testing.assert_allclose([o["score"] for o in got], [o["score"] for o in expected], atol=2e-6)


def test_every_way_to_send_a_picture_gives_the_same_answer(service, digit):
    raw = service.predict(digit).json()
    assert len(raw) == 5
    assert set(raw[0]) == {"label", "score"}
    ways = [
        {"content": digit, "headers": {"Content-Type": "application/octet-stream"}},
        {"content": digit},
        {"content": digit, "headers": {"Content-Type": "Image/PNG; charset=utf-8"}},
        {"content": (digit[at : at + 50] for at in range(0, len(digit), 50)), "headers": {"Content-Type": "image/png"}},
        {"files": {"file": ("seven.png", digit, "image/png")}},
        {"json": {"image": as_base64(digit)}},
        {"json": {"image": f"data:image/png;base64,{as_base64(digit)}"}},
    ]
    for way in ways:
        assert service.client.post(PREDICT, **way).json() == raw


def test_what_to_draw_of_an_answer_comes_beside_it(service, digit):
    labels = service.predict(digit).json()
    drawn = service.predict(digit, shapes=True, top=2).json()
    assert drawn["labels"] == labels[:2]
    assert [(one["shape"], one["name"]) for one in drawn["shapes"]] == [("bar", one["label"]) for one in labels[:2]]
    assert [one["share"] for one in drawn["shapes"]] == pytest.approx([one["score"] for one in labels[:2]], abs=1e-6)
    assert set(service.predict(digit, shapes=True, explain=True).json()) == {"labels", "shapes", "heatmap", "map"}


@pytest.mark.parametrize(
    ("form", "options"),
    [("JPEG", {"quality": 95}), ("WEBP", {"lossless": True}), ("BMP", {}), ("TIFF", {}), ("PPM", {})],
)
def test_every_format_is_read(service, digit, form, options):
    file = io.BytesIO()
    Image.open(io.BytesIO(digit)).convert("RGB").resize((64, 64)).save(file, form, **options)
    kind = {"PPM": "image/x-portable-pixmap"}.get(form, f"image/{form.lower()}")
    response = service.client.post(PREDICT, content=file.getvalue(), headers={"Content-Type": kind})
    assert response.status_code == 200
    assert response.json()[0]["label"] == service.predict(digit).json()[0]["label"]


def test_top_says_how_many(service, digit):
    assert len(service.predict(digit, top=1).json()) == 1
    every = service.predict(digit, top=1000).json()
    assert len(every) == 10
    assert sum(one["score"] for one in every) == pytest.approx(1, abs=1e-4)


def test_explain_adds_the_evidence(service, digit):
    plain = service.predict(digit).json()
    answer = service.predict(digit, explain="true").json()
    assert answer["labels"] == plain
    assert answer["map"]["label"] == plain[0]["label"]
    assert answer["map"]["box"] == [0, 0, 8, 8]
    assert np.ndim(answer["map"]["values"]) == 2
    heat = Image.open(io.BytesIO(base64.b64decode(answer["heatmap"])))
    assert heat.size == (256, 256)
    opacity = np.asarray(heat.convert("RGBA"))[..., 3]
    assert opacity.max() == 255
    assert opacity.min() < 128


def test_explain_another_class(service, digit):
    best = service.predict(digit, explain="true").json()
    other = service.predict(digit, explain="true", label=best["labels"][1]["label"]).json()
    assert other["labels"] == best["labels"]
    assert other["map"]["label"] == best["labels"][1]["label"]
    assert other["heatmap"] != best["heatmap"]


def test_the_heat_map_has_the_upright_pictures_shape(service, digit):
    exif = Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    Image.open(io.BytesIO(digit)).resize((800, 400)).save(file, "JPEG", exif=exif)
    answer = service.client.post(
        PREDICT, content=file.getvalue(), headers={"Content-Type": "image/jpeg"}, params={"explain": True}
    ).json()
    assert answer["map"]["box"] == [0, 0, 400, 800]
    assert Image.open(io.BytesIO(base64.b64decode(answer["heatmap"]))).size == (256, 512)


def test_fifty_at_once_answer_as_one_after_another(service, digits):
    alone = [service.predict(picture).json() for picture in digits]
    before = service.client.get("/v1/models/digits").json()["load"]
    with ThreadPoolExecutor(50) as pool:
        together = list(pool.map(lambda picture: service.predict(picture).json(), digits))
    after = service.client.get("/v1/models/digits").json()["load"]
    for one, other in zip(alone, together, strict=True):
        assert [label["label"] for label in one][:1] == [label["label"] for label in other][:1]
        by_label = {label["label"]: label["score"] for label in other}
        assert all(abs(by_label.get(label["label"], 0) - label["score"]) < 1e-3 for label in one)
    assert after["pictures"] - before["pictures"] == 50
    assert after["runs"] - before["runs"] < 50


def test_a_bad_picture_among_good_ones_fails_alone(service, digits):
    sent = [b"not a picture" if place % 5 == 0 else picture for place, picture in enumerate(digits)]
    with ThreadPoolExecutor(25) as pool:
        answers = list(pool.map(service.predict, sent))
    assert [answer.status_code for answer in answers] == [422 if place % 5 == 0 else 200 for place in range(50)]


def test_the_printed_curl_line_works(service):
    done = subprocess.run(shlex.split(service.curl.removeprefix("Try: ")), capture_output=True, text=True, check=True)
    assert '"label"' in done.stdout


def test_an_answer_is_not_held_back_for_40_ms_by_the_network(service, digit):
    """Nagle's algorithm would wait for the client's delayed acknowledgement: 40 ms an answer, never less."""
    seconds = []
    for _ in range(30):
        start = time.perf_counter()
        service.predict(digit)
        seconds.append(time.perf_counter() - start)
    assert min(seconds) < 0.03
