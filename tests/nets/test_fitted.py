"""Nets of the classical line: the same answers as scikit-learn's own models, kept and built again."""

import re

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import RidgeClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.svm import SVC, LinearSVC
from sklearn.tree import DecisionTreeClassifier

from nets.exporting import largest_relative_difference
from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.nets.build import build_net, describe_net
from sightsmith.nets.features import FEATURES as FEATURES_FILES
from sightsmith.nets.features import measure
from sightsmith.nets.heads import HEADS, forest, knn, ridge, rules, svm, tree
from sightsmith.nets.parts.fitted import FittedNet, Names, Projection
from sightsmith.nets.parts.reason import told_apart
from sightsmith.nets.parts.tree_head import stepped

FLAT, TARGETS = load_digits(return_X_y=True)
FEATURES = torch.from_numpy(FLAT / 16).float()
LABELS = torch.from_numpy(TARGETS)
PICTURES = torch.nn.functional.interpolate(FEATURES.reshape(-1, 1, 8, 8), size=16)
TRAIN, TEST = slice(0, 790), slice(790, 1790)  # 1,000 pictures to compare
PARTS = [*(f"{name}_ridge" for name in FEATURES_FILES.names()), *(f"pixel_{name}" for name in HEADS.names())]
EVERY = pytest.mark.parametrize("name", [*PARTS, "rules"])
"""Each kind of features and each head, those outside the package too."""


def names(classes, features=64):
    return Names(tuple(f"feature {at}" for at in range(features)), tuple("abcdefghij"[:classes]))


def fitted(head, classes=10):
    chosen = LABELS[TRAIN] < classes
    head.fit(FEATURES[TRAIN][chosen], LABELS[TRAIN][chosen], names(classes))
    return head(FEATURES[TEST]).numpy(), FEATURES[TRAIN][chosen].numpy(), LABELS[TRAIN][chosen].numpy()


@pytest.mark.parametrize("classes", [2, 3, 10])
def test_an_rbf_svm_decides_as_scikit_learns(classes):
    scores, features, labels = fitted(svm.build(svm.Settings(c=5)), classes)
    theirs = SVC(C=5, break_ties=True).fit(features.astype(np.float64), labels)
    assert (scores.argmax(1) == theirs.predict(FEATURES[TEST].double())).all()
    decision = theirs.decision_function(FEATURES[TEST].double())
    if classes > 2:
        np.testing.assert_allclose(scores, decision, atol=2e-4)


@pytest.mark.parametrize("classes", [2, 10])
def test_linear_heads_decide_as_scikit_learns(classes):
    for ours, theirs in (
        (svm.build(svm.Settings(kernel="linear", c=1)), LinearSVC(C=1, random_state=0)),
        (ridge.build(ridge.Settings(alpha=2)), RidgeClassifier(alpha=2)),
    ):
        scores, features, labels = fitted(ours, classes)
        theirs.fit(features, labels)
        decision = theirs.decision_function(FEATURES[TEST].numpy())
        assert (scores.argmax(1) == theirs.predict(FEATURES[TEST].numpy())).all()
        np.testing.assert_allclose(scores if classes > 2 else scores[:, 1] - scores[:, 0], decision, atol=2e-4)


def test_trees_take_the_paths_of_scikit_learns():
    for ours, theirs in (
        (tree.build(tree.Settings()), DecisionTreeClassifier(max_depth=12, min_samples_leaf=3, random_state=0)),
        (forest.build(forest.Settings(trees=50)), RandomForestClassifier(50, random_state=0)),
    ):
        scores, features, labels = fitted(ours)
        theirs.fit(stepped(torch.from_numpy(features)).numpy(), labels)
        asked = stepped(FEATURES[TEST]).numpy()
        assert (scores.argmax(1) == theirs.predict(asked)).all()
        np.testing.assert_allclose(np.exp(scores), theirs.predict_proba(asked).clip(min=1e-3), atol=1e-6)


def test_neighbours_vote_as_scikit_learns():
    """On features without equal distances, whose order is arbitrary in both."""
    mixed = FEATURES @ torch.randn(64, 64, generator=torch.Generator().manual_seed(0))
    head = knn.build(knn.Settings(k=3))
    head.fit(mixed[TRAIN], LABELS[TRAIN], names(10))
    theirs = KNeighborsClassifier(3, algorithm="brute").fit(mixed[TRAIN].numpy(), TARGETS[TRAIN])
    assert (head(mixed[TEST]).argmax(1).numpy() == theirs.predict(mixed[TEST].numpy())).all()
    assert (head.nearest(mixed[TEST]).numpy() == theirs.kneighbors(mixed[TEST].numpy())[1]).all()


