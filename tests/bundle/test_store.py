"""Bundles are written whole, read back equal, and refused when anything in them changed."""

import contextlib
import json
import shutil
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file

from sightsmith.bundle.manifest import Manifest
from sightsmith.bundle.store import Bundle, add_files, verify
from sightsmith.core.errors import BundleError, OutputExistsError
from sightsmith.core.files import sha256
from small_bundle import CLASSES, pack, write_digits_bundle

PIXELS = {"dtype": "uint8", "shape": [16, 16, 1]}
GRAPH = {"inputs": {"pixels": PIXELS}, "outputs": ["logits", "class_map"], "settings": {}}


@pytest.fixture
def copy(digits_bundle, tmp_path):
    """Return a copy of the small bundle that may be changed."""
    path = tmp_path / "digits"
    shutil.copytree(digits_bundle, path)
    return path


@pytest.fixture(scope="module")
def archive(digits_bundle, tmp_path_factory):
    return pack(Bundle.open(digits_bundle), tmp_path_factory.mktemp("zip") / "digits.zip")


def test_what_was_written_is_read_back(digits_bundle):
    bundle = Bundle.open(digits_bundle)
    manifest = bundle.manifest
    assert manifest.definition.names == CLASSES
    assert manifest.definition.calibrated == {"temperature": 1.3}
    assert manifest.metrics["test"]["accuracy"] == 0.97
    assert manifest.net.name == "smallresnet"
    assert bundle.splits() == {"train": 1397, "test": 400}
    assert bundle.file("report/note.txt").read_text() == "how it went"
    witnesses = bundle.witnesses()
    assert witnesses.inputs["pixels"].shape == (8, 16, 16, 1)
    assert list(witnesses.outputs) == ["logits", "class_map"]
    assert all(item.startswith(b"\x89PNG") for item in witnesses.items)
    assert verify(bundle) == []


def test_the_weights_rebuild_the_net_exactly(digits_bundle):
    import torch

    from sightsmith.runtime.torch_session import rebuild

    bundle = Bundle.open(digits_bundle)
    state = rebuild(bundle)["net"].state_dict()
    assert state.keys() == bundle.weights("net").keys()
    for name, array in bundle.weights("net").items():
        assert torch.equal(state[name], torch.from_numpy(array)), name


def test_equal_models_give_equal_bytes(tmp_path):
    one, other = tmp_path / "one", tmp_path / "other"
    write_digits_bundle(one, steps=2)
    write_digits_bundle(other, steps=2)
    names = sorted(path.relative_to(one).as_posix() for path in one.rglob("*") if path.is_file())
    assert names == sorted(path.relative_to(other).as_posix() for path in other.rglob("*") if path.is_file())
    assert [sha256(one / name) for name in names] == [sha256(other / name) for name in names]


def test_there_is_no_pickle_in_it(digits_bundle):
    suffixes = {path.suffix for path in digits_bundle.rglob("*") if path.is_file()}
    assert suffixes == {".json", ".safetensors", ".md", ".png", ".txt"}


def test_an_existing_place_is_refused_and_left_as_it_was(copy):
    before = (copy / "manifest.json").read_bytes()
    with pytest.raises(OutputExistsError, match="overwrite=True"):
        write_digits_bundle(copy)
    assert (copy / "manifest.json").read_bytes() == before
    assert list(copy.parent.iterdir()) == [copy]


def test_a_zip_is_the_same_bundle(archive, digits_bundle):
    with Bundle.open(archive) as bundle:
        folder = bundle.folder
        assert bundle.zipped
        assert bundle.manifest == Bundle.open(digits_bundle).manifest
        assert verify(bundle) == []
    assert not folder.exists()


def test_equal_bundles_give_equal_zips(archive, digits_bundle, tmp_path):
    again = pack(Bundle.open(digits_bundle), tmp_path / "again.zip")
    assert sha256(again) == sha256(archive)


def test_a_zip_made_by_hand_of_the_folder_opens_too(digits_bundle, tmp_path):
    shutil.make_archive(str(tmp_path / "hand"), "zip", root_dir=digits_bundle.parent, base_dir=digits_bundle.name)
    with Bundle.open(tmp_path / "hand.zip") as bundle:
        assert verify(bundle) == []


