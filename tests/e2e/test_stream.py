"""`predict --stream` in real processes: files, live sources, Ctrl+C, and what is refused."""

import csv
import json
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import processes
from html_page import Page
from live_servers import endless_server
from moving_clips import RATE, there_and_back
from processes import sightsmith
from sightsmith.core.images import picture_size
from sightsmith.core.video import Clip, open_clip
from video_files import write_sound, write_video

pytest.importorskip("av")


@pytest.fixture(scope="module")
def place(moving_bars_bundles, tmp_path_factory):
    """Return a folder with the bundles and a video of 4 s at 10 frames a second."""
    folder = tmp_path_factory.mktemp("stream")
    for bundle in moving_bars_bundles.iterdir():
        (folder / bundle.name).symlink_to(bundle)
    frames = np.kron(there_and_back(), np.ones((1, 8, 10, 1), np.uint8))  # 160 × 128
    write_video(folder / "long.mp4", frames, rate=round(RATE), codec="mpeg4")
    return folder


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def frames_of(path: Path):
    with open_clip(Clip(path)) as reading:
        return reading.header, list(reading.all())


def test_a_long_video_becomes_lines_and_an_annotated_video(place):
    done = sightsmith(
        *("predict", "carries", "long.mp4", "--stream", "--every", ".5", "--top", "1"),
        *("--out", "a.jsonl", "--draw", "a.mp4", "--html", "a.html"),
        cwd=place,
    ).succeeded()
    assert "9 answers, up to 4.0 s of long.mp4." in done.err
    rows = lines(place / "a.jsonl")
    assert [row["time"] for row in rows] == pytest.approx([*(0.05 + 0.5 * index for index in range(8)), 3.95])
    answers = [row["labels"][0]["label"] for row in rows]
    assert (answers[1:4], answers[6:]) == (["right"] * 3, ["left"] * 3)  # it turns at 2 s
    header, frames = frames_of(place / "a.mp4")
    original, originals = frames_of(place / "long.mp4")
    assert (header.width, header.height, header.codec) == (2 * original.width, 2 * original.height, "vp9")
    assert [moment for moment, _ in frames] == pytest.approx([moment for moment, _ in originals], abs=1e-3)
    drawn, plain = (
        np.asarray(frames[30][1], float),
        np.asarray(originals[30][1].convert("RGB").resize((320, 256)), float),
    )
    assert np.abs(drawn - plain)[:160].mean() < 12
    assert np.abs(drawn - plain)[-40:].mean() > 40
    page = (place / "a.html").read_text()
    parsed = Page()
    parsed.feed(page)
    assert (parsed.open, parsed.links) == ([], [])
    assert "9 answers along 4.0 s." in page
    assert page.count("<svg") == 2
    assert len(re.findall("<title>right [^<]*</title>", page)) == 9


def test_lines_go_to_standard_output_in_every_form(place):
    done = sightsmith("predict", "window", "long.mp4", "--stream", "--as", "csv", "--top", "1", cwd=place).succeeded()
    header, first, *_ = csv.reader(done.out.splitlines())
    assert header == ["time", "rank", "label", "score", "error"]
    assert first[:3] == ["0.45", "1", "right"]
    done = sightsmith("predict", "window", "long.mp4", "--stream", "--as", "text", "--top", "1", cwd=place).succeeded()
    assert done.out.startswith("0.45 s: right ")


def test_clips_without_stream_are_answered_as_one_item_each(place):
    done = sightsmith("predict", "carries", "long.mp4", "long.mp4", "--draw", "faces", cwd=place).succeeded()
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["clip"] for row in rows] == ["long.mp4"] * 2
    widths = [picture_size(path)[0] for path in (place / "faces").iterdir()]
    assert widths == [320, 320]  # two frames side by side


def test_a_folder_gives_its_videos_and_the_clips_whose_frames_are_files(place):
    (place / "mixed" / "frames").mkdir(parents=True)
    shutil.copy(place / "long.mp4", place / "mixed" / "a.mp4")
    for number, pixels in enumerate(there_and_back()[:3]):
        Image.fromarray(pixels).save(place / "mixed" / "frames" / f"{number}.png")
    done = sightsmith("predict", "carries", "mixed", "--draw", "mixed-faces", cwd=place).succeeded()
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["clip"] for row in rows] == ["mixed/a.mp4", "mixed/frames"]
    assert all(row["labels"] for row in rows)
    assert len(list((place / "mixed-faces").iterdir())) == 2


