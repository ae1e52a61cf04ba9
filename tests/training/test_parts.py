"""The parts of training, each by itself: settings, checkpoints, average, schedule, calibration, the rate's finder."""

import copy
import csv
import math
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from lightning import LightningModule
from torch import nn

from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.core.settings import field_docs, from_mapping, to_mapping
from sightsmith.kinds import KINDS
from sightsmith.kinds.labels.temperature import cross_entropy, fit_temperature
from sightsmith.tasks.parts.learner import Learner
from sightsmith.training.checkpoints import load_tree, save_tree
from sightsmith.training.choice import Choice
from sightsmith.training.console import Console
from sightsmith.training.curves import Curves, Epoch
from sightsmith.training.lr_find import find_lr
from sightsmith.training.optim import RunningAverage, Schedule, make_optimisers, parameter_groups
from sightsmith.training.settings import TrainSettings
from sightsmith.training.task import choose_task, task_line

# --- settings


def test_settings_need_no_torch():
    import subprocess

    code = "import sys, sightsmith.training.settings; sys.exit('torch' in sys.modules or 'lightning' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        ({"val_fraction": 0.0}, "val_fraction must be > 0"),
        ({"val_fraction": 0.7}, r"val_fraction must be in 0…0.5, got 0.7"),
        ({"batch_size": 1}, "batch_size must be in 2…65536"),
        ({"lr": 0.0}, "lr must be > 0, or find"),
        ({"lr": float("nan")}, "lr must be"),
        ({"ema": 1.0}, "ema must be < 1"),
        ({"size": 3}, "size must be in"),
        ({"folds": 1}, "folds must be 0"),
        ({"folds": 5, "fold": 5}, "fold must be less than folds"),
        ({"epochs": 3, "freeze_epochs": 3}, "freeze_epochs must be less than epochs"),
        ({"momentum": 0.0}, "nesterov must be off"),
        ({"clip": -1.0}, "clip must be in"),
        ({"witnesses": 65}, "witnesses must be in"),
    ],
)
def test_settings_out_of_range_name_the_rule_and_the_value(wrong, text):
    with pytest.raises(SettingsError, match=text):
        TrainSettings(data="digits", out="x", **wrong)


def test_settings_come_back_from_toml_and_each_has_its_help():
    given = TrainSettings(data="digits", out="x", lr="find", net={"width": 8}, patience=3)
    assert to_mapping(from_mapping(TrainSettings, to_mapping(given), where="run.toml")) == to_mapping(given)
    docs = field_docs(TrainSettings)
    assert [name for name in TrainSettings.__dataclass_fields__ if not docs.get(name)] == []


# --- checkpoints

plain = st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text())
trees = st.recursive(
    plain,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.tuples(inner, inner),
        st.dictionaries(st.one_of(st.text(), st.integers()), inner, max_size=3),
    ),
    max_leaves=12,
)


@given(tree=trees)
@settings(max_examples=100, deadline=None)
def test_a_tree_of_plain_values_comes_back_equal(tree, tmp_path_factory):
    path = tmp_path_factory.mktemp("tree") / "tree.safetensors"
    save_tree({"tree": tree}, path)
    assert load_tree(path) == {"tree": tree}


def test_tensors_come_back_with_their_bits_types_and_memory_layout(tmp_path):
    filters = torch.randn(8, 3, 5, 5).to(memory_format=torch.channels_last)
    flat = torch.arange(10.0)
    tree = {
        "filters": filters,
        "view": flat[2:5],
        "whole": flat,
        "step": torch.tensor(3.0),
        "half": torch.randn(3).to(torch.bfloat16),
        "empty": torch.zeros(0, 4),
        "pointwise": torch.randn(4, 4, 1, 1).to(memory_format=torch.channels_last),
        0: {"nan": float("nan"), "inf": -math.inf},
    }
    save_tree(tree, tmp_path / "t")
    back = load_tree(tmp_path / "t")
    for name in ("filters", "view", "whole", "step", "half", "empty", "pointwise"):
        assert torch.equal(back[name], tree[name])
        assert back[name].dtype == tree[name].dtype
    assert back["filters"].stride() == filters.stride()
    assert math.isnan(back[0]["nan"])
    assert back[0]["inf"] == -math.inf


