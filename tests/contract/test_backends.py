"""Every file of runtime/backends keeps the same promises, on one small trained bundle."""

import shutil

import numpy as np
import pytest

from sightsmith.bundle.store import Bundle, add_files
from sightsmith.core.errors import BackendError, SettingsError
from sightsmith.runtime.backends import BACKENDS
from sightsmith.runtime.predictor import Predictor
from small_bundle import digit_pictures

CASES = [
    (name, precision)
    for name in BACKENDS.names()
    if not BACKENDS.module(name).missing()
    for precision in BACKENDS.module(name).precisions()
]


@pytest.fixture(scope="module", params=CASES, ids=["-".join(case) for case in CASES])
def predictor(request, exported_bundle):
    """Return the small bundle opened in each backend and precision."""
    backend, precision = request.param
    with Predictor.open(exported_bundle, backend=backend, precision=precision) as opened:
        yield opened


@pytest.fixture(scope="module")
def pixels(predictor):
    return np.stack([predictor.feeds(picture)["pixels"] for picture in digit_pictures()[0][1400:1440]])


def scores(predictor, outputs) -> np.ndarray:
    """Return the probabilities (N, K) that outputs stand for."""
    return np.stack([answer.scores_K for answer in predictor.decode(outputs)])


def ask(predictor, pixels) -> np.ndarray:
    return scores(predictor, predictor.run({"pixels": pixels}, ("logits",)))


def test_there_is_a_case_for_each_backend_of_this_checkout():
    assert {name for name, _ in CASES} == {"onnx", "openvino", "torch"}


def test_every_file_has_the_whole_interface():
    for name in BACKENDS.names():
        file = BACKENDS.module(name)
        assert isinstance(file.RANK, int)
        assert isinstance(file.EXPORTED, bool)
        assert file.missing() is None or "pip install" in file.missing()
        assert "fp32" in file.precisions()
        assert callable(file.load)
        assert callable(getattr(file, "compile", None)) is file.EXPORTED


def test_it_answers_the_witnesses(predictor):
    proof = predictor.replay()
    assert proof.ok, proof.problems()
    assert proof.count == 8
    assert proof.pixels == 0


def test_a_picture_answers_the_same_in_any_batch(predictor, pixels):
    limit = 1e-5 if predictor.precision == "fp32" else 2e-2
    alone = np.concatenate([ask(predictor, pixels[n : n + 1]) for n in range(5)])
    for size in (2, 5):
        np.testing.assert_allclose(ask(predictor, pixels[:size]), alone[:size], atol=limit)
    np.testing.assert_allclose(alone.sum(axis=1), 1, atol=1e-2)


def test_the_asked_outputs_come_and_no_other(predictor, pixels):
    whole = predictor.run({"pixels": pixels[:3]})
    assert list(whole) == ["logits", "class_map"]
    assert whole["logits"].shape == (3, 10)
    assert whole["class_map"].shape[:2] == (3, 10)
    assert whole["class_map"].ndim == 4
    for names in (("logits",), ("class_map",), ("class_map", "logits")):
        part = predictor.run({"pixels": pixels[:3]}, names)
        assert set(part) == set(names)
        for name in names:
            assert part[name].dtype == np.float32
            np.testing.assert_allclose(part[name], whole[name], atol=0.15 if predictor.precision == "bf16" else 1e-4)


def test_answers_belong_to_the_caller(predictor, pixels):
    first = predictor.run({"pixels": pixels[:2]})["logits"]
    kept = first.copy()
    predictor.run({"pixels": pixels[10:12]})
    np.testing.assert_array_equal(first, kept)


def test_pixels_that_may_not_be_written_to_or_lie_apart_in_memory_are_taken(predictor, pixels):
    expected = ask(predictor, pixels[:8:2])
    frozen = pixels[:8].copy()
    frozen.flags.writeable = False
    got = ask(predictor, frozen)[::2]
    np.testing.assert_allclose(got, expected, atol=2e-2 if predictor.precision == "bf16" else 1e-5)


