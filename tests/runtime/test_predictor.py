"""The predictor: order, errors, bounded reading, the choice of a backend, and what it does not import."""

import io
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsmith.bundle.store import Bundle, add_files
from sightsmith.core.errors import BackendError, BundleError, PictureError, SettingsError
from sightsmith.core.ports import stack
from sightsmith.model import load
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.settings import PredictSettings
from small_bundle import digit_pictures, pack

PICTURES, TARGETS = digit_pictures()


def overwrite_in_place(path: Path) -> None:
    """Put zeros in place of the content; the file stays the same file, as for whoever has it mapped."""
    with path.open("r+b") as file:
        file.write(bytes(path.stat().st_size))


@pytest.fixture(scope="module")
def predictor(exported_bundle):
    with Predictor.open(exported_bundle) as opened:
        yield opened


def test_a_rate_of_frames_is_refused_for_pictures_and_for_streams(exported_bundle):
    with load(exported_bundle) as model, pytest.raises(SettingsError, match="this model takes pictures, which have no"):
        model.predict_to(["a.png"], PredictSettings(frame_rate=5))
    with pytest.raises(SettingsError, match="without frame_rate"):
        PredictSettings(frame_rate=5, stream=True)


def test_pictures_it_was_not_trained_on_are_mostly_right(predictor):
    outcomes = list(predictor.predict(list(PICTURES[1397:])))
    right = [outcome.prediction.label == str(target) for outcome, target in zip(outcomes, TARGETS[1397:], strict=True)]
    assert np.mean(right) > 0.9


def test_outcomes_come_in_order_with_the_errors_between_them(predictor, tmp_path):
    Image.fromarray(PICTURES[0]).save(tmp_path / "zero.png")
    (tmp_path / "half.png").write_bytes((tmp_path / "zero.png").read_bytes()[:60])
    given = [tmp_path / "zero.png", b"junk", PICTURES[1], tmp_path / "half.png", Image.fromarray(PICTURES[2]), b""]
    for batch in (1, 2, None):
        outcomes = list(predictor.predict(given, batch=batch))
        assert [outcome.index for outcome in outcomes] == list(range(6))
        assert [outcome.prediction and outcome.prediction.label for outcome in outcomes] == [
            "0",
            None,
            "1",
            None,
            "2",
            None,
        ]
        assert all(isinstance(outcome.error, PictureError) for outcome in outcomes[1::2])
        assert outcomes[0].name == str(tmp_path / "zero.png")
        assert "half.png" in str(outcomes[3].error)


@pytest.mark.parametrize("bad", [[], [b"x"], [b"x"] * 300])
def test_nothing_to_predict_is_no_error(predictor, bad):
    outcomes = list(predictor.predict(bad))
    assert [outcome.index for outcome in outcomes] == list(range(len(bad)))
    assert all(outcome.prediction is None for outcome in outcomes)


def test_it_reads_only_a_few_batches_ahead(predictor):
    read = 0

    def endless():
        nonlocal read
        while True:
            read += 1
            yield PICTURES[read % 100]

    outcomes = predictor.predict(endless(), batch=4)
    labels = [next(outcomes).prediction.label for _ in range(12)]
    assert len(labels) == 12
    assert read <= 12 + 4 * 8
    outcomes.close()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_unreadable_items_do_not_hold_back_the_readable_ones(exported_bundle):
    read = 0

    def mostly_bad():
        nonlocal read
        for read in range(10_000):
            yield PICTURES[0] if read % 100 == 0 else b"x"

    with Predictor.open(exported_bundle, backend="torch") as predictor:
        outcomes = predictor.predict(mostly_bad(), batch=64)
        assert next(outcomes).prediction
        assert read < 1000
        outcomes.close()


def test_an_error_of_reading_cancels_what_is_read_ahead(predictor, monkeypatch):
    read = []

    def placed(item):
        if item == 0:
            raise RuntimeError("no memory")
        time.sleep(0.02)
        read.append(item)

    monkeypatch.setattr(predictor, "placed", placed)
    with pytest.raises(RuntimeError, match="no memory"):
        list(predictor.predict(range(512), batch=256))
    assert len(read) < 256


def test_an_error_of_the_caller_passes_through(predictor):
    def broken():
        yield PICTURES[0]
        raise RuntimeError("the list went away")

    with pytest.raises(RuntimeError, match="went away"):
        list(predictor.predict(broken()))


def test_one_picture_and_its_class_map(predictor):
    found = predictor.predict_one(PICTURES[3], outputs=("class_map",))
    assert found.label == "3"
    heat = found.heat(found.index, predictor.definition.input_settings, (8, 8))
    assert heat.shape == (8, 8)
    assert heat.max() == 1
    assert predictor.predict_one(PICTURES[3]).class_map_Khw is None
    with pytest.raises(PictureError):
        predictor.predict_one(b"junk")