def test_the_projection_is_scikit_learns():
    projection = Projection(10, 64)
    projection.fit(FEATURES[TRAIN])
    theirs = PCA(10, random_state=0).fit(FEATURES[TRAIN].numpy()).transform(FEATURES[TEST].numpy())
    np.testing.assert_allclose(projection(FEATURES[TEST]).numpy(), theirs, atol=1e-4)
    with pytest.raises(TrainingError, match="at most the features and the training pictures, 64 here, got 65"):
        Projection(65, 64).fit(FEATURES[TRAIN])


def net(name, **settings):
    built = build_net(name, settings, channels=1, classes=10, height=16, width=16)
    built.module.fit(PICTURES[:300], LABELS[:300], "abcdefghij", quiet=True)
    return built, PICTURES[300:340]


@EVERY
def test_a_fitted_net_is_built_again_from_its_settings_and_tensors(name):
    built, images = net(name)
    again = build_net(built.name, dict(built.settings), channels=1, classes=10, height=16, width=16).module
    again.load_state_dict(built.module.state_dict(), strict=True)
    with torch.inference_mode():
        assert torch.equal(again(images), built.module(images))
    assert set(built.settings) == {setting.name for setting in describe_net(name).settings}
    assert describe_net(name).fitted


@EVERY
def test_the_map_shows_where_hiding_costs_most(name):
    built, images = net(name)
    with torch.inference_mode():
        scores, class_map = built.module.with_map(images)
        assert torch.equal(scores, built.module(images))
    assert class_map.shape == (40, 10, 4, 4)
    assert class_map.isfinite().all()
    assert not built.module.training
    assert not any(parameter.requires_grad for parameter in built.module.parameters())


@EVERY
def test_scores_and_reasons_fit_the_classes(name):
    built, images = net(name)
    with torch.inference_mode():
        scores = built.module(torch.cat([PICTURES[:300], images]))
    assert scores.shape == (340, 10)
    assert scores.isfinite().all()
    right = (scores[:300].argmax(1) == LABELS[:300]).float().mean()
    assert right >= LABELS[:300].bincount().max() / 300, "no worse than always the commonest class"
    reason = built.module.reason(images[:1], "abcdefghij", [f"p{at}" for at in range(300)])
    assert reason is None or all(sentence.endswith(".") for sentence in reason.sentences)


class Everything(torch.nn.Module):
    """All kinds of features of a picture, and the scores of all heads."""

    def __init__(self, features, heads):
        super().__init__()
        self.features, self.heads = features, torch.nn.ModuleList(heads)

    def forward(self, images_NCHW):
        pixels_ND = self.heads[0].features(images_NCHW)
        return (self.features.features(images_NCHW), *(net.head(pixels_ND) for net in self.heads))


@pytest.mark.filterwarnings("ignore")
def test_every_part_exported_gives_what_torch_gives(tmp_path):
    """In one graph, since exporting takes a second each."""
    joined, images = net("+".join(FEATURES_FILES.names()) + "_ridge", cells=2)
    heads = [net(f"pixel_{name}", **({"trees": 20} if name == "forest" else {}))[0].module for name in HEADS.names()]
    graph = Everything(joined.module, heads).eval()
    assert largest_relative_difference(graph, images[:3], tmp_path / "net.onnx", optimize=False) < 1e-4


def test_the_steps_of_a_tree_are_those_of_its_answer():
    built, images = net("measure_tree", depth=4)
    features_ND = stepped(built.module.features(images))
    head, ways = built.module.head, set()
    for features_D, scores_K, image in zip(features_ND, built.module(images), images, strict=True):
        reason = built.module.reason(image[None], "abcdefghij", ())
        for step in reason.steps:
            feature, _, limit = step.question.partition(" is at most ")
            value = float(features_D[measure.Measures.NAMES.index(feature)])
            assert float(step.values) == pytest.approx(value, rel=0.01, abs=1e-4)
            assert (float(step.values) <= float(limit)) == step.holds
            assert re.fullmatch(r"mostly [a-j] \(\d+% of the training pictures there\)", step.otherwise)
        assert reason.answer[0] == "abcdefghij"[int(scores_K.argmax())]
        assert reason.answer[2:].startswith(f"({float(scores_K.exp().max()):.0%} of")
        ways.add(tuple(step.holds for step in reason.steps))
    assert len(ways) > 3
    assert max(map(len, ways)) <= 4
    first = [head.share_TMK[0, int(child[0, 0])] for child in (head.left_TM, head.right_TM)]
    reason = built.module.reason(images[:1], "abcdefghij", ())
    assert reason.steps[0].otherwise[7] == "abcdefghij"[int(first[reason.steps[0].holds].argmax())]


