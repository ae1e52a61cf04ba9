"""A model of clips behind HTTP: videos in every form and parts of them, and what is refused."""

import base64
import json
import os
import signal
import sys
import time
from pathlib import Path

import httpx
import numpy as np
import pytest

from odd_clips import LEFT_OUT, ODD, write_odd_clips
from processes import clip_processes
from video_files import claiming, write_repeated, write_sound, write_video

PREDICT = "/v1/models/moves/predict"
LIMIT = 1.0
"""Seconds that a clip may take to decode."""


@pytest.fixture(scope="module")
def moves(serving, moves_bundle, exported_bundle):
    bounds = ("--max-upload", "9000000", "--decode-seconds", str(LIMIT), "--max-pixels", "1000000", "--queue", "2")
    with serving(moves_bundle, exported_bundle, *bounds, "--examples") as running:
        yield running


def send(moves, content: bytes, model: str = "moves", kind: str = "video/mp4", **query) -> httpx.Response:
    headers = {"Content-Type": kind}
    return moves.client.post(f"/v1/models/{model}/predict", content=content, headers=headers, params=query)


def form(moves, content: bytes, model: str = "moves", **fields) -> httpx.Response:
    return moves.client.post(f"/v1/models/{model}/predict", files={"file": content}, data=fields)


def lines(answer: httpx.Response) -> list[dict]:
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in answer.text.splitlines()]


def decoders(moves) -> list[int]:
    return clip_processes(moves.process.pid)


def test_a_video_is_answered_alike_in_every_form_and_as_by_the_command_line(moves, moves_bundle, video):
    from sightsmith.core.video import Clip
    from sightsmith.model import load

    sent = {"video": base64.b64encode(video).decode(), "start": 0.8, "end": 1.6}
    answers = [
        send(moves, video, start=0.8, end=1.6),
        send(moves, video, kind="application/octet-stream", start=0.8, end=1.6),
        form(moves, video, start="0.8", end="1.6"),
        moves.client.post(f"{PREDICT}?start=.8&end=1.6", files={"file": video}),
        moves.client.post(PREDICT, json=sent),
        moves.client.post(f"{PREDICT}?start=.8", json={key: sent[key] for key in ("video", "end")}),
    ]
    assert [answer.status_code for answer in answers] == [200] * len(answers)
    assert all(answer.json() == answers[0].json() for answer in answers)
    with load(moves_bundle) as model:
        scores = [model.predict(Clip(video, *part)).to_json()[0]["score"] for part in ((0.8, 1.6), (0.0, None))]
    assert [answers[0].json()[0]["score"], send(moves, video).json()[0]["score"]] == pytest.approx(scores, abs=1e-3)
    assert abs(scores[0] - scores[1]) > 2e-3, "the part is another clip"


def test_the_parts_of_a_video_are_answered_as_each_by_itself(moves, video):
    answers = lines(send(moves, video, part=0.8, every=0.5))
    assert [answer["start"] for answer in answers] == pytest.approx([0.5 * index for index in range(9)])
    assert [answer["end"] for answer in answers] == pytest.approx([0.8 + 0.5 * index for index in range(9)])
    for answer in answers[::3]:
        assert answer["labels"] == send(moves, video, start=answer["start"], end=answer["end"]).json()
    inside = lines(form(moves, video, part="0.8", start="0.8", end="2.4"))
    assert [(answer["start"], answer["end"]) for answer in inside] == [(0.8, 1.6), (1.6, 2.4)]
    sent = {"video": base64.b64encode(video).decode(), "part": 0.8, "start": 0.8, "end": 2.4, "shapes": True, "top": 1}
    drawn = lines(moves.client.post(PREDICT, json=sent))
    assert [answer["labels"] for answer in drawn] == [answer["labels"][:1] for answer in inside]
    assert [answer["shapes"][0]["name"] for answer in drawn] == [answer["labels"][0]["label"] for answer in inside]
    (whole,) = lines(send(moves, video, part=60))
    assert (whole["start"], whole["end"], whole["labels"]) == (0, 4.8, send(moves, video).json())


@pytest.mark.parametrize(
    ("asked", "status", "message"),
    [
        ({"every": 1}, 400, "parameter 'every' says how far apart parts start; it needs part=SECONDS"),
        ({"part": 0}, 400, "'part': input should be greater than or equal to 0.01"),
        ({"part": "inf"}, 400, "'part': input should be a finite number"),
        ({"part": 0.5, "start": 5}, 422, "the clip starts at 5 s, and the video ends at 4.80 s"),
        ({"part": 0.01}, 400, "at most 256 parts of a video, and this one of 4.80 s would have 480. Send every=0.02"),
    ],
)
def test_parts_that_cannot_be_are_refused(moves, video, asked, status, message):
    answer = send(moves, video, **asked)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text


