"""timm's nets: sizes, channels, class maps of every kind, published weights."""

import subprocess
import sys
import textwrap

import pytest
import torch

from sightsmith.core.errors import SettingsError
from sightsmith.nets.build import build_net

KINDS = {
    "resnet10t": ("position", "map", 64, (2, 2)),
    "mobilenetv3_small_050": ("position", "map", 64, (2, 2)),
    "swin_s3_tiny_224": ("position", "last", 64, (2, 2)),
    "test_vit": ("position", "tokens", 64, (4, 4)),
    "deit_tiny_distilled_patch16_224": ("position", "tokens", 64, (4, 4)),
    "coat_lite_tiny": ("position", "tokens", 64, (2, 2)),
    "vgg11": ("masking", "map", 64, (2, 2)),
    "crossvit_tiny_240": ("occlusion", "map", 240, (4, 4)),
    "pit_ti_224": ("occlusion", "map", 224, (4, 4)),
}


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_of_net_has_a_class_map(name):
    method, kind, side, grid = KINDS[name]
    module = build_net(name, channels=3, classes=3, height=side, width=side).module.eval()
    images = torch.randn(2, 3, side, side)
    with torch.inference_mode():
        logits, class_map = module.with_map(images)
        assert torch.equal(logits, module(images))
        torch.testing.assert_close(logits, module.net(images))
    assert (module.layout.method, module.layout.kind) == (method, kind)
    assert class_map.shape == (2, 3, *grid)
    assert class_map.isfinite().all()


@pytest.mark.parametrize("name", ["resnet10t", "densenet121", "swin_s3_tiny_224"])
def test_under_a_linear_head_the_map_has_the_logits_as_its_mean(name):
    module = build_net(name, channels=3, classes=3, height=96, width=96).module.eval()
    with torch.inference_mode():
        logits, class_map = module.with_map(torch.randn(2, 3, 96, 96))
    torch.testing.assert_close(class_map.mean((2, 3)), logits, rtol=1e-3, atol=1e-5)


def test_the_map_of_a_vit_follows_the_picture():
    """Only the patch that differs from the rest may differ in a map of patch tokens before attention mixes them."""
    module = build_net("test_vit", channels=1, classes=2, height=32, width=64).module.eval()
    with torch.inference_mode():
        _, class_map = module.with_map(torch.randn(1, 1, 32, 64))
        tokens = module.features(torch.zeros(1, 1, 32, 64)).clone()
        tokens[:, module.layout.prefix + 5] += 10  # row 1, column 1 of 2 × 4
        spotted = module.class_map(tokens)[0, 0]
    assert class_map.shape == (1, 2, 2, 4)
    others = torch.ones(2, 4, dtype=torch.bool)
    others[1, 1] = False
    assert (spotted[1, 1] - spotted[others].mean()).abs() > 5 * spotted[others].std()


@pytest.mark.parametrize("name", ["vit_tiny_patch16_224", "deit_tiny_distilled_patch16_224"])
def test_the_attention_of_a_vit_is_its_last_blocks_own(name):
    module = build_net(name, channels=3, classes=2, height=48, width=64).module.eval()
    images = torch.randn(2, 3, 48, 64)
    with torch.inference_mode():
        found = module.attention(images)
        for block in module.net.blocks:
            block.attn.fused_attn = False
        dropped = []
        module.net.blocks[-1].attn.attn_drop.register_forward_hook(lambda _, inputs, __: dropped.append(inputs[0]))
        module(images)
    patches = dropped[0].mean(1)[:, 0, module.layout.prefix :]
    torch.testing.assert_close(found, (patches / patches.sum(1, keepdim=True)).reshape(2, 3, 4))


@pytest.mark.parametrize("name", ["resnet10t", "vit_srelpos_small_patch16_224", "swin_s3_tiny_224"])
def test_nets_without_a_class_tokens_attention_have_none(name):
    module = build_net(name, channels=3, classes=2, height=64, width=64).module.eval()
    assert module.attention(torch.zeros(1, 3, 64, 64)) is None


@pytest.mark.parametrize(
    ("name", "side", "message"),
    [
        ("inception_v3", 32, "cannot take pictures of 32×32 .* Sizes that work: 96×96, 128×128, 224×224, 299×299"),
        ("test_vit", 30, "patches are 16×16 .* Sizes that work: 32×32, 64×64"),
        ("nest_tiny", 100, "Sizes that work: .*224×224"),
    ],
)
def test_sizes_that_a_net_cannot_take_name_those_that_it_can(name, side, message):
    with pytest.raises(SettingsError, match=message):
        build_net(name, channels=3, classes=2, height=side, width=side)


def test_a_net_for_colour_alone_says_so():
    with pytest.raises(SettingsError, match="csatv2: takes colour pictures only .* Use colour='rgb'"):
        build_net("csatv2", channels=1, classes=2, height=128, width=128)


