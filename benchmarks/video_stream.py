"""Claims: a long video is streamed at ≥ 0.9 × raw decoding and the backend one after the other, in flat memory.

Raw: PyAV decodes every frame and converts none; OpenVINO then answers as often, on inputs that are ready in memory. A
stream does both at once, and converts the frames that the model sees. One net carries its state, the other answers by
windows.
"""

import sys
import tempfile
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np

from benchmarks.common import alternate, claim, data, machine, peak_memory, sightsmith
from sightsmith.inputs import clip
from sightsmith.model import Model, load
from sightsmith.runtime.programs import PROGRAMS

_SECONDS, _TIMES, _ROUNDS, _GROWTH = 40.0, 10, 5, 16.0
_NETS = {"carries its state": ("lstm", "--spacing", ".1"), "by windows": ("frames",)}


def repeat(source: Path, target: Path, seconds: float) -> Path:
    """Write a video that repeats another one, its packets unchanged, for at least so many seconds."""
    with av.open(str(source)) as read:
        stream = read.streams.video[0]
        packets = [packet for packet in read.demux(stream) if packet.pts is not None]
        length = max(packet.pts + (packet.duration or 0) for packet in packets)
        times = -(-Fraction(seconds) // (length * stream.time_base))
        with av.open(str(target), "w") as out:
            copy = out.add_stream_from_template(stream)
            for turn in range(int(times)):
                for packet in read_again(source):
                    packet.pts += turn * length
                    packet.dts += turn * length
                    packet.stream = copy
                    out.mux(packet)
    return target


def read_again(source: Path) -> list[av.Packet]:
    """Return the packets of a video, which may be changed."""
    with av.open(str(source)) as read:
        return [packet for packet in read.demux(video=0) if packet.pts is not None]


def raw(model: Model, video: Path, answers: int, frames: int) -> Callable[[], None]:
    """Return a function that decodes a video, then answers: `frames` steps of a state, or `answers` windows."""
    predictor = model.predictor
    settings = predictor.definition.input_settings
    carried = "stream" in predictor.definition.programs
    frame_NHWC = np.zeros((1, *settings.picture.shape), np.uint8)
    window_NTHWC = np.zeros((1, settings.frames, *settings.picture.shape), np.uint8)
    program, outputs = PROGRAMS.module("stream"), predictor.outputs[:1]

    def run() -> None:
        with av.open(str(video)) as container:
            container.streams.video[0].thread_count = 1
            for _ in container.decode(video=0):
                pass
        state = None
        for _ in range(frames if carried else 0):
            feeds = {program.frame_input(predictor.sessions): frame_NHWC}
            _, state = program.step(predictor.sessions, feeds, outputs, state)
        for _ in range(0 if carried else answers):
            predictor.run({clip.FRAMES: window_NTHWC}, outputs)

    return run


def trained(arguments: tuple[str, ...], folder: Path) -> Path:
    """Train a net for one epoch and export it: a net whose speed can be measured."""
    bundle = folder / arguments[0]
    how = ("--model", *arguments, "--weights", "none", "--epochs", "1", "--out", bundle)
    sightsmith("train", data("fight_clips"), *how, quiet=True)
    sightsmith("export", bundle, "--to", "openvino", quiet=True)
    return bundle


def measure(name: str, bundle: Path, short: Path, long: Path) -> bool:
    """Tell whether a model reaches both targets, on a video and on one that is `_TIMES` as long."""
    with load(bundle, backend="openvino") as model:
        steps = list(model.stream(short))
        frames = round(steps[-1].time / (model.manifest.definition.input_settings.spacing or 1)) + 1
        found = alternate(
            {"raw": raw(model, short, len(steps), frames), "stream": lambda: list(model.stream(short))},
            _ROUNDS,
            work=steps[-1].time,
        )
    for one, rate in found.items():
        print(f"{name}, {one}: {rate:.1f} s of video a second, {len(steps)} answers")
    peaks = [memory(bundle, video) for video in (short, long)]
    growth = (peaks[1] - peaks[0]) / 2**20
    print(f"{name}: peak memory {peaks[0] / 2**20:.0f} MiB, of {_TIMES} × the length {peaks[1] / 2**20:.0f} MiB")
    reached = claim(f"{name}: stream / (raw decoding + backend)", found["stream"] / found["raw"], 0.9)
    return (
        claim(f"{name}: growth of memory over {_TIMES} × the length", growth, _GROWTH, unit="MiB", at_most=True)
        and reached
    )


def memory(bundle: Path, video: Path) -> int:
    """Return the bytes of memory that `predict --stream` with an annotated video takes, at most."""
    drawn = video.with_name("drawn.mp4")
    flags = ("--stream", "--backend", "openvino", "--draw", str(drawn), "--overwrite")
    command = [sys.executable, "-m", "sightsmith.cli", "predict", str(bundle), str(video), *flags]
    return peak_memory(command)


def main() -> None:
    print(f"{machine()}, av {av.__version__}")
    source = min(data("fight_clips").glob("fight/*.mp4"))
    with tempfile.TemporaryDirectory() as top:
        folder = Path(top)
        short = repeat(source, folder / "short.mp4", _SECONDS)
        long = repeat(source, folder / "long.mp4", _SECONDS * _TIMES)
        reached = [measure(name, trained(arguments, folder), short, long) for name, arguments in _NETS.items()]
    sys.exit(not all(reached))


main()
