"""Data of clips: which files are a clip, of which class and group; and the check, which names faulty ones."""

import shutil

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.video import Clip
from sightsmith.data.gate import GateSettings, check, require_usable
from sightsmith.data.gate_page import gate_html
from sightsmith.data.source import SourceOptions, open_source
from video_files import write_video

pytest.importorskip("av", reason="needs PyAV: pip install 'sightsmith[video]'")


def noise(count=12, seed=0, size=(64, 48)):
    """Return frames (T, H, W, 3) of coarse noise that no other seed has."""
    coarse = np.random.default_rng(seed).integers(0, 256, (count, 6, 8, 3), dtype=np.uint8)
    return np.stack([np.asarray(Image.fromarray(frame).resize(size)) for frame in coarse])


@pytest.fixture(scope="module")
def clips(tmp_path_factory):
    """Return a folder of two classes with six clips each."""
    folder = tmp_path_factory.mktemp("clips")
    for at in range(12):
        path = folder / ("run" if at % 2 else "walk") / f"{at}.mp4"
        path.parent.mkdir(exist_ok=True)
        write_video(path, noise(seed=at))
    return folder


@pytest.fixture
def place(clips, tmp_path):
    """Return a copy of the clips that a test may change."""
    return shutil.copytree(clips, tmp_path / "clips")


def codes(found):
    return {problem.code: problem for problem in found.problems}


def write_frames(folder, count=3, seed=0):
    folder.mkdir(parents=True)
    for at, frame in enumerate(noise(count, seed)):
        Image.fromarray(frame).save(folder / f"{at}.png")


def test_a_folder_of_videos_per_class_is_clips(clips):
    source = open_source(clips)
    assert (source.format, source.input, source.kind, source.names) == ("clips", "clip", "labels", ("run", "walk"))
    assert [sample.key for sample in source.samples] == [
        *(f"run/{at}.mp4" for at in range(1, 12, 2)),
        *(f"walk/{at}.mp4" for at in range(0, 12, 2)),
    ]
    assert source.samples[0].item == Clip(f"{clips}/run/1.mp4")
    assert source.problems == ()


def test_splits_patterns_and_names_are_those_of_folders_of_pictures(place):
    for split in ("train", "test"):
        shutil.copytree(place, place.parent / "apart" / split)
    source = open_source(place.parent / "apart")
    assert source.names == ("run", "walk")
    assert {sample.split for sample in source.samples} == {"train", "test"}
    by_number = open_source(place, SourceOptions(label_by=r"(\d)\.mp4$", group_by=r"^(\w+)/"))
    assert by_number.format == "clips"
    assert by_number.names == tuple("0123456789")
    assert {sample.group for sample in by_number.samples} == {"run", "walk"}
    (place / "loose.mp4").write_bytes((place / "run" / "1.mp4").read_bytes())
    assert codes(open_source(place))["no-class"].keys == ("loose.mp4",)
    assert "1 clip is directly in" in codes(open_source(place))["no-class"].message


def test_a_folder_of_pictures_and_videos_must_say_which_are_the_data(place):
    Image.fromarray(noise(1)[0]).save(place / "run" / "cover.png")
    named = r"holds 12 videos and 1 picture, such as run/1\.mp4 and run/cover\.png.*format='clips', or format='folder'"
    with pytest.raises(DataError, match=named):
        open_source(place)
    chosen = open_source(place, SourceOptions(format="clips"))
    assert len(chosen.samples) == 12
    assert codes(chosen)["not-a-video"].keys == ("run/cover.png",)
    pictures = open_source(place, SourceOptions(format="folder"))
    assert [sample.key for sample in pictures.samples] == ["run/cover.png"]
    assert len(codes(pictures)["not-a-picture"].keys) == 12


def test_frames_in_a_folder_of_their_own_are_a_clip(tmp_path):
    for label, name in (("run", "a"), ("run", "b"), ("walk", "c")):
        write_frames(tmp_path / "data" / label / name, 11)
    source = open_source(tmp_path / "data", SourceOptions(format="clips"))
    assert [(sample.key, source.names[sample.target]) for sample in source.samples] == [
        ("run/a", "run"),
        ("run/b", "run"),
        ("walk/c", "walk"),
    ]
    assert source.samples[0].item.video == tuple(f"{tmp_path}/data/run/a/{at}.png" for at in range(11))
    assert open_source(tmp_path / "data").input == "picture", "without the format they are pictures of three classes"


