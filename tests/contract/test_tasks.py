"""What every task must do: each file of `tasks/`, and two toys that learn otherwise than by one optimiser."""

import json

import numpy as np
import pytest
import torch

from sightsmith.core.ports import check_feeds, stack
from sightsmith.core.settings import from_mapping, to_mapping
from sightsmith.inputs import INPUTS, Reader
from sightsmith.kinds import KINDS
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.runtime.programs import PROGRAMS
from sightsmith.tasks import TASKS
from sightsmith.tasks.parts.learner import FEATURES, Calibration

every_task = pytest.mark.parametrize("name", TASKS.names())
every_explained = pytest.mark.parametrize("name", [one for one in TASKS.names() if hasattr(TASKS.module(one), "score")])
every_other_reader = pytest.mark.parametrize(
    "name", [one for one in TASKS.names() if hasattr(TASKS.module(one), "READS")]
)


def example_of(name):
    torch.manual_seed(0)
    return TASKS.module(name).example(np.random.default_rng(0))


def learner_of(name, example):
    return TASKS.module(name).learner(example.nets, example.facts, example.settings)


def reader_of(name, example):
    """Return how items become what the trained model takes."""
    file, read = TASKS.module(name), example.facts.input_settings
    settings = file.deployed(read, example.facts.names, example.nets) if hasattr(file, "READS") else read
    return Reader(file.INPUT, settings)


def feeds_of(name, example):
    """Return a batch for the trained model."""
    file = TASKS.module(name)
    if not hasattr(file, "READS"):
        return example.batch[0]
    read = reader_of(name, example)
    items = file.witnesses(len(example.batch[1]), example.facts.names)
    return {port: torch.from_numpy(array) for port, array in stack([read.feeds(item) for item in items]).items()}


def outputs_of(name, example, feeds):
    """Return what the exported graph gives for a batch, by name."""
    file = TASKS.module(name)
    settings = learner_of(name, example).graph_settings
    graph = file.graph(example.nets, reader_of(name, example).settings, "model", file.OUTPUTS, settings)
    with torch.inference_mode():
        found = graph(*feeds.values())
    return dict(zip(file.OUTPUTS, found, strict=True))


def measured(name, example):
    learner = learner_of(name, example).eval()
    with torch.inference_mode():
        return learner.measured(example.batch).numpy()


def weights_of(net):
    return [parameter.detach().clone() for parameter in net.parameters()]


@every_task
def test_kept_features_take_the_place_of_the_inputs(name):
    example = example_of(name)
    learner, (feeds, targets) = learner_of(name, example).eval(), example.batch
    if not learner.keeps_features:
        assert name not in ("classify", "classify_clips", "regress", "tag")
        pytest.skip("its learner keeps no features")
    with torch.inference_mode():
        kept = {FEATURES: learner.features(feeds)}
        torch.testing.assert_close(learner.measured((kept, targets)), learner.measured(example.batch))
        torch.testing.assert_close(learner.loss((kept, targets), "net"), learner.loss(example.batch, "net"))


@every_task
def test_it_names_what_there_is(name):
    file, example = TASKS.module(name), example_of(name)
    assert file.INPUT in INPUTS
    assert file.KIND in KINDS
    assert all(program in PROGRAMS for program in file.PROGRAMS)
    assert example.nets.keys() == file.NETS.keys()
    assert set(getattr(file, "KEPT", file.NETS)) <= file.NETS.keys()
    assert hasattr(file, "score") or KINDS.module(file.KIND).METHOD is None
    ports = INPUTS.module(getattr(file, "READS", file.INPUT)).ports(example.facts.input_settings)
    check_feeds(ports, {key: array.numpy() for key, array in example.batch[0].items()})
    asked = {key: array.numpy() for key, array in feeds_of(name, example).items()}
    check_feeds(reader_of(name, example).ports(), asked)


@every_task
def test_one_batch_can_be_learned_by_heart(name):
    example = example_of(name)
    learner = learner_of(name, example).train()
    if not learner.OPTIMISERS:
        learner.fit(*example.batch)
        return
    for one in learner.OPTIMISERS:  # each by itself: with two that are rivals neither loss falls for long
        own = {id(net) for net in learner.nets_of(one)}
        others = [net for net in learner.nets.values() if id(net) not in own]
        before = [weights_of(net) for net in others]
        optimiser = torch.optim.AdamW([p for net in learner.nets_of(one) for p in net.parameters()], lr=1e-2)
        losses = []
        for _ in range(30):
            learner.zero_grad()
            loss = learner.loss(example.batch, one)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
        assert losses[-1] < 0.2 * losses[0], one
        for net, weights in zip(others, before, strict=True):
            assert all(map(torch.equal, net.parameters(), weights)), "an optimiser changed another one's nets"


@every_task
def test_what_was_learned_is_measured_and_calibrated(name):
    file, example = TASKS.module(name), example_of(name)
    answers, targets = measured(name, example), example.batch[1].numpy()
    figures = file.validation(answers, targets, example.settings)
    assert np.isfinite(figures[KINDS.module(file.KIND).METRIC.name])
    asked = file.calibration(example.settings, None) if hasattr(file, "calibration") else Calibration()
    calibrated, after = KINDS.module(file.KIND).calibrate(answers, targets, **asked.options)
    json.dumps([calibrated, after])
    if hasattr(file, "warning"):
        assert isinstance(file.warning(answers, targets), str)


