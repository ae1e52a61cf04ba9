"""The distances between sets of features against formulas, SciPy, simulation and their definitions."""

import numpy as np
import pytest
from scipy.linalg import sqrtm

from sightsmith.kinds.pictures.frechet import bias, fd, fd_infinite, kid


@pytest.fixture
def rng():
    return np.random.default_rng(0)


def with_moments(rng, mean_D, covariance_DD, count=50):
    """Return features (count, D) that have exactly this mean and covariance."""
    raw_ND = rng.normal(size=(count, len(mean_D)))
    raw_ND -= raw_ND.mean(axis=0)
    white_ND = raw_ND @ np.linalg.inv(np.linalg.cholesky(np.cov(raw_ND.T))).T
    return white_ND @ np.linalg.cholesky(covariance_DD).T + mean_D


def test_fd_of_normal_distributions_with_one_axis_system_is_the_formula(rng):
    deviations_D, made_deviations_D, gap_D = np.array([1.0, 2, 3]), np.array([2.0, 2, 0.5]), np.array([1.0, 0, -2])
    real_ND = with_moments(rng, np.zeros(3), np.diag(deviations_D**2))
    made_MD = with_moments(rng, gap_D, np.diag(made_deviations_D**2), count=80)
    expected = np.square(gap_D).sum() + np.square(deviations_D - made_deviations_D).sum()
    assert fd(real_ND, made_MD) == pytest.approx(expected, rel=1e-10)


def test_fd_is_that_of_scipys_matrix_root(rng):
    real_ND, made_MD = rng.normal(size=(60, 6)) @ rng.normal(size=(6, 6)), rng.normal(size=(40, 6)) + 0.5
    first_DD, second_DD = np.cov(real_ND.T), np.cov(made_MD.T)
    gap = np.square(real_ND.mean(axis=0) - made_MD.mean(axis=0)).sum()
    expected = gap + np.trace(first_DD + second_DD - 2 * sqrtm(first_DD @ second_DD).real)
    assert fd(real_ND, made_MD) == pytest.approx(expected, rel=1e-9)


def test_fd_needs_no_full_rank():
    line_ND = np.outer(np.arange(5.0), [1, 0, 0, 0, 0, 0])
    other_ND = np.outer(np.arange(5.0), [0, 3, 0, 0, 0, 0])
    assert fd(line_ND, other_ND) == pytest.approx(4 * 1 + 4 * 9 + np.var(np.arange(5), ddof=1) * (1 + 9))
    twice_ND = np.concatenate([line_ND, line_ND], axis=1)
    assert fd(twice_ND, 3 * twice_ND) == pytest.approx(2 * (16 + 2.5 * 4))


@pytest.mark.parametrize("count", [4, 200])
def test_fd_of_a_set_with_itself_is_0_and_the_order_does_not_matter(rng, count):
    real_ND = rng.normal(size=(count, 16)).astype(np.float32) * 100 + 1e4
    turned_DD = np.linalg.qr(rng.normal(size=(16, 16)))[0]
    assert fd(real_ND, real_ND[::-1]) < 1e-9 * np.square(real_ND).sum(axis=1).mean()
    made_ND = real_ND * 1.1
    assert fd(made_ND, real_ND) == pytest.approx(fd(real_ND, made_ND))
    assert fd(real_ND @ turned_DD, made_ND @ turned_DD) == pytest.approx(fd(real_ND, made_ND), rel=1e-6)


def test_the_bias_of_samples_is_that_of_a_simulation(rng):
    deviations_D, count, other = np.array([1.0, 0.5, 2, 1, 0.1]), 100, 300
    draws = [
        (rng.normal(size=(count, 5)) * deviations_D, rng.normal(size=(other, 5)) * deviations_D) for _ in range(400)
    ]
    found = np.array([fd(*pair) for pair in draws])
    known_ND = with_moments(rng, np.zeros(5), np.diag(deviations_D**2))
    assert bias(known_ND, [count, other]) == pytest.approx(found.mean(), abs=4 * found.std() / 20)
    assert found.std() / 20 < 0.03 * found.mean()
    # By hand: λ = 1 in each of two directions: 2 + (1/2 · 2 + 1/4 · 2).
    assert bias(with_moments(rng, np.zeros(2), np.eye(2)), [10]) == pytest.approx(3.5 / 10)
    assert bias(np.ones((3, 2)), [10]) == 0


