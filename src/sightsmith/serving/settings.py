"""Settings of a service."""

from dataclasses import dataclass

from sightsmith.core.errors import SettingsError
from sightsmith.core.placement import MAX_PIXELS

_RANGES: dict[str, tuple[float, float, str]] = {
    "port": (0, 65535, "0 takes any free one"),
    "threads": (0, 4096, "0 uses every core"),
    "max_upload": (1, 2**31, "bytes"),
    "max_pixels": (1, 178_956_970, "pixels; Pillow decodes no more"),
    "upload_seconds": (0.1, 3600, "seconds"),
    "decode_seconds": (0.01, 3600, "seconds"),
    "queue": (1, 100_000, "pictures"),
    "max_pictures": (1, 10_000, "pictures"),
    "max_tiles": (1, 100_000, "tiles"),
    "max_parts": (1, 100_000, "parts"),
    "batch": (1, 1024, "pictures"),
    "batch_wait": (0, 1000, "milliseconds"),
    "recheck": (0.1, 86_400, "seconds"),
    "drain": (0, 3600, "seconds"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ServeSettings:
    host: str = "127.0.0.1"
    """Address to listen on; 0.0.0.0 lets other machines in."""
    port: int = 8000
    """Port to listen on; 0 takes any free one."""
    allowed_hosts: tuple[str, ...] = ()
    """Further host names that requests may use (their Host header). On a loopback address localhost, 127.0.0.1 and
    ::1 are allowed; on other addresses every name is, unless some are given."""
    backend: str = "auto"
    """Backend, such as openvino; auto takes the fastest installed one."""
    precision: str = "auto"
    """Precision of the backend, such as bf16 or fp32; auto takes the fastest on this machine."""
    threads: int = 0
    """Threads of the backend; 0 uses every core."""
    max_upload: int = 20_000_000
    """Bound on the bytes of one request."""
    max_pixels: int = MAX_PIXELS
    """Bound on width × height of one picture or frame, checked before its pixels are decoded; and of all pictures
    together that one request asks of a generator."""
    max_pictures: int = 64
    """Bound on the pictures that one request may ask of a generator."""
    max_tiles: int = 256
    """Bound on the tiles that one request may have its picture cut into."""
    max_parts: int = 256
    """Bound on the parts that one request may have its video cut into."""
    upload_seconds: float = 60.0
    """Bound on the time that one request may take to arrive, in seconds."""
    decode_seconds: float = 10.0
    """Bound on the time that decoding one picture or clip may take, in seconds."""
    queue: int = 64
    """Pictures that one model may have in progress; more are answered 503 with Retry-After."""
    batch: int = 16
    """Maximum pictures in one run of the model."""
    batch_wait: float = 3.0
    """Milliseconds that a picture waits for others that are being decoded; alone, it never waits."""
    recheck: float = 30.0
    """Seconds between two replays of the witnesses in the live model."""
    drain: float = 30.0
    """Seconds that requests under way have to end after SIGTERM or SIGINT."""
    examples: bool = False
    """Offer the witnesses on the page to try; they are real pictures or clips of the model's data."""

    def __post_init__(self) -> None:
        for name, (low, high, note) in _RANGES.items():
            value = getattr(self, name)
            if not low <= value <= high:
                raise SettingsError(f"serve: {name} must be in {low:g}…{high:g} ({note}), got {value!r}")
