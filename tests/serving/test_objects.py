"""Boxes over HTTP: in pixels of the upright original, by the options of the query or of the JSON."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from coloured_boxes import png, scene

PREDICT = "/v1/models/colours/predict"
RED, GREEN, BLUE = (8, 10, 40, 42, 0, 240), (44, 4, 60, 20, 1, 120), (44, 40, 60, 60, 2, 50)


@pytest.fixture(scope="module")
def colours(serving, coloured_bundle):
    with serving(coloured_bundle) as running:
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
    assert {"threshold", "iou", "most"} <= {one["name"] for one in call["parameters"]}
    fields = call["requestBody"]["content"]["application/json"]["schema"]["properties"]
    assert {"image", "threshold", "iou", "most"} <= set(fields)
    facts = colours.client.get("/v1/models/colours").json()
    assert facts["kind"] == "boxes"
    assert facts["object classes"] == ["red", "green", "blue"]
    assert facts["options"]["threshold"]["page"] == 0.05
