"""Claim: requests a second ≥ 1.3 × LitServe's and p99 ≤ its, with 1, 16 and 64 clients: digits' graph and photographs.

LitServe runs in an environment of its own, made for this run. Both serve the same OpenVINO graph and take the same
JSON; rounds alternate. The clients are one asyncio process of raw sockets.
"""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.common import claim, data, machine, photo_bundle, sightsmith

_CLIENTS, _ROUNDS, _SECONDS = (1, 16, 64), 3, 3.0
_PEER = """
import base64, io, sys
import litserve, numpy as np, openvino
from PIL import Image

class Api(litserve.LitAPI):
    def setup(self, device):
        self.size, self.mode = int(sys.argv[3]), sys.argv[4]
        self.model = openvino.Core().compile_model(sys.argv[1], "CPU", {"PERFORMANCE_HINT": "LATENCY"})
    def decode_request(self, request):
        image = Image.open(io.BytesIO(base64.b64decode(request["image"])))
        image.draft(None, (2 * self.size, 2 * self.size))
        pixels = np.asarray(image.convert(self.mode).resize((self.size, self.size), Image.Resampling.BILINEAR))
        return pixels.reshape(self.size, self.size, -1)
    def batch(self, inputs): return np.stack(inputs)
    def predict(self, pixels): return self.model(pixels)[0]
    def unbatch(self, outputs): return list(outputs)
    def encode_response(self, scores): return {"scores": np.sort(scores)[::-1][:5].tolist()}

if __name__ == "__main__":
    api = Api(max_batch_size=16, batch_timeout=0.003)
    litserve.LitServer(api, accelerator="cpu").run(port=int(sys.argv[2]), generate_client_file=False, log_level="error")
"""


async def _ask(port: int, request: bytes, end: float, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.perf_counter() < end:
        begun = time.perf_counter()
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(f"port {port} answered {head[:40]!r}")
        await reader.readexactly(int(re.search(rb"content-length: (\d+)", head, re.IGNORECASE)[1]))
        seconds.append(time.perf_counter() - begun)
    writer.close()


def compute_metrics(port: int, path: str, picture: bytes, clients: int) -> tuple[float, float]:
    """Return requests a second and the 99th percentile in milliseconds."""
    body = json.dumps({"image": base64.b64encode(picture).decode()}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    seconds: list[float] = []

    async def main() -> None:
        end = time.perf_counter() + _SECONDS
        await asyncio.gather(*(_ask(port, head.encode() + b"\r\n\r\n" + body, end, seconds) for _ in range(clients)))

    asyncio.run(main())
    return len(seconds) / _SECONDS, 1000 * statistics.quantiles(seconds, n=100)[98]


@contextmanager
def running(command: list[str], port: int):
    if _answers(port):
        raise SystemExit(f"port {port} is taken, so that another program would be measured.")
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        for _ in range(600):
            time.sleep(0.1)
            if _answers(port):
                break
        time.sleep(3)
        yield
    finally:
        os.killpg(process.pid, signal.SIGKILL)  # LitServe's own processes outlive the one that started them
        process.wait(30)


def _answers(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
        return True
    return False


def against_peer(python: Path, script: Path, bundle: Path, picture: bytes, size: int, mode: str) -> bool:
    graph = bundle / "backends" / "openvino" / "model.xml"
    ours = [sys.executable, "-m", "sightsmith.cli", "serve", f"bench={bundle}", "--port", "8971", "--queue", "256"]
    peer = [str(python), str(script), str(graph), "8972", str(size), mode]
    targets = {"ours": (8971, "/v1/models/bench/predict"), "litserve": (8972, "/predict")}
    ok = True
    with running(ours, 8971), running(peer, 8972):
        for clients in _CLIENTS:
            found: dict[str, list[tuple[float, float]]] = {name: [] for name in targets}
            for _ in range(_ROUNDS):
                for name, (port, path) in targets.items():
                    found[name].append(compute_metrics(port, path, picture, clients))
            rate, tail = ({n: statistics.median(r[i] for r in rows) for n, rows in found.items()} for i in (0, 1))
            print(f"{bundle.name}, {clients} clients: {rate} requests/s, p99 {tail} ms")
            ok &= claim("rate / LitServe's", rate["ours"] / rate["litserve"], 1.3)
            ok &= claim("p99 / LitServe's", tail["ours"] / tail["litserve"], 1, at_most=True)
    return ok


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", folder / "peer"], check=True)
        python = folder / "peer" / "bin" / "python"
        packages = ["litserve", "openvino", "pillow", "numpy"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)
        script = folder / "peer.py"
        script.write_text(_PEER, encoding="utf-8")
        digits = folder / "digits"
        sightsmith("train", "digits", "--epochs", "1", "--out", digits, quiet=True)
        sightsmith("export", digits, "--to", "openvino", quiet=True)
        example = next(iter(sorted((digits / "witnesses").glob("*.png")))).read_bytes()
        shape = json.loads((digits / "manifest.json").read_text(encoding="utf-8"))["definition"]["input_settings"]
        ok = against_peer(python, script, digits, example, shape["height"], "L")
        photo = min(data("imagenet500").glob("*.jpg"), key=lambda path: abs(path.stat().st_size - 100_000)).read_bytes()
        ok &= against_peer(python, script, photo_bundle(folder, "resnet18"), photo, 224, "RGB")
    sys.exit(not ok)


if __name__ == "__main__":
    main()