def test_a_zip_with_hidden_files_beside_the_folder_opens_too(digits_bundle, tmp_path):
    path = Path(shutil.make_archive(str(tmp_path / "hand"), "zip", digits_bundle.parent, digits_bundle.name))
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(".inner/a", "a")
        zipped.writestr("__MACOSX/._digits", "a")
    with Bundle.open(path) as bundle:
        assert verify(bundle) == []
        top = bundle.folder.parent
    assert not top.exists()


def test_hidden_files_of_other_tools_do_no_harm(copy):
    for folder in (copy, copy / "witnesses", copy / "report"):
        (folder / ".DS_Store").write_bytes(b"Bud1")
    bundle = Bundle.open(copy)
    assert verify(bundle) == []
    assert len(bundle.witnesses().items) == 8


def test_an_unpacked_zip_is_removed_at_exit_without_close(archive):
    code = "import sys; from sightsmith.bundle.store import Bundle; b = Bundle.open(sys.argv[1]); print(b.folder)"
    made = subprocess.run([sys.executable, "-c", code, archive], capture_output=True, text=True, check=True)
    assert not Path(made.stdout.strip()).exists()


@pytest.mark.parametrize(
    ("break_it", "says"),
    [
        (lambda path: shutil.rmtree(path), "no such bundle"),
        (lambda path: (path / "manifest.json").unlink(), "not a bundle"),
        (lambda path: (path / "manifest.json").write_text("{"), "not valid JSON"),
        (lambda path: (path / "manifest.json").write_text("[]"), "must hold a JSON object"),
        (lambda path: (path / "manifest.json").write_text("[" * 100_000), "not valid JSON"),
        (lambda path: (path / "manifest.json").write_text('{"a":' * 900 + "1" + "}" * 900), "manifest.json"),
        (lambda path: (path / "manifest.json").write_text(edited(path, "NaN")), "not valid JSON.*Copy the bundle"),
        (lambda path: (path / "manifest.json").write_text(edited(path, "-Infinity")), "not valid JSON"),
        (lambda path: (path / "manifest.json").write_text(edited(path, "1e999")), "not valid JSON"),
        (lambda path: (path / "manifest.json").write_bytes(b"\xff\xfe{}"), "not UTF-8"),
        (
            lambda path: (path / "weights.safetensors").unlink(),
            "weights.safetensors: listed in the manifest but missing",
        ),
        (lambda path: (path / "extra.py").write_text("1"), "extra.py: not listed in the manifest"),
        (
            lambda path: (path / "witnesses" / "00.png").write_bytes(b"x"),
            "witnesses/00.png: changed after it was written",
        ),
        (lambda path: rewrite(path, schema=3), "schema 3 by a newer Sightsmith; this version reads schemas up to 2"),
        (lambda path: rewrite(path, schema="1"), "schema must be a number"),
        (lambda path: rewrite(path, schema=True), "schema must be a number"),
        (lambda path: rewrite(path, schema=1), "unknown key"),
        (lambda path: rewrite(path, name=3), "name"),
        (lambda path: redefine(path, calibrated={"temperature": 2.0}), "does not match its digest"),
        (lambda path: redefine(path, names=list("9876543210")), "does not match its digest"),
        (lambda path: redefine(path, rule=True), "rule"),
        (lambda path: redefine(path, kind=3), "kind"),
        (lambda path: redefine(path, input="smell"), "unknown input 'smell'"),
        (lambda path: redefine(path, graphs={}), "graphs must name a graph"),
        (
            lambda path: redefine(path, graphs={"model": {"inputs": 1, "outputs": []}}),
            "graphs: model: inputs: input should be an object, got 1",
        ),
        (lambda path: redefine(path, wine="red"), "unknown key 'wine'"),
        (lambda path: rewrite(path, wine="red"), "unknown key 'wine'"),
        (lambda path: rewrite(path, nets=None), "nets: input should be an object, got None"),
        (lambda path: rewrite(path, nets={"net": {"name": "vgg"}}), "nets: net: settings: field required"),
        (lambda path: rewrite(path, task={"name": "classify", "wine": "red"}), "task: wine: unexpected"),
        (lambda path: redefine(path, graphs={"model": GRAPH | {"wine": "red"}}), "graphs: model: wine: unexpected"),
        (
            lambda path: redefine(path, graphs={"model": GRAPH | {"inputs": {"pixels": PIXELS | {"wine": "red"}}}}),
            "graphs: model: inputs: pixels: wine: unexpected",
        ),
        (lambda path: rewrite(path, drop="created"), "created must be given"),
        (lambda path: (path / "manifest.json").write_text(edited(path)), "changed after it was written"),
    ],
)
def test_a_broken_bundle_is_refused_with_its_fault(copy, break_it, says):
    break_it(copy)
    with pytest.raises(BundleError, match=says):
        Bundle.open(copy)


