"""Every task that makes pictures, through one small trained bundle each: the same promises in every backend."""

import json

import numpy as np
import pytest

import sightsmith as ss
from sightsmith.bundle.store import Bundle
from sightsmith.core.errors import SettingsError
from sightsmith.core.ports import check_feeds, stack
from sightsmith.inputs import from_files
from sightsmith.inputs.seed import Seed
from sightsmith.runtime.backends import BACKENDS
from sightsmith.runtime.predictor import Predictor
from sightsmith.runtime.programs import PROGRAMS
from sightsmith.tasks import TASKS

MAKING = [name for name in TASKS.names() if TASKS.module(name).KIND == "pictures"]
FP32 = [(task, backend) for task in MAKING for backend in BACKENDS.names() if not BACKENDS.module(backend).missing()]
SEEDS = [Seed(seed=5, index=at, label=at % 10) for at in range(12)]
every_task = pytest.mark.parametrize("task", MAKING)


@pytest.fixture(params=FP32, ids=["-".join(case) for case in FP32])
def predictor(request, making_bundles):
    task, backend = request.param
    with Predictor.open(making_bundles / task, backend=backend, precision="fp32", threads=1) as opened:
        yield opened


def made(predictor, seeds, batch) -> np.ndarray:
    return np.stack([outcome.prediction.pixels_HWC for outcome in predictor.predict(seeds, batch=batch)])


def test_a_picture_is_the_same_in_any_batch_and_count(predictor):
    whole = made(predictor, SEEDS, 12)
    assert whole.shape == (12, 16, 16, 1)
    assert len(np.unique(whole.reshape(12, -1), axis=0)) == 12
    for seeds, batch in ((SEEDS[:1], 1), (SEEDS[:7], 3), (SEEDS, 5)):
        some = made(predictor, seeds, batch).astype(int)
        assert np.mean(np.abs(some - whole[: len(seeds)]) <= 1) >= 0.99


def test_backends_make_the_pictures_that_the_trained_model_makes(predictor, making_bundles):
    with Predictor.open(making_bundles / predictor.manifest.task.name, backend="torch", precision="fp32") as trained:
        expected = made(trained, SEEDS, 4).astype(int)
    assert np.mean(np.abs(made(predictor, SEEDS, 4) - expected) <= 1) >= 0.99


def test_deployed_feeds_fit_the_ports_and_others_are_refused(predictor):
    definition = predictor.definition
    assert not from_files(definition.input)
    feeds = stack([predictor.feeds(seed) for seed in SEEDS])
    check_feeds(definition.graph.inputs, feeds)
    for name in feeds:
        with pytest.raises(SettingsError, match=r"the model takes the inputs"):
            predictor.run({key: array for key, array in feeds.items() if key != name})
        with pytest.raises(SettingsError, match=name):
            predictor.run(feeds | {name: feeds[name].astype(np.uint8)})
    with pytest.raises(SettingsError, match=r"label must be in 0…9, got 10"):
        predictor.feeds(Seed(seed=1, label=10))


def test_witnesses_are_seeds_of_every_class_and_replay(predictor):
    proof = predictor.replay()
    assert proof.ok, proof.problems()
    labels = [json.loads(item)["label"] for item in predictor.bundle.witnesses().items]
    assert sorted(labels) == list(range(8))


@every_task
def test_steps_and_streams_of_its_programs_answer_alike(task, making_bundles):
    feeds = Bundle.open(making_bundles / task).witnesses().inputs
    batches = [{port: array[at : at + 3] for port, array in feeds.items()} for at in (0, 3)]
    with Predictor.open(making_bundles / task, backend="torch", precision="fp32") as opened:
        for name in TASKS.module(task).PROGRAMS:
            program = PROGRAMS.module(name)
            stepped = [program.step(opened.sessions, batch, (), None)[0] for batch in batches]
            streamed = list(program.stream(opened.sessions, iter(batches), ()))
            for one, other in zip(stepped, streamed, strict=True):
                np.testing.assert_allclose(one["picture"], other["picture"], atol=1e-2)


@every_task
def test_only_the_parts_that_make_pictures_are_kept(task, making_bundles):
    file, bundle = TASKS.module(task), Bundle.open(making_bundles / task)
    assert set(bundle.manifest.nets) == set(getattr(file, "KEPT", file.NETS))
    assert bundle.manifest.definition.names == tuple("0123456789")


@every_task
def test_the_bundle_is_not_asked_what_it_cannot_answer(task, making_bundles, tmp_path):
    with ss.load(making_bundles / task, backend="openvino") as model:
        with pytest.raises(SettingsError, match=r"reads none.*generate"):
            model.predict("pic.jpg")
        with pytest.raises(SettingsError, match=r"reads none.*generate"):
            model.predict([np.zeros((8, 8), np.uint8)])
        with pytest.raises(SettingsError, match="nothing that a map could explain"):
            model.explain(np.zeros((8, 8), np.uint8))
        for wrong, told in (
            ({"count": 0}, "count must be in 1…1,000,000, got 0"),
            ({"count": 1_000_001}, "count must be in"),
            ({"seed": -1}, "seed must be in 0…9,223"),
            ({"seed": 2**63}, "seed must be in"),
            ({"label": "77"}, "unknown label '77'. Did you mean '7'"),
            ({"labell": "7"}, "unknown key 'labell'. Did you mean 'label'"),
        ):
            with pytest.raises(SettingsError, match=told):
                model.generate(**{"count": 1, **wrong})
        pictures = model.generate(3, seed=9, label="4", quiet=True)
        again = model.generate(1, seed=9, label="4", quiet=True)
    assert np.array_equal(pictures[0].pixels_HWC, again[0].pixels_HWC)
