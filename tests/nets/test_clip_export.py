"""Nets for clips, exported as bundles are, answer as in torch for any number of clips of any length."""

import pytest
import torch

from nets.exporting import clip_differences
from sightsmith.core.ports import Port
from sightsmith.nets.build import build_net
from sightsmith.runtime.onnx_graph import exported

EVERY = [(batch, frames) for batch in (1, 2, 3) for frames in (1, 5, 16, 33)]
FEW = [(1, 1), (2, 5), (3, 17)]
SMALL = {"backbone": "rowlstm", "hidden": 6}
QUICK = [("lstm", {}), ("gru", {"pooling": "attention", "layers": 2})]
WIDER = [
    ("gru", {}),
    ("lstm", {"bidirectional": True}),
    ("lstm", {"pooling": "attention"}),
    ("gru", {"bidirectional": True, "layers": 2}),
    ("lstm", {"bidirectional": True, "layers": 2, "pooling": "attention"}),
]


def check(net, folder, sizes, **shape):
    differences = clip_differences(net.eval(), folder, sizes, **shape)
    assert differences["onnx"] < 1e-5
    assert differences["fp32"] < 1e-5
    assert differences["bf16"] < 2e-2


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "net"), [*QUICK, *(pytest.param(*one, marks=pytest.mark.slow) for one in WIDER)])
def test_a_recurrent_net_is_right_for_other_lengths(name, net, tmp_path):
    torch.manual_seed(0)
    check(build_net(name, SMALL | net, channels=3, classes=4, height=16, width=16).module, tmp_path, EVERY)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backbone", ["smallcnn", "test_resnet"])
@pytest.mark.parametrize("name", ["frames", "lstm"])
def test_any_picture_net_is_exported_with_it(name, backbone, tmp_path):
    torch.manual_seed(0)
    module = build_net(name, {"backbone": backbone}, channels=1, classes=4, height=32, width=32).module
    check(module, tmp_path, EVERY, example=1, side=32, channels=1)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("name", "side"), [("mc3_18", 32), ("r2plus1d_18", 32), ("r3d_18", 32), ("s3d", 64), ("swin3d_t", 32)]
)
def test_a_net_of_torchvision_is_right_for_other_lengths(name, side, tmp_path):
    torch.manual_seed(0)
    module = build_net(name, channels=3, classes=4, height=side, width=side).module.train()
    with torch.no_grad():
        for _ in range(3):  # else the statistics of batch normalisation let nothing through
            module(torch.randn(2, 9, 3, side, side))
    check(module, tmp_path, FEW, side=side)


class KeepsTheLength(torch.nn.Module):
    """Is right for the length of its example alone."""

    def forward(self, frames):
        return frames.float().reshape(-1, 4 * 2 * 2 * 3)


@pytest.mark.filterwarnings("ignore")
def test_a_net_that_fixes_the_length_is_refused():
    inputs = {"frames": Port("uint8", (4, 2, 2, 3), free=(0,))}
    with pytest.raises(Exception, match=r"frames_0|takes 4 entries on axis 1 alone"):
        exported(KeepsTheLength(), inputs, ("logits",))
