"""Classification: the loss by hand, the exported graph, what validation measures."""

import math

import numpy as np
import pytest
import torch

from nets.exporting import largest_relative_difference
from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.inputs.picture import PIXELS
from sightsmith.nets.build import build_net
from sightsmith.tasks.classify import Settings, check, graph, learner, sizes, validation
from sightsmith.tasks.parts.learner import Facts

CLASSES = ("a", "b", "c")
SPEC = Preprocessing(height=8, width=8, colour="grey", mean=(0.4,), std=(0.2,))


def make(net="smallresnet", spec=SPEC, names=CLASSES, counts=None, **changes):
    torch.manual_seed(0)
    built = build_net(net, {}, **sizes(names, spec))
    targets_N = None if counts is None else np.repeat(np.arange(len(counts)), counts)
    facts = Facts(names=names, input_settings=spec, targets=targets_N)
    return learner({"net": built.module}, facts, Settings(**changes))


def batch(count=6, spec=SPEC, classes=3):
    torch.manual_seed(1)
    return torch.randint(256, (count, *spec.shape), dtype=torch.uint8), torch.arange(count) % classes


def plain(learner, pixels, spec=SPEC):
    """Log-probabilities by the definition, in evaluation mode."""
    images = pixels.permute(0, 3, 1, 2)
    mean, std = (torch.tensor(value)[:, None, None] for value in (spec.mean, spec.std))
    with torch.no_grad():
        return learner.nets["net"]((images / 255 - mean) / std).log_softmax(1)


def test_the_loss_by_hand():
    pixels, targets = batch()
    task = make(label_smoothing=0.3, class_weights="balanced", counts=[10, 20, 60]).eval()
    logs = plain(task, pixels).tolist()
    weights = [90 / (3 * count) for count in (10, 20, 60)]
    total = sum(
        -0.7 * weights[target] * row[target] - sum(0.1 * weight * log for weight, log in zip(weights, row, strict=True))
        for row, target in zip(logs, targets.tolist(), strict=True)
    )
    expected = total / sum(weights[target] for target in targets.tolist())
    assert task.loss(({PIXELS: pixels}, targets), "net").item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_shares_is_that_of_the_classes():
    pixels, targets = batch()
    task = make().eval()
    shares = torch.nn.functional.one_hot(targets, 3).float()
    torch.testing.assert_close(
        task.loss(({PIXELS: pixels}, shares), "net"), task.loss(({PIXELS: pixels}, targets), "net")
    )


def test_the_mixed_loss_is_the_share_of_both_targets():
    pixels, targets = batch()
    task = make(mixup=0.5, label_smoothing=0.0).eval()
    torch.manual_seed(3)
    found = task.loss(({PIXELS: pixels}, targets), "net").item()
    torch.manual_seed(3)
    share = float(torch.distributions.Beta(0.5, 0.5).sample())
    partner = torch.randperm(6)
    logs = plain(task, share * pixels + (1 - share) * pixels[partner])
    expected = sum(-share * logs[i, targets[i]] - (1 - share) * logs[i, targets[partner[i]]] for i in range(6)).item()
    assert found == pytest.approx(expected / 6, rel=1e-4)


def graph_of(learner, *outputs, spec=SPEC, **settings):
    return graph(learner.nets, spec, "model", outputs, settings)


def test_exported_logits_and_map():
    pixels, _ = batch()
    task = make()
    with torch.no_grad():
        logits, class_map = graph_of(task, "logits", "class_map")(pixels)
        (alone,) = graph_of(task, "logits")(pixels)
        cooler, same_map = graph_of(task, "probabilities", "class_map", temperature=2.0)(pixels)
    assert not task.nets["net"].training
    torch.testing.assert_close(logits.log_softmax(1), plain(task, pixels))
    torch.testing.assert_close(alone, logits)
    torch.testing.assert_close(cooler, (plain(task, pixels) / 2).softmax(1))
    torch.testing.assert_close(class_map, same_map)
    assert class_map.shape == (6, 3, 4, 4)


@pytest.mark.filterwarnings("ignore")
def test_exported_graph_by_onnx_runtime(tmp_path):
    spec = Preprocessing(height=16, width=20)
    pixels, _ = batch(3, spec)
    exported = graph_of(make("smallcnn", spec), "logits", "class_map", spec=spec)
    assert largest_relative_difference(exported, pixels, tmp_path / "net.onnx") < 1e-4


def test_validation_by_the_definitions():
    rng = np.random.default_rng(0)
    logits, targets = rng.normal(size=(200, 7)).astype(np.float32), rng.integers(7, size=200)
    found = validation(logits, targets, Settings())
    scores = torch.from_numpy(logits)
    truth = torch.from_numpy(targets)
    top = (scores.topk(5).indices == truth[:, None]).any(1).double().mean().item()
    assert found == {
        "loss": pytest.approx(torch.nn.functional.cross_entropy(scores, truth).item(), rel=1e-5),
        "accuracy": (scores.argmax(1) == truth).double().mean().item(),
        "top5_accuracy": top,
    }
    assert "top5_accuracy" not in validation(logits[:, :5], targets % 5, Settings())


def test_the_state_holds_the_net_alone():
    task = make(class_weights="balanced", counts=[1, 2, 3])
    assert all(key.startswith("nets.net.") for key in task.state_dict())


def test_settings_that_correct_twice_are_refused():
    check(Settings(), balanced=True)
    check(Settings(class_weights="balanced"), balanced=False)
    with pytest.raises(SettingsError, match="correct twice"):
        check(Settings(class_weights="balanced"), balanced=True)
    with pytest.raises(TrainingError, match="needs the targets of the training pictures"):
        make(class_weights="balanced")


@pytest.mark.parametrize(
    "wrong", [{"label_smoothing": 1.0}, {"mixup": -0.1}, {"cutmix": math.inf}, {"mixup": math.nan}, {"top_k": 0}]
)
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingsError, match=f"task.{next(iter(wrong))} must be"):
        Settings(**wrong)