def rewrite(path: Path, drop: str | None = None, **changes: object) -> None:
    """Change the manifest as somebody would who also makes its digest fit."""
    from sightsmith.bundle import manifest as module
    from sightsmith.bundle.definition import digest_of

    raw = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    raw = {key: value for key, value in {**raw, **changes}.items() if key not in ("digest", drop)}
    text = module._dump({**raw, "digest": digest_of(raw)})
    (path / "manifest.json").write_text(text, encoding="utf-8")


def redefine(path: Path, **changes: object) -> None:
    raw = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    rewrite(path, definition={**raw["definition"], **changes})


def edited(path: Path, value: str = "0.99") -> str:
    return (path / "manifest.json").read_text(encoding="utf-8").replace("0.97", value)


def test_witnesses_without_an_output_are_refused_by_its_name(copy):
    arrays = copy / "witnesses" / "arrays.safetensors"
    save_file({name: array for name, array in load_file(arrays).items() if "class_map" not in name}, arrays)
    with pytest.raises(BundleError, match="lack the output 'class_map'. Copy the bundle again"):
        Bundle.open(copy, verify=False).witnesses()


def test_every_fault_is_listed_by_verify(copy):
    (copy / "README.md").write_text("lies")
    (copy / "splits.json").unlink()
    problems = verify(Bundle.open(copy, verify=False))
    assert [problem.split(":")[0] for problem in problems] == ["splits.json", "README.md"]


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_flipped_bit_anywhere_is_found(digits_bundle, data):
    names = sorted(path.relative_to(digits_bundle).as_posix() for path in digits_bundle.rglob("*") if path.is_file())
    path = digits_bundle / data.draw(st.sampled_from(names))
    whole = path.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        path.write_bytes(changed)
        with pytest.raises(BundleError, match=path.name):
            Bundle.open(digits_bundle)
    finally:
        path.write_bytes(whole)


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_damaged_zip_is_refused_or_holds_the_same(archive, digits_bundle, tmp_path_factory, data):
    whole = archive.read_bytes()
    start = data.draw(st.sampled_from([0, len(whole) - 2500]))  # the directory at the end is where oddities are
    at = data.draw(st.integers(start, len(whole) - 1))
    changed = bytearray(whole)
    changed[at] ^= data.draw(st.integers(1, 255))
    path = tmp_path_factory.mktemp("damaged") / "digits.zip"
    path.write_bytes(changed)
    with contextlib.suppress(BundleError), Bundle.open(path) as bundle:
        assert bundle.manifest == Bundle.open(digits_bundle, verify=False).manifest
        assert verify(bundle) == []


@pytest.mark.parametrize("name", ["../escaped.txt", "/tmp/escaped.txt", "a/../../escaped.txt", "..\\escaped.txt"])
def test_a_zip_that_leads_outside_is_refused(archive, tmp_path, name):
    path = tmp_path / "evil.zip"
    shutil.copyfile(archive, path)
    with zipfile.ZipFile(path, "a") as zipped:
        zipped.writestr(name, "gotcha")
    with pytest.raises(BundleError, match="outside the folder"):
        Bundle.open(path)
    assert not list(tmp_path.glob("**/escaped.txt"))


def test_a_place_that_cannot_be_read_is_a_clear_error(copy, tmp_path):
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(BundleError, match=r"loop: cannot be read \(.*Too many levels"):
        Bundle.open(tmp_path / "loop")
    (copy / "manifest.json").unlink()
    (copy / "manifest.json").mkdir()
    with pytest.raises(BundleError, match=r"cannot be read \(.*manifest\.json: not a regular file\)"):
        Bundle.open(copy)


def test_a_file_that_is_no_zip_is_refused(tmp_path):
    path = tmp_path / "notes.zip"
    path.write_text("hello")
    with pytest.raises(BundleError, match="not a whole zip"):
        Bundle.open(path)


