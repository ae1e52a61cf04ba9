"""Settings of `load`, `predict` and `export`; a field is a flag and a Python argument, and its text the help."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sightsmith.core.errors import SettingsError
from sightsmith.data.settings import FrameOptions


@dataclass(frozen=True, kw_only=True, slots=True)
class LoadSettings:
    backend: str = "auto"
    """Backend: auto takes the fastest that can run here, or one that `doctor` lists."""
    precision: str = "auto"
    """auto, bf16 or fp32."""
    threads: int = 0
    """Threads to compute with; 0 uses every core."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PredictSettings(FrameOptions):
    out: Path | None = None
    """Write to a file (.jsonl, .csv, .txt), or annotations to a folder, instead of standard output."""
    form: str | None = None
    """Form of the answers: jsonl, csv or text; of objects in pictures also coco, yolo or voc, data that labelling
    tools read. By default that of the file's ending; on standard output text on a terminal, else JSON lines."""
    draw: Path | None = None
    """Also draw the answers, each on its picture, as PNG files in this new folder; with --stream as a video with this
    name, NAME.mp4, at the rate and size of the source (at least 240 pixels across), without sound."""
    stream: bool = False
    """Answer again and again along one long video, camera or address, at the time of each answer."""
    html: Path | None = None
    """With --stream: also write a page with a timeline of the answers, at the end or when it is stopped."""
    every: float | None = None
    """With --stream: least seconds between answers; by default each frame that a model sees that carries its state
    from frame to frame, else half the time that one answer is about."""
    camera: int | None = None
    """With --stream: the camera of this number, from 0, instead of a file."""
    urls: bool = False
    """Fetch http and https addresses."""
    batch: int | None = None
    """Pictures a batch; by default chosen for the backend."""
    tiles: int | None = None
    """Cut larger pictures into overlapping tiles of this many pixels a side, 32…65,535, and merge the answers."""
    tile_overlap: float = 0.2
    """With tiles: least overlap of neighbours, a share of the side, 0…0.9."""
    overwrite: bool = False
    """Replace an existing output file."""
    options: dict[str, Any] = field(default_factory=dict)
    """Options of the model's kind of answer, by name."""

    def __post_init__(self) -> None:
        self._check_stream()
        for name, one, other in (
            ("draw", self.draw, self.out),
            ("html", self.html, self.out),
            ("html", self.html, self.draw),
        ):
            if one is None or other is None:
                continue
            if one.resolve().is_relative_to(other.resolve()) or other.resolve().is_relative_to(one.resolve()):
                raise SettingsError(f"{name}: {one} and the output {other} must be apart. Give another name.")

    def _check_stream(self) -> None:
        for name in () if self.stream else ("every", "camera", "html"):
            if getattr(self, name) is not None:
                raise SettingsError(f"predict: {name} is for streams. Add --stream, or leave --{name} out.")
        for name in ("tiles", "batch", "frame_rate") if self.stream else ():
            if getattr(self, name) is not None:
                raise SettingsError(
                    f"predict: a stream is answered frame by frame, without {name}. Leave --{name} out."
                )
        if self.every is not None and not 0 < self.every < float("inf"):
            raise SettingsError(f"predict: every must be > 0 s, got {self.every:g}")
        if self.camera is not None and self.camera < 0:
            raise SettingsError(f"predict: camera must be ≥ 0, got {self.camera}")


@dataclass(frozen=True, kw_only=True, slots=True)
class GenerateSettings:
    count: int = 16
    """Pictures, 1…1,000,000."""
    seed: int = 0
    """Seed, 0…2⁶³−1: the same seed gives the same pictures, whatever their count."""
    label: str | None = None
    """Class of all pictures; without it the classes take turns."""
    batch: int | None = None
    """Pictures a batch; by default chosen for the backend."""
    overwrite: bool = False
    """Replace existing files."""

    def __post_init__(self) -> None:
        for name, low, high in (("count", 1, 1_000_000), ("seed", 0, 2**63 - 1), ("batch", 1, 1_000_000)):
            value = getattr(self, name)
            if value is not None and not low <= value <= high:
                raise SettingsError(f"generate: {name} must be in {low:,}…{high:,}, got {value!r}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ExportSettings:
    prove: str | Path | None = None
    """Compare the accuracy too: on `test`, the model's own test split, or on other data, as --data of `evaluate`."""
    precision: str = "auto"
    """auto proves every precision the backend supports here; bf16 or fp32 that one, and fp32."""
    with_nms: bool = False
    """Of a detector, also write elsewhere/model.onnx into the bundle: a graph for use without Sightsmith that ends with
    non-maximum suppression."""
