"""Detection: units of boxes, suppression, the cold start, and a small set that is learned in seconds."""

import numpy as np
import pytest
import torch

from sightsmith.core.errors import SettingsError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs.parts.survey import Survey
from sightsmith.inputs.picture import PIXELS
from sightsmith.nets import yolo
from sightsmith.nets.build import build_net
from sightsmith.tasks.detect import Settings, calibration, defaults, example, graph, learner, sizes, validation
from sightsmith.tasks.parts.learner import Facts

SPEC = Preprocessing(height=64, width=96)
NAMES = ("dark", "bright")


def make(spec=SPEC, net=None, **settings):
    torch.manual_seed(0)
    module = build_net("yolo", net or {}, **sizes(NAMES, spec)).module
    return learner({"net": module}, Facts(names=NAMES, input_settings=spec), Settings(**settings))


def scenes(count, side, seed):
    """Pictures with up to three rectangles, dark or bright, some without any; and their objects in shares."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(110, 140, (count, side, side, 3)).astype(np.uint8)
    targets = np.zeros((count, 3, 6), np.float32)
    targets[:, :, 4] = -1
    for picture, rows in zip(pixels, targets, strict=True):
        for place in range(int(rng.integers(0, 4))):
            width, height = rng.integers(side // 6, side // 2, 2)
            left, top = rng.integers(0, side - width), rng.integers(0, side - height)
            box, label = np.array([left, top, left + width, top + height]) / side, int(rng.integers(2))
            if any(np.minimum(box[2:], old[2:4]).min() > np.maximum(box[:2], old[:2]).max() for old in rows[:place]):
                continue
            picture[top : top + height, left : left + width] = 240 if label else 15
            rows[place] = [*box, label, 0]
    return torch.from_numpy(pixels), torch.from_numpy(targets)


def test_targets_and_answers_are_in_shares_of_the_input():
    made = make()
    pixels = torch.randint(256, (1, 64, 96, 3), dtype=torch.uint8)
    seen = {}
    made.net.losses = lambda images, targets, step: seen.update(targets=targets, step=step) or {"a": images.sum()}
    made.loss(({PIXELS: pixels}, torch.tensor([[[0.25, 0.5, 0.75, 1, 1, 0], [0, 0, 0, 0, -1, 0]]])), "net")
    assert seen["targets"].tolist() == [[[24, 32, 72, 64, 1, 0], [0, 0, 0, 0, -1, 0]]]
    made = make().eval()
    with torch.inference_mode():
        plain = made.net.detect(made.normalise(pixels))
        found = made.answer({PIXELS: pixels})
        served = graph({"net": made.net}, SPEC, "model", ("detections",), {})(pixels)[0]
    torch.testing.assert_close(found[:, :, :4] * torch.tensor([96.0, 64, 96, 64]), plain[:, :, :4])
    torch.testing.assert_close(found, served)


def test_steps_are_counted_and_saved():
    made, given = make(), []
    losses = made.net.losses
    made.net.losses = lambda images, targets, step: given.append(step) or losses(images, targets, step)
    batch = {PIXELS: torch.zeros(2, 64, 96, 3, dtype=torch.uint8)}, torch.full((2, 1, 6), -1.0)
    for _ in range(3):
        made.loss(batch, "net")
    assert given == [0, 1, 2]
    again = make()
    again.load_state_dict(made.state_dict())
    assert int(again.steps) == 3


def test_what_is_measured_has_one_box_an_object():
    made = make(overlap=0.5).eval()
    boxes = torch.tensor(
        [[0.0, 0, 40, 40, 0.9, 0], [2, 0, 42, 40, 0.8, 0], [2, 0, 42, 40, 0.7, 1], [50, 0, 90, 40, 0.6, 0]]
    )
    made.net.detect = lambda images: boxes.expand(len(images), -1, -1)
    batch = {PIXELS: torch.zeros(2, 64, 96, 3, dtype=torch.uint8)}, None
    found = made.measured(batch)
    assert found.shape == (2, 300, 6)
    assert found[0, :4, 4].tolist() == pytest.approx([0.9, 0.7, 0.6, 0])
    made.net.suppresses = False
    assert made.measured(batch)[0, :4, 4].tolist() == pytest.approx([0.9, 0.8, 0.7, 0.6])


def test_calibration_says_by_which_overlap_boxes_are_one_object():
    assert calibration(Settings(overlap=0.5)).options == {"overlap": 0.5}
    assert calibration(Settings(), make(net={"one_to_one": True})).options == {"overlap": 1.0}


@pytest.mark.parametrize("overlap", [0.0, 1.1, float("nan")])
def test_an_overlap_out_of_range_is_refused(overlap):
    with pytest.raises(SettingsError, match=r"task.overlap must be in \(0, 1\]"):
        Settings(overlap=overlap)


@pytest.mark.parametrize(("side", "size"), [(20, 64), (100, 128), (480, 416), (3000, 416)])
def test_small_pictures_have_small_inputs(side, size):
    chosen = defaults(Survey(count=200, side=side, grey=False, in_memory=False))
    assert (chosen["size"], chosen["resize"], chosen["epochs"]) == (size, "letterbox", 200)


def test_a_batch_without_objects_is_learned_and_measured():
    made = make().train()
    batch = {PIXELS: torch.randint(256, (2, 64, 96, 3), dtype=torch.uint8)}, torch.full((2, 1, 6), -1.0)
    loss = made.loss(batch, "net")
    loss.backward()
    assert loss > 0
    with torch.inference_mode():
        figures = validation(made.eval().measured(batch).numpy(), batch[1].numpy(), Settings())
    assert np.isfinite(figures["map"])


def test_the_example_has_objects_where_its_pictures_differ():
    made = example(np.random.default_rng(0))
    (pixels,), targets = made.batch[0].values(), made.batch[1]
    for picture, rows in zip(pixels, targets, strict=True):
        for left, top, right, bottom, label, _ in rows.tolist():
            inside = picture[round(top * 64) : round(bottom * 64), round(left * 64) : round(right * 64)]
            assert inside.unique().tolist() == [5 if label else 250]


def test_a_small_set_is_learned_in_seconds(monkeypatch):
    monkeypatch.setitem(yolo._SIZES, "n", ((16, 16, 32, 64, 64), (1, 1, 1, 1)))
    spec = Preprocessing(height=64, width=64, mean=(0.5,) * 3, std=(0.25,) * 3)
    made = make(spec, net={"cold_steps": 10}).train()
    for layer in made.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.1  # 60 steps are too few for the statistics of a long training
    optimiser = torch.optim.AdamW(made.parameters(), lr=3e-3)
    pixels, targets = scenes(192, 64, seed=1)
    for step in range(60):
        at = torch.arange(step * 12, step * 12 + 12) % len(pixels)
        optimiser.param_groups[0]["lr"] = 3e-3 * min(1, (step + 1) / 5, (60 - step) / 30)
        optimiser.zero_grad()
        made.loss(({PIXELS: pixels[at]}, targets[at]), "net").backward()
        torch.nn.utils.clip_grad_norm_(made.parameters(), 10.0)
        optimiser.step()
    new, truth = scenes(64, 64, seed=2)
    with torch.inference_mode():
        found = made.eval().measured(({PIXELS: new}, truth)).numpy()
    assert validation(found, truth.numpy(), Settings())["map_50"] > 0.8
