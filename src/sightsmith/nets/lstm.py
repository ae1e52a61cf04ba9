"""A picture net for each frame of a clip, and an LSTM through them in order.

Papers: Hochreiter and Schmidhuber, "Long Short-Term Memory", Neural Computation 1997; Gers, Schmidhuber and Cummins,
"Learning to Forget", Neural Computation 2000 (the forget gate); Donahue et al., CVPR 2015, arXiv:1411.4389 (over a
picture net). The rest of the net is in `parts/recurrent.py`.

The cell, which `tests/nets/test_recurrent.py` checks against plain loops (x[t] features of frame t, h state, c memory,
σ the logistic function, ⊙ the product of each pair of numbers; h and c are 0 before the first frame):

    i = σ(W_i · x[t] + b_i + U_i · h[t−1] + d_i)         input gate
    f = σ(W_f · x[t] + b_f + U_f · h[t−1] + d_f)         forget gate
    g = tanh(W_g · x[t] + b_g + U_g · h[t−1] + d_g)      new content
    o = σ(W_o · x[t] + b_o + U_o · h[t−1] + d_o)         output gate
    c[t] = f ⊙ c[t−1] + i ⊙ g
    h[t] = o ⊙ tanh(c[t])

torch stacks W_i, W_f, W_g, W_o in `weight_ih_l0`, the four U in `weight_hh_l0`, b in `bias_ih_l0`, d in `bias_hh_l0`.
"""

from torch import nn

from sightsmith.nets.parts.clip_classifier import CLIP_CLASSIFIER
from sightsmith.nets.parts.recurrent import CLIP_HEAD, RecurrentNet, RecurrentSettings

PAPER = "Hochreiter and Schmidhuber, Long Short-Term Memory, Neural Computation 1997; Donahue et al., arXiv:1411.4389"
LICENCE = "Apache-2.0"
FAMILY = CLIP_CLASSIFIER
FRAME_NET, OWN_PART = "backbone", CLIP_HEAD


class LstmNet(RecurrentNet):
    """The state is h and c."""

    cell, state_parts = nn.LSTM, 2


Settings, build = RecurrentSettings, LstmNet