def test_named_sizes_do_work():
    for side in (96, 128):
        build_net("inception_v3", channels=3, classes=2, height=side, width=side)


def test_a_setting_that_the_net_does_not_take():
    with pytest.raises(SettingsError, match="vgg11: the net takes no drop_path_rate"):
        build_net("vgg11", {"drop_path_rate": 0.1}, channels=3, classes=2, height=64, width=64)
    built = build_net("resnet10t", {"drop_path_rate": 0.1}, channels=3, classes=2, height=64, width=64)
    assert built.settings == {"drop_rate": 0.0, "drop_path_rate": 0.1}


def test_building_leaves_the_net_in_training_mode_and_its_statistics_untouched():
    module = build_net("resnet10t", channels=3, classes=2, height=64, width=64).module
    assert all(part.training for part in module.modules())
    assert module.net.bn1.num_batches_tracked == 0


HUB = """
import http.server, json, os, sys, threading
from pathlib import Path
folder = Path(sys.argv[1])

class Hub(http.server.BaseHTTPRequestHandler):
    def answer(self, body):
        path = folder / self.path.rpartition("/")[2]
        if not path.exists():
            self.send_response(404); self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0"); self.end_headers(); return
        data = path.read_bytes()
        self.send_response(200)
        for key, value in {"ETag": '"abc"', "X-Repo-Commit": "0" * 40, "Content-Length": str(len(data))}.items():
            self.send_header(key, value)
        self.end_headers()
        if body: self.wfile.write(data)
    def do_HEAD(self): self.answer(False)
    def do_GET(self): self.answer(True)
    def log_message(self, *_): pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub)
threading.Thread(target=server.serve_forever, daemon=True).start()
os.environ["HF_ENDPOINT"] = sys.argv[2] or f"http://127.0.0.1:{server.server_port}"
os.environ["HF_HOME"] = str(folder / "cache")
os.environ["HF_HUB_DISABLE_XET"] = "1"
import torch
from sightsmith.core.errors import SightsmithError
from sightsmith.nets.build import build_net
try:
    built = build_net("test_vit", channels=1, classes=3, height=32, width=32, weights="pretrained")
    proj = built.module.net.patch_embed.proj.weight
    print(json.dumps({"mean": proj.mean().item(), "pos": list(built.module.net.pos_embed.shape), "sha256":
        built.weights.sha256, "origin": built.weights.origin, "licence": built.weights.licence,
        "notes": built.weights.notes}))
except SightsmithError as error:
    print(error)
"""


def speak_to_hub(folder, endpoint=""):
    script = textwrap.dedent(HUB)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script, str(folder), endpoint],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert "Retry" not in done.stderr
    return done.stdout.strip().splitlines()[-1]


def test_a_weights_file_that_the_configuration_names_is_the_one_fetched(monkeypatch, tmp_path):
    from timm.models import PretrainedCfg

    from sightsmith.nets.libraries import timm
    from sightsmith.nets.parts import downloads

    config = PretrainedCfg(hf_hub_id="some/repository", hf_hub_filename="vision.bin")
    monkeypatch.setattr(timm, "_config", lambda name: config)
    monkeypatch.setattr(downloads, "try_to_load_from_cache", lambda repository, file: str(tmp_path / repository / file))
    assert timm.fetch("resnet18") == tmp_path / "some/repository/vision.bin"


def test_published_weights_come_from_a_hub_with_their_record(tmp_path):
    import json

    import timm
    from safetensors.torch import save_file

    from sightsmith.core.files import sha256

    state = timm.create_model("test_vit").state_dict()
    state["patch_embed.proj.weight"] = torch.ones_like(state["patch_embed.proj.weight"])
    save_file(state, tmp_path / "model.safetensors")
    said = json.loads(speak_to_hub(tmp_path))
    assert said["mean"] == pytest.approx(3.0)  # the three colours' weights, added
    assert said["pos"][1] == 2 * 2 + 1
    assert said["sha256"] == sha256(tmp_path / "model.safetensors")
    assert (said["origin"], said["licence"]) == ("timm/test_vit.r160_in1k", "apache-2.0")
    assert [note.split(" (")[0].split(" from ")[0] for note in said["notes"]] == [
        "the classifier",
        "the first layer was adapted",
        "position tables were resized",
    ]


@pytest.mark.parametrize("how", ["offline", "http://127.0.0.1:9"])
def test_without_a_network_the_ways_out_are_named(tmp_path, monkeypatch, how):
    if how == "offline":
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    said = speak_to_hub(tmp_path, "" if how == "offline" else how)
    assert said.startswith(
        "test_vit: its published weights cannot be fetched from https://huggingface.co/timm/test_vit"
    )
    assert "weights=FILE" in said
    assert "weights='none'" in said
