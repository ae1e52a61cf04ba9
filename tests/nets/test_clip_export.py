"""Nets for clips, exported as bundles are, answer as in torch for any number of clips of any length."""

import pytest
import torch
from torchvision.models.video.swin_transformer import SwinTransformer3d

from nets.exporting import clip_differences
from sightsmith.core.ports import Port
from sightsmith.nets.build import build_net
from sightsmith.nets.libraries.torchvision_clips import TorchvisionClipNet
from sightsmith.nets.parts.swin3d import _block, _Patches
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
@pytest.mark.parametrize(("name", "side"), [("mc3_18", 32), ("r2plus1d_18", 32), ("r3d_18", 32), ("s3d", 64)])
def test_a_net_of_torchvision_is_right_for_other_lengths(name, side, tmp_path):
    torch.manual_seed(0)
    module = build_net(name, channels=3, classes=4, height=side, width=side).module.train()
    with torch.no_grad():
        for _ in range(3):  # else the statistics of batch normalisation let nothing through
            module(torch.randn(2, 9, 3, side, side))
    check(module, tmp_path, FEW, side=side)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_shifted_windows_are_right_for_other_lengths(tmp_path):
    """Two blocks stand for the twelve of `swin3d_t`, whose export takes a minute."""
    torch.manual_seed(0)
    sizes = {"patch_size": [2, 4, 4], "window_size": [8, 7, 7], "embed_dim": 12, "depths": [2], "num_heads": [2]}
    model = SwinTransformer3d(**sizes, num_classes=4, stochastic_depth_prob=0.0, block=_block, patch_embed=_Patches)
    check(TorchvisionClipNet(model, "head"), tmp_path, [*FEW, (1, 16), (2, 33)], example=16, side=32)


class KeepsTheLength(torch.nn.Module):
    """Has a weight for each frame of its example."""

    def __init__(self):
        super().__init__()
        self.weigh = torch.nn.Linear(4, 2)

    def forward(self, frames):
        return self.weigh(frames.float().mean(dim=(2, 3, 4)))


@pytest.mark.filterwarnings("ignore")
def test_a_net_that_fixes_the_length_is_refused():
    inputs = {"frames": Port("uint8", (4, 2, 2, 3), free=(0,))}
    with pytest.raises(Exception, match=r"frames_0|takes 4 entries on axis 1 alone"):
        exported(KeepsTheLength(), inputs, ("logits",))


class DecidesByContent(torch.nn.Module):
    def forward(self, frames):
        levels = frames.float().mean(dim=(1, 2, 3))
        return -levels if levels.sum() > 8 else levels


def test_a_net_that_the_exporter_cannot_follow_is_refused_with_the_reason_alone(capfd):
    inputs = {"frames": Port("uint8", (4, 2, 2, 3), free=(0,))}
    with pytest.raises(ValueError, match="^Could not guard on data-dependent expression"):
        exported(DecidesByContent(), inputs, ("logits",))
    assert capfd.readouterr() == ("", "")
