"""Every kind of net exports with a dynamic batch and its class map, and ONNX Runtime gives what torch gives."""

import pytest
import timm
import torch

from nets.exporting import WithMap, largest_relative_difference
from sightsmith.nets.build import build_net
from sightsmith.nets.parts.timm_net import TimmNet, find_layout

QUICK = [
    ("smallcnn", 28),
    ("smallcnn", 44),
    ("attention", 28),
    ("smallresnet", 28),
    ("resnet10t", 64),
    ("test_vit", 64),
]
# Of each family a net with few layers of each kind: the time of an export grows with the number of operations.
WIDER = {
    "vit_tiny_patch16_224": (64, {"depth": 2, "img_size": 64}),
    "mobilenetv3_small_100": (64, {}),
    "densenet121": (64, {"block_config": (2, 2, 2, 2)}),
    "vgg11_bn": (64, {"mlp_ratio": 0.1}),
    "inception_v3": (96, {}),
    "legacy_seresnet18": (64, {"layers": (1, 1, 1, 1)}),
    "test_efficientnet": (64, {}),
    "convnext_atto": (64, {"depths": (1, 1, 1, 1)}),
    "swin_tiny_patch4_window7_224": (64, {"depths": (1, 2), "img_size": 64}),
    "deit_tiny_distilled_patch16_224": (64, {"depth": 2, "img_size": 64}),
    "crossvit_tiny_240": (240, {"depth": [[1, 1, 0]]}),
}


def difference(net, side, path, *, optimize):
    images = torch.randn(3, 3, side, side)
    return largest_relative_difference(WithMap(net.eval()).eval(), images, path, optimize=optimize)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "side"), QUICK)
def test_exported_net_equals_torch(tmp_path, name, side):
    torch.manual_seed(0)
    net = build_net(name, channels=3, classes=4, height=side, width=side).module
    assert difference(net, side, tmp_path / "net.onnx", optimize=True) < 1e-4


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", WIDER)
def test_exported_net_of_timm_equals_torch(tmp_path, name):
    torch.manual_seed(0)
    side, fewer = WIDER[name]
    net = timm.create_model(name, in_chans=3, num_classes=4, **fewer)
    wrapped = TimmNet(net, find_layout(net, 3, side, side))
    assert difference(wrapped, side, tmp_path / "net.onnx", optimize=False) < 1e-4
