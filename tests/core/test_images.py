"""Decoding: formats, modes, orientation, bounds, damage."""

import io
import struct
import warnings
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sightsmith.core.errors import PictureError, TooManyPixelsError
from sightsmith.core.images import decode, describe, picture_size, printable, read_header


def scene(width=40, height=24):
    """Return an RGB picture with no symmetry: every orientation of it differs."""
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([columns * 255 // (width - 1), rows * 255 // (height - 1), np.full_like(rows, 90)], axis=-1)
    pixels[:6, :10] = (255, 0, 0)
    return Image.fromarray(pixels.astype(np.uint8))


def encoded(image, format_, **options):
    buffer = io.BytesIO()
    image.save(buffer, format_, **options)
    return buffer.getvalue()


def difference(one, other):
    return float(np.abs(np.asarray(one, dtype=float) - np.asarray(other, dtype=float)).mean())


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("TIFF", {"compression": "tiff_adobe_deflate"}),
        ("PPM", {}),
        ("WEBP", {"lossless": True}),
    ],
)
def test_lossless_formats_give_the_very_pixels(format_, options):
    assert np.array_equal(decode(encoded(scene(), format_, **options)), scene())


@pytest.mark.parametrize(
    ("format_", "options"),
    [
        ("JPEG", {"quality": 95, "subsampling": 0}),
        ("JPEG", {"quality": 95, "subsampling": 0, "progressive": True}),
        ("WEBP", {"quality": 95}),
    ],
)
def test_lossy_formats_come_close(format_, options):
    assert difference(decode(encoded(scene(), format_, **options)), scene()) < 3


@pytest.mark.parametrize("format_", ["PNG", "JPEG", "BMP", "TIFF", "PPM", "WEBP"])
def test_a_path_a_string_and_bytes_are_one_picture(tmp_path, format_):
    file = tmp_path / "a picture"
    file.write_bytes(encoded(scene(), format_))
    of_path, of_text, of_bytes = decode(file), decode(str(file)), decode(file.read_bytes())
    assert np.array_equal(of_path, of_text)
    assert np.array_equal(of_path, of_bytes)


def test_grey_stays_grey():
    grey = scene().convert("L")
    for format_ in ("PNG", "PPM", "TIFF"):
        got = decode(encoded(grey, format_))
        assert got.mode == "L"
        assert np.array_equal(got, grey)


def test_one_bit_becomes_black_and_white_grey():
    bits = scene().convert("1")
    got = decode(encoded(bits, "PNG"))
    assert got.mode == "L"
    assert set(np.unique(got)) == {0, 255}
    assert np.array_equal(np.asarray(got) > 0, np.asarray(bits))


@pytest.mark.parametrize("format_", ["PNG", "TIFF", "PPM"])
def test_16_bit_grey_keeps_its_upper_byte(format_):
    values = (np.arange(24 * 40, dtype=np.uint32) * 68 % 65536).astype(np.uint16).reshape(24, 40)
    got = decode(encoded(Image.fromarray(values), format_))
    assert got.mode == "L"
    assert np.array_equal(got, values >> 8)


@pytest.mark.parametrize("options", [{}, {"compression": "tiff_lzw"}, {"compression": "tiff_adobe_deflate"}])
def test_16_bit_tiff_that_counts_from_white_is_no_negative(options):
    """Tag 262 = 0: the values are stored inverted."""
    values = (np.arange(24 * 40, dtype=np.uint32) * 68 % 65536).astype(np.uint16).reshape(24, 40)
    negative = encoded(Image.fromarray(0xFFFF - values), "TIFF", tiffinfo={262: 0}, **options)
    assert np.array_equal(decode(negative), decode(encoded(Image.fromarray(values), "TIFF", **options)))
    assert np.array_equal(decode(Image.open(io.BytesIO(negative))), values >> 8)
    turned = encoded(Image.fromarray(0xFFFF - values), "TIFF", tiffinfo={262: 0, 274: 6}, **options)
    assert np.array_equal(decode(turned), np.rot90(values >> 8, -1))