def test_every_way_to_predict_gives_the_same(predictor):
    feeds = stack([predictor.feeds(picture) for picture in PICTURES[:6]])
    by_run = predictor.decode(predictor.run(feeds, ("logits",)))
    by_stream = [outcome.prediction for outcome in predictor.predict(PICTURES[:6])]
    for one, other in zip(by_run, by_stream, strict=True):
        np.testing.assert_allclose(one.scores_K, other.scores_K, atol=2e-2)


def test_a_silly_batch_or_thread_count_is_refused(predictor, exported_bundle):
    with pytest.raises(SettingsError, match="batch must be ≥ 1"):
        predictor.predict([], batch=0)
    with pytest.raises(SettingsError, match="threads must be ≥ 0"):
        Predictor.open(exported_bundle, threads=-1)


def test_the_fastest_backend_present_is_picked_and_explained(exported_bundle, digits_bundle):
    with Predictor.open(exported_bundle) as picked:
        assert picked.backend == "openvino"
        assert picked.why.startswith("OpenVINO 20")
        assert "the fastest that can run here" in picked.why
        assert picked.precision in picked.why
    with Predictor.open(digits_bundle) as unexported:
        assert unexported.backend == "torch"
        assert "not openvino: the bundle has no export for it" in unexported.why


def test_an_asked_backend_is_never_replaced(digits_bundle):
    with pytest.raises(BackendError, match="backend openvino was asked for, but the bundle has no export"):
        Predictor.open(digits_bundle, backend="openvino")
    with pytest.raises(SettingsError, match="unknown backend 'openvin'. Did you mean 'openvino'"):
        Predictor.open(digits_bundle, backend="openvin")


def test_precision_follows_what_was_proved_and_measured(exported_bundle, tmp_path):
    path = tmp_path / "digits"
    shutil.copytree(exported_bundle, path)
    bundle = Bundle.open(path)
    entry = bundle.manifest.backends["openvino"]
    if "bf16" not in entry["precisions"]:
        pytest.skip("this processor has no bf16")
    rated = {name: {**proved, "rate": 10.0} for name, proved in entry["precisions"].items()}
    rated["fp32"]["rate"] = 20.0
    changed = add_files(bundle, {}, backends={"openvino": {**entry, "precisions": rated}})
    assert Predictor.open(changed).precision == "fp32"
    assert Predictor.open(changed, precision="bf16").precision == "bf16"
    elsewhere = add_files(changed, {}, backends={"openvino": {**entry, "processor": "another", "precisions": rated}})
    assert Predictor.open(elsewhere).precision == "bf16"
    only_fp32 = add_files(elsewhere, {}, backends={"openvino": {**entry, "precisions": {"fp32": rated["fp32"]}}})
    unproved = Predictor.open(only_fp32)
    assert unproved.precision == "fp32"


def test_changed_weights_fail_the_replay(exported_bundle, tmp_path):
    path = tmp_path / "digits"
    shutil.copytree(exported_bundle, path)
    bundle = Bundle.open(path)
    raw = bytearray(bundle.file("backends/openvino/model.bin").read_bytes())
    middle = len(raw) // 2
    raw[middle : middle + 4000] = bytes(4000)
    add_files(bundle, {"backends/openvino/model.bin": bytes(raw)})
    with Predictor.open(path, backend="openvino") as opened:
        proof = opened.replay()
    assert not proof.ok
    assert "probabilities differs by" in proof.problems()[0]


def test_a_zip_is_served_and_cleaned_up(exported_bundle, tmp_path):
    archive = pack(Bundle.open(exported_bundle), tmp_path / "digits.zip")
    with Predictor.open(archive) as opened:
        folder = opened.bundle.folder
        assert opened.predict_one(PICTURES[0]).label == "0"
        assert opened.replay().ok
    assert not folder.exists()


def test_predicting_without_torch_stays_without_torch_and_tells_nobody(exported_bundle, tmp_path):
    code = """
import os, socket, sys
def refuse(*_args, **_kwargs):
    raise OSError("no network in this test")
socket.socket.connect = socket.getaddrinfo = refuse
from sightsmith.runtime.predictor import Predictor
with Predictor.open(sys.argv[1], backend="openvino") as predictor:
    assert predictor.replay().ok
    assert next(predictor.predict([sys.argv[2]])).prediction.label == "0"
heavy = {"torch", "onnx", "onnxruntime", "sklearn", "lightning", "pandas", "openvino_telemetry.main", "absl"}
print(sorted(heavy & set(sys.modules)), sorted(os.listdir(os.environ["HOME"])))
"""
    home = tmp_path / "home"
    home.mkdir()
    Image.fromarray(PICTURES[0]).save(tmp_path / "zero.png")
    command = [sys.executable, "-c", code, exported_bundle, tmp_path / "zero.png"]
    environment = {"HOME": str(home), "PATH": str(Path(sys.executable).parent)}
    made = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == "[] []"


