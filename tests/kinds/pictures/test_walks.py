"""Pictures between seeds and through an encoder, with an encoder whose answers are known."""

from types import SimpleNamespace

import numpy as np
import pytest

from sightsmith.kinds.parts.instruments import Instruments
from sightsmith.kinds.pictures import figures, report
from sightsmith.kinds.pictures.value import Made
from sightsmith.kinds.pictures.walks import ROWS, STEPS, between_seeds, coded, psnr


class Corners:
    """Encodes a picture of 8×8 as the values of its corners, each through N(0, 1); the first one varies most."""

    def encode(self, pictures, labels):
        mean = np.stack([picture[::7, ::7, 0].reshape(4) for picture in pictures]).astype(np.float32) / 64 - 2
        return SimpleNamespace(mean_ND=mean, kl_ND=mean**2 * [40, 1, 2, 3])

    def decode(self, latents, labels):
        self.labels = list(labels)
        for corners in latents:
            yield np.kron(64 * (corners.reshape(2, 2, 1) + 2), np.ones((4, 4, 1))).clip(0, 255).astype(np.uint8)


def quarters(count):
    corners = np.random.default_rng(0).integers(0, 256, (count, 2, 2, 1))
    return [np.kron(one, np.ones((4, 4, 1))).astype(np.uint8) for one in corners]


def place(picture, real):
    """Return which real picture it is, but for rounding."""
    return next(at for at, one in enumerate(real) if np.abs(one.astype(int) - picture).max() <= 1)


def test_psnr_by_hand():
    black, grey = np.zeros((2, 2, 1), np.uint8), np.full((2, 2, 1), 51, np.uint8)
    assert psnr(black, grey) == pytest.approx(10 * np.log10(25))  # a fifth of the range
    assert psnr(grey, grey) == 100


def test_real_pictures_go_through_the_encoder_and_back():
    real = quarters(30)
    seen = coded(Corners(), real, [])
    assert seen.psnr > 45  # rounding alone
    shown = [place(one, real) for one in seen.pairs]
    assert shown[::2] == shown[1::2]
    assert len(set(shown)) == 24
    assert seen.latents[0] == 0
    assert len(seen.between) == ROWS * STEPS
    first, last = place(seen.between[0], real), place(seen.between[STEPS - 1], real)
    assert first != last
    middle = (real[first].astype(int) + real[last]) / 2
    assert np.abs(seen.between[STEPS // 2] - middle).max() <= 2


def test_a_line_moves_one_latent_of_the_first_picture():
    real = quarters(8)
    seen = coded(Corners(), real, [])
    row = np.stack(seen.along[:STEPS]).astype(int)
    assert (np.diff(row[:, 0, 0, 0]) >= 0).all()
    assert row[0, 0, 0, 0] == 0
    assert row[-1, 0, 0, 0] == 255
    assert np.abs(row[:, 7, 7] - seen.pairs[0][7, 7]).max() <= 1


def test_lines_stay_inside_a_class():
    coder, labels = Corners(), [0, 1, 2, 1, 0, 0, 0]
    real = quarters(7)
    seen = coded(coder, real, labels)
    ends = [(place(row[0], real), place(row[-1], real)) for row in zip(*[iter(seen.between)] * STEPS, strict=True)]
    assert sorted(labels[one] for one, _ in ends) == [0, 0, 1]  # class 2 has one picture
    assert all(labels[one] == labels[other] for one, other in ends)
    assert len({at for pair in ends for at in pair}) == 6
    assert {labels[one] for one, _ in ends[:2]} == {0, 1}
    assert coder.labels == [labels[place(seen.pairs[0], real)]] * len(seen.along)
    assert coded(coder, real[:1], [2]).between == []


def test_lines_between_seeds_are_of_one_class_each():
    asked = []

    def make(seeds):
        asked.extend(seeds)
        return [Made(np.zeros((8, 8, 1), np.uint8))] * len(seeds)

    assert len(between_seeds(make, 4)) == ROWS * STEPS
    rows = [asked[at : at + STEPS] for at in range(0, len(asked), STEPS)]
    assert [{seed.label for seed in row} for row in rows] == [{row % 4} for row in range(ROWS)]
    assert all([seed.share for seed in row] == np.linspace(0, 1, STEPS).tolist() for row in rows)


def test_an_encoder_that_is_not_at_hand_is_noted():
    real = quarters(16)
    answers = [Made(picture) for picture in quarters(16)]
    measured = figures.measure(answers, real, (), None, Instruments(no_coder="this needs torch."))
    evaluated = SimpleNamespace(names=(), figures=measured.figures, overall=measured.overall)
    assert "psnr" not in measured.overall
    assert figures.further_text(evaluated)[-1] == "  left out: this needs torch."
    assert figures.load(figures.save(evaluated))[1].no_coder == "this needs torch."
    titles = [section.title for section in report.sections(evaluated, kept=True)]
    assert "Reconstructions" not in titles
    whole = figures.measure(answers, real, (), None, Instruments(coder=Corners()))
    assert whole.overall["psnr"] > 45
    shown = SimpleNamespace(figures=whole.figures)
    assert "Reconstructions" in [section.title for section in report.sections(shown, kept=True)]