def test_a_checkpoint_holds_data_only(tmp_path):
    with pytest.raises(TrainingError, match="object is none of them"):
        save_tree({"thing": object()}, tmp_path / "t")
    with pytest.raises(TrainingError, match="is neither"):
        save_tree({(1, 2): 3}, tmp_path / "t")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("spoil", [lambda raw: raw[: len(raw) // 2], lambda raw: b"PK" + raw, lambda raw: b""])
def test_a_damaged_checkpoint_is_a_clear_error(tmp_path, spoil):
    path = tmp_path / "last"
    save_tree({"weights": torch.randn(100)}, path)
    path.write_bytes(spoil(path.read_bytes()))
    with pytest.raises(TrainingError, match="not a whole checkpoint"):
        load_tree(path)


def optimiser_of(net, name, momentum=0.9, *, nesterov=False):
    chosen = {"weight_decay": 0.1, "head_scale": 1.0, "fused": True}
    plan = SimpleNamespace(**{choice: Choice(value, "") for choice, value in chosen.items()})
    asked = TrainSettings(data="digits", optimizer=name, momentum=momentum, nesterov=nesterov)
    (optimiser,) = make_optimisers(SimpleNamespace(settings=asked, plan=plan, learner=Learner({"net": net})))
    return optimiser


def test_optimisers_follow_the_settings_and_the_plan():
    sgd = optimiser_of(nn.Linear(2, 2), "sgd", momentum=0.8, nesterov=True)
    assert (type(sgd), sgd.defaults["momentum"], sgd.defaults["nesterov"]) == (torch.optim.SGD, 0.8, True)
    adamw = optimiser_of(nn.Linear(2, 2), "adamw")
    assert type(adamw) is torch.optim.AdamW
    for made in (sgd, adamw):
        assert made.defaults["fused"]
        assert [group["weight_decay"] for group in made.param_groups] == [0.1, 0.0]


@pytest.mark.parametrize("name", ["adamw", "sgd"])
def test_a_fused_optimiser_goes_on_from_a_checkpoint_as_if_nothing_had_happened(tmp_path, name):
    def step(net, optimizer, seed):
        torch.manual_seed(seed)
        optimizer.zero_grad()
        for group in optimizer.param_groups:
            group["lr"] = 0.1
        net(torch.randn(4, 3, 8, 8).to(memory_format=torch.channels_last)).square().mean().backward()
        optimizer.step()

    def fresh():
        torch.manual_seed(0)
        net = nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(288, 2))
        net.to(memory_format=torch.channels_last)
        return net, optimiser_of(net, name)

    net, optimizer = fresh()
    for seed in range(3):
        step(net, optimizer, seed)
    save_tree({"net": net.state_dict(), "optimizer": optimizer.state_dict()}, tmp_path / "t")
    step(net, optimizer, 9)
    again, resumed = fresh()
    tree = load_tree(tmp_path / "t")
    again.load_state_dict(tree["net"])
    resumed.load_state_dict(tree["optimizer"])
    step(again, resumed, 9)
    assert all(torch.equal(one, two) for one, two in zip(net.parameters(), again.parameters(), strict=True))


# --- schedule and groups


def test_the_rate_climbs_then_falls_to_nothing():
    schedule = Schedule(peak=2.0, steps=100, warmup=10)
    rates = [schedule.at(step) for step in range(100)]
    assert rates[:10] == sorted(rates[:10])
    assert rates[0] == pytest.approx(2 / 11)
    assert rates[10] == 2.0
    assert rates[10:] == sorted(rates[10:], reverse=True)
    assert rates[55] == pytest.approx(1.0)
    assert 0 < rates[99] < 0.001
    assert schedule.at(1000) == 0
    constant = Schedule(peak=2.0, steps=100, warmup=0, kind="constant")
    assert {constant.at(step) for step in (0, 50, 99)} == {2.0}


def test_the_flat_rate_stays_for_half_of_the_steps_and_ends_at_a_twentieth():
    schedule = Schedule(peak=2.0, steps=100, warmup=3, kind="flat")
    rates = [schedule.at(step) for step in range(101)]
    assert rates[0] == pytest.approx(0.5)
    assert set(rates[3:51]) == {2.0}
    assert rates[51:] == sorted(rates[51:], reverse=True)
    assert rates[75] == pytest.approx(2.0 * (1 + 0.05) / 2)
    assert rates[100] == schedule.at(1000) == pytest.approx(0.1)
    late = Schedule(peak=2.0, steps=10, warmup=8, kind="flat")
    assert late.at(8) == 2.0
    assert late.at(10) == pytest.approx(0.1)


def test_groups_hold_every_parameter_once_and_only_matrices_decay():
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2))
    groups = parameter_groups([net], net[2].parameters(), 0.1, 10.0)
    seen = [id(parameter) for group in groups for parameter in group["params"]]
    assert sorted(seen) == sorted(id(parameter) for parameter in net.parameters())
    for group in groups:
        assert all((parameter.dim() > 1) == (group["weight_decay"] > 0) for parameter in group["params"])
    by_id = {id(parameter): group["scale"] for group in groups for parameter in group["params"]}
    assert by_id[id(net[2].weight)] == by_id[id(net[2].bias)] == 10
    assert by_id[id(net[0].weight)] == 1