def test_the_steps_of_rules_lead_to_the_one_that_holds():
    module, images = ruled(rules=2, conditions=2)
    said = module.sentences(FRUIT)
    for image, scores_K in zip(images[:6], module(images[:6]), strict=True):
        reason = module.reason(image[None], FRUIT, ())
        assert len(reason.steps) + len(reason.rest) in (2, 3), "the last rule asks nothing"
        assert [step.holds for step in reason.steps[:-1]] == [False] * (len(reason.steps) - 1)
        assert reason.rest == tuple(said[said.index(reason.sentences[0]) + 1 :])
        assert reason.answer.startswith(FRUIT[int(scores_K.argmax())])


def test_names_follow_the_extractors_and_the_projection():
    for name, settings, wanted in (
        ("template+measure_tree", {}, ("likeness to the mean a", *measure.Measures.NAMES)),
        ("hog_tree", {"pca": 5}, ("component 1", "component 5")),
        ("smallresnet_tree", {"weights": "none"}, ("feature 1",)),
    ):
        weights = {"weights": settings.pop("weights")} if "weights" in settings else {}
        module = build_net(name, settings, channels=1, classes=10, height=16, width=16, **weights).module
        module.fit(PICTURES[:60], LABELS[:60], "abcdefghij", quiet=True)
        found = module.names("abcdefghij").features
        assert len(found) == module.measured(PICTURES[:1]).shape[1]
        assert set(wanted) <= set(found)
        steps = module.reason(PICTURES[:1], "abcdefghij", ()).steps
        assert {step.question.split(" is at")[0] for step in steps} <= set(found)


@pytest.mark.parametrize(
    ("value", "threshold", "told"),
    [(0.5, 0.25, ("0.5", "0.25")), (0.41112, 0.41108, ("0.41112", "0.41108")), (3, 3, ("3", "3"))],
)
def test_a_value_is_told_apart_from_its_threshold(value, threshold, told):
    assert told_apart(value, threshold) == told


def test_features_join_and_a_nets_features_keep_their_weights():
    joined, _ = net("hog+pixel_ridge", pca=20, grid=4)
    assert joined.module.head.weights_KD.shape == (10, 20)
    assert joined.settings["grid"] == 4
    torch.manual_seed(0)
    deep, _ = net("smallresnet_ridge")
    torch.manual_seed(0)
    plain = build_net("smallresnet", channels=1, classes=10, height=16, width=16).module
    kept = deep.module.extractors[0].net.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in plain.state_dict().items())


def test_no_two_parts_have_a_setting_of_the_same_name():
    """Because one flag would set both."""
    files = [catalogue.module(name) for catalogue in (FEATURES_FILES, HEADS) for name in catalogue.names()]
    known = [field for file in files for field in file.Settings.__dataclass_fields__]
    assert sorted(known) == sorted(set(known))


@pytest.mark.parametrize("name", HEADS.names())
def test_heads_check_their_settings(name):
    with pytest.raises(SettingsError, match="did you mean|unknown key"):
        build_net(f"pixel_{name}", {"speed": 1}, channels=1, classes=2, height=8, width=8)


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("hog_svm", {"c": 0}, "net.c must be > 0"),
        ("hog_svm", {"gamma": -1}, "net.gamma must be ≥ 0"),
        ("hog_ridge", {"alpha": 0}, "net.alpha must be > 0"),
        ("hog_knn", {"k": 0}, "net.k must be ≥ 1"),
        ("hog_forest", {"trees": 0}, "net.trees must be ≥ 1"),
        ("hog_tree", {"cell": 1}, "net.cell must be ≥ 2"),
        ("hog_smv", {}, "Did you mean 'hog_svm'"),
        ("hog+smallresnet_svm", {}, "those of smallresnet of its own input. Name one"),
    ],
)
def test_wrong_settings_are_named(name, settings, says):
    with pytest.raises(SettingsError, match=says):
        build_net(name, settings, channels=1, classes=2, height=16, width=16)


