"""What was typed becomes pictures, and predictions become lines."""

import csv
import io
import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import OutputExistsError, SettingsError
from sightsmith.data.sources.parts.listing import list_pictures
from sightsmith.kinds.labels.value import Labels
from sightsmith.runtime.paths import MAX_FETCH, find_items
from sightsmith.runtime.prediction_writer import open_writer
from sightsmith.runtime.settings import PredictSettings


def png(value: int = 7) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 4), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "b").mkdir()
    for name in ("b/2.png", "b/1.PNG", "a.png"):
        (tmp_path / name).write_bytes(png())
    (tmp_path / "b" / "notes.txt").write_text("no picture")
    return tmp_path


def names(items, base):
    return [os.path.relpath(item.name, base) for item in items]


def test_a_folder_is_walked_in_order_and_only_its_pictures(folder):
    assert names(find_items([str(folder)]), folder) == ["a.png", "b/1.PNG", "b/2.png"]


def test_a_folder_is_listed_as_training_data_is(folder):
    """What training would count as lost is an error here; hidden and system files are skipped by both."""
    for name in ("._a.png", ".ipynb_checkpoints/a.png", "__MACOSX/a.png", "b/__MACOSX/._1.png"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(png())
    for name in ("b/phone.HEIC", "x.avif", "moving.gif"):
        (folder / name).write_bytes(b"not read")
    items = list(find_items([str(folder)]))
    assert names((item for item in items if item.item), folder) == ["a.png", "b/1.PNG", "b/2.png"]
    lost = [item for item in items if not item.item]
    assert names(lost, folder) == ["b/phone.HEIC", "moving.gif", "x.avif"]
    assert all("this format is not read here. Convert it" in item.error for item in lost)
    assert set(names(lost, folder)) == set(list_pictures(str(folder)).unsupported)
    found = find_items([str(folder / "**" / "*.png")])
    assert names(found, folder) == ["a.png", "b/2.png"]


def test_patterns_and_files_keep_the_order_asked_for(folder):
    found = find_items([str(folder / "b" / "*.png"), str(folder / "a.png")])
    assert names(found, folder) == ["b/2.png", "a.png"]


@pytest.mark.parametrize("given", ["none.png", "none*.png", "b/empty"])
def test_what_is_not_there_is_an_item_with_an_error(folder, given):
    (folder / "b" / "empty").mkdir()
    (item,) = find_items([str(folder / given)])
    assert item.item is None
    assert given in item.error


def test_a_name_that_is_not_utf8_is_read_and_printable(folder):
    Path(os.fsdecode(os.fsencode(folder) + b"/b/caf\xe9.png")).write_bytes(png())
    found = [item for item in find_items([str(folder / "b")]) if "caf" in item.name]
    assert found[0].name.encode("utf-8").endswith(b"caf\\udce9.png")
    assert found[0].item.exists()


PIPED = (
    "from sightsmith.runtime.paths import find_items\n"
    "for item in find_items(['-']): print(item.name, type(item.item).__name__, item.error)"
)


def piped(data: bytes) -> list[str]:
    done = subprocess.run([sys.executable, "-c", PIPED], input=data, capture_output=True, check=True)
    return done.stdout.decode().splitlines()


def test_standard_input_is_a_picture_or_a_list_of_paths(folder):
    assert piped(png()) == ["- bytes None"]
    path = str(folder / "a.png")
    assert piped(f"{path}\n\n{path}\n".encode()) == [f"{path} PosixPath None"] * 2
    assert piped(b"\x89PNG" + b"x" * MAX_FETCH)[0].startswith("- NoneType standard input: more than 20 MiB")


def test_a_playlist_on_standard_input_is_refused_whole():
    for playlist in (b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n", b"ffconcat version 1.0\nfile a.mp4\n"):
        (line,) = piped(playlist)
        assert line.startswith("- NoneType standard input: a playlist, which names other files or addresses.")


def test_standard_input_that_never_ends_is_refused(folder):
    """The line that is no path comes after one that is; the other end writes on until nobody reads."""
    begin, more = f"{folder / 'a.png'}\n".encode(), b"x" * 4096
    with subprocess.Popen([sys.executable, "-c", PIPED], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdin.write(begin)
        with pytest.raises(BrokenPipeError):
            while True:
                process.stdin.write(more)
        process.stdin.raw.close()
        assert process.stdout.read().decode().splitlines() == [
            f"{folder / 'a.png'} PosixPath None",
            "- NoneType standard input: a line of over 65,536 bytes, which is no path.",
        ]


@pytest.mark.parametrize("first", ["P1010001.JPG", "BMW/1.jpg", "RIFFRAFF", "P6.ppm", "II.png"])
def test_a_list_of_paths_may_begin_as_pictures_do(first):
    assert piped(f"{first}\nother.png\n".encode()) == [
        f"{name} NoneType {name}: no such file." for name in (first, "other.png")
    ]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP", "TIFF", "PPM"])
def test_every_format_is_known_on_standard_input(kind):
    buffer = io.BytesIO()
    Image.new("RGB", (9, 9), (200, 30, 30)).save(buffer, kind)
    assert piped(buffer.getvalue()) == ["- bytes None"]


def test_a_name_that_cannot_be_looked_at_does_not_stop_the_rest(folder):
    long = str(folder / ("x" * 300))
    bad, good = find_items([long, str(folder / "a.png")])
    assert bad.item is None
    assert "cannot be looked at (File name too long)" in bad.error
    assert good.item == folder / "a.png"


def test_linked_folders_are_walked_once_and_never_in_a_circle(folder, tmp_path_factory):
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "far.png").write_bytes(png())
    (folder / "c").symlink_to(elsewhere)
    (folder / "b" / "up").symlink_to(folder)
    assert names(find_items([str(folder)]), folder) == ["a.png", "b/1.PNG", "b/2.png", "c/far.png"]


def test_a_folder_that_cannot_be_opened_is_named(folder):
    """Root opens any folder, so that the other user looks."""
    shut = folder / "b" / "shut"
    shut.mkdir()
    code = (
        "import os, sys\nfrom sightsmith.runtime.paths import find_items\n"
        "if os.getuid() == 0: os.setuid(65534)\n"
        "for item in find_items([sys.argv[1]]): print(item.error)"
    )
    for path in (folder, *folder.parents[:-1]):
        if path.stat().st_uid == os.getuid() and "pytest" in str(path):
            path.chmod(0o755)
    shut.chmod(0)
    done = subprocess.run([sys.executable, "-c", code, str(folder / "b")], capture_output=True, text=True, check=True)
    assert f"{shut}: this folder cannot be read. Change its permissions." in done.stdout


class _Pictures(BaseHTTPRequestHandler):
    def do_GET(self):
        found = self.path == "/ok.png"
        self.send_response(200 if found else 404)
        self.end_headers()
        self.wfile.write(png() if found else b"")

    def log_message(self, *args):
        pass


@pytest.fixture
def site():
    with ThreadingHTTPServer(("127.0.0.1", 0), _Pictures) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_addresses_are_fetched_only_when_asked(site):
    (refused,) = find_items([f"{site}/ok.png"])
    assert refused.item is None
    assert "--urls" in refused.error
    fetched, missing = find_items([f"{site}/ok.png", f"{site}/none.png"], urls=True)
    assert fetched.item == png()
    assert "404" in missing.error


@pytest.mark.parametrize("address", ["http://127.0.0.1:1/my cat.jpg", "http://127.0.0.1:port/a.jpg", "http://[::1/a"])
def test_an_address_that_is_none_does_not_stop_the_rest(site, address):
    wrong, fetched = find_items([address, f"{site}/ok.png"], urls=True)
    assert f"{address}: not fetched (" in wrong.error
    assert fetched.item == png()


def answer() -> Labels:
    return Labels(("c", "a,b"), np.array([0.25, 0.75], np.float32))


def test_json_lines(tmp_path):
    with open_writer(PredictSettings(out=tmp_path / "o.jsonl", options={"top": 1}), "labels") as writer:
        writer.write("é.png", answer())
        writer.write("bad.png", None, "bad.png: broken")
    lines = [json.loads(line) for line in (tmp_path / "o.jsonl").read_text("utf-8").splitlines()]
    assert lines == [
        {"picture": "é.png", "labels": [{"label": "a,b", "score": 0.75}]},
        {"picture": "bad.png", "error": "bad.png: broken"},
    ]


def test_csv(tmp_path):
    with open_writer(PredictSettings(out=tmp_path / "o.csv"), "labels") as writer:
        writer.write("x.png", answer())
        writer.write("bad.png", None, "broken")
    rows = list(csv.DictReader((tmp_path / "o.csv").read_text("utf-8").splitlines()))
    assert [(row["picture"], row["rank"], row["label"], row["error"]) for row in rows] == [
        ("x.png", "1", "a,b", ""),
        ("x.png", "2", "c", ""),
        ("bad.png", "", "", "broken"),
    ]


def test_text_on_standard_output(capsys):
    with open_writer(PredictSettings(form="text", options={"top": 2}), "labels") as writer:
        writer.write("x.png", answer())
    assert capsys.readouterr().out == "x.png: a,b 75.0%  c 25.0%\n"


def test_an_output_is_whole_or_absent_and_never_replaced_unasked(tmp_path):
    out = tmp_path / "o.csv"
    with pytest.raises(RuntimeError), open_writer(PredictSettings(out=out, options={"top": 1}), "labels") as writer:
        writer.write("x.png", answer())
        raise RuntimeError("stop")
    assert not list(tmp_path.iterdir())
    out.write_text("mine")
    with pytest.raises(OutputExistsError), open_writer(PredictSettings(out=out, options={"top": 1}), "labels"):
        pytest.fail("the block must not run")
    with (
        pytest.raises(SettingsError, match="form"),
        open_writer(PredictSettings(out=tmp_path / "o.xls", options={"top": 1}), "labels"),
    ):
        pytest.fail("the block must not run")


def test_the_name_of_a_clip_is_in_a_field_of_its_own(tmp_path):
    for form, start in (("jsonl", '{"clip": "a.mp4"'), ("csv", "clip,rank")):
        with open_writer(PredictSettings(out=tmp_path / f"o.{form}"), "labels", about="clip") as writer:
            writer.write("a.mp4", answer())
        assert (tmp_path / f"o.{form}").read_text().startswith(start)