def test_a_stream_answers_in_order_whatever_the_sizes(predictor, pixels):
    sizes = [1, 5, 2, 8, 1, 3, 7, 4, 9]
    starts = np.cumsum([0, *sizes])
    batches = [{"pixels": pixels[start : start + size]} for start, size in zip(starts, sizes, strict=False)]
    answers = list(predictor.stream(iter(batches), ("logits",)))
    assert [len(answer["logits"]) for answer in answers] == sizes
    expected = ask(predictor, pixels[: starts[-1]])
    got = np.concatenate([scores(predictor, answer) for answer in answers])
    np.testing.assert_allclose(got, expected, atol=2e-2 if predictor.precision == "bf16" else 1e-5)


def test_a_stream_keeps_pixels_that_nobody_else_holds(predictor, pixels):
    """A read-only batch is copied for the backend; the copy must live until its answer is there."""

    def frozen(count):
        for n in range(count):
            batch = np.repeat(pixels[n % 40 : n % 40 + 1], 8, axis=0)
            batch.flags.writeable = False
            yield {"pixels": batch}
            del batch
            np.full((8, 16, 16, 1), 255, np.uint8)  # takes the place of what was freed

    expected = ask(predictor, pixels)
    limit = 2e-2 if predictor.precision == "bf16" else 1e-5
    for count in (1, 60):
        for n, answer in enumerate(predictor.stream(frozen(count), ("logits",))):
            np.testing.assert_allclose(scores(predictor, answer), expected[[n % 40] * 8], atol=limit)


def test_a_stream_reads_no_further_ahead_than_it_must(predictor, pixels):
    read = 0

    def batches():
        nonlocal read
        for _ in range(1000):
            read += 1
            yield {"pixels": pixels[:1]}

    answers = predictor.stream(batches())
    for _ in range(3):
        next(answers)
    answers.close()
    assert read <= 24


def test_nothing_in_nothing_out(predictor):
    assert list(predictor.stream(iter(()))) == []


@pytest.mark.parametrize(
    "wrong",
    [
        np.zeros((2, 15, 16, 1), np.uint8),
        np.zeros((2, 16, 16, 3), np.uint8),
        np.zeros((16, 16, 1), np.uint8),
        np.zeros((0, 16, 16, 1), np.uint8),
        np.zeros((2, 16, 16, 1), np.float32),
    ],
    ids=["height", "channels", "no batch", "empty", "float"],
)
def test_a_wrong_input_is_refused_by_name(predictor, wrong):
    with pytest.raises(SettingsError, match=r"pixels must be \(N, 16, 16, 1\) uint8"):
        predictor.run({"pixels": wrong})
    with pytest.raises(SettingsError, match="uint8"):
        list(predictor.stream([{"pixels": wrong}]))


def test_inputs_that_are_missing_or_unknown_are_refused(predictor, pixels):
    for wrong in ({}, {"image": pixels[:1]}, {"pixels": pixels[:1], "mask": pixels[:1]}):
        with pytest.raises(SettingsError, match="the model takes the inputs pixels; got"):
            predictor.run(wrong)


def test_an_unknown_output_is_refused(predictor, pixels):
    with pytest.raises(SettingsError, match="no output 'boxes'; it has logits, class_map"):
        predictor.run({"pixels": pixels[:1]}, ("boxes",))


def test_threads_share_a_session(predictor, pixels):
    from concurrent.futures import ThreadPoolExecutor

    expected = ask(predictor, pixels)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda n: ask(predictor, pixels[n : n + 1])[0], range(len(pixels))))
    np.testing.assert_allclose(np.stack(parts), expected, atol=2e-2 if predictor.precision == "bf16" else 1e-5)


@pytest.mark.parametrize("name", [name for name in BACKENDS.names() if BACKENDS.module(name).EXPORTED])
def test_a_missing_or_broken_export_is_an_error_that_says_what_to_do(name, digits_bundle, exported_bundle, tmp_path):
    with pytest.raises(BackendError, match=f"no export for it: `sightsmith export .* --to {name}`"):
        Predictor.open(digits_bundle, backend=name)
    path = tmp_path / "broken"
    shutil.copytree(exported_bundle, path)
    with Bundle.open(path) as bundle:
        models = [file for file in bundle.manifest.files if file.startswith(f"backends/{name}/")]
        add_files(bundle, dict.fromkeys(models, b"not a model"))
    with pytest.raises(BackendError, match="Export it again"):
        Predictor.open(path, backend=name)


def test_an_unknown_precision_is_refused(exported_bundle):
    with pytest.raises(SettingsError, match="cannot compute in 'fp3'"):
        Predictor.open(exported_bundle, backend="openvino", precision="fp3")