@pytest.mark.parametrize("backend", ["openvino", "onnx", "torch"])
@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b""), overwrite_in_place], ids=["cut", "overwritten"])
def test_what_becomes_of_the_files_after_loading_changes_no_answer(exported_bundle, tmp_path, backend, change):
    """A backend that maps its file would answer wrongly, or die of SIGBUS: so it runs in a process of its own."""
    copy = Path(shutil.copytree(exported_bundle, tmp_path / "digits"))
    code = (
        "import sys\n"
        "from sightsmith.runtime.predictor import Predictor\n"
        "predictor = Predictor.open(sys.argv[1], backend=sys.argv[2], precision='fp32')\n"
        "witnesses = predictor.bundle.witnesses()\n"
        "print('loaded', flush=True)\n"
        "sys.stdin.readline()\n"
        "print(predictor.replay(witnesses).ok)\n"
    )
    command = [sys.executable, "-c", code, str(copy), backend]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout.readline() == "loaded\n"
        for path in (*copy.glob("backends/*/model.*"), copy / "weights.safetensors"):
            change(path)
        out, _ = process.communicate("go\n", timeout=100)
    assert (process.returncode, out) == (0, "True\n")


@pytest.mark.parametrize("name", ["model.bin", "model.xml"])
def test_a_file_that_changed_between_the_check_and_the_loading_is_refused(exported_bundle, tmp_path, name):
    bundle = Bundle.open(shutil.copytree(exported_bundle, tmp_path / "digits"))
    overwrite_in_place(bundle.folder / "backends" / "openvino" / name)
    with pytest.raises(BundleError, match=rf"backends/openvino/{name} changed after it was written"):
        Predictor.open(bundle, backend="openvino")


def test_bytes_held_in_any_way_are_predicted_and_explained(exported_bundle, tmp_path):
    Image.fromarray(PICTURES[0]).save(tmp_path / "zero.png")
    data = (tmp_path / "zero.png").read_bytes()
    with load(exported_bundle) as model:
        for held in (bytearray(data), memoryview(data), io.BytesIO(data)):
            assert model.predict(held).label == "0"
            assert [one.label for one in model.predict([held, held])] == ["0", "0"]
            assert model.explain(held, method="occlusion").overlay().size == (8, 8)


@pytest.mark.parametrize("wrong", [None, 5])
def test_what_cannot_be_a_picture_is_told(exported_bundle, wrong):
    with load(exported_bundle) as model:
        for ask in (model.predict, model.explain, lambda given: model.predict([given])):
            with pytest.raises(PictureError, match="a picture is a path"):
                ask(wrong)
        first, second = model.predict_each([wrong, PICTURES[1]])
    assert isinstance(first.error, PictureError)
    assert second.prediction.label == "1"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system cannot fork")
@pytest.mark.parametrize("backend", ["openvino", "onnx", "torch"])
def test_a_forked_process_answers_with_a_model_of_its_own_and_never_hangs(exported_bundle, backend):
    """In a process of its own, with two threads: a fork copies none, and a backend may wait for them for ever."""
    code = """
import os, signal, sys, warnings
import numpy as np
from sightsmith.core.errors import BackendError
from sightsmith.runtime.predictor import Predictor

warnings.simplefilter("ignore")
predictor = Predictor.open(sys.argv[1], backend=sys.argv[2], threads=2)
picture = np.zeros((64, 64), np.uint8)
label = predictor.predict_one(picture).label
if os.fork() == 0:
    signal.alarm(60)
    for call in (predictor.predict_one, lambda picture: list(predictor.predict([picture]))):
        try:
            call(picture)
        except BackendError as error:
            print("Load it in the child" in str(error))
    print(Predictor.open(sys.argv[1], backend=sys.argv[2]).predict_one(picture).label == label, flush=True)
    os._exit(0)
print(os.wait()[1])
"""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    done = subprocess.run(
        [sys.executable, "-c", code, exported_bundle, backend],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=200,
    )
    assert done.stdout.split() == ["True", "True", "True", "0"]


def test_a_replay_looks_at_the_form_without_the_class_map_too(digits_bundle):
    import torch

    with Predictor.open(digits_bundle, backend="torch", precision="fp32") as predictor:
        assert predictor.replay().ok
        predictor.sessions["model"]._modules["logits",] = lambda pixels: (torch.full((len(pixels), 10), 0.1),)
        assert any("probabilities differs" in problem for problem in predictor.replay().problems())
