"""Boxes over HTTP: in pixels of the upright original, by the options of the query or of the JSON."""

import base64
import io
import re
import socket
import time

import numpy as np
import pytest
from PIL import Image

from coloured_boxes import png, scene
from sightsmith.model import load

PREDICT = "/v1/models/colours/predict"
RED, GREEN, BLUE = (8, 10, 40, 42, 0, 240), (44, 4, 60, 20, 1, 120), (44, 40, 60, 60, 2, 50)


@pytest.fixture(scope="module")
def colours(serving, coloured_bundle):
    with serving(coloured_bundle, "--max-tiles", "12", "--max-pixels", "100000") as running:
        yield running


def ask(colours, picture: bytes, **query) -> list[dict]:
    answer = colours.predict(picture, model="colours", **query)
    assert answer.status_code == 200, answer.text
    return answer.json()


def whole(answer: list[dict]) -> list[tuple]:
    """Return (name, edges) of the whole rectangles, without the boxes around a part of one."""
    found = [(one["label"], tuple(one["box"].values())) for one in answer]
    return [(name, box) for at, (name, box) in enumerate(found) if name not in [other for other, _ in found[:at]]]


def test_an_answer_is_names_scores_and_boxes_of_the_original(colours):
    answer = ask(colours, png(scene(RED, GREEN, BLUE)))
    assert answer[0] == {
        "label": "red",
        "score": pytest.approx(240 / 255, abs=1e-6),
        "box": {"xmin": 8.0, "ymin": 10.0, "xmax": 40.0, "ymax": 42.0},
    }
    # The threshold of green is 0.25, of red 0.5; blue is too dark.
    assert [(one["label"], round(one["score"], 3)) for one in answer] == [
        ("red", 0.941),
        ("red", 0.753),
        ("green", 0.471),
        ("green", 0.376),
    ]


def test_boxes_are_in_pixels_of_the_upright_picture(colours):
    """The net sees 64×64 pixels with bars above and below; the picture is larger, wide, and stored lying."""
    upright_HWC = scene((40, 20, 160, 100, 0, 240), size=(320, 160))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise
    stored = Image.fromarray(np.rot90(upright_HWC))
    file = io.BytesIO()
    stored.save(file, "PNG", exif=exif)
    for picture in (png(upright_HWC), file.getvalue()):
        ((name, box),) = whole(ask(colours, picture))
        assert name == "red"
        assert box == pytest.approx((40, 20, 160, 100), abs=5)  # a pixel of the input is 5 of the picture


def test_options_of_the_query_are_fields_of_the_json(colours):
    picture = png(scene(RED, GREEN, BLUE))
    image = base64.b64encode(picture).decode()
    for options, count in (
        ({"threshold": 0.9}, 1),
        ({"threshold": 0.1}, 6),
        ({"threshold": 0.1, "iou": 0.4}, 3),
        ({"threshold": 0.1, "iou": 1}, 9),
        ({"threshold": 0.1, "most": 2}, 2),
    ):
        by_query = ask(colours, picture, **options)
        assert len(by_query) == count
        by_json = colours.client.post(PREDICT, json={"image": image, **options})
        assert by_json.json() == by_query
        both = colours.client.post(PREDICT, json={"image": image, **options}, params=options)
        assert both.status_code == 400
        assert "in the query and in the JSON" in both.json()["error"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"threshold": 1.5}, "'threshold': input should be less than or equal to 1, got"),
        ({"iou": -1}, "'iou': input should be greater than or equal to 0, got"),
        ({"most": 0}, "'most': input should be greater than or equal to 1, got"),
        ({"most": 1001}, "'most': input should be less than or equal to 1000, got"),
        ({"tiles": 31}, "'tiles': input should be greater than or equal to 32, got"),
        ({"tiles": 65_536}, "'tiles': input should be less than or equal to 65535, got"),
        ({"tiles": 64, "tile_overlap": 0.95}, "'tile_overlap': input should be less than or equal to 0.9, got"),
        ({"tile_overlap": 0.3}, "tile_overlap=0.3 is for tiles, and none are asked for. Give tiles, or leave it out"),
        ({"treshold": 0.5}, "'treshold'. Did you mean 'threshold'?"),
        ({"top": 3}, "unknown"),
        ({"explain": True}, "gives no evidence, so it cannot explain. Leave explain out, and ask `sightsmith explain`"),
    ],
)
def test_wrong_options_are_refused(colours, options, said):
    picture = png(scene(RED))
    for asked in (
        {"content": picture, "params": options},
        {"json": {"image": base64.b64encode(picture).decode(), **options}},
    ):
        answer = colours.client.post(PREDICT, **asked)
        assert answer.status_code == 400
        assert said in answer.json()["error"]


def test_a_json_value_of_another_type_is_refused(colours):
    image = base64.b64encode(png(scene(RED))).decode()
    answer = colours.client.post(PREDICT, json={"image": image, "most": "many"})
    assert answer.status_code == 400
    assert "JSON parameter 'most': input should be a valid integer" in answer.json()["error"]


def test_a_picture_without_objects_has_an_empty_answer(colours):
    assert ask(colours, png(scene())) == []
    assert ask(colours, png(scene()), shapes=True) == {"boxes": [], "shapes": []}


