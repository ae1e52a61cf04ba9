"""Finding and building nets by name."""

import time

import pytest
import torch

from sightsmith.core.errors import SettingsError
from sightsmith.nets.build import OWN_NETS, build_net, describe_net, net_names, require_family


def test_own_nets_are_the_files():
    assert {"attention", "smallcnn", "smallresnet"} <= set(OWN_NETS.names())
    assert "build" not in OWN_NETS.names()


def test_listing_has_our_own_first_then_those_that_start_so():
    found = [info.name for info in net_names("resnet")]
    assert found[0] == "smallresnet"
    assert found[1].startswith("resnet")
    assert "cspresnet50" in found
    assert all("resnet" in name for name in found)


def test_listing_takes_patterns_and_limits():
    assert [info.name for info in net_names("vgg1?")] == ["vgg11", "vgg13", "vgg16", "vgg19"]
    assert len(net_names(limit=7)) == 7
    assert len(net_names()) > 1200
    assert net_names("no such net") == []


@pytest.mark.parametrize(("name", "millions"), [("resnet18", 11.69), ("smallresnet", 0.61), ("vgg11", 132.86)])
def test_description_counts_parameters_without_building_them(name, millions):
    info = describe_net(name)
    assert info.parameters / 1e6 == pytest.approx(millions, abs=0.01)
    assert info.paper
    assert info.licence == "Apache-2.0"


def test_description_of_a_library_net_has_its_native_input_and_licences_of_weights():
    info = describe_net("vit_tiny_patch16_224")
    assert (info.native.height, info.native.width, info.native.fixed) == (224, 224, True)
    assert info.native.mean == (0.5, 0.5, 0.5)
    assert info.pretrained[0] == ("vit_tiny_patch16_224.augreg_in21k_ft_in1k", "apache-2.0")
    assert info.paper == "arXiv:2010.11929"


def test_a_net_of_several_parts_is_listed_with_its_task_and_counted_whole():
    info = describe_net("dcgan")
    assert (info.family, info.own_task, info.roles) == ("gan", "gan", ("generator", "discriminator"))
    assert describe_net("vae").own_task == "vae"
    assert describe_net("yolo").own_task == "detect"
    assert describe_net("smallcnn").own_task is None
    sizes = {"channels": 3, "classes": 10, "height": 32, "width": 32}
    parts = [build_net("dcgan", role=role, **sizes).module for role in info.roles]
    assert info.parameters == sum(one.numel() for part in parts for one in part.parameters())
    assert {"dcgan", "vae"} <= {one.name for one in net_names() if one.own_task}


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("dcgan", {}, "roles generator and discriminator, not 'net'. Train it with task gan"),
        ("vae", {"role": "generator"}, "roles encoder and decoder, not 'generator'.*vae"),
        ("dcgam", {"role": "generator"}, "unknown net 'dcgam'. Did you mean 'dcgan'"),
        ("dcgan_svm", {}, "roles generator and discriminator, not 'net'"),
        ("dcgan", {"role": "generator", "weights": "g.safetensors"}, "its generator starts from random numbers"),
        ("dcgan", {"role": "generator", "weights": "pretrained"}, "no published weights"),
        ("dcgan", {"role": "generator", "classes": -1}, "classes must be ≥ 0.* got -1"),
        ("dcgan", {"role": "generator", "channels": 2}, "channels must be 1"),
    ],
)
def test_roles_and_arguments_that_do_not_fit(name, change, message):
    arguments = {"channels": 1, "classes": 2, "height": 32, "width": 32} | change
    with pytest.raises(SettingsError, match=message):
        build_net(name, **arguments)


def test_every_setting_has_help_and_a_default():
    for name in [*OWN_NETS.names(), "resnet18"]:
        for setting in describe_net(name).settings:
            assert setting.help, (name, setting.name)
            assert setting.default is not None, (name, setting.name)


def test_unknown_name_has_the_nearest_ones_and_is_quick():
    net_names(limit=1)
    start = time.perf_counter()
    with pytest.raises(SettingsError, match="unknown net 'reznet-18'. Did you mean 'resnet18'"):
        build_net("reznet-18", channels=3, classes=2, height=32, width=32)
    assert time.perf_counter() - start < 2


@pytest.mark.parametrize("name", ["build", "no/such", "resnet18.a9_in1k"])
def test_names_that_are_no_nets(name):
    with pytest.raises(SettingsError, match="unknown net|no weights of that name"):
        build_net(name, channels=3, classes=2, height=32, width=32)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"channels": 4}, "channels must be 1 .* got 4"),
        ({"classes": 0}, "at least 1 class, got 0"),
        ({"settings": {"widht": 8}}, "unknown key 'widht'. Did you mean 'width'"),
        ({"settings": {"width": "x"}}, "smallcnn: width"),
        ({"weights": "pretrained"}, "no published weights"),
    ],
)
def test_wrong_arguments(change, message):
    arguments = {"settings": {}, "channels": 3, "classes": 2, "height": 16, "width": 16} | change
    with pytest.raises(SettingsError, match=message):
        build_net("smallcnn", arguments.pop("settings"), **arguments)


def test_settings_may_be_words_as_on_a_command_line():
    built = build_net("smallcnn", {"width": "4", "pool": "avg"}, channels=1, classes=2, height=8, width=8)
    assert built.settings["width"] == 4
    assert built.settings["pool"] == "avg"


def test_random_weights_follow_the_global_generator():
    def weights():
        torch.manual_seed(5)
        return build_net("resnet18", channels=1, classes=2, height=32, width=32).module.state_dict()

    first, second = weights(), weights()
    assert all(torch.equal(first[key], second[key]) for key in first)


@pytest.mark.parametrize(
    ("name", "family", "message"),
    [
        (
            "resnet18",
            "gan",
            "resnet18 is a net of the family 'classifier'.*'any'.*of 'gan'. .*name one of these: dcgan",
        ),
        ("smallcnn", "vae", "name one of these: vae"),
        ("smallcnn", "film", "none is known"),
        ("dcgan", "classifier", "family 'gan'.*of 'classifier'. Train it with task gan"),
        ("dcgam", "gan", "unknown net 'dcgam'. Did you mean 'dcgan'"),
    ],
)
def test_a_net_of_another_family_than_the_tasks(name, family, message):
    with pytest.raises(SettingsError, match=message):
        require_family(name, family, "any")
    require_family("dcgan", "gan", "any")
    require_family("resnet18", "classifier", "any")
