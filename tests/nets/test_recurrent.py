"""Nets for clips with a recurrent net: cells as plain loops, answers frame by frame, and weights to start from."""

import math

import pytest
import timm
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file
from torch import nn

from nets.exporting import converted, ports
from sightsmith.core.errors import DataError, SettingsError
from sightsmith.nets.build import build_net, describe_net, net_names, require_family
from sightsmith.nets.parts.frame_features import Cells

SIZES = {"channels": 3, "classes": 4, "height": 16, "width": 16}
SMALL = {"hidden": 6, "backbone": "rowlstm"}
CELLS = ["gru", "lstm"]


def build(name, net=None, weights="none", **sizes):
    torch.manual_seed(3)
    return build_net(name, SMALL | (net or {}), weights=str(weights), **SIZES | sizes)


def logistic(x):
    return 1 / (1 + math.exp(-x))


def gates(rnn, x, h, count, layer=0):
    """Return for each of `count` gates the sums over the features and over the state, as lists of units."""
    states = rnn.state_dict()
    sums = []
    for side, values in (("ih", x), ("hh", h)):
        weights, biases = states[f"weight_{side}_l{layer}"].tolist(), states[f"bias_{side}_l{layer}"].tolist()
        rows = [sum(map(float.__mul__, row, values)) + bias for row, bias in zip(weights, biases, strict=True)]
        units = len(rows) // count
        sums.append([rows[at * units : (at + 1) * units] for at in range(count)])
    return zip(*sums, strict=True)


def lstm_loop(rnn, frames):
    """Return the state after each frame by the formulas of `nets/lstm.py`."""
    h = c = [0.0] * rnn.hidden_size
    states = []
    for x in frames:
        i, f, g, o = ([a + b for a, b in zip(*gate, strict=True)] for gate in gates(rnn, x, h, 4))
        c = [logistic(f[u]) * c[u] + logistic(i[u]) * math.tanh(g[u]) for u in range(rnn.hidden_size)]
        h = [logistic(o[u]) * math.tanh(c[u]) for u in range(rnn.hidden_size)]
        states.append(h)
    return states


def gru_loop(rnn, frames):
    """Return the state after each frame by the formulas of `nets/gru.py`."""
    h = [0.0] * rnn.hidden_size
    states = []
    for x in frames:
        (r_x, r_h), (z_x, z_h), (n_x, n_h) = gates(rnn, x, h, 3)
        after = []
        for u in range(rnn.hidden_size):
            r, z = logistic(r_x[u] + r_h[u]), logistic(z_x[u] + z_h[u])
            n = math.tanh(n_x[u] + r * n_h[u])
            after.append((1 - z) * n + z * h[u])
        h = after
        states.append(h)
    return states


@pytest.mark.parametrize(("name", "loop"), [("lstm", lstm_loop), ("gru", gru_loop)])
@given(seed=st.integers(0, 99), count=st.integers(1, 5))
@settings(max_examples=10)
def test_the_cell_is_the_printed_one(name, loop, seed, count):
    torch.manual_seed(seed)
    rnn = build_net(name, SMALL | {"hidden": 3}, **SIZES).module.double().rnn
    features_1TD = torch.randn(1, count, rnn.input_size, dtype=torch.float64)
    with torch.no_grad():
        found_1TS, _ = rnn(features_1TD)
    torch.testing.assert_close(found_1TS[0], torch.tensor(loop(rnn, features_1TD[0].tolist()), dtype=torch.float64))


@pytest.mark.parametrize("name", CELLS)
def test_attention_is_a_weighted_mean_of_the_states(name):
    net = build(name, {"pooling": "attention"}).module.eval()
    frames_BTCHW = torch.randn(2, 5, 3, 16, 16)
    with torch.no_grad():
        found_BK = net(frames_BTCHW)
        for clip, logits_K in zip(frames_BTCHW, found_BK, strict=True):
            states_TS = net.rnn(net.features(clip[None])[0])[0]
            scores = [sum(map(float.__mul__, net.score.weight[0].tolist(), h)) for h in states_TS.tolist()]
            shares = [math.exp(score) / sum(map(math.exp, scores)) for score in scores]
            pooled_S = sum(share * h for share, h in zip(shares, states_TS, strict=True))
            torch.testing.assert_close(net.clip_head(pooled_S), logits_K)


@pytest.mark.parametrize("name", CELLS)
def test_both_directions_see_the_whole_clip(name):
    net = build(name, {"bidirectional": True}).module.eval()
    frames_BTCHW = torch.randn(1, 6, 3, 16, 16)
    with torch.no_grad():
        states_BTS, _ = net.rnn(net.features(frames_BTCHW))
        expected = net.clip_head(torch.cat([states_BTS[0, 5, :6], states_BTS[0, 0, 6:]]))
        torch.testing.assert_close(net(frames_BTCHW)[0], expected)


