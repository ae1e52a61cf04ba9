"""What every task must do: each file of `tasks/`, and two toys that learn otherwise than by one optimiser."""

import json

import numpy as np
import pytest
import torch

from sightsmith.core.ports import check_feeds
from sightsmith.core.settings import from_mapping, to_mapping
from sightsmith.inputs import INPUTS
from sightsmith.kinds import KINDS
from sightsmith.kinds.parts.answer import Aspect
from sightsmith.runtime.programs import PROGRAMS
from sightsmith.tasks import TASKS
from sightsmith.tasks.parts.learner import Calibration

every_task = pytest.mark.parametrize("name", TASKS.names())


def example_of(name):
    torch.manual_seed(0)
    return TASKS.module(name).example(np.random.default_rng(0))


def learner_of(name, example):
    return TASKS.module(name).learner(example.nets, example.facts, example.settings)


def outputs_of(name, example):
    """Return what the exported graph gives for the example's batch, by name."""
    file = TASKS.module(name)
    settings = learner_of(name, example).graph_settings
    graph = file.graph(example.nets, example.facts.input_settings, "model", file.OUTPUTS, settings)
    with torch.inference_mode():
        found = graph(*example.batch[0].values())
    return dict(zip(file.OUTPUTS, found, strict=True))


@every_task
def test_it_names_what_there_is(name):
    file, example = TASKS.module(name), example_of(name)
    assert file.INPUT in INPUTS
    assert file.KIND in KINDS
    assert all(program in PROGRAMS for program in file.PROGRAMS)
    assert example.nets.keys() == file.NETS.keys()
    ports = INPUTS.module(file.INPUT).ports(example.facts.input_settings)
    check_feeds(ports, {key: array.numpy() for key, array in example.batch[0].items()})


@every_task
def test_one_batch_can_be_learned_by_heart(name):
    example = example_of(name)
    learner = learner_of(name, example).train()
    if not learner.OPTIMISERS:
        learner.fit(*example.batch)
        return
    optimisers = {
        one: torch.optim.AdamW([p for net in learner.nets_of(one) for p in net.parameters()], lr=1e-2)
        for one in learner.OPTIMISERS
    }
    losses = []
    for _ in range(30):
        for one, optimiser in optimisers.items():
            optimiser.zero_grad()
            loss = learner.loss(example.batch, one)
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@every_task
def test_what_was_learned_is_measured_and_calibrated(name):
    file, example = TASKS.module(name), example_of(name)
    learner = learner_of(name, example).eval()
    with torch.inference_mode():
        answers = learner.answer(example.batch[0]).numpy()
    targets = example.batch[1].numpy()
    figures = file.validation(answers, targets, example.settings)
    assert np.isfinite(figures[KINDS.module(file.KIND).METRIC.name])
    asked = file.calibration(example.settings, None) if hasattr(file, "calibration") else Calibration()
    calibrated, after = KINDS.module(file.KIND).calibrate(answers, targets, **asked.options)
    json.dumps([calibrated, after])


@every_task
def test_the_graph_gives_the_named_outputs_and_they_become_answers(name):
    example = example_of(name)
    outputs = outputs_of(name, example)
    for output in outputs.values():
        assert len(output) == len(example.batch[1])
        assert output.dtype == torch.float32
        assert output.isfinite().all()
    first = next(iter(outputs.values()))
    with torch.inference_mode():
        torch.testing.assert_close(first, learner_of(name, example).eval().answer(example.batch[0]))
    kind = KINDS.module(TASKS.module(name).KIND)
    arrays = {key: output.numpy() for key, output in outputs.items()}
    answers = kind.decode(arrays, example.facts.names, {})
    assert len(answers) == len(example.batch[1])
    assert all(isinstance(answer, kind.PREDICTION) for answer in answers)
    json.dumps([answer.to_json() for answer in answers])


@every_task
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
