"""The detectors of transformers: trained by its losses, answering as it does, exported, and started from its files."""

import numpy as np
import onnxruntime
import pytest
import torch
from safetensors.torch import save_file

from nets.exporting import converted, ports
from sightsmith.core.errors import BackendError, DataError, SettingsError
from sightsmith.kinds.boxes.geometry import iou
from sightsmith.kinds.boxes.value import TOLERANCES, decode, differences
from sightsmith.nets.build import build_net, describe_net, net_names
from sightsmith.nets.libraries import transformers as library

pytest.importorskip("transformers", reason="the extra `transformers` is not installed")

SIDE = 64
NAMES = ("bright", "dark")
QUERIES = {"queries": 20}
STEPS = 100
NARROW = {
    "feat_strides": [16, 32], "num_feature_levels": 2, "encode_proj_layers": [1], "encoder_in_channels": [32, 48],
    "d_model": 32, "encoder_hidden_dim": 32, "encoder_ffn_dim": 32, "encoder_attention_heads": 2, "depth_mult": 0.34,
    "decoder_in_channels": [32, 32], "decoder_ffn_dim": 32, "decoder_attention_heads": 2, "decoder_layers": 2,
}  # fmt: skip
SMALL = {
    "small_dfine": library._dfine(
        "nano",
        library._hgnet([3, 8, 16], [8, 16, 16, 16], [16, 24, 32, 48], [1, 1, 1, 1], 1, out_indices=[3, 4]),
        **NARROW | {"decoder_n_points": [3, 3]},
    ),
    "small_rtdetr": library._Net(
        kind="rt_detr_v2",
        paper="",
        weights="",
        options={
            "backbone_config": {
                "model_type": "rt_detr_resnet", "embedding_size": 16, "depths": [1, 1, 1, 1], "layer_type": "basic",
                "hidden_sizes": [16, 24, 32, 48], "out_indices": [3, 4],
            },
            **NARROW, "decoder_n_points": 3, "decoder_n_levels": 2,
        },
    ),
}  # fmt: skip
"""Both architectures as narrow as they go, so that learning and exporting one takes seconds."""


def build(name="dfine_n", settings=QUERIES, weights="none", classes=2, height=SIDE, width=SIDE):
    torch.manual_seed(7)
    return build_net(name, settings, channels=3, classes=classes, height=height, width=width, weights=str(weights))


def scenes(count):
    """Return pictures with a bright or a dark square each on grey, and their objects in pixels."""
    rng = np.random.default_rng(1)
    images = torch.from_numpy(rng.normal(0, 0.1, (count, 3, SIDE, SIDE)).astype(np.float32))
    targets = torch.zeros(count, 2, 6)
    targets[:, 1, 4] = -1
    for at, (image, rows) in enumerate(zip(images, targets, strict=True)):
        left, top = rng.integers(4, 28, 2).tolist()
        image[:, top : top + 28, left : left + 28] += -2 if at % 2 else 2
        rows[0] = torch.tensor([left, top, left + 28, top + 28, at % 2, 0])
    return images, targets