def test_a_class_without_a_picture_and_too_few_neighbours_are_refused():
    module = build_net("pixel_knn", {"k": 5}, channels=1, classes=3, height=8, width=8).module
    assert isinstance(module, FittedNet)
    images = torch.zeros(4, 1, 8, 8)
    with pytest.raises(TrainingError, match="1 of the classes have no picture"):
        module.fit(images, torch.tensor([0, 1, 0, 1]), "abc", quiet=True)
    with pytest.raises(TrainingError, match=r"net.k must be at most the training pictures, 4, got 5"):
        module.fit(images, torch.tensor([0, 1, 2, 1]), "abc", quiet=True)


def test_computed_features_take_no_weights():
    with pytest.raises(SettingsError, match="its features are computed and have no weights"):
        build_net("hog_svm", channels=1, classes=2, height=16, width=16, weights="pretrained")


def painted(count, colours):
    """Return pictures of one colour each, with noise."""
    rng = torch.Generator().manual_seed(0)
    base = torch.tensor(colours).repeat(count, 1)[:, :, None, None]
    return (base + 0.05 * torch.rand(len(base), 3, 12, 12, generator=rng)).clamp(0, 1)


COLOURS = [[0.8, 0.1, 0.1], [0.1, 0.7, 0.1], [0.1, 0.1, 0.1]]
FRUIT = ("apple", "lime", "plum")


def ruled(**settings):
    module = build_net("rules", settings, channels=3, classes=3, height=12, width=12).module
    images = painted(20, COLOURS)
    module.fit(images, torch.arange(3).repeat(20), FRUIT, quiet=True)
    return module, images


def test_rules_are_few_and_are_said_in_words():
    module, images = ruled(rules=2, conditions=1)
    assert (module(images).argmax(1) == torch.arange(3).repeat(20)).all()
    told = module.sentences(FRUIT)
    assert len(told) == 3
    assert told[-1].startswith("Otherwise: ")
    for line in told[:2]:
        assert re.fullmatch(r"If \w+ is (above|at most) 0\.\d+: \w+ \(20 of 20 training pictures\)\.", line)


def test_the_first_rule_that_holds_answers():
    head = rules.build(rules.Settings(rules=3, conditions=2))
    fitted(head)
    first = head.first(FEATURES[TEST])
    assert torch.equal(first.sum(1), torch.ones(1000))
    said = head.sentences(names(10))
    for row, picture in zip(first.argmax(1).tolist()[:200], stepped(FEATURES[TEST])[:200], strict=True):
        holds = []
        for line in said:
            words = line.partition(":")[0].removeprefix("If ").removeprefix("Otherwise")
            met = True
            for condition in filter(None, words.split(" and ")):
                feature, _, limit = condition.removeprefix("feature ").partition(" is ")
                value = float(picture[int(feature)])
                met &= value > float(limit[6:]) if limit.startswith("above") else value <= float(limit[8:])
            holds.append(met)
        assert holds.index(True) == row


def test_rules_written_by_hand_are_kept(tmp_path):
    file = tmp_path / "fruit.toml"
    file.write_text(
        '[[rule]]\nwhen = ["red > 0.5", "brightness <= 0.9"]\nclass = "apple"\n'
        '[[rule]]\nwhen = ["green > 0.5"]\nclass = "plum"\n[[rule]]\nclass = "lime"\n'
    )
    module, images = ruled(file=str(file))
    assert module(images).argmax(1).tolist() == [0, 2, 1] * 20, "the answers are the writer's, right or wrong"
    assert module.sentences(FRUIT) == [
        "If red is above 0.5 and brightness is at most 0.9: apple (20 of 20 training pictures).",
        "If green is above 0.5: plum (0 of 20 training pictures).",
        "Otherwise: lime (0 of 20 training pictures).",
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "has no rule"),
        ('[[rule]]\nclass = "pear"', "rule 1: no class 'pear'"),
        ('[[rule]]\nwhen = ["red is big"]\nclass = "lime"', "is no condition. Write NAME > NUMBER"),
        ('[[rule]]\nwhen = ["redd > 1"]\nclass = "lime"', "no feature 'redd'. Did you mean 'red'"),
        ('[[rule]]\nwhen = ["red > 1"]\nclass = "lime"', "the last rule must have no condition"),
        ("[[rule]", "not valid TOML"),
    ],
)
def test_wrong_rules_are_named(tmp_path, text, says):
    file = tmp_path / "wrong.toml"
    file.write_text(text)
    with pytest.raises(SettingsError, match=says):
        ruled(file=str(file))
    with pytest.raises(SettingsError, match="no such file"):
        ruled(file=str(tmp_path / "none.toml"))