def test_examples_are_videos_with_the_answers_of_the_witnesses(moves, moves_bundle):
    from sightsmith.model import load

    assert moves.client.get("/v1/models/moves").json()["examples"] == 4
    with load(moves_bundle) as model:
        expected = [model.predict(item).to_json()[0] for item in model.bundle.witnesses().items]
    for index, witness in enumerate(expected):
        example = moves.client.get(f"/v1/models/moves/examples/{index}")
        assert example.headers["content-type"] == "video/mp4"
        answer = send(moves, example.content).json()[0]
        assert (answer["label"], answer["score"]) == (witness["label"], pytest.approx(witness["score"], abs=0.03))


def test_its_facts_and_documentation_name_what_it_takes(moves, service):
    facts = moves.client.get("/v1/models/moves").json()
    assert facts["takes"] == "clip"
    assert facts["input"]["frames"] == 4
    assert {"sampling", "spacing", "height", "width"} <= facts["input"].keys()
    assert {"top", "start", "end"} <= facts["options"].keys()
    assert "start" not in moves.client.get("/v1/models/digits").json()["options"]
    assert moves.curl.startswith("Try: curl -F file=@video.mp4 ")
    for running, takes in ((moves, True), (service, False)):
        asked = running.client.get("/openapi.json").json()["paths"]["/v1/models/{name}/predict"]["post"]
        forms = asked["requestBody"]["content"]
        assert ("start" in [one["name"] for one in asked["parameters"]]) is takes
        assert ("video/mp4" in forms) is takes
        assert ("video" in forms["application/json"]["schema"]["properties"]) is takes
        assert {"image/png", "multipart/form-data"} <= forms.keys()
        assert ("start" in forms["multipart/form-data"]["schema"]["properties"]) is takes


def encoded_sound(tmp_path) -> bytes:
    return write_sound(tmp_path / "sound.mp4").read_bytes()


PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/private.ts\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "an empty file (zero bytes)"),
        (PLAYLIST, "a playlist, which names other files or addresses"),
        (b"ffconcat version 1.0\nfile /etc/passwd\n", "a playlist"),
        (b"/etc/passwd", "not a video in a known container"),
        (b"http://127.0.0.1:9/video.mp4", "not a video in a known container"),
    ],
)
def test_what_is_no_video_is_refused(moves, content, message):
    for answer in (send(moves, content), form(moves, content)):
        assert answer.status_code == 422
        assert message in answer.json()["error"]


@pytest.fixture(scope="module")
def odd(tmp_path_factory):
    folder = tmp_path_factory.mktemp("odd")
    write_odd_clips(folder)
    return folder


@pytest.mark.parametrize("name", [*LEFT_OUT, *ODD])
def test_odd_clips_are_named_or_answered(moves, odd, name):
    answer = send(moves, (odd / name).read_bytes())
    refused = {**LEFT_OUT, "large.avi": "far over the bound of 1,000,000 pixels a frame"}
    if name in refused and name != "claims.mkv":
        assert (answer.status_code, refused[name] in answer.json()["error"]) == (422, True), answer.text
    else:  # what is there of a video that claims more is answered
        assert (answer.status_code, {one["label"] for one in answer.json()}) == (200, {"left", "right"}), answer.text


