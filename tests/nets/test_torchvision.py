"""The detectors of torchvision: trained by its losses, answering as it does, and started from its files."""

from pathlib import Path

import pytest
import torch
import torchvision

from sightsmith.core.errors import DataError, SettingsError
from sightsmith.kinds.boxes.geometry import iou
from sightsmith.kinds.boxes.value import decode
from sightsmith.nets.build import build_net, describe_net, net_names

SSD, RCNN, RETINA = "ssdlite320_mobilenet_v3_large", "fasterrcnn_mobilenet_v3_large_320_fpn", "retinanet_resnet50_fpn"
HEIGHT, WIDTH, CLASSES = 96, 128, 3


def build(name, settings=None, weights="none", classes=CLASSES):
    torch.manual_seed(7)
    return build_net(name, settings, channels=3, classes=classes, height=HEIGHT, width=WIDTH, weights=str(weights))


def spread(module):
    """Change a net that answers nearly the same everywhere so that no two scores are alike."""
    torch.manual_seed(8)
    module.train()
    module.losses(torch.randn(4, 3, HEIGHT, WIDTH), torch.tensor([[[8.0, 8, 60, 60, 1, 0]]]).repeat(4, 1, 1), 0)
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if any(part in name for part in ("box_predictor", "cls_logits", "classification_head", "rpn.head")):
                parameter.mul_(4)
    return module.eval()


@pytest.mark.parametrize("name", [SSD, RCNN])
def test_answers_are_those_of_the_library(name):
    module = spread(build(name).module)
    library = getattr(module.model, "roi_heads", module.model)
    library.score_thresh, library.nms_thresh, library.topk_candidates = 0.0, 0.5, 10**6
    library.detections_per_img = 1000
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    with torch.inference_mode():
        detections, theirs = module.detect(images), module.model(images)
    assert detections.shape == (2, 1000, 6) or detections.shape[1] == 3 * 300
    for ours, their in zip(decode({"detections": detections.numpy()}, "abc", {"overlap": 0.5}), theirs, strict=True):
        # of two overlapping boxes with equal scores either may be suppressed
        assert len(ours.kept(threshold=0.0)) == pytest.approx(min(300, len(their["boxes"])), abs=5)
        for box, score, label in zip(their["boxes"][:50], their["scores"][:50], their["labels"][:50], strict=True):
            same_K = ours.labels_K == int(label) - 1
            near_K = iou(box[None].numpy(), ours.boxes_K4[same_K])[0]
            assert near_K.max() > 0.999
            assert ours.scores_K[same_K][near_K.argmax()] == pytest.approx(float(score), abs=1e-4)


def test_sure_regions_keep_their_order():
    module = spread(build(RCNN, {"proposals": 10}).module)
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    with torch.inference_mode():
        before = module.detect(images)
        module.model.rpn.head.cls_logits.bias += 30  # every sigmoid is 1 now, and runtimes order equal numbers anyhow
        after = module.detect(images)
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-3)


@pytest.mark.parametrize("name", [SSD, RCNN])
def test_odd_objects_give_finite_losses(name):
    module = build(name).module.train()
    images = torch.randn(1, 3, HEIGHT, WIDTH)  # one picture alone
    degenerate = torch.tensor([[[5.0, 5, 5, 40, 0, 0], [9, 9, 60, 60, 1, 1], [0, 0, 0, 0, -1, 0]]])
    for targets in (degenerate, torch.tensor([[[3.0, 3, 4, 4, 2, 0]]])):
        losses = module.losses(images, targets, 0)
        total = torch.stack(list(losses.values())).sum()
        assert total.isfinite()
        total.backward()
    assert all(one.grad is None or one.grad.isfinite().all() for one in module.parameters())


def test_ignored_and_degenerate_objects_are_as_none():
    module = build(SSD).module.train()
    images = torch.randn(2, 3, HEIGHT, WIDTH)
    odd = torch.tensor([[[5.0, 5, 5, 40, 0, 0], [9, 9, 60, 60, 1, 1]]]).repeat(2, 1, 1)
    none = torch.tensor([[[0.0, 0, 0, 0, -1, 0]]]).repeat(2, 1, 1)
    first, second = module.losses(images, odd, 0), module.losses(images, none, 0)
    assert {name: one.item() for name, one in first.items()} == {name: one.item() for name, one in second.items()}