# --- running average


class _Clock:
    """What the callback asks a trainer for."""

    global_step = 0


def test_the_average_follows_the_formula_and_floats_alone():
    module, average, clock = LightningModule(), RunningAverage(0.5), _Clock()
    module.net = net = nn.Sequential(nn.Linear(2, 1), nn.BatchNorm1d(1))
    average.setup(clock, module, "fit")
    expected = torch.zeros(1, 2)
    for n in range(1, 12):
        with torch.no_grad():
            net[0].weight.add_(1.0)
            net[1].num_batches_tracked.add_(1)
        clock.global_step = n
        average.on_train_batch_end(clock, module, None, None, n)
        average.on_train_batch_end(clock, module, None, None, n)  # no new optimiser step: nothing moves
        decay = min(0.5, (1 + n) / (10 + n)) if n > 1 else 0
        expected = decay * expected + (1 - decay) * net[0].weight.detach()
    assert torch.allclose(average.weights()["net.0.weight"], expected)
    assert int(average.weights()["net.1.num_batches_tracked"]) == 11
    before = copy.deepcopy(net.state_dict())
    kept = average.weights()["net.0.weight"].clone()
    average.on_validation_epoch_start(clock, module)
    assert torch.equal(net[0].weight, kept)
    average.on_validation_epoch_end(clock, module)
    assert all(torch.equal(net.state_dict()[name], before[name]) for name in before)


# --- temperature


@pytest.mark.parametrize("true", [0.5, 1.0, 2.5])
def test_the_temperature_that_made_the_labels_is_found_again(true):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(6000, 5)) * 3
    odds = np.exp(logits / true)
    labels = np.array([rng.choice(5, p=row / row.sum()) for row in odds])
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(true, rel=0.08)
    assert cross_entropy(logits, labels, found) <= cross_entropy(logits, labels) + 1e-12


def test_a_net_without_a_mistake_on_forty_pictures_is_sure_to_forty_one_parts_of_forty_two():
    logits = np.eye(4)[np.arange(40) % 4] * 5
    temperature = fit_temperature(logits, np.arange(40) % 4)
    assert np.exp(5 / temperature) / (np.exp(5 / temperature) + 3) == pytest.approx(41 / 42, abs=1e-3)


# --- finding the rate