def test_files_are_added_and_replaced_and_the_rest_keeps_its_bytes(copy, tmp_path):
    (tmp_path / "new.html").write_text("<p>")
    before = Bundle.open(copy)
    after = add_files(
        before,
        {"report/new.html": tmp_path / "new.html", "report/note.txt": "better"},
        metrics={"val": {"accuracy": 0.5}},
    )
    assert verify(Bundle.open(copy)) == []
    assert after.file("report/new.html").read_text() == "<p>"
    assert after.file("report/note.txt").read_text() == "better"
    assert after.manifest.metrics == {"val": {"accuracy": 0.5}}
    assert after.manifest.files["weights.safetensors"] == before.manifest.files["weights.safetensors"]
    assert "0.5" in (copy / "README.md").read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["digits", "new.html"]


def test_a_prefix_is_removed_before_adding(copy):
    add_files(Bundle.open(copy), {"backends/x/old.bin": b"1", "backends/xy/kept.bin": b"2"})
    after = add_files(Bundle.open(copy), {"backends/x/new.bin": b"3"}, remove=["backends/x/"])
    assert {name for name in after.manifest.files if name.startswith("backends")} == {
        "backends/x/new.bin",
        "backends/xy/kept.bin",
    }
    assert verify(after) == []


def test_files_of_other_tools_stay(copy):
    (copy / ".git").mkdir()
    (copy / ".git" / "HEAD").write_text("ref")
    (copy / ".gitattributes").write_text("*")
    add_files(Bundle.open(copy), {"report/a.txt": "a"})
    assert (copy / ".git" / "HEAD").read_text() == "ref"
    assert (copy / ".gitattributes").read_text() == "*"


def test_an_archive_takes_files_too(archive, tmp_path):
    path = tmp_path / "mine.zip"
    shutil.copyfile(archive, path)
    with Bundle.open(path) as bundle:
        add_files(bundle, {"report/a.txt": "a"}).close()
    with Bundle.open(path) as bundle:
        assert bundle.file("report/a.txt").read_text() == "a"
        assert verify(bundle) == []


@pytest.mark.parametrize("name", ["../a", "/a", "report/../../a", ".hidden", "weights.safetensors", "witnesses/9.png"])
def test_an_addition_cannot_leave_or_replace_the_bundle(copy, name):
    with pytest.raises(BundleError):
        add_files(Bundle.open(copy), {name: b"x"})
    assert verify(Bundle.open(copy)) == []


def test_a_failed_addition_changes_nothing(copy, tmp_path):
    before = {path: sha256(path) for path in sorted(copy.rglob("*")) if path.is_file()}
    with pytest.raises(BundleError, match="unchanged"):
        add_files(Bundle.open(copy), {"report/a.txt": "a", "report/b.txt": tmp_path / "absent"})
    assert {path: sha256(path) for path in sorted(copy.rglob("*")) if path.is_file()} == before
    assert list(tmp_path.iterdir()) == [copy]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on the size of files")
def test_a_full_disk_leaves_nothing_behind(tmp_path):
    """A limit on the size of files makes writing fail part-way, as a full disk does."""
    code = (
        "import resource, signal, sys; sys.path.insert(0, sys.argv[2]); from small_bundle import *;"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000));"
        "write_digits_bundle(Path(sys.argv[1]), steps=1)"
    )
    helpers = Path(__file__).parents[1]
    made = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "out" / "digits", helpers], capture_output=True, text=True, check=False
    )
    assert made.returncode != 0
    assert "BundleError" in made.stderr
    assert "make room on the disk" in made.stderr
    assert list((tmp_path / "out").iterdir()) == []


def test_a_manifest_holds_what_json_can_hold(digits_bundle):
    metrics = {"auroc": np.float32("nan"), "rates": (np.int64(1), np.float64(0.5)), "at": Path("a")}
    again = Manifest.from_text(replace(Bundle.open(digits_bundle).manifest, metrics=metrics).to_text())
    assert again.metrics == {"auroc": None, "rates": [1, 0.5], "at": "a"}


def test_opening_imports_no_torch(digits_bundle):
    code = (
        "import sys; from sightsmith.bundle.store import Bundle;Bundle.open(sys.argv[1]); print('torch' in sys.modules)"
    )
    made = subprocess.run([sys.executable, "-c", code, digits_bundle], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "False"


def test_every_file_may_be_read_by_whoever_serves_it(digits_bundle):
    closed = [path.name for path in digits_bundle.rglob("*") if path.is_file() and not path.stat().st_mode & 0o044]
    assert closed == []