def test_damaged_and_oversized_videos_are_refused(moves, video, tmp_path):
    big = write_video(tmp_path / "big.mp4", np.zeros((2, 1000, 1002, 3), np.uint8)).read_bytes()
    for content, status, message in (
        (video[:1500], 422, "truncated or damaged"),
        (video[: len(video) // 2], 422, "truncated or damaged"),
        (encoded_sound(tmp_path), 422, "no video in it (audio alone)"),
        (big, 422, "1002×1000 is over the bound of 1,000,000 pixels a frame"),
        (video + bytes(9_000_000), 413, "a clip may have 9,000,000 bytes"),
    ):
        answer = send(moves, content)
        assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text


def test_pictures_for_a_model_of_clips_and_the_other_way_round(moves, video, digit):
    assert form(moves, digit).status_code == 422
    assert "a picture, not a video" in form(moves, digit).json()["error"]
    answer = send(moves, digit, kind="image/png")
    assert answer.status_code == 415
    assert "'image/png' is not a clip. Send the file with its own type (video/mp4" in answer.json()["error"]
    answer = moves.client.post(PREDICT, json={"image": base64.b64encode(digit).decode()})
    assert (answer.status_code, "unknown JSON field 'image'" in answer.json()["error"]) == (400, True)
    answer = form(moves, video, "digits")
    assert (answer.status_code, "not a picture" in answer.json()["error"]) == (422, True), answer.text
    assert send(moves, video, "digits").status_code == 415
    answer = form(moves, digit, "digits", start="1")
    assert (answer.status_code, "unknown form field 'start'" in answer.json()["error"]) == (400, True)
    assert "unknown query parameter 'end'" in send(moves, digit, "digits", kind="image/png", end=1).json()["error"]


@pytest.mark.parametrize(
    ("part", "status", "message"),
    [
        ({"start": "1", "end": "0.5"}, 400, "clip.end must be after its start of 1 s, got 0.5"),
        ({"start": "-1"}, 400, "'start': input should be greater than or equal to 0"),
        ({"start": "nan"}, 400, "'start'"),
        ({"start": "inf"}, 400, "clip.start must be"),
        ({"end": "soon"}, 400, "form parameter 'end': input should be a valid number"),
        ({"begin": "1"}, 400, "unknown form field 'begin'"),
        ({"start": "9"}, 422, "the clip starts at 9 s, and the video ends at 4.80 s"),
    ],
)
def test_a_part_that_cannot_be_is_refused(moves, video, part, status, message):
    answer = form(moves, video, **part)
    assert (answer.status_code, message in answer.json()["error"]) == (status, True), answer.text


def test_a_part_is_given_once(moves, video):
    answer = moves.client.post(f"{PREDICT}?start=1", files={"file": video}, data={"start": "1"})
    assert (answer.status_code, "in the query and in the form" in answer.json()["error"]) == (400, True)
    answer = moves.client.post(PREDICT, files=[("file", video), ("start", (None, "1")), ("start", (None, "2"))])
    assert (answer.status_code, "'start' is given more than once" in answer.json()["error"]) == (400, True)


def test_a_process_that_hangs_is_killed_at_the_limit_while_others_are_answered(moves, video, digit):
    before = decoders(moves)
    assert len(before) >= 2
    for pid in before:
        os.kill(pid, signal.SIGSTOP)  # as a decoder in an endless loop: it answers no more, and ends by no request
    begun = time.monotonic()
    answer = send(moves, video)
    assert (answer.status_code, "a clip may take 1 s to decode" in answer.json()["error"]) == (422, True), answer.text
    assert time.monotonic() - begun > LIMIT
    assert send(moves, digit, "digits", kind="image/png").status_code == 200
    for _ in before[1:]:
        send(moves, video)
    assert not set(before) & set(decoders(moves))
    assert send(moves, video).status_code == 200
    assert moves.client.get("/readyz").status_code == 200


def test_a_process_that_is_gone_is_replaced(moves, video):
    before = decoders(moves)
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 60
    while set(before) & set(decoders(moves)):
        assert time.monotonic() < until, "a killed process goes on"
    for _ in before:
        assert send(moves, video).status_code == 200
    assert not set(before) & set(decoders(moves))


@pytest.fixture(scope="module")
def slow(tmp_path_factory) -> bytes:
    """Return a video of 6 seconds that takes longer to decode than it may."""
    path = tmp_path_factory.mktemp("slow") / "slow.mp4"
    content = write_repeated(path, (992, 1000), 65_000, codec="libvpx-vp9").read_bytes()
    assert len(content) < 9_000_000
    return content


def test_a_long_decoding_ends_by_itself_at_the_limit(moves, slow):
    before = decoders(moves)
    answer = send(moves, slow)
    assert (answer.status_code, "took longer" in answer.json()["error"]) == (422, True), answer.text
    assert decoders(moves) == before


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux bounds the memory of a process")
def test_a_header_that_asks_for_gigabytes_is_refused_at_the_bound_on_memory(moves, tmp_path):
    """A header of a few bytes names 250 million frames, whose list takes 6 GB."""
    path = write_video(tmp_path / "forged.mp4", np.zeros((20, 48, 64, 3), np.uint8))
    before = decoders(moves)
    answer = send(moves, claiming(path.read_bytes(), 250_000_000))
    assert (answer.status_code, "damaged" in answer.json()["error"]) == (422, True), answer.text
    assert decoders(moves) == before, "it was refused by itself, in time"


def test_a_part_that_fails_is_told_in_its_line(moves, slow):
    answers = lines(send(moves, slow, part=2.9, every=4))
    assert [answer["start"] for answer in answers] == pytest.approx(
        [0, 3.1], abs=0.05
    )  # the last part ends with the video
    assert ["took longer" in answer["error"] for answer in answers] == [True, True]


def test_more_clips_than_fit_are_told_to_come_again(moves, slow, video, digit):
    with moves.client.stream("POST", PREDICT, content=slow, params={"part": 0.1}) as under_way:
        assert under_way.status_code == 200
        answer = send(moves, video)
        assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
        assert "2 clips under way of the 2 it takes" in answer.json()["error"]
        assert send(moves, digit, "digits", kind="image/png").status_code == 200
    until = time.monotonic() + 5  # all its parts take longer
    while send(moves, video).status_code == 503:
        assert time.monotonic() < until, "the client has left, and its places are not free"


def test_clients_that_leave_free_their_places(moves, slow, video):
    for _ in range(2):
        with pytest.raises(httpx.ReadTimeout):
            moves.client.post(PREDICT, content=slow, timeout=0.4)
    assert send(moves, video).status_code == 200


def test_no_process_is_left_when_the_service_ends(serving, moves_bundle, video):
    with serving(moves_bundle) as running:
        pids = decoders(running)
        assert send(running, video).status_code == 200
        running.signal(signal.SIGTERM)
        assert running.end() == 0
        assert [pid for pid in pids if Path(f"/proc/{pid}/cmdline").exists()] == []
