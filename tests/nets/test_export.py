"""Every kind of net exports with a dynamic batch and its class map, and ONNX Runtime gives what torch gives."""

import pytest
import torch

from nets.exporting import WithMap, largest_relative_difference
from sightsmith.nets.build import build_net

QUICK = [
    ("smallcnn", 28),
    ("smallcnn", 44),
    ("attention", 28),
    ("smallresnet", 28),
    ("resnet10t", 64),
    ("test_vit", 64),
]
WIDER = [
    ("resnet18", 64),
    ("vit_tiny_patch16_224", 64),
    ("mobilenetv3_small_100", 64),
    ("densenet121", 64),
    ("vgg11_bn", 64),
    ("inception_v3", 96),
    ("legacy_seresnet18", 64),
    ("efficientnet_b0", 64),
    ("convnext_atto", 64),
    ("swin_tiny_patch4_window7_224", 64),
    ("deit_tiny_distilled_patch16_224", 64),
    ("crossvit_9_240", 240),
]


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "side"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in WIDER)])
def test_exported_net_equals_torch(tmp_path, name, side):
    torch.manual_seed(0)
    net = build_net(name, channels=3, classes=4, height=side, width=side).module.eval()
    images = torch.randn(3, 3, side, side)
    assert (
        largest_relative_difference(WithMap(net).eval(), images, tmp_path / "net.onnx", optimize=(name, side) in QUICK)
        < 1e-4
    )