def test_group_normalisation_replaces_all_others():
    module = build(SSD, {"norm": "group"}).module
    kinds = {type(one).__name__ for one in module.modules() if "Norm2d" in type(one).__name__}
    assert kinds <= {"Conv2dNormActivation"}
    assert any(isinstance(one, torch.nn.GroupNorm) for one in module.modules())


def test_grey_pictures_are_taken():
    module = build_net(SSD, {}, channels=1, classes=2, height=64, width=64).module.eval()
    assert module(torch.zeros(1, 1, 64, 64)).shape[2] == 6


def test_names_and_facts():
    assert RCNN in {info.name for info in net_names("fasterrcnn")}
    info = describe_net(SSD)
    assert (info.family, info.library, info.licence) == ("detector", "torchvision", "BSD-3-Clause")
    assert info.parameters == 3_440_060  # as torchvision counts them
    assert info.pretrained == (("torchvision/ssdlite320_mobilenet_v3_large.coco_v1", "not stated"),)
    assert info.native.mean == (0.5, 0.5, 0.5)


@pytest.fixture
def hub(tmp_path):
    """Return the folder in which torch keeps downloads, for this test alone."""
    before = torch.hub.get_dir()
    torch.hub.set_dir(tmp_path)
    (tmp_path / "checkpoints").mkdir()
    yield tmp_path / "checkpoints"
    torch.hub.set_dir(before)


def test_published_weights_are_read_from_the_cache_with_a_new_head(hub: Path):
    published = torchvision.models.get_model(SSD, weights=None, weights_backbone=None)
    file = hub / torchvision.models.get_model_weights(SSD).DEFAULT.url.rpartition("/")[2]
    torch.save(published.state_dict(), file)
    built = build(SSD, weights="pretrained")
    assert built.weights.origin == "torchvision/ssdlite320_mobilenet_v3_large.coco_v1"
    assert built.weights.new_head
    assert "another size" in built.weights.notes[0]
    ours, theirs = built.module.model.state_dict(), published.state_dict()
    head = "head.classification_head."
    assert all(torch.equal(ours[key], theirs[key]) for key in theirs if not key.startswith(head))
    whole = build(SSD, weights="pretrained", classes=90)
    assert not whole.weights.new_head
    file.write_bytes(b"broken")
    with pytest.raises(DataError, match="not a whole torch file"):
        build(SSD, weights="pretrained")


def test_files_with_the_names_of_before_2022_are_read(tmp_path):
    state = torchvision.models.get_model(RCNN, weights=None, weights_backbone=None, num_classes=4).state_dict()
    old = {}
    for key, value in state.items():
        parts = key.split(".")
        if key.startswith("rpn.head.conv"):
            parts[3:5] = []
        elif "fpn" in key:
            parts[4:5] = []
        old[".".join(parts)] = value
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "old.pth")
    built = build(RCNN, weights=tmp_path / "old.pth")
    assert all(torch.equal(value, state[key]) for key, value in built.module.model.state_dict().items())


def test_a_classifier_starts_the_backbone(tmp_path):
    classifier = torchvision.models.mobilenet_v3_large(weights=None, num_classes=7)
    torch.save(classifier.state_dict(), tmp_path / "classifier.pth")
    built = build(RCNN, weights=tmp_path / "classifier.pth")
    body = built.module.model.backbone.body.state_dict()
    taken = [key for key in body if torch.equal(body[key], classifier.state_dict()[f"features.{key}"])]
    assert len(taken) == len(body)
    assert f"{len(body)} of {len(body)} tensors of the backbone" in built.weights.notes[0]


def test_published_weights_need_their_own_normalisation():
    with pytest.raises(SettingsError, match="published weights need net.norm = 'batch'"):
        build(SSD, {"norm": "group"}, weights="pretrained")


def test_wrong_settings_are_refused():
    with pytest.raises(SettingsError, match="proposals must be ≥ 1"):
        build(RCNN, {"proposals": 0})
    with pytest.raises(SettingsError, match="proposals"):
        build(RETINA, {"proposals": 5})
