import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from sightsmith.core.errors import SettingsError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.data.augment import Augmentation
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.pixels import Decoding, InMemory, RamCache, fits_in_memory, load_all, require_cache
from sightsmith.inputs import Reader


def test_paths_are_packed_and_come_back_equal_even_when_not_utf8():
    paths = [Path("a/b.png"), Path("ü/日本.jpg"), Path("bad\udcff name.png"), Path("x")]
    index = PictureIndex(paths)
    assert [index[place] for place in range(4)] == paths
    assert len(index) == 4
    assert not index.all_arrays


def test_a_hundred_thousand_paths_take_less_than_a_kilobyte_each():
    tracemalloc.start()
    index = PictureIndex(f"/data/pictures/class_{n % 100}/picture_{n:09}.jpg" for n in range(100_000))
    used, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert len(index) == 100_000
    assert used < 100_000 * 100


def test_arrays_and_bytes_are_kept_as_they_are():
    arrays = [np.zeros((4, 4), np.uint8), np.ones((4, 5, 3), np.uint8)]
    index = PictureIndex(arrays)
    assert index.all_arrays
    assert index[1] is arrays[1]
    assert not PictureIndex([arrays[0], b"x"]).all_arrays


@pytest.fixture
def photos(tmp_path):
    rng = np.random.default_rng(1)
    paths = []
    for number in range(5):
        small = rng.integers(0, 256, (3, 3 + number, 3), dtype=np.uint8)
        image = Image.fromarray(small).resize((200 + 80 * number, 240), Image.Resampling.BICUBIC)
        paths.append(tmp_path / f"{number}.jpg")
        image.save(paths[-1], quality=95)
    return paths


@pytest.mark.parametrize("resize", ["crop", "squash", "letterbox"])
def test_the_cache_shows_nearly_what_the_files_do(photos, resize):
    preprocessing = Preprocessing(height=64, width=64, resize=resize)
    index = PictureIndex(photos)
    cache = RamCache(index, Reader("picture", preprocessing), quiet=True)
    assert len(cache) == 5
    for place in range(5):
        direct, cached = preprocessing.apply(index[place]), preprocessing.apply(cache[place])
        assert np.abs(direct.astype(int) - cached).mean() < 4
        assert min(cache[place].shape[:2]) >= (64 if resize != "letterbox" else 20)
    vary = Augmentation(crop_share=0.5)
    one = Decoding(cache, Reader("picture", preprocessing), vary, 0).fetch([0, 1], 0)["pixels"]
    two = Decoding(index, Reader("picture", preprocessing), vary, 0).fetch([0, 1], 0)["pixels"]
    assert np.abs(one.astype(int) - two).mean() < 6


def test_what_does_not_fit_into_memory_is_refused_before_anything_is_decoded(photos, monkeypatch):
    preprocessing = Preprocessing(height=64, width=64)
    monkeypatch.setattr("sightsmith.data.pixels.free_memory", lambda: 2000)
    assert not fits_in_memory(len(photos), Reader("picture", preprocessing))
    with pytest.raises(SettingsError, match=r"5 pictures take .* GiB"):
        require_cache(PictureIndex(photos), Reader("picture", preprocessing))
    with pytest.raises(SettingsError, match="size"):
        load_all(PictureIndex(photos), Reader("picture", preprocessing), quiet=True)


def test_without_variation_decoding_and_preparing_are_the_one_preprocessing(photos):
    preprocessing = Preprocessing(height=48, width=32, colour="grey", mean=(0.5,), std=(0.5,))
    index = PictureIndex(photos)
    prepared = InMemory(load_all(index, Reader("picture", preprocessing), quiet=True)).fetch([3, 1], epoch=0)["pixels"]
    decoded = Decoding(index, Reader("picture", preprocessing), Augmentation(), 0).fetch([3, 1], epoch=9)["pixels"]
    assert (prepared == decoded).all()
    assert (prepared[0] == preprocessing.apply(photos[3])).all()


def test_random_crops_depend_on_seed_epoch_and_picture(photos):
    preprocessing = Preprocessing(height=32, width=32)
    vary = Augmentation(crop_share=0.2)
    index = PictureIndex(photos)
    first = Decoding(index, Reader("picture", preprocessing), vary, seed=1)
    assert (first.fetch([2], 4)["pixels"] == first.fetch([0, 2], 4)["pixels"][1]).all()
    assert (first.fetch([2], 4)["pixels"] != first.fetch([2], 5)["pixels"]).any()
    assert (
        first.fetch([2], 4)["pixels"]
        != Decoding(index, Reader("picture", preprocessing), vary, seed=2).fetch([2], 4)["pixels"]
    ).any()
