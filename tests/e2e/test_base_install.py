"""The base install, without torch, in an environment of its own: it verifies, predicts and serves."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LARGEST = 700_000_000
"""Bytes that the environment may take on disk."""
UNREACHABLE = re.compile(
    r"NewConnectionError|Name or service not known|Temporary failure in name resolution|Network is unreachable|"
    r"ConnectTimeoutError|ProxyError|Could not fetch URL|Connection refused|Max retries exceeded"
)

pytestmark = pytest.mark.slow


def run(*command: str | Path, cwd: Path) -> subprocess.CompletedProcess[str]:
    alone = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return subprocess.run(
        list(map(str, command)), cwd=cwd, env=alone, capture_output=True, text=True, timeout=420, check=False
    )


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Return the folder of a fresh environment with `pip install .`, or skip where no package can be fetched."""
    folder = tmp_path_factory.mktemp("base") / "venv"
    subprocess.run([sys.executable, "-m", "venv", folder], check=True, timeout=120)
    done = run(folder / "bin/python", "-m", "pip", "install", "-c", ROOT / "constraints.txt", ROOT, cwd=folder)
    if done.returncode and UNREACHABLE.search(done.stdout + done.stderr):
        pytest.skip("the package index cannot be reached")
    assert done.returncode == 0, done.stderr
    return folder


def test_it_holds_no_torch_and_is_small(base):
    done = run(base / "bin/python", "-m", "pip", "list", "--format", "json", cwd=base)
    names = {one["name"].lower() for one in json.loads(done.stdout)}
    assert {"sightsmith", "openvino", "fastapi"} <= names
    assert not names & {"torch", "torchvision", "lightning", "timm", "captum", "scikit-learn", "onnx"}
    files = {(found.st_dev, found.st_ino): found.st_blocks * 512 for found in map(os.lstat, base.rglob("*"))}
    assert sum(files.values()) <= LARGEST


def test_it_verifies_checks_and_predicts(base, life):
    done = run(base / "bin/sightsmith", "verify", "cats", cwd=life.home)
    assert done.returncode == 0, done.stderr
    assert "OpenVINO" in done.stdout
    done = run(base / "bin/sightsmith", "check", "photos", "--json", cwd=life.home)
    assert json.loads(done.stdout)["kept"] == 60, done.stderr
    done = run(base / "bin/sightsmith", "predict", "cats", "photos", cwd=life.home)
    assert done.returncode == 0, done.stderr
    here = run(sys.executable, "-m", "sightsmith.cli", "predict", "cats", "photos", cwd=life.home)
    assert done.stdout == here.stdout, "the same bundle, backend and machine answer the same"


@pytest.mark.parametrize(
    "verb", [("doctor",), ("explain", "cats", "photos/cat/cat_00.jpg", "--out"), ("evaluate", "cats")]
)
def test_what_needs_no_torch_works(base, life, tmp_path, verb):
    arguments = {
        "explain": [tmp_path / "map.png"],
        "evaluate": ["--data", "photos", "--report", tmp_path / "page.html"],
    }
    done = run(base / "bin/sightsmith", *verb, *arguments.get(verb[0], []), cwd=life.home)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "verb",
    [
        ("train", "photos", "--out", "more"),
        ("export", "cats", "--to", "openvino"),
        ("models",),
        ("explain", "cats", "photos/cat/cat_00.jpg", "--method", "gradcam"),
        ("predict", "cats", "photos", "--backend", "torch"),
    ],
    ids=lambda verb: verb[0],
)
def test_what_needs_torch_says_what_to_install(base, life, verb):
    done = run(base / "bin/sightsmith", *verb, cwd=life.home)
    assert done.returncode == 2, done.stderr
    assert "pip install 'sightsmith[train]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(life.home.glob("more*"))


def test_it_serves(base, life):
    command = [base / "bin/sightsmith", "serve", "cats", "--port", "0"]
    with subprocess.Popen(command, cwd=life.home, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        ends = threading.Timer(120, process.kill)  # a service that never gets ready must not hang the suite
        ends.start()
        try:
            url = next(
                found[1] for line in process.stdout if (found := re.search(r"Ready after .* at (http://\S+) ", line))
            )
            with urllib.request.urlopen(f"{url}/readyz", timeout=30) as answer:
                assert answer.status == 200
            picture = (life.home / "photos/owl/owl_03.jpg").read_bytes()
            asked = urllib.request.Request(
                f"{url}/v1/models/cats/predict", picture, headers={"Content-Type": "image/jpeg"}
            )
            with urllib.request.urlopen(asked, timeout=30) as answer:
                labels = json.loads(answer.read())
            process.send_signal(signal.SIGTERM)
            code = process.wait(60)
        finally:
            ends.cancel()
            process.kill()
    assert code == 0
    assert {one["label"] for one in labels} == {"cat", "dog", "owl"}
    assert sum(one["score"] for one in labels) == pytest.approx(1, abs=1e-3)