SMALL = (8, 10, 22, 24, 0, 240), (150, 90, 164, 104, 0, 200), (50, 60, 65, 74, 1, 120)
LARGE = png(scene(*SMALL, size=(200, 140)))
"""A picture of 4 × 3 tiles of 64 pixels that overlap by a quarter."""


def test_tiles_answer_as_those_of_the_command_line(colours, coloured_bundle):
    before = colours.client.get("/v1/models/colours").json()["load"]
    asked = {"tiles": 64, "tile_overlap": 0.25}
    answer = ask(colours, LARGE, **asked, iou=0.4)
    with load(coloured_bundle) as model:
        assert answer == model.predict(LARGE, **asked).to_json(iou=0.4)
    found = {(one["label"], tuple(one["box"].values())) for one in answer}
    assert found >= {(("red", "green")[channel], tuple(box)) for *box, channel, _ in SMALL}
    after = colours.client.get("/v1/models/colours").json()["load"]
    assert after["pictures"] - before["pictures"] == 13  # the whole picture and its tiles
    assert after["runs"] - before["runs"] < 13
    by_json = colours.client.post(PREDICT, json={"image": base64.b64encode(LARGE).decode(), **asked, "iou": 0.4})
    assert by_json.json() == answer
    assert ask(colours, LARGE, **asked, iou=0.4, shapes=True)["boxes"] == answer


def test_a_picture_that_is_no_larger_than_a_tile_is_answered_as_without_tiles(colours):
    assert ask(colours, LARGE, tiles=200) == ask(colours, LARGE)


def test_a_request_may_not_ask_for_endless_tiles(colours):
    refused = colours.predict(LARGE, model="colours", tiles=32, tile_overlap=0.9)
    assert refused.status_code == 400
    said = refused.json()["error"]
    assert "at most 12 tiles, and this one of 200×140 pixels would have 1,204." in said
    least = int(re.search(r"Send tiles=(\d+) or more", said)[1])
    assert ask(colours, LARGE, tiles=least, tile_overlap=0.9)
    below = colours.predict(LARGE, model="colours", tiles=least - 1, tile_overlap=0.9)
    assert f"Send tiles={least} or more" in below.json()["error"]


@pytest.mark.parametrize(
    ("picture", "said"),
    [
        (LARGE[:200], "truncated or damaged"),
        (b"no picture", "not a picture"),
        (png(scene(size=(400, 300))), "a picture may have 0.1 million pixels"),
    ],
)
def test_a_picture_that_cannot_be_cut_is_refused_and_the_next_is_answered(colours, picture, said):
    refused = colours.predict(picture, model="colours", tiles=64)
    assert (refused.status_code, said in refused.json()["error"]) == (422, True), refused.text
    assert ask(colours, LARGE, tiles=100)


HELD_UP = """
import sys
from sightsmith import cli
from sightsmith.serving.served import ServedModel

plain, held_up = ServedModel._decode, iter(["once"])

def wait(self, item):
    if callable(item) and next(held_up, None):
        print("decodes", flush=True)
        sys.stdin.readline()
    return plain(self, item)

ServedModel._decode = wait
sys.argv[1:1] = ["serve"]
cli.main()
"""


def test_a_closed_connection_stops_its_tiles_and_frees_their_places(serving, coloured_bundle):
    small = png(scene(RED))
    with serving(coloured_bundle, "--queue", "1", script=HELD_UP) as service:
        host, port = service.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            head = f"POST {PREDICT}?tiles=64 HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
            connection.sendall(f"{head}Content-Length: {len(LARGE)}\r\n\r\n".encode() + LARGE)
            assert service._lines.get(timeout=30) == "decodes\n"
            assert service.predict(small, model="colours").status_code == 503
        deadline = time.monotonic() + 30
        while (answer := service.predict(small, model="colours")).status_code == 503:
            assert time.monotonic() < deadline
        assert answer.status_code == 200
        service.process.stdin.write("go on\n")
        service.process.stdin.flush()
        assert ask(service, LARGE, tiles=64)
        # One small picture, the large one and its 4 × 3 tiles: none of the request that was closed.
        assert service.client.get("/v1/models/colours").json()["load"]["pictures"] == 14


def test_the_shapes_are_boxes_with_the_thresholds_of_their_names(colours):
    shapes = ask(colours, png(scene(RED, GREEN)), shapes=True, iou=0.4)["shapes"]
    assert [(one["shape"], one["name"], one["index"], one["mark"], one["box"]) for one in shapes] == [
        ("box", "red", 0, 0.5, [8, 10, 40, 42]),
        ("box", "green", 1, 0.25, [44, 4, 60, 20]),
    ]


def test_the_documentation_shows_the_answer_and_its_options(colours):
    document = colours.client.get("/openapi.json").json()
    assert set(document["components"]["schemas"]["BoxCorners"]["properties"]) == {"xmin", "ymin", "xmax", "ymax"}
    call = document["paths"]["/v1/models/{name}/predict"]["post"]
    assert {"threshold", "iou", "most", "tiles", "tile_overlap"} <= {one["name"] for one in call["parameters"]}
    fields = call["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {"image", "threshold", "iou", "most", "tiles", "tile_overlap"} <= set(fields)
    assert colours.client.get("/v1/models").json()["limits"]["tiles"] == 12
    facts = colours.client.get("/v1/models/colours").json()
    assert facts["kind"] == "boxes"
    assert facts["object classes"] == ["red", "green", "blue"]
    assert facts["options"]["threshold"]["page"] == 0.05
