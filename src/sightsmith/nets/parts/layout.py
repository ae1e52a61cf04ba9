"""The layout of weights in memory."""

import torch
from torch import nn


def channels_last(module: nn.Module) -> None:
    """Lay out the weights of convolutions of pictures with the channels last, in place: the fastest one for them.

    `Module.to(memory_format=…)` refuses a net that also has convolutions of clips, whose weights have five axes.
    """
    for tensor in (*module.parameters(), *module.buffers()):
        if tensor.ndim == 4:
            tensor.data = tensor.data.contiguous(memory_format=torch.channels_last)
