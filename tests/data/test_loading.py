import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from sightsmith.core.errors import DataError
from sightsmith.core.preprocessing import Preprocessing
from sightsmith.data.augment import Augmentation
from sightsmith.data.loading import Loader, Order, step_seed
from sightsmith.data.picture_index import PictureIndex
from sightsmith.data.pixels import Decoding, InMemory
from sightsmith.inputs import Reader
from sightsmith.inputs.picture import PIXELS

GREY = Preprocessing(height=8, width=8, colour="grey", mean=(0.5,), std=(0.5,))


def flat(order, start=0):
    return np.concatenate(list(order.batches(start)))


@given(count=st.integers(1, 300), batch=st.integers(1, 40), seed=st.integers(0, 99), epoch=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_an_epoch_shows_every_picture_in_full_batches(count, batch, seed, epoch):
    order = Order(count, batch, seed)
    order.set_epoch(epoch)
    batches = list(order.batches())
    assert len(batches) == len(order)
    assert all(len(one) == batch for one in batches)
    counts = np.bincount(np.concatenate(batches), minlength=count)
    assert counts.min() >= 1
    assert counts.max() - counts.min() <= 1


def test_the_order_is_a_function_of_seed_and_epoch_and_can_start_anywhere():
    one, two = Order(100, 8, seed=3), Order(100, 8, seed=3)
    one.set_epoch(5)
    two.set_epoch(5)
    assert (flat(one) == flat(two)).all()
    assert (flat(one, 4) == flat(two)[32:]).all()
    two.set_epoch(6)
    assert (flat(one) != flat(two)).any()
    assert (flat(Order(100, 8, seed=3)) != flat(Order(100, 8, seed=4))).any()


def test_without_shuffle_the_order_is_plain_and_the_last_batch_short():
    order = Order(10, 4, shuffle=False)
    assert [batch.tolist() for batch in order.batches()] == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]


def test_balanced_shows_rare_classes_as_often():
    targets = np.array([0] * 90 + [1] * 9 + [2])
    shown = targets[flat(Order(100, 10, strata_N=targets))]
    counts = np.bincount(shown)
    assert counts.max() - counts.min() <= 3


def test_step_seeds_differ_in_every_part():
    seeds = {step_seed(a, b, c, d) for a in (0, 1) for b in (0, 1) for c in (0, 1) for d in (0, 1)}
    assert len(seeds) == 16
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_batches_are_the_inputs_with_their_targets():
    pixels = np.random.default_rng(0).integers(0, 256, (10, 8, 6, 3), dtype=np.uint8)
    targets = np.arange(10)
    loader = Loader(InMemory({PIXELS: pixels}), targets, Order(10, 4, shuffle=False))
    inputs, found = zip(*loader, strict=True)
    assert (torch.cat([one[PIXELS] for one in inputs]).numpy() == pixels).all()
    assert torch.cat(found).tolist() == targets.tolist()
    assert inputs[0][PIXELS].dtype == torch.uint8


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    rng = np.random.default_rng(0)
    paths = []
    for number in range(13):
        paths.append(folder / f"{number}.png")
        Image.fromarray(rng.integers(0, 256, (20, 15 + number, 3), dtype=np.uint8)).save(paths[-1])
    return paths


def loader_of(files, workers=0, epoch=0):
    preprocessing = Preprocessing(height=8, width=8)
    vary = Augmentation(policy="trivial", flip="horizontal", crop_share=0.3, erase=0.5)
    fetcher = Decoding(PictureIndex(files), Reader("picture", preprocessing), vary, seed=7)
    order = Order(len(files), 4, seed=7)
    order.set_epoch(epoch)
    return Loader(fetcher, np.arange(len(files)), order, vary=vary, seed=7, workers=workers)


def test_workers_and_a_restart_in_the_middle_give_the_same_batches(files):
    alone = list(loader_of(files, epoch=2))
    helped = loader_of(files, workers=2, epoch=2)
    for one, two in zip(alone, helped, strict=True):
        assert torch.equal(one[0][PIXELS], two[0][PIXELS])
        assert torch.equal(one[1], two[1])
    assert helped.state_dict() == {"given": 4}
    helped.load_state_dict({"given": 3})
    rest = list(helped)
    assert len(rest) == 1
    assert torch.equal(rest[0][0][PIXELS], alone[3][0][PIXELS])
    assert len(list(helped)) == 4, "only the first epoch after a restart is short"
    helped.close()
    other = list(loader_of(files, epoch=3))
    assert not torch.equal(
        torch.cat([inputs[PIXELS] for inputs, _ in other]), torch.cat([inputs[PIXELS] for inputs, _ in alone])
    )


@pytest.mark.parametrize("workers", [0, 1])
def test_a_picture_that_went_bad_is_named(files, tmp_path, workers):
    bad = tmp_path / "bad.png"
    bad.write_bytes(files[0].read_bytes()[:60])
    loader = loader_of([*files[:6], bad], workers=workers)
    with pytest.raises(DataError, match=r"bad\.png.*resume=True"):
        list(loader)
    loader.close()


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no shared memory folder here")
def test_workers_do_not_depend_on_shared_memory():
    """A batch larger than any file may be comes through all the same: a full /dev/shm must not stop training."""
    code = (
        "import resource, sys, numpy as np\n"
        "from sightsmith.core.preprocessing import Preprocessing\n"
        "from sightsmith.data.augment import Augmentation\n"
        "from sightsmith.data.loading import Loader, Order\n"
        "from sightsmith.data.picture_index import PictureIndex\n"
        "from sightsmith.data.pixels import Decoding\n"
        "from sightsmith.inputs import Reader\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "pictures = PictureIndex([np.full((64, 64, 3), 9, np.uint8)] * 32)\n"
        "fetcher = Decoding(pictures, Reader('picture', Preprocessing(height=64, width=64)), Augmentation(), 0)\n"
        "loader = Loader(fetcher, np.zeros(32, np.int64), Order(32, 16, shuffle=False), workers=1)\n"
        "print(sum(int(inputs['pixels'].sum()) for inputs, _ in loader))\n"
        "loader.close()\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) == 32 * 64 * 64 * 3 * 9