def test_ctrl_c_ends_a_live_source_well(place):
    with endless_server(place / "long.mp4") as address:
        arguments = ("predict", "carries", address, "--stream", "--out", "live.jsonl", "--draw", "live.mp4")
        arguments = (*arguments, "--html", "live.html")
        running = subprocess.Popen(
            processes.command(*arguments), cwd=place, env=processes.environment(), stderr=subprocess.PIPE, text=True
        )
        until = time.monotonic() + processes.SECONDS
        while not (place / "live.jsonl").exists() or len((place / "live.jsonl").read_text().splitlines()) < 12:
            assert running.poll() is None, running.stderr.read()
            assert time.monotonic() < until
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        told = running.communicate(timeout=60)[1]
    assert running.returncode == 0, told
    assert "Traceback" not in told
    rows = lines(place / "live.jsonl")
    assert len(rows) >= 12
    assert f"{len(rows)} answers" in told
    assert f"{len(rows)} answers along" in (place / "live.html").read_text()
    _, frames = frames_of(place / "live.mp4")
    assert len(frames) >= len(rows) - 1  # the frame after the last answer may be one too many


def test_a_video_without_frames_or_of_one_is_named_or_answered(place):
    (place / "empty.mp4").write_bytes(b"")
    write_sound(place / "sound.mp4")
    write_video(place / "one.mp4", there_and_back()[:1], codec="mpeg4", rate=10)
    (place / "list.mp4").write_text("#EXTM3U\n#EXTINF:9,\nlong.mp4\n")
    for name, told in (
        ("empty.mp4", "an empty file"),
        ("sound.mp4", "no video in it"),
        ("list.mp4", "a playlist"),
        ("none.mp4", "no such file"),
        (".", "a folder"),
    ):
        sightsmith("predict", "carries", name, "--stream", "--out", "x.jsonl", cwd=place).refused(2, name, told)
        assert not (place / "x.jsonl").exists()
    done = sightsmith("predict", "window", "one.mp4", "--stream", cwd=place).succeeded()
    assert len(done.out.splitlines()) == 1


@pytest.mark.parametrize("name", ["full.jsonl", "full.mp4"])
def test_a_full_disk_is_named_with_its_file(place, name):
    output = ("--out", name) if name.endswith("jsonl") else ("--draw", name)
    done = sightsmith("predict", "carries", "long.mp4", "--stream", *output, cwd=place, file_limit=2_000)
    done.refused(2, f"error: {name}: cannot be written", "Make room on the disk")
    assert done.err.count("error") == 1


def test_the_video_that_is_read_is_never_written(place):
    shutil.copy(place / "long.mp4", place / "mine.mp4")
    for output in ("--draw", "--out"):
        arguments = ("mine.mp4", "--stream", output, "./mine.mp4", "--overwrite", "--as", "text")
        sightsmith("predict", "carries", *arguments, cwd=place).refused(2, "mine.mp4: this is the video that is read")
    assert (place / "mine.mp4").read_bytes() == (place / "long.mp4").read_bytes()


def test_what_does_not_fit_a_stream_is_refused(place):
    (place / "there.jsonl").write_text("kept")
    for arguments, told in (
        (["long.mp4", "--every", "2"], "every is for streams. Add --stream"),
        (["long.mp4", "--html", "a.html"], "html is for streams. Add --stream"),
        (["long.mp4", "--stream", "--html", "there.jsonl"], "exists already"),
        (["long.mp4", "--stream", "--html", "a.csv", "--out", "a.csv"], "must be apart"),
        (["long.mp4", "--stream", "--batch", "2"], "without batch. Leave --batch out"),
        (["long.mp4", "--stream", "--draw", "folder"], "Name it .mp4"),
        (["long.mp4", "--stream", "--as", "coco"], "a stream is answered in lines"),
        (["long.mp4", "--stream", "--out", "there.jsonl"], "exists already"),
        (["long.mp4", "long.mp4", "--stream"], "name one source"),
        (["--stream"], "name one source"),
        (["--stream", "--camera", "97"], "camera 97: no such camera"),
        (["--stream", "http://127.0.0.1/list.m3u8"], "a playlist"),
        ([], "name what to predict"),
    ):
        sightsmith("predict", "carries", *arguments, cwd=place).refused(2, told)
    assert (place / "there.jsonl").read_text() == "kept"
    done = sightsmith("predict", "carries", "rtsp://me:secret@h/a", cwd=place)
    done.refused(1, "rtsp://***@h/a: an address of a stream", "--stream")
    assert "secret" not in done.out + done.err
