"""Videos that are not what they should be: those that are named and left out, and those that are read."""

from pathlib import Path

from video_files import frames_THWC, write_empty, write_repeated, write_video

LEFT_OUT = {
    "nothing.avi": "none of its frames can be decoded",  # a header and no frame
    "empty.mp4": "an empty file (zero bytes)",
    "hls.mp4": "a playlist, which names other files or addresses",
    "concat.mp4": "a playlist, which names other files or addresses",
    "claims.mkv": "0.80 of 18000.00 s are there",
}
"""Part of the message about each video that `check` rejects."""
ODD = {
    "one.mp4": "one-frame",
    "turned.mp4": "odd-rotation",
    "hours.mkv": "variable-rate",  # five frames in five hours
    "long.mp4": None,  # 8,192 frames
    "large.avi": None,  # 7680 × 4320 pixels
}
"""Videos that are answered; the code of what `check` says of each, if it says something."""


def write_odd_clips(folder: Path) -> None:
    write_empty(folder / "nothing.avi")
    (folder / "empty.mp4").write_bytes(b"")
    (folder / "hls.mp4").write_text("#EXTM3U\n#EXTINF:9,\nhttp://127.0.0.1:9/private.ts\n")
    (folder / "concat.mp4").write_text("ffconcat version 1.0\nfile /etc/passwd\n")
    claims = bytearray(write_video(folder / "claims.mkv", frames_THWC(20)).read_bytes())
    at = claims.index(b"\x44\x89\x88") + 3  # the duration in ms, a float of eight bytes
    claims[at : at + 8] = bytes.fromhex("41712a8800000000")  # 5 hours
    (folder / "claims.mkv").write_bytes(claims)
    write_video(folder / "one.mp4", frames_THWC(1, first=3))
    write_video(folder / "turned.mp4", frames_THWC(12, first=2), rotation=45)
    write_video(folder / "hours.mkv", frames_THWC(5), times=[0, 3600, 7200, 10_000, 18_000])
    write_repeated(folder / "long.mp4", (64, 48), 8192, seconds=328)
    write_repeated(folder / "large.avi", (7680, 4320), 2)
