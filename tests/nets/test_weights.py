"""Weights from files: what fits is loaded, what does not is named, and no code of a file runs."""

import os
import pickle
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.core.files import sha256
from sightsmith.nets.build import build_net
from sightsmith.nets.parts.weights import read_state

UNREADABLE = Path("/proc/self/mem")
"""A regular file that opens and then fails to be read, for root too."""


def build(name="smallresnet", weights="none", **change):
    size = {"channels": 3, "classes": 4, "height": 32, "width": 32} | change
    return build_net(name, **size, weights=str(weights))


def same(first, second):
    return first.keys() == second.keys() and all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize("name", ["smallcnn", "smallresnet", "resnet18"])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_saved_net_comes_back(tmp_path, name, suffix):
    state = build(name).module.state_dict()
    path = tmp_path / f"net.{suffix}"
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    built = build(name, path)
    assert same(built.module.state_dict(), state)
    assert built.weights.origin == path.name
    assert built.weights.sha256 == sha256(path)
    assert built.weights.notes == ()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda state: {"state_dict": state, "epoch": 3},
        lambda state: {"model": {f"module.{key}": value for key, value in state.items()}, "best": 0.9},
        lambda state: {f"net.net.{key}": value for key, value in state.items()},
        lambda state: {f"_orig_mod.{key}": value for key, value in state.items()},
    ],
)
def test_usual_containers_and_prefixes(tmp_path, wrap):
    published = build("resnet18").module.published().state_dict()
    torch.save(wrap(published), tmp_path / "net.pt")
    assert same(build("resnet18", tmp_path / "net.pt").module.published().state_dict(), published)


@pytest.mark.parametrize("name", ["smallcnn", "resnet18", "vit_tiny_patch16_224"])
def test_a_classifier_of_another_size_is_left_out_and_said_so(tmp_path, name):
    state = build(name, classes=10).module.state_dict()
    save_file(state, tmp_path / "net.safetensors")
    built = build(name, tmp_path / "net.safetensors", classes=3)
    head = {f"{part}.{kind}" for part in built.module.head_parts() for kind in ("weight", "bias")}
    loaded = built.module.state_dict()
    assert same({k: v for k, v in loaded.items() if k not in head}, {k: v for k, v in state.items() if k not in head})
    assert "10 outputs there, 3 here" in built.weights.notes[0]


def test_a_file_without_a_classifier_is_said_so(tmp_path):
    state = {key: value for key, value in build().module.state_dict().items() if not key.startswith("head.")}
    save_file(state, tmp_path / "net.safetensors")
    assert "no classifier (head.bias, head.weight)" in build(weights=tmp_path / "net.safetensors").weights.notes[0]


def test_other_channels_and_picture_sizes_are_adapted_and_said_so(tmp_path):
    state = build("vit_tiny_patch16_224", height=64, width=64).module.state_dict()
    save_file(state, tmp_path / "net.safetensors")
    built = build("vit_tiny_patch16_224", tmp_path / "net.safetensors", channels=1)
    assert "adapted from 3 colour channels to 1" in " ".join(built.weights.notes)
    grey = built.module.net.patch_embed.proj.weight
    torch.testing.assert_close(grey, state["net.patch_embed.proj.weight"].sum(1, keepdim=True))
    assert built.module.net.pos_embed.shape[1] == 2 * 2 + 1


def test_the_foreign_checkpoint_of_another_resnet_is_named(shared_data):
    path = shared_data("weights") / "resnet_cifar10" / "resnet20-12fca82f.th"
    state = read_state(path)
    assert state["module.linear.weight"].shape == (10, 64)
    with pytest.raises(DataError, match="not those of resnet18") as caught:
        build("resnet18", path, classes=10)
    message = str(caught.value)
    assert "missing: " in message
    assert "not part of the net: " in message
    assert "weights='none'" in message


def test_missing_unexpected_and_misshapen_tensors_are_named(tmp_path):
    state = build("smallcnn").module.state_dict()
    state["conv1.kernel"] = state.pop("conv1.weight")
    state["dense.bias"] = torch.zeros(5)
    save_file(state, tmp_path / "net.safetensors")
    with pytest.raises(DataError) as caught:
        build("smallcnn", tmp_path / "net.safetensors")
    message = str(caught.value)
    assert "missing: conv1.weight" in message
    assert "not part of the net: conv1.kernel" in message
    assert "dense.bias (5,) instead of (128,)" in message


class Evil:
    def __reduce__(self):
        return os.mkdir, ("it-ran",)


def test_code_in_a_file_is_refused_and_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"state_dict": {"weight": torch.zeros(1)}, "more": Evil()}, tmp_path / "a.pth")
    (tmp_path / "b.pth").write_bytes(pickle.dumps(Evil()))
    for name in ("a.pth", "b.pth"):
        with pytest.raises(DataError, match="code in a weights file is never run"):
            read_state(tmp_path / name)
    assert not (tmp_path / "it-ran").exists()


@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_truncated_file(tmp_path, suffix):
    path = tmp_path / f"net.{suffix}"
    state = build("smallcnn").module.state_dict()
    save_file(state, path) if suffix == "safetensors" else torch.save(state, path)
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(DataError, match=f"net.{suffix}: not a whole"):
        read_state(path)


@pytest.mark.skipif(not UNREADABLE.is_file(), reason="needs Linux's /proc")
@pytest.mark.parametrize("suffix", ["pth", "safetensors"])
def test_a_file_that_fails_to_be_read(tmp_path, suffix):
    path = tmp_path / f"net.{suffix}"
    path.symlink_to(UNREADABLE)
    with pytest.raises(DataError, match=rf"net\.{suffix}: .*(No such device|Input/output error).*\)\. "):
        read_state(path)


@pytest.mark.parametrize(("content", "name"), [([1, 2], "list.pt"), ({"epoch": 1}, "empty.pt")])
def test_a_file_without_tensors(tmp_path, content, name):
    torch.save(content, tmp_path / name)
    with pytest.raises(DataError, match="holds no tensors"):
        read_state(tmp_path / name)


@pytest.mark.parametrize(
    ("name", "message"), [("net.h5", "must be none, pretrained, or a file"), ("no.pth", "no such file")]
)
def test_names_that_are_no_weights(tmp_path, name, message):
    with pytest.raises(SettingsError, match=message):
        build(weights=tmp_path / name)
