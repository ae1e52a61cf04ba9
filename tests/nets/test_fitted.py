"""Nets of the classical line: the same answers as scikit-learn's own models, kept and built again."""

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

from sightsmith.core.errors import SettingsError, TrainingError
from sightsmith.nets.build import build_net, describe_net
from sightsmith.nets.heads import HEADS, forest, knn, ridge, svm, tree
from sightsmith.nets.parts.fitted import FittedNet, Projection
from sightsmith.nets.parts.tree_head import stepped

FLAT, TARGETS = load_digits(return_X_y=True)
FEATURES = torch.from_numpy(FLAT / 16).float()
LABELS = torch.from_numpy(TARGETS)
TRAIN, TEST = slice(0, 790), slice(790, 1790)  # 1,000 pictures to compare
EVERY = pytest.mark.parametrize("name", ["hog_svm", "hog_ridge", "hog_forest", "hog_tree", "colour_tree", "pixel_knn"])


def fitted(head, classes=10):
    chosen = LABELS[TRAIN] < classes
    head.fit(FEATURES[TRAIN][chosen], LABELS[TRAIN][chosen], classes)
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
    head.fit(mixed[TRAIN], LABELS[TRAIN], 10)
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
    images = torch.nn.functional.interpolate(FEATURES.reshape(-1, 1, 8, 8), size=16)
    built.module.fit(images[:300], LABELS[:300], 10, quiet=True)
    return built, images[300:340]


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
        module.fit(images, torch.tensor([0, 1, 0, 1]), 3, quiet=True)
    with pytest.raises(TrainingError, match=r"net.k must be at most the training pictures, 4, got 5"):
        module.fit(images, torch.tensor([0, 1, 2, 1]), 3, quiet=True)


def test_computed_features_take_no_weights():
    with pytest.raises(SettingsError, match="its features are computed and have no weights"):
        build_net("hog_svm", channels=1, classes=2, height=16, width=16, weights="pretrained")
