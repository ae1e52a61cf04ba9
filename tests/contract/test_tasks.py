"""What every task must do: each file of `tasks/`."""

import json

import numpy as np
import pytest
import torch

from sightsmith.core.catalogue import Catalogue
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.core.settings import from_mapping, to_mapping

TASKS = Catalogue("sightsmith.tasks", "task")
KINDS = Catalogue("sightsmith.predictions", "kind of prediction")
every_task = pytest.mark.parametrize("name", TASKS.names())


def example_of(name):
    torch.manual_seed(0)
    return TASKS.module(name).Task.example(np.random.default_rng(0))


def task_of(name, example):
    return TASKS.module(name).Task(example.net, example.classes, example.preprocessing, example.settings)


def graph_of(name, task):
    return TASKS.module(name).graph({"net": task.net}, task.preprocessing, "model", task.OUTPUTS, {})


def pixels_of(example):
    return example.batch[0].permute(0, 2, 3, 1).contiguous()


@every_task
def test_one_batch_can_be_learned_by_heart(name):
    example = example_of(name)
    task = task_of(name, example).train()
    optimiser = torch.optim.AdamW(task.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimiser.zero_grad()
        loss = task.loss(example.batch)
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.2 * losses[0]


@every_task
def test_exported_graph_takes_uint8_pixels_and_gives_the_named_outputs(name):
    example = example_of(name)
    task = task_of(name, example)
    pixels = pixels_of(example)
    assert pixels.dtype == torch.uint8
    assert isinstance(example.preprocessing, Preprocessing)
    assert pixels.shape[1:] == example.preprocessing.shape
    outputs = graph_of(name, task)(pixels)
    assert len(outputs) == len(task.OUTPUTS)
    for output in outputs:
        assert len(output) == len(pixels)
        assert output.dtype == torch.float32
        assert output.isfinite().all()


@every_task
def test_outputs_become_predictions(name):
    example = example_of(name)
    task = task_of(name, example)
    with torch.inference_mode():
        outputs = graph_of(name, task)(pixels_of(example))
        arrays = dict(zip(task.OUTPUTS, (output.numpy() for output in outputs), strict=True))
    kind = KINDS.module(task.KIND)
    predictions = kind.decode(arrays, example.classes, {})
    assert len(predictions) == len(example.batch[0])
    assert all(isinstance(prediction, kind.PREDICTION) for prediction in predictions)
    json.dumps([prediction.to_json() for prediction in predictions])
    assert kind.METRIC == task.METRIC


@every_task
def test_settings_survive_a_mapping(name):
    module, example = TASKS.module(name), example_of(name)
    for settings in (module.Settings(), example.settings):
        assert from_mapping(module.Settings, json.loads(json.dumps(to_mapping(settings))), where=name) == settings


@every_task
def test_loss_is_a_function_of_torchs_generator(name):
    example = example_of(name)
    losses = []
    for _ in range(2):
        task = task_of(name, example).train()
        torch.manual_seed(4)
        losses.append(task.loss(example.batch).item())
    assert losses[0] == losses[1]
