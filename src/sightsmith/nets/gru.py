"""A picture net for each frame of a clip, and a GRU through them in order.

Papers: Cho et al., "Learning Phrase Representations using RNN Encoder-Decoder for Statistical Machine Translation",
EMNLP 2014, arXiv:1406.1078; Donahue et al., CVPR 2015, arXiv:1411.4389 (over a picture net). The rest of the net is in
`parts/recurrent.py`.

The cell, which `tests/nets/test_recurrent.py` checks against plain loops (x[t] features of frame t, h state, σ the
logistic function, ⊙ the product of each pair of numbers; h is 0 before the first frame):

    r = σ(W_r · x[t] + b_r + U_r · h[t−1] + d_r)             reset gate
    z = σ(W_z · x[t] + b_z + U_z · h[t−1] + d_z)             update gate
    n = tanh(W_n · x[t] + b_n + r ⊙ (U_n · h[t−1] + d_n))    new content
    h[t] = (1 − z) ⊙ n + z ⊙ h[t−1]

torch stacks W_r, W_z, W_n in `weight_ih_l0`, the three U in `weight_hh_l0`, b in `bias_ih_l0`, d in `bias_hh_l0`.
Deviation: the paper's first version resets h[t−1] before the product with U_n; here, as in torch and cuDNN, the product
is reset, which takes one matrix product for all three gates.
"""

from torch import nn

from sightsmith.nets.parts.clip_classifier import CLIP_CLASSIFIER
from sightsmith.nets.parts.recurrent import CLIP_HEAD, RecurrentNet, RecurrentSettings

PAPER = "Cho et al., Learning Phrase Representations using RNN Encoder-Decoder, arXiv:1406.1078"
LICENCE = "Apache-2.0"
FAMILY = CLIP_CLASSIFIER
FRAME_NET, OWN_PART = "backbone", CLIP_HEAD


class GruNet(RecurrentNet):
    """The state is h alone."""

    cell, state_parts = nn.GRU, 1


Settings, build = RecurrentSettings, GruNet