def test_16_bit_colour_keeps_its_upper_byte():
    values = np.random.default_rng(0).integers(0, 65536, (5, 7, 3), dtype=np.uint16)
    got = decode(png(7, 5, depth=16, kind=2, rows=values.astype(">u2").tobytes()))
    assert np.array_equal(got, values >> 8)


def test_32_bit_grey_within_16_bits_is_read_and_beyond_is_refused():
    small = Image.fromarray(np.full((4, 4), 40_000, dtype=np.int32))
    assert np.asarray(decode(encoded(small, "TIFF"))).max() == 40_000 >> 8
    large = Image.fromarray(np.full((4, 4), 70_000, dtype=np.int32))
    with pytest.raises(PictureError, match="0…65535, found 70000…70000"):
        decode(encoded(large, "TIFF"))


def test_floating_point_pixels_are_refused_by_name(tmp_path):
    file = tmp_path / "heights.tif"
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save(file)
    with pytest.raises(PictureError, match=r"heights\.tif: floating-point pixels"):
        decode(file)


def test_cmyk_jpeg_has_its_colours():
    got = decode(encoded(scene(200, 120).convert("CMYK"), "JPEG", quality=95, subsampling=0))
    assert got.mode == "RGB"
    assert difference(got, scene(200, 120)) < 4


def test_palette_becomes_colour():
    palette = scene().quantize(64)
    got = decode(encoded(palette, "PNG"))
    assert np.array_equal(got, palette.convert("RGB"))


def with_hole(mode):
    """Return a picture whose left half is transparent."""
    image = scene().convert(mode)
    alpha = Image.fromarray(np.where(np.arange(40) < 20, 0, 255).astype(np.uint8)[None].repeat(24, 0))
    image.putalpha(alpha)
    return image


@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("format_", ["PNG", "TIFF"])
def test_transparency_is_laid_over_white(mode, format_):
    got = np.asarray(decode(encoded(with_hole(mode), format_)))
    assert (got[:, :20] == 255).all()
    assert np.array_equal(got[:, 20:], np.asarray(scene().convert(mode).convert("RGB"))[:, 20:])


def test_a_transparent_palette_entry_is_white():
    image = Image.new("P", (4, 2), 1)
    image.putpalette([0, 0, 0, 10, 20, 30])
    image.putpixel((0, 0), 0)
    got = np.asarray(decode(encoded(image, "PNG", transparency=0)))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[1, 1].tolist() == [10, 20, 30]


@pytest.mark.parametrize(("mode", "colour"), [("RGB", (1, 2, 3)), ("L", 7)])
def test_a_transparent_colour_of_an_opaque_mode_is_white(mode, colour):
    image = Image.new(mode, (4, 2), colour)
    image.putpixel((1, 1), 200 if mode == "L" else (200, 200, 200))
    got = np.asarray(decode(encoded(image, "PNG", transparency=colour)))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[1, 1].tolist() == [200, 200, 200]


