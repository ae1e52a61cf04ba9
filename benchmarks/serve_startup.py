"""Claim: a ResNet-18 at 224² in OpenVINO is served ≤ 3 s after the process starts, and in ≤ 400 MB.

Ready is when /readyz answers 200, that is when the witnesses have been answered right. The memory is the peak of the
resident size, first when ready, then after 200 photographs in 16 connections, with the heat map of every fourth.
"""

import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from benchmarks.common import claim, data, machine, photo_bundle

_STARTS, _PHOTOS, _CONNECTIONS = 5, 200, 16


def peak(process: subprocess.Popen[str]) -> float:
    """Return the largest resident size of a process so far, in MB."""
    status = Path(f"/proc/{process.pid}/status").read_text(encoding="ascii")
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) * 1024 / 1e6


def wait_until_ready(process: subprocess.Popen[str]) -> str:
    for line in process.stdout:
        if found := re.search(r"Ready after .* at (http://\S+) ", line):
            httpx.get(f"{found[1]}/readyz").raise_for_status()
            return found[1]
    sys.exit("the service did not start")


def load(url: str, name: str) -> float:
    """Send the photographs and return how many were answered in a second."""
    photos = [path.read_bytes() for path in sorted(data("imagenet500").glob("*.jpg"))[:_PHOTOS]]

    def send(number: int) -> None:
        query = {"explain": "true"} if number % 4 == 0 else {}
        address = f"/v1/models/{name}/predict"
        headers = {"Content-Type": "image/jpeg"}
        client.post(address, content=photos[number], params=query, headers=headers).raise_for_status()

    with httpx.Client(base_url=url, timeout=120) as client, ThreadPoolExecutor(_CONNECTIONS) as pool:
        start = time.perf_counter()
        list(pool.map(send, range(len(photos))))
        return len(photos) / (time.perf_counter() - start)


def start(bundle: Path, *, busy: bool) -> tuple[float, float, float]:
    """Start a service, use it if `busy`, end it; return seconds until ready, MB when ready, MB at the end."""
    begun = time.perf_counter()
    command = [sys.executable, "-m", "sightsmith.cli", "serve", str(bundle), "--port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        url = wait_until_ready(process)
        seconds, ready = time.perf_counter() - begun, peak(process)
        if busy:
            print(f"{load(url, bundle.name):.0f} photographs a second from {_CONNECTIONS} connections")
        end = peak(process)
        maps = Path(f"/proc/{process.pid}/maps").read_text(encoding="utf-8")
        process.send_signal(signal.SIGTERM)
        if process.wait(60) != 0 or "libtorch" in maps:
            sys.exit(f"the service ended with {process.returncode}; torch loaded: {'libtorch' in maps}")
    return seconds, ready, end


def main() -> None:
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        bundle = photo_bundle(Path(folder), "resnet18")
        rounds = [start(bundle, busy=number == _STARTS - 1) for number in range(_STARTS)]
    seconds = statistics.median(took for took, _, _ in rounds)
    ok = claim(f"start (median of {_STARTS})", seconds, 3, unit="s", at_most=True)
    ok &= claim("peak memory when ready", max(ready for _, ready, _ in rounds), 400, unit="MB", at_most=True)
    ok &= claim(f"peak memory after {_PHOTOS} photographs", rounds[-1][2], 400, unit="MB", at_most=True)
    sys.exit(not ok)


main()