@pytest.fixture(scope="module", params=SMALL)
def learned(request):
    """Return a net that has learned four pictures by heart, and these."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, "_NETS", library._NETS | SMALL)
        module = build(request.param, {"queries": 20, "denoised": 20}).module.train()
    images, targets = scenes(4)
    for layer in module.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.3  # so few steps are too few for the statistics of a long training
    optimiser = torch.optim.AdamW(module.parameters(), lr=0.0)
    for step in range(STEPS):
        optimiser.param_groups[0]["lr"] = 1e-2 * min(1, (step + 1) / 5, (STEPS - step) / 20)
        optimiser.zero_grad()
        torch.stack(list(module.losses(images, targets, 0).values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(module.parameters(), 1.0)
        optimiser.step()
    return module.eval(), images, targets


def answers(detections):
    shares = np.asarray(detections) / [SIDE, SIDE, SIDE, SIDE, 1, 1]
    return decode({"detections": shares}, NAMES, {"overlap": 1.0})


def test_it_learns_a_batch(learned):
    module, images, targets = learned
    with torch.inference_mode():
        found = module(images)
    for (best, *_), (rows, *_) in zip(found, targets, strict=True):
        assert best[5] == rows[4]
        assert iou(best[None, :4].numpy(), rows[None, :4].numpy()) > 0.5


def test_an_exported_net_finds_the_same_objects_in_any_batch(learned, tmp_path):
    module, images, _ = learned
    session = converted(module, ports({"images": images[:2]}), ["detections"], tmp_path)
    onnx = onnxruntime.InferenceSession(tmp_path / "main.onnx")
    for count in (1, 2, 3):
        batch = images[:count]
        with torch.inference_mode():
            expected = answers(module(batch))
        assert sum(len(one.kept(threshold=0.05)) for one in expected) >= len(batch)
        for found in (
            session.run({"images": batch.numpy()})["detections"],
            onnx.run(None, {"images": batch.numpy()})[0],
        ):
            apart = differences(expected, answers(found))
            assert apart["scores"] <= TOLERANCES["fp32"]["scores"]
            assert apart["boxes"] <= TOLERANCES["fp32"]["boxes"]


def test_answers_are_those_of_the_library(learned):
    from transformers import RTDetrImageProcessor

    module, images, _ = learned
    with torch.inference_mode():
        ours, theirs = module(images), module.model(images)
    processor = RTDetrImageProcessor()
    for found, one in zip(ours, processor.post_process_object_detection(theirs, 0.0, [(SIDE, SIDE)] * 4), strict=True):
        count = len(one["scores"])
        torch.testing.assert_close(found[:count, 4], one["scores"])
        torch.testing.assert_close(found[:count, :4], one["boxes"].clamp(0, SIDE), rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", ["dfine_n", "rtdetr_v2_r18vd"])
def test_odd_objects_give_finite_losses_and_ignored_ones_count_as_none(name):
    module = build(name).module.train()
    images = torch.randn(1, 3, SIDE, SIDE)  # one picture alone
    degenerate = torch.tensor([[[5.0, 5, 5, 40, 0, 0], [9, 9, 60, 60, 1, 1], [0, 0, 0, 0, -1, 0]]])
    none = torch.tensor([[[0.0, 0, 0, 0, -1, 0]]])
    odd, empty, pixel = (
        module.losses(images, one, 0) for one in (degenerate, none, torch.tensor([[[3.0, 3, 4, 4, 1, 0]]]))
    )
    assert {key: part.item() for key, part in odd.items()} == {key: part.item() for key, part in empty.items()}
    torch.stack(list(pixel.values())).sum().backward()
    assert all(one.grad is not None and one.grad.isfinite().all() for one in module.parameters())
    assert all(part.isfinite() for part in (*empty.values(), *pixel.values()))


def published(name, folder, classes=80):
    """Write weights as the library publishes them, and return its net."""
    from sightsmith.nets.parts import transformers_net

    torch.manual_seed(3)
    net = library._NETS[name]
    configuration, architecture = transformers_net._CLASSES[net.kind]
    theirs = architecture(configuration(**net.options, num_labels=classes))
    theirs.save_pretrained(folder)  # it writes the names of transformers 4, as the published files have
    return theirs


def test_published_weights_are_read_with_a_new_head(tmp_path, monkeypatch):
    name = "dfine_n"
    theirs = published(name, tmp_path).state_dict()
    file = tmp_path / "model.safetensors"
    monkeypatch.setattr(library, "from_hub", lambda repository, *names: file)
    built = build(name, weights="pretrained")
    assert (built.weights.origin, built.weights.licence) == ("ustc-community/dfine-nano-coco", "Apache-2.0")
    assert built.weights.new_head
    assert "80 outputs there, 2 here" in built.weights.notes[0]
    ours = built.module.model.state_dict()
    heads = tuple(f"{part.removeprefix('model.')}." for part in built.module.head_parts())
    body = [key for key in ours if not key.startswith(heads) and not key.endswith("num_batches_tracked")]
    assert len(body) > 300
    assert all(torch.equal(ours[key], theirs[key]) for key in body)
    whole = build(name, weights=file, classes=80)
    assert not whole.weights.new_head
    assert all(torch.equal(one, theirs[key]) for key, one in whole.module.model.state_dict().items() if key in theirs)


def test_names_of_published_files_of_the_other_architecture(tmp_path):
    state = {
        "model.encoder.encoder.0.layers.0.fc1.weight": torch.zeros(1),
        "model.encoder.encoder.0.layers.0.self_attn.out_proj.bias": torch.zeros(1),
        "model.decoder.layers.2.fc2.bias": torch.zeros(1),
        "class_embed.1.bias": torch.zeros(1),
    }
    renamed = set(library._renamed(state)[0])
    assert renamed == {
        "model.encoder.aifi.0.layers.0.mlp.fc1.weight",
        "model.encoder.aifi.0.layers.0.self_attn.o_proj.bias",
        "model.decoder.layers.2.mlp.fc2.bias",
        "model.decoder.class_embed.1.bias",
    }
    with torch.device("meta"):
        net = library._module("rtdetr_v2_r18vd", library.Settings(), 2, SIDE, SIDE)
    assert renamed <= set(net.model.state_dict())


def test_a_file_of_another_net_is_refused(tmp_path):
    save_file({"conv.weight": torch.zeros(3)}, tmp_path / "other.safetensors")
    with pytest.raises(DataError, match="the weights are not those of dfine_n"):
        build(weights=tmp_path / "other.safetensors")


def test_names_and_facts():
    assert {"dfine_n", "dfine_x"} <= {info.name for info in net_names("dfine")}
    info = describe_net("rtdetr_v2_r18vd")
    assert (info.family, info.library, info.licence) == ("detector", "transformers", "Apache-2.0")
    assert info.pretrained == (("PekingU/rtdetr_v2_r18vd", "Apache-2.0"),)
    assert info.parameters == pytest.approx(20e6, rel=0.02)  # as the paper counts them
    assert (info.native.height, info.native.mean) == (640, (0.0, 0.0, 0.0))


def test_settings_and_sizes_are_checked():
    with pytest.raises(SettingsError, match="queries must be ≥ 1"):
        build(settings={"queries": 0})
    with pytest.raises(SettingsError, match="multiples of 32 pixels, not 100×64.*size=96"):
        build(width=100)
    assert build(settings={}).module.queries == 4 * 4 + 2 * 2  # a small input has no more points


def test_without_the_library_the_extra_is_named(monkeypatch):
    monkeypatch.setattr(library, "find_spec", lambda name: None)
    assert describe_net("dfine_n").parameters is None
    with pytest.raises(BackendError, match=r"dfine_n: .* pip install 'sightsmith\[transformers\]'"):
        build()