_TURNS = {
    1: None,
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_90,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_270,
}
"""How a camera stores an upright picture, by EXIF orientation: the inverse of how it must be turned."""


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("format_", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_every_orientation_gives_the_same_upright_picture(orientation, format_):
    turn = _TURNS[orientation]
    stored = scene() if turn is None else scene().transpose(turn)
    exif = Image.Exif()
    exif[0x0112] = orientation
    options = {"PNG": {}, "TIFF": {}, "JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}[format_]
    data = encoded(stored, format_, exif=exif, **options)
    assert difference(decode(data), scene()) < 3
    assert picture_size(data) == scene().size


@pytest.mark.parametrize("behind", [True, False])
def test_orientation_before_or_behind_the_pixels_of_a_png(behind):
    exif = Image.Exif()
    exif[0x0112] = 6
    body = exif.tobytes().removeprefix(b"Exif\0\0")
    chunk = struct.pack(">I", len(body)) + b"eXIf" + body + struct.pack(">I", zlib.crc32(b"eXIf" + body))
    data = encoded(scene().transpose(_TURNS[6]), "PNG")
    place = data.index(b"IEND" if behind else b"IDAT") - 4
    data = data[:place] + chunk + data[place:]
    assert picture_size(data) == scene().size
    assert np.array_equal(decode(data), scene())


def test_an_orientation_out_of_range_is_no_orientation():
    exif = Image.Exif()
    exif[0x0112] = 9
    assert np.array_equal(decode(encoded(scene(), "PNG", exif=exif)), scene())


def natural_12_megapixels(folder: Path):
    """Return 4000×3000 pixels of real photographs, tiled, so that there are edges and textures of every scale."""
    files = sorted(folder.glob("*.jpg"))[:48]
    sheet = Image.new("RGB", (4000, 3000))
    for place, file in enumerate(files):
        tile = Image.open(file).convert("RGB").resize((500, 500), Image.Resampling.BICUBIC)
        sheet.paste(tile, (place % 8 * 500, place // 8 * 500))
    return sheet


def test_a_scaled_decode_shows_what_a_full_one_shows(shared_data):
    data = encoded(natural_12_megapixels(shared_data("imagenet500")), "JPEG", quality=92)
    scaled, full = decode(data, near=448), decode(data)
    assert full.size == (4000, 3000)
    assert scaled.size == (1000, 750)
    to = (224, 224)
    assert difference(scaled.resize(to, Image.Resampling.BICUBIC), full.resize(to, Image.Resampling.BICUBIC)) < 2


def test_a_scaled_decode_is_never_below_what_is_asked():
    data = encoded(scene(1000, 600), "JPEG")
    assert decode(data, near=600).size == (1000, 600)
    assert decode(data, near=300).size == (500, 300)
    assert decode(data, near=10_000).size == (1000, 600)


def test_phone_photos_of_several_frames_are_decoded_scaled():
    data = encoded(scene(1000, 600), "MPO", save_all=True, append_images=[scene(500, 300)])
    assert decode(data, near=150).size == (250, 150)
    assert decode(data).size == (1000, 600)


def png(width, height, *, depth=8, kind=0, rows=None):
    """Return a PNG made by hand; without rows its pixels are missing."""

    def chunk(name, body):
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0)
    body = b""
    if rows is not None:
        stride = len(rows) // height
        body = b"".join(b"\0" + rows[start : start + stride] for start in range(0, len(rows), stride))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(body)) + chunk(b"IEND", b"")


def stream(data):
    """Return the pixels of a PNG of one chunk as they are stored."""
    return zlib.decompress(data[data.index(b"IDAT") + 4 : data.rindex(b"IEND") - 8])


def with_pixels(data, raw):
    """Return a PNG with other pixels in one chunk."""
    body = b"IDAT" + zlib.compress(raw)
    chunk = struct.pack(">I", len(body) - 4) + body + struct.pack(">I", zlib.crc32(body))
    return data[: data.index(b"IDAT") - 4] + chunk + data[data.rindex(b"IEND") - 4 :]


@pytest.mark.parametrize("form", ["RGB", "L", "P", "1", "RGBA", "I;16"])
def test_a_png_whose_stream_of_pixels_ends_early_is_truncated(tmp_path, form):
    image = Image.new(form, (20, 12), 1 if form == "P" else 0)
    whole = encoded(image, "PNG")
    raw = stream(whole)
    assert decode(with_pixels(whole, raw)).size == (20, 12)  # all black, and all there
    file = tmp_path / "short.png"
    for kept in (raw[:-1], raw[: len(raw) // 2], raw[:1]):
        file.write_bytes(with_pixels(whole, kept))
        for picture in (file, file.read_bytes()):
            with pytest.raises(PictureError, match=r"truncated or damaged .*Export it again"):
                decode(picture)


@pytest.mark.parametrize(("width", "height"), [(8000, 8000), (30_000, 30_000), (2_000_000, 100)])
def test_a_png_bomb_is_refused_before_its_pixels_are_made(width, height):
    with pytest.raises(TooManyPixelsError, match=r"Make it smaller"):
        decode(png(width, height))


def test_the_bound_is_on_the_number_of_pixels():
    data = encoded(scene(), "PNG")
    assert decode(data, max_pixels=40 * 24).size == (40, 24)
    with pytest.raises(TooManyPixelsError, match="40×24"):
        decode(data, max_pixels=40 * 24 - 1)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_a_side_is_bounded_however_few_the_pixels(form):
    assert decode(encoded(Image.new("L", (65_535, 1), 9), form)).size == (65_535, 1)
    for size in ((65_536, 1), (1, 65_536)):
        with pytest.raises(TooManyPixelsError, match=rf"65,535 pixels wide and high.*{size[0]}×{size[1]}.*smaller"):
            decode(encoded(Image.new("L", size, 9), form))


def test_a_jpeg_of_many_scans_may_have_fewer_pixels():
    whole = encoded(scene(160, 120), "JPEG", progressive=True)
    start, end = whole.rindex(b"\xff\xda"), len(whole) - 2
    many = whole[:start] + whole[start:end] * 40 + b"\xff\xd9"
    assert decode(many, max_pixels=160 * 120 * 3).size == (160, 120)
    assert decode(whole, max_pixels=160 * 120).size == (160, 120)
    with pytest.raises(PictureError, match=r"0\.4 million pixels in all its scans, this one has 49 of 160×120"):
        decode(many, max_pixels=160 * 120)


def test_the_time_of_decoding_is_bounded():
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    whole = encoded(Image.fromarray(noise), "JPEG", quality=95)
    assert decode(whole, seconds=60).size == (1000, 1000)
    with pytest.raises(PictureError, match=r"may take 1e-06 s to decode, this one took longer\. Make it smaller"):
        decode(whole, seconds=1e-6)


def test_a_jpeg_of_very_many_scans_is_refused_and_a_progressive_one_is_not(tmp_path):
    """Each scan is 14 bytes and a pass over all of the picture."""
    image = scene(160, 120)
    whole = encoded(image, "JPEG", progressive=True)
    start, end = whole.rindex(b"\xff\xda"), len(whole) - 2
    head, last = whole[:start], whole[start:end]
    file = tmp_path / "bomb.jpg"
    for picture in (head + last * 200 + b"\xff\xd9", head + b"\xff\xfe\0\x04\xff\xd9" + last * 200 + b"\xff\xd9"):
        file.write_bytes(picture)
        for near in (None, 20):
            with pytest.raises(PictureError, match="may have 100 scans"):
                decode(picture, near=near)
            with pytest.raises(PictureError, match=r"bomb\.jpg: a JPEG may have 100 scans"):
                decode(file, near=near)
    assert decode(head + last * 50 + b"\xff\xd9").size == decode(whole).size == (160, 120)


def test_scans_of_a_baseline_jpeg_count_too():
    """Each channel in a scan of its own, which makes a decoder read to the end of the file."""
    whole = encoded(Image.new("L", (64, 64), 90), "JPEG")
    assert decode(whole).size == (64, 64)
    frame, scan = whole.index(b"\xff\xc0"), whole.index(b"\xff\xda")
    header = whole[frame + 4 : frame + 9] + b"\x03\x01\x11\0\x02\x11\0\x03\x11\0"
    head = whole[:frame] + b"\xff\xc0\0\x11" + header + whole[frame + 13 : scan]
    pixels = whole[scan + 10 : -2]
    scans = [b"\xff\xda\0\x08\x01" + bytes([channel, 0]) + b"\0\x3f\0" + pixels for channel in (1, 2, 3)]
    assert decode(head + b"".join(scans) + b"\xff\xd9").size == (64, 64)
    with pytest.raises(PictureError, match="may have 100 scans"):
        decode(head + b"".join(scans * 50) + b"\xff\xd9")


def test_what_is_appended_to_a_jpeg_does_not_count_as_scans():
    for options in ({}, {"progressive": True}):
        data = encoded(scene(), "JPEG", quality=95, subsampling=0, **options) + b"\xff\xda" * 1000
        assert difference(decode(data), scene()) < 3


def tiff(width, height, *, tile):
    """Return a grey TIFF whose tiles are all one deflated tile of the size given."""
    count = -(-width // tile[0]) * -(-height // tile[1])
    data = zlib.compress(bytes(tile[0] * tile[1]), 9)
    offsets, lengths = struct.pack(f"<{count}I", *[8] * count), struct.pack(f"<{count}I", *[len(data)] * count)
    at = 8 + len(data)
    where = (8, len(data)) if count == 1 else (at, at + len(offsets))
    tags = [(256, width), (257, height), (258, 8), (259, 8), (262, 1), (277, 1), (322, tile[0]), (323, tile[1])]
    entries = [struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags]
    entries += [struct.pack("<HHII", tag, 4, count, place) for tag, place in zip((324, 325), where, strict=True)]
    directory = at + len(offsets) + len(lengths)
    head = b"II*\0" + struct.pack("<I", directory)
    return head + data + offsets + lengths + struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)


def test_tiles_of_a_tiff_unfold_to_little_more_than_its_pixels():
    assert decode(tiff(40, 24, tile=(16, 16)), max_pixels=960).size == (40, 24)
    for picture in (tiff(16, 16, tile=(4096, 4096)), tiff(16, 1024, tile=(1024, 16))):
        assert len(picture) < 20_000
        with pytest.raises(TooManyPixelsError, match="Save it without tiles"):
            decode(picture, max_pixels=16_384)


def test_sizes_are_read_without_pixels():
    assert picture_size(png(4000, 3000)) == (4000, 3000)
    assert read_header(encoded(scene().convert("CMYK"), "JPEG")).mode == "CMYK"
    assert picture_size(np.zeros((3, 5, 3), np.uint8)) == (5, 3)
    assert read_header(np.zeros((3, 5, 4), np.uint8)).mode == "RGBA"


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"])
@pytest.mark.parametrize("near", [None, 8])
def test_a_picture_cut_short_is_an_error(tmp_path, format_, near):
    data = encoded(scene(160, 120), format_)
    file = tmp_path / "cut"
    file.write_bytes(data[: len(data) // 2])
    with pytest.raises(PictureError, match=r"(?i)cut: .*(damaged|decoded).*Export it again"):
        decode(file, near=near)


@pytest.mark.parametrize("format_", ["JPEG", "PNG", "WEBP", "BMP", "TIFF", "PPM"])
@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_any_damage_is_a_picture_or_a_picture_error(format_, data):
    whole = bytearray(encoded(scene(), format_))
    for _ in range(data.draw(st.integers(1, 6))):
        whole[data.draw(st.integers(0, len(whole) - 1))] = data.draw(st.integers(0, 255))
    damaged = bytes(whole[: data.draw(st.integers(1, len(whole)))])
    for function in (decode, picture_size):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                function(damaged)
            except PictureError as error:
                assert str(error)  # noqa: PT017 - either is right


def test_messages_name_the_file_and_what_to_do(tmp_path):
    empty, text, folder = tmp_path / "empty.jpg", tmp_path / "letter.png", tmp_path / "folder.png"
    empty.touch()
    text.write_text("Dear reader")
    folder.mkdir()
    for path, message in [
        (empty, r"empty\.jpg: an empty file \(zero bytes\)\. Copy it again or delete it"),
        (text, r"letter\.png: not a picture in a known format .* Convert it or delete it"),
        (folder, r"folder\.png: a folder"),
        (tmp_path / "gone.png", r"gone\.png: no such file"),
        (tmp_path / "nul\0.png", r"nul"),
        (b"", r"nothing in it"),
    ]:
        for function in (decode, read_header):
            with pytest.raises(PictureError, match=message):
                function(path)


def test_formats_that_are_not_listed_are_not_tried():
    for format_ in ("GIF", "ICO", "TGA", "EPS"):
        image = scene(32, 32)
        with pytest.raises(PictureError, match="not a picture in a known format"):
            decode(encoded(image, format_))


def test_names_that_are_not_utf8_are_read_and_shown_as_escapes(tmp_path):
    folder = bytes(tmp_path) + b"/caf\xe9.png"
    Path(folder.decode("utf-8", "surrogateescape")).write_bytes(b"no picture")
    path = next(tmp_path.iterdir())
    with pytest.raises(PictureError) as caught:
        decode(path)
    assert "caf\\udce9.png" in str(caught.value)
    str(caught.value).encode("utf-8")
    assert printable("café.png") == "café.png"


def test_arrays_are_pictures():
    rgb = np.asarray(scene())
    assert np.array_equal(decode(rgb), rgb)
    assert decode(rgb[:, :, 0]).mode == "L"
    assert np.array_equal(decode(rgb[:, :, :1]), rgb[:, :, 0])
    assert np.array_equal(decode(rgb[::-1, ::-1]), rgb[::-1, ::-1])
    assert np.array_equal(decode(rgb.astype(np.uint16) << 8), rgb)
    clear = np.dstack([rgb, np.zeros(rgb.shape[:2], np.uint8)])
    assert (np.asarray(decode(clear)) == 255).all()


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((3, 4, 2), np.uint8),
        np.zeros((0, 4), np.uint8),
        np.zeros(7, np.uint8),
        np.zeros((3, 4), np.float32),
        np.zeros((3, 4), np.int64),
    ],
)
def test_arrays_of_other_shapes_or_types_are_refused(array):
    with pytest.raises(PictureError, match=r"array of shape"):
        decode(array)
    with pytest.raises(PictureError, match=r"array of shape"):
        picture_size(array)


def test_an_opened_image_is_a_picture(tmp_path):
    assert np.array_equal(decode(with_hole("RGB")), decode(encoded(with_hole("RGB"), "PNG")))
    assert describe(scene()) == "RGB picture of 40×24"
    file = tmp_path / "cut.jpg"
    file.write_bytes(encoded(scene(160, 120), "JPEG")[:900])
    with Image.open(file) as lazy, pytest.raises(PictureError, match="truncated"):
        decode(lazy)


def test_decoding_leaves_the_warning_filters_alone():
    before = list(warnings.filters)
    decode(encoded(scene(), "PNG"))
    assert warnings.filters == before


@pytest.mark.parametrize("hold", [bytearray, memoryview, io.BytesIO, lambda data: memoryview(data + data)[: len(data)]])
def test_encoded_bytes_may_be_held_in_any_way(hold):
    data = encoded(scene(), "PNG")
    held = hold(data)
    for _ in range(2):  # nothing is used up
        assert np.array_equal(decode(held), decode(data))
        assert picture_size(held) == (40, 24)
    assert describe(held) == describe(data)


def test_a_buffer_is_read_whole_and_left_where_it_stands():
    buffer = io.BytesIO()
    scene().save(buffer, "PNG")  # leaves it at its end
    place = buffer.tell()
    assert decode(buffer).size == (40, 24)
    assert buffer.tell() == place


@pytest.mark.parametrize("wrong", [None, 5, 0.5, {}, object(), io.StringIO("x")])
@pytest.mark.parametrize("read", [decode, picture_size, read_header])
def test_what_cannot_be_a_picture_is_refused_with_what_can(read, wrong):
    with pytest.raises(
        PictureError, match=rf"type {type(wrong).__name__}: a picture is a path, encoded bytes .*BytesIO"
    ):
        read(wrong)


def test_a_closed_buffer_is_refused():
    buffer = io.BytesIO(encoded(scene(), "PNG"))
    buffer.close()
    with pytest.raises(PictureError, match="closed BytesIO: .*open"):
        decode(buffer)