@every_task
def test_validation_repeats_bit_by_bit(name):
    file, example = TASKS.module(name), example_of(name)
    torch.manual_seed(1)
    first = measured(name, example)
    torch.manual_seed(2)
    again = measured(name, example)
    assert np.array_equal(first, again)
    targets = example.batch[1].numpy()
    assert file.validation(first, targets, example.settings) == file.validation(again, targets, example.settings)


@every_task
def test_preparing_repeats_and_changes_no_parameter(name):
    example = example_of(name)
    learner = learner_of(name, example).eval()
    weights, states = weights_of(learner), []
    for seed in (1, 2):
        torch.manual_seed(seed)
        with torch.no_grad():
            learner.prepare([example.batch, example.batch])
        states.append({key: tensor.clone() for key, tensor in learner.state_dict().items()})
    assert all(map(torch.equal, learner.parameters(), weights))
    assert all(torch.equal(tensor, states[1][key]) for key, tensor in states[0].items())
    if not learner.PREPARED_BY:
        return
    before = learner_of(name, example_of(name)).state_dict()
    assert any(not torch.equal(tensor, before[key]) for key, tensor in states[0].items())


@every_task
def test_the_graph_gives_the_named_outputs_and_they_become_answers(name):
    example = example_of(name)
    feeds = feeds_of(name, example)
    outputs, alone = (
        outputs_of(name, example, one) for one in (feeds, {port: array[:1] for port, array in feeds.items()})
    )
    for key, output in outputs.items():
        assert len(output) == len(example.batch[1])
        torch.testing.assert_close(output[:1], alone[key], rtol=1e-4, atol=1e-3)
        assert output.dtype == torch.float32
        assert output.isfinite().all()
    first = next(iter(outputs.values()))
    with torch.inference_mode():
        torch.testing.assert_close(first, learner_of(name, example).eval().answer(feeds))
    kind = KINDS.module(TASKS.module(name).KIND)
    arrays = {key: output.numpy() for key, output in outputs.items()}
    answers = kind.decode(arrays, example.facts.names, {})
    assert len(answers) == len(example.batch[1])
    assert all(isinstance(answer, kind.PREDICTION) for answer in answers)
    json.dumps([answer.to_json() for answer in answers])


@every_other_reader
@pytest.mark.parametrize("labelled", [False, True])
def test_a_task_whose_model_takes_another_input_knows_names_or_does_without(name, labelled):
    file, example = TASKS.module(name), example_of(name)
    names = file.names(file.Settings(), ("a", "b"), "labels" if labelled else "tags")
    assert bool(names) is labelled
    assert file.names(file.Settings(), ("only",), "labels") == ()
    sizes = file.sizes(names, example.facts.input_settings)
    assert sizes == file.sizes(names, file.deployed(example.facts.input_settings, names, example.nets))
    ports = INPUTS.module(file.INPUT).ports(file.deployed(example.facts.input_settings, names, example.nets))
    items = file.witnesses(5, names)
    read = Reader(file.INPUT, file.deployed(example.facts.input_settings, names, example.nets))
    encoded = [read.file.encode(item, read.settings) for item in items]
    assert len(set(encoded)) == 5
    check_feeds(ports, stack([read.feeds(item) for item in items]))


@pytest.mark.parametrize("name", [one for one in TASKS.names() if hasattr(TASKS.module(one), "coder")])
def test_an_encoder_gives_latents_that_are_decoded(name):
    file, example = TASKS.module(name), example_of(name)
    assert set(getattr(file, "KEPT", file.NETS)) == file.NETS.keys(), "the encoder must be kept"
    coder = file.coder(example.nets, learner_of(name, example).graph_settings)
    (pixels,), labels = example.batch[0].values(), example.batch[1]
    with torch.inference_mode():
        mean, log_variance = coder.encode(pixels, labels)
        alone = coder.encode(pixels[:1], labels[:1])
        pictures = coder.decode(mean, labels)
    assert mean.shape == log_variance.shape
    assert mean.dtype == log_variance.dtype == torch.float32
    torch.testing.assert_close(alone[0], mean[:1], rtol=1e-4, atol=1e-4)
    assert pictures.shape == pixels.shape
    assert float(pictures.min()) >= 0
    assert float(pictures.max()) <= 255


@every_explained
def test_the_score_of_an_aspect_has_a_gradient(name):
    file, example = TASKS.module(name), example_of(name)
    answers = learner_of(name, example).eval().answer(example.batch[0]).detach().requires_grad_(True)
    scores_B = file.score(answers, Aspect(0, "first", 1.0))
    assert scores_B.shape == (len(example.batch[1]),)
    scores_B.sum().backward()
    assert answers.grad.any()


@every_task
def test_settings_survive_a_mapping_and_are_checked(name):
    module, example = TASKS.module(name), example_of(name)
    for settings in (module.Settings(), example.settings):
        assert from_mapping(module.Settings, json.loads(json.dumps(to_mapping(settings))), where=name) == settings
        if hasattr(module, "check"):
            module.check(settings, balanced=False)


@every_task
def test_loss_is_a_function_of_torchs_generator(name):
    example = example_of(name)
    losses = []
    for _ in range(2):
        learner = learner_of(name, example).train()
        torch.manual_seed(4)
        losses.append([learner.loss(example.batch, one).item() for one in learner.OPTIMISERS])
    assert losses[0] == losses[1]
