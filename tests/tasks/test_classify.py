"""Classification: the loss by hand, the exported graph, a real fit."""

import math

import lightning
import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader, TensorDataset

from nets.exporting import largest_relative_difference
from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.nets.build import build_net
from sightsmith.tasks.classify import Settings, Task, graph

CLASSES = ("a", "b", "c")
SPEC = Preprocessing(height=8, width=8, colour="grey", mean=(0.4,), std=(0.2,))


def make(net="smallresnet", spec=SPEC, classes=CLASSES, counts=None, **settings):
    torch.manual_seed(0)
    module = build_net(net, {}, channels=spec.channels, classes=len(classes), height=spec.height, width=spec.width)
    return Task(module.module, classes, spec, Settings(**settings), class_counts=counts)


def batch(count=6, spec=SPEC, classes=3):
    torch.manual_seed(1)
    shape = (count, spec.channels, spec.height, spec.width)
    return torch.randint(256, shape, dtype=torch.uint8), torch.arange(count) % classes


def plain(task, images):
    """Log-probabilities by the definition, in evaluation mode."""
    mean, std = (torch.tensor(value)[:, None, None] for value in (task.preprocessing.mean, task.preprocessing.std))
    with torch.no_grad():
        return task.net((images / 255 - mean) / std).log_softmax(1)


def test_the_loss_by_hand():
    images, targets = batch()
    task = make(label_smoothing=0.3, class_weights="balanced", counts=[10, 20, 60]).eval()
    logs = plain(task, images).tolist()
    weights = [90 / (3 * count) for count in (10, 20, 60)]
    total = sum(
        -0.7 * weights[target] * row[target] - sum(0.1 * weight * log for weight, log in zip(weights, row, strict=True))
        for row, target in zip(logs, targets.tolist(), strict=True)
    )
    expected = total / sum(weights[target] for target in targets.tolist())
    assert task.loss((images, targets)).item() == pytest.approx(expected, rel=1e-4)


def test_the_loss_of_shares_is_that_of_the_classes():
    images, targets = batch()
    task = make().eval()
    shares = torch.nn.functional.one_hot(targets, 3).float()
    torch.testing.assert_close(task.loss((images, shares)), task.loss((images, targets)))


def test_the_mixed_loss_is_the_share_of_both_targets():
    images, targets = batch()
    task = make(mixup=0.5, label_smoothing=0.0).eval()
    torch.manual_seed(3)
    found = task.loss((images, targets)).item()
    torch.manual_seed(3)
    share = float(torch.distributions.Beta(0.5, 0.5).sample())
    partner = torch.randperm(6)
    logs = plain(task, share * images + (1 - share) * images[partner])
    expected = sum(-share * logs[i, targets[i]] - (1 - share) * logs[i, targets[partner[i]]] for i in range(6)).item()
    assert found == pytest.approx(expected / 6, rel=1e-4)


def graph_of(task, *outputs, **settings):
    return graph({"net": task.net}, task.preprocessing, "model", outputs, settings)


def test_exported_logits_and_map():
    images, _ = batch()
    task = make()
    pixels = images.permute(0, 2, 3, 1).contiguous()
    with torch.no_grad():
        logits, class_map = graph_of(task, "logits", "class_map")(pixels)
        (alone,) = graph_of(task, "logits")(pixels)
        cooler, same_map = graph_of(task, "probabilities", "class_map", temperature=2.0)(pixels)
    assert not task.net.training
    torch.testing.assert_close(logits.log_softmax(1), plain(task, images))
    torch.testing.assert_close(alone, logits)
    torch.testing.assert_close(cooler, (plain(task, images) / 2).softmax(1))
    torch.testing.assert_close(class_map, same_map)
    assert class_map.shape == (6, 3, 4, 4)


@pytest.mark.filterwarnings("ignore")
def test_exported_graph_by_onnx_runtime(tmp_path):
    spec = Preprocessing(height=16, width=20)
    images, _ = batch(3, spec)
    exported = graph_of(make("smallcnn", spec), "logits", "class_map")
    pixels = images.permute(0, 2, 3, 1).contiguous()
    assert largest_relative_difference(exported, pixels, tmp_path / "net.onnx") < 1e-4


def fit(task, images, targets, tmp_path):
    loader = DataLoader(TensorDataset(images, targets), batch_size=16)
    task.optimiser_factory = lambda task: torch.optim.AdamW(task.parameters(), lr=1e-2)
    trainer = lightning.Trainer(
        max_epochs=6,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(task, loader, loader)
    return trainer.callback_metrics


@pytest.mark.filterwarnings("ignore")
def test_a_real_fit_logs_what_the_definitions_say(tmp_path):
    from sklearn.datasets import load_digits

    digits = load_digits()
    chosen = digits.target < 7
    images = torch.from_numpy((digits.images[chosen][:160, None] * 15).astype(np.uint8))
    targets = torch.from_numpy(digits.target[chosen][:160])
    task = make(classes=tuple("0123456"), mixup=0.2)
    metrics = fit(task, images, targets, tmp_path)
    logs = plain(task.eval(), images)
    right = (logs.argmax(1) == targets).float().mean().item()
    top = (logs.topk(5).indices == targets[:, None]).any(1).float().mean().item()
    assert right > 0.8
    assert metrics["val_accuracy"].item() == pytest.approx(right, abs=1e-6)
    assert metrics["val_top5_accuracy"].item() == pytest.approx(top, abs=1e-6)
    assert metrics["val_loss"].item() == pytest.approx(torch.nn.functional.nll_loss(logs, targets).item(), rel=1e-3)
    assert metrics["train_loss"].isfinite()


def test_the_state_holds_the_net_alone():
    task = make(class_weights="balanced", counts=[1, 2, 3])
    assert all(key.startswith("net.") for key in task.state_dict())


def test_what_training_must_give():
    with pytest.raises(TrainingError, match="no optimiser_factory"):
        make().configure_optimizers()
    with pytest.raises(TrainingError, match="needs the number of training pictures"):
        make(class_weights="balanced").loss(batch())
    with pytest.raises(ValueError, match="3 classes need as many counts, got 2"):
        make(class_weights="balanced", counts=[1, 2])


@pytest.mark.parametrize(
    "wrong", [{"label_smoothing": 1.0}, {"mixup": -0.1}, {"cutmix": math.inf}, {"mixup": math.nan}, {"top_k": 0}]
)
def test_settings_out_of_range(wrong):
    with pytest.raises(SettingsError, match=f"task.{next(iter(wrong))} must be"):
        Settings(**wrong)