def test_the_rate_of_frames_is_25_a_second_or_as_asked(place, tmp_path):
    write_frames(tmp_path / "data" / "run" / "a")
    write_frames(place / "frames")
    (place / "clips.csv").write_text("path,label,start,end\nframes,run,0,0.2\nrun/1.mp4,walk,,\n")
    as_clips, asked = SourceOptions(format="clips"), SourceOptions(frame_rate=10)
    assert [sample.item.rate for sample in open_source(tmp_path / "data", as_clips).samples] == [25]
    (sample,) = open_source(tmp_path / "data", asked).samples
    assert (sample.item.rate, len(sample.item.video)) == (10, 3)
    frames, video = open_source(place / "clips.csv", asked).samples
    assert (frames.item.rate, frames.item.end) == (10, 0.2)
    assert video.item.video == f"{place}/run/1.mp4"
    for wrong in (0.0, -1.0, float("inf"), float("nan")):
        for data in (tmp_path / "data", place / "clips.csv"):
            with pytest.raises(SettingsError, match="frame_rate must be > 0 frames a second, got"):
                open_source(data, SourceOptions(frame_rate=wrong))
    with pytest.raises(SettingsError, match="frame_rate: frames are in folders of clips and in tables alone"):
        open_source(tmp_path / "data", SourceOptions(format="folder", frame_rate=10))
    for option in ({"frame_rate": 10.0}, {"frames_by": "(x)"}):
        with pytest.raises(SettingsError, match=r"digits has no frames\. Leave it out, or write '\./digits'"):
            open_source("digits", SourceOptions(**option))


def test_a_pattern_tells_which_pictures_are_frames_of_one_clip(shared_data):
    tracks = shared_data("gtsrb_tracks")
    source = open_source(tracks, SourceOptions(frames_by=r"^(\d+/\d+)_"))
    assert (len(source.samples), len(source.names)) == (172, 43)
    assert [sample.key for sample in source.samples[:5]] == ["0/00000", "0/00001", "0/00002", "0/00003", "1/00000"]
    assert {len(sample.item.video) for sample in source.samples} == {10}
    frames = source.samples[0].item.video
    assert frames == tuple(f"{tracks}/0/00000_{at:05}.ppm" for at in range(0, 30, 3))
    assert open_source(tracks, SourceOptions(frames_by=r"(\d+)_\d+\.ppm$")).samples == source.samples


def test_patterns_that_do_not_fit_are_named(tmp_path):
    write_frames(tmp_path / "data" / "run")
    (tmp_path / "data" / "run" / "0.png").rename(tmp_path / "data" / "run" / "a_0.png")
    source = open_source(tmp_path / "data", SourceOptions(frames_by=r"run/([a-z])_"))
    assert [sample.key for sample in source.samples] == ["run/a"]
    assert codes(source)["no-clip"].keys == ("run/1.png", "run/2.png")
    assert codes(source)["no-clip"].lost == 2
    with pytest.raises(DataError, match=r"matches none of 3 pictures; the first is 'run/1\.png'"):
        open_source(tmp_path / "data", SourceOptions(frames_by="(x)_"))
    with pytest.raises(SettingsError, match=r"frames_by: a pattern needs one part in \(…\)"):
        open_source(tmp_path / "data", SourceOptions(frames_by="x_"))
    with pytest.raises(SettingsError, match="frames_by: pictures are frames of clips in the format 'clips' alone"):
        open_source(tmp_path / "data", SourceOptions(frames_by="(x)_", format="folder"))
    with pytest.raises(DataError, match="no clip in it"):
        open_source(tmp_path / "data" / "run", SourceOptions(format="clips"))


def test_a_table_names_clips_their_parts_and_their_groups(place):
    write_frames(place / "frames")
    table = place / "clips.csv"
    table.write_text(
        "path,label,start,end,split,site\n"
        "run/1.mp4,run,,,train,north\n"
        "run/3.mp4,run,0,0.2,,\n"
        "run/3.mp4,walk,0.2,,,\n"
        "frames,walk,,,test,south\n"
        "walk/2.mp4,walk,0.3,0.1,,\n"
        "walk/4.mp4,walk,soon,,,\n"
        "gone.mp4,walk,,,,\n"
    )
    source = open_source(table)
    assert (source.input, source.names) == ("clip", ("run", "walk"))
    assert [(sample.key, sample.group, sample.split) for sample in source.samples] == [
        ("run/1.mp4", None, "train"),
        ("run/3.mp4@0-0.2", "run/3.mp4", None),
        ("run/3.mp4@0.2-", "run/3.mp4", None),
        ("frames", None, "test"),
    ]
    video = f"{place}/run/3.mp4"
    assert [sample.item for sample in source.samples[1:3]] == [Clip(video, 0.0, 0.2), Clip(video, 0.2)]
    assert len(source.samples[3].item.video) == 3
    assert source.samples[0].attributes == {"site": "north"}
    assert codes(source)["bad-part"].notes == ("row 6: '0.3 to 0.1'", "row 7: 'soon to '")
    assert codes(source)["missing-file"].keys == ("gone.mp4",)
    by_site = open_source(table, SourceOptions(group_by="site"))
    assert [sample.group for sample in by_site.samples] == ["north", None, None, "south"]


def test_a_table_of_clips_and_pictures_is_refused(place):
    Image.fromarray(noise(1)[0]).save(place / "a.png")
    (place / "mixed.csv").write_text("path,label\nrun/1.mp4,run\na.png,walk\n")
    with pytest.raises(DataError, match=r"1 rows name clips and 1 name pictures, such as run/1\.mp4 and a\.png"):
        open_source(place / "mixed.csv")