def test_the_finder_suggests_a_rate_that_learns_and_puts_the_weights_back():
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(8, 32), nn.ReLU(), nn.Linear(32, 3))
    before = copy.deepcopy(net.state_dict())
    inputs = torch.randn(60, 8)
    labels = inputs[:, :3].argmax(dim=1)

    def loss_of(batch):
        return nn.functional.cross_entropy(net(batch[0]), batch[1])

    sweep = find_lr(net, loss_of, [(inputs, labels)], optimiser_of(net, "adamw"), seed=0, clip=1.0)
    assert all(torch.equal(net.state_dict()[name], before[name]) for name in before)
    assert 1e-4 < sweep.suggestion < 1
    rows = list(csv.reader(sweep.to_csv().splitlines()))
    assert rows[0] == ["lr", "loss"]
    assert len(rows) - 1 == len(sweep.rates)
    assert f"{sweep.suggestion:.2g}" in sweep.to_svg()


def test_the_finder_says_so_where_the_loss_is_never_a_number():
    net = nn.Linear(2, 2)
    with pytest.raises(TrainingError, match="lr=find"):
        find_lr(net, lambda _: net.weight.sum() * float("nan"), [None], optimiser_of(net, "sgd"), seed=0, clip=1.0)


def test_the_finder_clips_as_training_does():
    """The loss is so steep that steps of its own gradient blow up a thousand times sooner than shortened ones."""
    net = nn.Linear(1, 1)

    def loss_of(_):
        return 1000 * (net.weight**2 + net.bias**2).sum()

    free = find_lr(net, loss_of, [None], optimiser_of(net, "sgd", momentum=0.0), seed=0, clip=0.0)
    clipped = find_lr(net, loss_of, [None], optimiser_of(net, "sgd", momentum=0.0), seed=0, clip=1.0)
    assert clipped.rates[-1] > 10 * free.rates[-1]


# --- curves


def _epoch(number: int) -> Epoch:
    return Epoch(
        number=number, step=number * 3, lr=0.1, train_loss=1 / number, metric="accuracy",
        figures={"top5_accuracy": 0.9, "accuracy": 0.7, "loss": 0.5}, best=True, seconds=1.0, rate=10.0,
    )  # fmt: skip


def test_the_curve_is_cut_back_to_where_a_resumed_training_starts(tmp_path):
    curves = Curves(tmp_path)
    curves.keep_until(0)
    for number in (1, 2, 3):
        curves.add(_epoch(number), [0.5, 0.25])
    whole = (tmp_path / "metrics.csv").read_text()
    with (tmp_path / "steps.csv").open("a") as file:
        file.write("4,1,0.2")  # cut off by a crash
    Curves(tmp_path).keep_until(2)
    curves.add(_epoch(3), [0.5, 0.25])
    assert (tmp_path / "metrics.csv").read_text() == whole
    assert "train_loss,val_loss,val_accuracy,val_top5_accuracy,seconds" in whole
    assert (tmp_path / "steps.csv").read_text().splitlines()[1:] == [
        f"{epoch},{batch},{loss}" for epoch in (1, 2, 3) for batch, loss in ((1, 0.5), (2, 0.25))
    ]


def test_the_time_left_agrees_with_the_rate_beside_it(capsys):
    trainer = SimpleNamespace(num_training_batches=422, current_epoch=0)
    show = Console(epochs=3, batch_size=32, unit="img/s", quiet=False)
    show.on_train_start(trainer, None)
    show.epoch(trainer, replace(_epoch(1), rate=473.0))
    assert "473 img/s  57 s left" in capsys.readouterr().err


@pytest.mark.parametrize(("kind", "name"), [("labels", "classify"), ("tags", "tag"), ("boxes", "detect")])
def test_the_kind_of_the_truths_chooses_the_task_and_it_is_said_why(kind, name):
    asked = TrainSettings(data="somewhere")
    task = choose_task(asked, kind)
    nouns = KINDS.module(kind).NOUNS[1]
    assert task.name == name
    assert (
        task_line(asked, task, kind, "picture")
        == f"Task: {name}, because the truths are {nouns} of pictures; --task names another."
    )


def test_a_task_that_was_named_is_said_to_be():
    asked = TrainSettings(data="digits", task={"name": "vae"})
    assert task_line(asked, choose_task(asked, "labels"), "labels", "picture") == "Task: vae, as --task says."