def test_fd_infinite_leaves_the_bias_out(rng):
    pairs = [(rng.normal(size=(300, 6)), rng.normal(size=(400, 6)) * 1.5) for _ in range(60)]
    plain, extrapolated = (np.array([function(*pair) for pair in pairs]) for function in (fd, fd_infinite))
    expected = 6 * 0.5**2
    assert extrapolated.mean() == pytest.approx(expected, abs=3 * extrapolated.std() / np.sqrt(60))
    assert plain.mean() - expected > 4 * plain.std() / np.sqrt(60)
    assert fd_infinite(*pairs[0]) == extrapolated[0]
    assert fd_infinite(*pairs[0], seed=1) != extrapolated[0]


def discrepancy_by_loops(real_ND, made_MD):
    def kernel(x_D, y_D):
        return (x_D @ y_D / len(x_D) + 1) ** 3

    within = [
        np.mean([kernel(one[i], one[j]) for i in range(len(one)) for j in range(len(one)) if i != j])
        for one in (real_ND, made_MD)
    ]
    return sum(within) - 2 * np.mean([kernel(x_D, y_D) for x_D in real_ND for y_D in made_MD])


def test_kid_is_the_mean_over_blocks_of_its_definition(rng):
    real_ND, made_MD = rng.normal(size=(4, 3)), rng.normal(size=(5, 3)) + 1
    same = np.random.default_rng(7)
    parts = zip(*(np.array_split(same.permutation(one), 2) for one in (real_ND, made_MD)), strict=True)
    expected = [discrepancy_by_loops(*pair) for pair in parts]
    found = kid(real_ND, made_MD, seed=7)
    assert found.value == pytest.approx(np.mean(expected))
    assert found.standard_error == pytest.approx(abs(expected[0] - expected[1]) / 2)


def test_kid_is_0_on_average_for_one_distribution_and_its_error_is_right(rng):
    found = [kid(rng.normal(size=(60, 4)), rng.normal(size=(80, 4))) for _ in range(200)]
    values = np.array([one.value for one in found])
    assert abs(values.mean()) < 3 * values.std() / np.sqrt(200)
    assert (values < 0).sum() > 50
    assert np.sqrt(np.mean([one.standard_error**2 for one in found])) == pytest.approx(values.std(), rel=0.15)
    apart = kid(rng.normal(size=(200, 4)), rng.normal(size=(200, 4)) + 1)
    assert apart.value > 5 * apart.standard_error


def test_kid_does_not_change_with_the_axes_or_with_what_is_held_at_once(rng, monkeypatch):
    real_ND, made_MD = rng.normal(size=(200, 5)), rng.normal(size=(100, 5)) * 2
    turned_DD = np.linalg.qr(rng.normal(size=(5, 5)))[0]
    expected = kid(real_ND, made_MD)
    assert kid(real_ND @ turned_DD, made_MD @ turned_DD).value == pytest.approx(expected.value)
    monkeypatch.setattr("sightsmith.kinds.pictures.frechet._ROWS", 3)
    assert kid(real_ND, made_MD).value == pytest.approx(expected.value)


@pytest.mark.parametrize(
    ("function", "pair", "match"),
    [
        (fd, (np.ones((5, 3)), np.ones((5, 4))), "3 features and generated ones 4"),
        (fd, (np.ones((1, 3)), np.ones((5, 3))), "real pictures: .* at least 2 pictures, got shape \\(1, 3\\)"),
        (fd, (np.ones((5, 3)), np.full((5, 3), np.nan)), "generated pictures: .* must be finite"),
        (fd_infinite, (np.ones((23, 3)), np.ones((99, 3))), "24, got 23; use fd and bias"),
        (bias, (np.ones((5, 3)), [1]), "each at least 2, got \\(1,\\)"),
        (bias, (np.ones((5, 3)), []), "number of pictures"),
        (kid, (np.ones((3, 3)), np.ones((5, 3))), "at least 4 pictures of each set, got 3 and 5"),
    ],
)
def test_bad_input_is_named(function, pair, match):
    with pytest.raises(ValueError, match=match):
        function(*pair)