def test_clean_clips_have_nothing_to_say(clips):
    report = check(open_source(clips), GateSettings(tiny_class=1), quiet=True)
    assert report.problems == ()
    assert "12 clips in 2 classes, 6 usable in each" in report.to_text()
    assert report.sizes == ((64, 48, 12),)
    assert report.modes == {"yuv420p": 12}


def test_faulty_clips_are_named(place):
    """A clip of each fault: each is found under its own code, and only those."""
    run = place / "run"
    fast = write_video(place / "whole.mp4", noise(50, 20), container_options={"movflags": "faststart"}).read_bytes()
    (place / "whole.mp4").unlink()
    (run / "cut.mp4").write_bytes(fast[: len(fast) * 2 // 3])
    (run / "no_index.mp4").write_bytes((run / "1.mp4").read_bytes()[:3000])
    (run / "empty.mp4").write_bytes(b"")
    (run / "list.mp4").write_text("#EXTM3U\n#EXTINF:10,\nhttp://127.0.0.1/a.ts\n")
    write_video(run / "one.mp4", noise(1, 21))
    write_video(run / "odd.mp4", noise(8, 22), rotation=30)
    write_video(run / "uneven.mp4", noise(5, 23), times=[0, 0.04, 0.3, 0.34, 0.9])
    torn = bytearray(write_video(run / "torn.mkv", noise(30, 24), options={"g": "5"}).read_bytes())
    for at in range(len(torn) // 3, len(torn) // 2, 97):
        torn[at] ^= 0xFF
    (run / "torn.mkv").write_bytes(torn)
    write_video(run / "large.mp4", noise(2, 25, (256, 128)))
    shutil.copy(run / "1.mp4", run / "copy.mp4")
    shutil.copy(run / "3.mp4", place / "walk" / "other.mp4")
    write_video(run / "again.mp4", noise(seed=5), options={"g": "3"})

    report = check(open_source(place), GateSettings(tiny_class=1, max_pixels=20_000), quiet=True)
    found = {code: problem.keys for code, problem in codes(report).items()}
    assert found["cut-off"] == ("run/cut.mp4",)
    assert found["unreadable"] == ("run/empty.mp4", "run/list.mp4", "run/no_index.mp4")
    notes = dict(zip(found["unreadable"], codes(report)["unreadable"].notes, strict=True))
    assert "zero bytes" in notes["run/empty.mp4"]
    assert "a playlist" in notes["run/list.mp4"]
    assert "truncated or damaged" in notes["run/no_index.mp4"]
    assert found["one-frame"] == ("run/one.mp4",)
    assert found["odd-rotation"] == ("run/odd.mp4",)
    assert codes(report)["odd-rotation"].notes == ("30°",)
    assert found["variable-rate"] == ("run/uneven.mp4",)
    assert found["damaged-frames"] == ("run/torn.mkv",)
    assert found["too-many-pixels"] == ("run/large.mp4",)
    assert found["duplicate"] == ("run/1.mp4", "run/copy.mp4")
    assert found["contradiction"] == ("run/3.mp4", "walk/other.mp4")
    assert found["near-duplicate"] == ("run/5.mp4", "run/again.mp4")
    assert dict(report.skipped).keys() == {
        *("run/cut.mp4", "run/large.mp4", "run/copy.mp4", "run/3.mp4", "walk/other.mp4"),
        *found["unreadable"],
    }
    with pytest.raises(DataError, match=r"7 of 24 clips are bad"):
        require_usable(report)


def test_parts_of_one_video_are_no_copies_and_leak_if_they_are_in_two_splits(place):
    write_video(place / "long.mp4", noise(50, 30))
    lines = [f"long.mp4,run,{at / 2},{at / 2 + 0.5},{'train' if at % 2 else 'test'}" for at in range(4)]
    (place / "parts.csv").write_text(
        "\n".join(["path,label,start,end,split", *lines, "walk/2.mp4,walk,,,train"]) + "\n"
    )
    source = open_source(place / "parts.csv")
    assert len({source.content_hash(sample) for sample in source.samples}) == 5
    report = check(source, GateSettings(tiny_class=1), quiet=True)
    assert "duplicate" not in codes(report)
    assert codes(report)["group-leak"].groups == (tuple(f"long.mp4@{at / 2}-{at / 2 + 0.5}" for at in range(4)),)


def test_the_page_shows_faces(clips):
    source = open_source(clips)
    page = gate_html(check(source, quiet=True), source)
    assert page.count('<figure class="large">') == 8, "four of each class"
    assert "four frames of each" in page
    assert "Clips" in page
    told = page.partition("</style>")[2]
    assert [word for word in ("pictures", "JPEG compression", "palette") if word in told] == []


def test_real_clips_pass(shared_data, tmp_path):
    for path in sorted(shared_data("fight_clips").glob("*/*.mp4"))[::8]:
        (tmp_path / path.parent.name).mkdir(exist_ok=True)
        shutil.copy(path, tmp_path / path.parent.name)
    report = check(open_source(tmp_path), GateSettings(tiny_class=1), quiet=True)
    assert len(report.kept) == 3
    assert codes(report).keys() == {"single-picture", "mixed-sizes"}