STREAMING = [(name, layers) for name in CELLS for layers in (1, 2)]


@pytest.mark.parametrize(("name", "layers"), STREAMING)
@given(seed=st.integers(0, 99), batch=st.integers(1, 3), frames=st.integers(1, 6), data=st.data())
@settings(max_examples=10)
def test_any_split_into_steps_answers_as_the_whole_clip(name, layers, seed, batch, frames, data):
    net = build(name, {"layers": layers, "dropout": 0.5}).module.eval()
    torch.manual_seed(seed)
    frames_BTCHW = torch.randn(batch, frames, 3, 16, 16)
    kept = data.draw(st.integers(0, frames))
    with torch.no_grad():
        state = net.begin(batch)
        for moment in range(frames):
            if moment == kept:  # the state may rest, and clips may go on in another order
                order = torch.randperm(batch)
                frames_BTCHW, state = frames_BTCHW[order], tuple(one[order] for one in state)
            logits_BK, state = net.step(frames_BTCHW[:, moment], state)
            assert {len(one) for one in state} == {batch}
            torch.testing.assert_close(logits_BK, net(frames_BTCHW[:, : moment + 1]), rtol=0, atol=1e-5)


class OneFrame(nn.Module):
    """The graph of one step, from a frame and a state to the logits and the state after it."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, image, h, c=None):
        state = (h,) if c is None else (h, c)
        logits, after = self.net.step(image.permute(0, 3, 1, 2).float() / 127.5 - 1, state)
        return logits, *after


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(("name", "layers"), [("gru", 1), pytest.param("lstm", 2, marks=pytest.mark.slow)])
def test_the_graph_of_one_frame_answers_as_the_whole_clip(name, layers, tmp_path):
    net = build(name, {"layers": layers}).module.eval()
    pixels_BTHWC = torch.randint(0, 256, (3, 7, 16, 16, 3), dtype=torch.uint8)
    states = dict(zip("hc", net.begin(3), strict=False))
    inputs = ports({"image": pixels_BTHWC[:, 0], **states})
    outputs = ("logits", *(f"{name}_after" for name in states))
    session = converted(OneFrame(net), inputs, outputs, tmp_path)
    for batch in (1, 3):
        with torch.no_grad():
            expected = net(pixels_BTHWC[:batch].permute(0, 1, 4, 2, 3).float() / 127.5 - 1)
        state = {name: one[:batch].numpy() for name, one in states.items()}
        for moment in range(7):
            found = session.run({"image": pixels_BTHWC[:batch, moment].numpy(), **state})
            state = {name: found[f"{name}_after"] for name in states}
        torch.testing.assert_close(torch.from_numpy(found["logits"]), expected, rtol=0, atol=1e-5)


def test_nets_that_need_the_whole_clip_do_not_stream():
    for net in ({"bidirectional": True}, {"pooling": "attention"}):
        module = build("lstm", net).module
        assert not module.streams
        with pytest.raises(NotImplementedError, match="reads a clip as a whole"):
            module.begin(1)
        with pytest.raises(NotImplementedError, match="reads a clip as a whole"):
            module.step(torch.zeros(1, 3, 16, 16), ())
    assert build("lstm").module.streams


@pytest.mark.parametrize("name", CELLS)
def test_the_loss_is_of_the_answer_after_each_frame_and_later_ones_have_larger_shares(name):
    net = build(name).module.eval()
    frames_BTCHW = torch.randn(2, 4, 3, 16, 16)
    with torch.no_grad():
        answers_BSK, shares_S = net.learned(net.features(frames_BTCHW))
        for last in range(4):
            torch.testing.assert_close(answers_BSK[:, last], net(frames_BTCHW[:, : last + 1]))
    torch.testing.assert_close(shares_S, torch.tensor([0.1, 0.2, 0.3, 0.4]))


def test_the_loss_of_votes_is_of_each_of_them_and_that_of_other_nets_of_the_answer_to_the_clip():
    frames_BTCHW = torch.randn(2, 4, 3, 16, 16)
    votes = build_net("frames", {"backbone": "rowlstm"}, **SIZES).module.eval()
    with torch.no_grad():
        answers_BSK, shares_S = votes.learned(votes.features(frames_BTCHW))
        torch.testing.assert_close(answers_BSK[:, 2], votes.net(frames_BTCHW[:, 2]))
        torch.testing.assert_close(shares_S, torch.full((4,), 0.25))
        for whole in ({"bidirectional": True}, {"pooling": "attention"}):
            net = build("gru", whole).module.eval()
            answers_BSK, shares_S = net.learned(net.features(frames_BTCHW))
            torch.testing.assert_close(answers_BSK, net(frames_BTCHW)[:, None])
            assert shares_S.tolist() == [1.0]


@pytest.mark.parametrize("name", ["frames", *CELLS])
def test_an_open_net_of_the_frames_is_chosen_by_their_size_and_recorded(name):
    with torch.device("meta"):
        small, large = (build_net(name, **SIZES | {"height": side, "width": 80}) for side in (64, 65))
    assert (small.settings["backbone"], large.settings["backbone"]) == ("smallresnet", "resnet18")


@given(cells=st.integers(1, 5), height=st.integers(1, 9), width=st.integers(1, 9))
@settings(max_examples=30, deadline=None)
def test_cells_are_the_means_of_adaptive_pooling(cells, height, width):
    map_NDhw = torch.randn(2, 3, height, width)
    expected_NDGG = nn.functional.adaptive_avg_pool2d(map_NDhw, cells)
    torch.testing.assert_close(Cells(cells, height, width)(map_NDhw), expected_NDGG.flatten(1))


@pytest.mark.parametrize(("backbone", "side"), [("smallresnet", 16), ("test_vit", 64)])
def test_a_frame_is_described_by_the_vector_of_its_net_and_the_cells_of_its_map(backbone, side):
    net = build("gru", {"backbone": backbone}, height=side, width=side).module.eval()
    frames_BTCHW = torch.randn(1, 2, 3, side, side)
    with torch.no_grad():
        described_TD = net.features(frames_BTCHW)[0]
        last = net.backbone.features(frames_BTCHW[0])
        vector_TD = net.backbone.classify(last)
        cells_TDGG = nn.functional.adaptive_avg_pool2d(net.backbone.as_map(last), 2)
        torch.testing.assert_close(described_TD, torch.cat([vector_TD, cells_TDGG.flatten(1)], dim=1))
        alone = build("gru", {"backbone": backbone, "grid": 0}, height=side, width=side).module.eval()
        assert alone.features(frames_BTCHW).shape == (1, 2, vector_TD.shape[1])


def test_averaging_does_not_know_the_order_and_a_recurrent_net_does():
    frames_BTCHW = torch.randn(2, 5, 3, 16, 16)
    for name, knows in (("frames", False), ("lstm", True), ("gru", True)):
        torch.manual_seed(0)
        net = build_net(name, {"backbone": "smallcnn"}, **SIZES).module.eval()
        with torch.no_grad():
            forwards, backwards = net(frames_BTCHW), net(frames_BTCHW.flip(1))
        assert torch.allclose(forwards, backwards, atol=1e-6) is not knows
    with torch.no_grad():
        voting = build_net("frames", {"backbone": "smallcnn"}, **SIZES).module.eval()
        logits_TK = voting.net(frames_BTCHW[0])
        torch.testing.assert_close(voting(frames_BTCHW[:1])[0], sum(logits_TK) / 5)


@pytest.mark.parametrize("name", CELLS)
def test_a_classifier_of_pictures_starts_the_frames(name, tmp_path):
    torch.manual_seed(9)
    picture = build_net("smallcnn", {}, **SIZES | {"classes": 7}).module
    save_file(picture.state_dict(), tmp_path / "net.safetensors")
    built = build(name, {"backbone": "smallcnn"}, tmp_path / "net.safetensors")
    ours, theirs = built.module.backbone.state_dict(), picture.state_dict()
    assert len(ours) == len(theirs) - 2
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert built.weights.new_head
    assert built.weights.origin == "net.safetensors"
    assert built.weights.notes[-1] == f"all of {name} but its backbone starts from random numbers"


def test_a_classifier_of_pictures_starts_the_votes_with_its_head_if_the_classes_are_as_many(tmp_path):
    torch.manual_seed(9)
    picture = build_net("smallcnn", {}, **SIZES).module
    save_file(picture.state_dict(), tmp_path / "net.safetensors")
    cnn = {"backbone": "smallcnn"}
    built = build_net("frames", cnn, weights=str(tmp_path / "net.safetensors"), **SIZES)
    assert all(torch.equal(one, picture.state_dict()[key]) for key, one in built.module.net.state_dict().items())
    assert not built.weights.new_head
    other = build_net("frames", cnn, weights=str(tmp_path / "net.safetensors"), **SIZES | {"classes": 9})
    assert other.weights.new_head
    assert torch.equal(other.module.net.conv1.weight, picture.conv1.weight)


@pytest.mark.parametrize("name", ["frames", *CELLS])
def test_weights_of_a_net_for_clips_come_back_whole(name, tmp_path):
    settings = {"backbone": "smallcnn"} | ({} if name == "frames" else {"hidden": 6})
    torch.manual_seed(1)
    trained = build_net(name, settings, **SIZES).module
    save_file(trained.state_dict(), tmp_path / "net.safetensors")
    built = build_net(name, settings, weights=str(tmp_path / "net.safetensors"), **SIZES)
    assert all(torch.equal(one, trained.state_dict()[key]) for key, one in built.module.state_dict().items())
    assert not built.weights.new_head


def test_the_weights_of_timm_start_the_frames(tmp_path):
    saved = timm.create_model("test_resnet", num_classes=9)
    torch.save(saved.state_dict(), tmp_path / "net.pth")
    built = build("gru", {"backbone": "test_resnet"}, tmp_path / "net.pth", height=32, width=32)
    ours = built.module.backbone.net.state_dict()
    assert all(torch.equal(one, saved.state_dict()[key]) for key, one in ours.items())


@pytest.mark.parametrize("name", ["frames", *CELLS])
def test_weights_for_other_pictures_are_adapted_to_the_frames(name, tmp_path):
    torch.manual_seed(2)
    torch.save(timm.create_model("test_vit", num_classes=4).state_dict(), tmp_path / "net.pth")
    own = {} if name == "frames" else {"hidden": 6}
    settings = {"channels": 1, "classes": 4, "height": 64, "width": 64}
    built = build_net(name, own | {"backbone": "test_vit"}, weights=str(tmp_path / "net.pth"), **settings)
    alone = build_net("test_vit", {}, weights=str(tmp_path / "net.pth"), **settings)
    ours = built.module.published() if name == "frames" else built.module.backbone.published()
    wanted = alone.module.published().state_dict()
    assert all(torch.equal(one, wanted[key]) for key, one in ours.state_dict().items())
    assert "was adapted from 3 colour channels to 1" in built.weights.notes[0]


def test_a_backbone_of_other_weights_is_refused(tmp_path):
    save_file(build_net("smallcnn", {}, **SIZES).module.state_dict(), tmp_path / "net.safetensors")
    with pytest.raises(DataError, match="the weights are not those of smallresnet as it is built here"):
        build("lstm", {"backbone": "smallresnet"}, tmp_path / "net.safetensors")


def test_a_net_for_other_classes_gives_all_but_its_last_layer(tmp_path):
    trained = build("lstm", {"pooling": "attention"}, classes=9).module
    save_file(trained.state_dict(), tmp_path / "net.safetensors")
    built = build("lstm", {"pooling": "attention"}, tmp_path / "net.safetensors")
    ours, theirs = built.module.state_dict(), trained.state_dict()
    assert {key for key in ours if not torch.equal(ours[key], theirs[key])} == {"clip_head.weight", "clip_head.bias"}
    assert built.weights.new_head
    with pytest.raises(DataError, match=r"of another shape: rnn.bias_hh_l0"):
        build("gru", {"pooling": "attention"}, tmp_path / "net.safetensors")


def test_published_weights_are_those_of_the_picture_net():
    with pytest.raises(SettingsError, match="smallcnn: it has no published weights"):
        build("lstm", {"backbone": "smallcnn"}, "pretrained")
    with pytest.raises(SettingsError, match="smallcnn: it has no published weights"):
        build_net("smallcnn", {}, weights="pretrained", **SIZES)


@pytest.mark.parametrize(
    ("net", "message"),
    [
        ({"backbone": "smallcn"}, "unknown net 'smallcn'. Did you mean 'smallcnn'"),
        ({"backbone": "hog_svm"}, "net.backbone: hog_svm is no classifier of pictures that is trained by gradient"),
        ({"backbone": "gru"}, "net.backbone: gru is no classifier of pictures"),
        ({"backbone": "yolo"}, "net.backbone: yolo is no classifier of pictures"),
        ({"hidden": 0}, "net.hidden must be ≥ 1, got 0"),
        ({"layers": 0}, "net.layers must be ≥ 1, got 0"),
        ({"dropout": 1.0}, r"net.dropout must be in \[0, 1\), got 1.0"),
        ({"pooling": "mean"}, "pooling"),
    ],
)
def test_wrong_settings_are_refused(net, message):
    with pytest.raises(SettingsError, match=message):
        build("lstm", net)


def test_facts_and_the_task_that_trains_them():
    info = describe_net("lstm")
    assert (info.family, info.own_task, info.pretrained) == ("clip_classifier", "classify_clips", ())
    module = build_net("lstm", {}, channels=3, classes=10, height=32, width=32).module
    assert info.parameters == sum(one.numel() for one in module.parameters())
    assert {"lstm", "gru", "frames"} <= {one.name for one in net_names() if one.own_task == "classify_clips"}
    with pytest.raises(
        SettingsError, match="lstm is a net of the family 'clip_classifier'.*Train it with task classify_clips"
    ):
        require_family("lstm", "classifier", "classify")
