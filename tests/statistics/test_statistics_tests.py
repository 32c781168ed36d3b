"""Sign-flip test, Holm, degradation."""

import itertools
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftertrace.statistics import degradation, holm, sign_flip_test, sign_flip_tests


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("m", [1, 2, 5, 9])
def test_exact_sign_flip_counts_all_signs(m):
    for difference in (rng(m).standard_normal(m), rng(m).integers(-2, 3, m).astype(float)):
        means = [abs(np.mean(difference * signs)) for signs in itertools.product([-1, 1], repeat=m)]
        expected = np.mean(np.array(means) >= abs(difference.mean()) - 1e-12)
        result = sign_flip_test(difference, rng=rng())
        assert result.p_value == pytest.approx(expected, abs=1e-15)
        assert (result.statistic, result.n, result.method) == (difference.mean(), m, "sign-flip, all signs")


@pytest.mark.parametrize("m", [6, 10, 16])
def test_smallest_exact_p_value(m):
    result = sign_flip_test(rng(m).random(m) + 0.1, rng=rng())
    assert result.p_value == 2.0 ** (1 - m)
    assert result.note == ""


def test_too_few_originals_are_said():
    result = sign_flip_test(np.ones(5), rng=rng())
    assert result.p_value == 0.0625
    assert result.note == "cannot be significant at .05 with fewer than 6 originals (smallest p = 0.0625)"


def test_random_flips_approach_the_exact_p_value():
    difference = rng(4).standard_normal(17) + 0.4
    signs = 1 - 2 * ((np.arange(2**17)[:, None] >> np.arange(17)) & 1)
    exact = np.mean(np.abs(signs @ difference) >= abs(difference.sum()) - 1e-12)
    result = sign_flip_test(difference, rng=rng())
    assert result.method == "sign-flip, 100000 random flips"
    assert result.p_value == pytest.approx(exact, abs=4 * np.sqrt(exact / 1e5))


def test_random_p_value_is_never_zero():
    assert sign_flip_test(np.ones(60), rng=rng(), n_flips=99).p_value == 0.01


@pytest.mark.parametrize("m", [7, 20])
def test_rounding_and_zeros_count_as_ties(m):
    assert sign_flip_test(np.zeros(m), rng=rng()).p_value == 1
    # Sums of tenths differ in their last bits by the order of summation.
    tenths = np.array([0.1, 0.2, 0.3, -0.1, 0.2, 0.7, *[0.1] * (m - 6)])
    exact = sign_flip_test(np.round(10 * tenths), rng=rng())
    assert sign_flip_test(tenths, rng=rng()).p_value == exact.p_value


@pytest.mark.parametrize("m", [5, 12, 40])
def test_many_attacks_are_each_attack_alone(m):
    matrix = rng(m).standard_normal((m, 26)) + np.linspace(0, 1, 26)
    together = sign_flip_tests(matrix, rng=rng(9), n_flips=20_000)
    alone = [sign_flip_test(column, rng=rng(9), n_flips=20_000) for column in matrix.T]
    assert [r.p_value for r in together] == [r.p_value for r in alone]
    np.testing.assert_allclose([r.statistic for r in together], [r.statistic for r in alone], rtol=1e-13)
    assert sign_flip_tests(np.zeros((m, 0)), rng=rng()) == []


@pytest.mark.parametrize(("m", "attacks"), [(16, 26), (16, 1), (100, 26), (1000, 3), (20, 500)])
def test_sign_flip_memory_is_bounded(m, attacks):
    matrix = rng().standard_normal((m, attacks))
    tracemalloc.start()
    sign_flip_tests(matrix, rng=rng(), n_flips=20_000)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= 32e6


@pytest.mark.parametrize("m", [10, 20])
def test_sign_flip_null_p_values_are_valid(m):
    draws = rng(m).standard_normal((m, 3000)) ** 3
    p = np.array([r.p_value for r in sign_flip_tests(draws, rng=rng(1), n_flips=2000)])
    for level in (0.01, 0.05, 0.2, 0.5):
        assert np.mean(p <= level) <= level + 4 * np.sqrt(level / 3000)
        assert np.mean(p <= level) >= level - 0.003 - 4 * np.sqrt(level / 3000)


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ([], r"`difference` must have shape \[m, A\] with at least one original, got \(0, 1\)"),
        ([[1.0]], r"`difference` must have shape \[m\], got \(1, 1\)"),
        ([1.0, np.nan, np.inf], "`difference` must be finite; it is not for 2 of 3 originals"),
    ],
)
def test_differences_are_checked(difference, message):
    with pytest.raises(ValueError, match=message):
        sign_flip_test(difference, rng=rng())


def test_number_of_flips_is_checked():
    with pytest.raises(ValueError, match="`n_flips` must be at least 1, got 0"):
        sign_flip_test(np.ones(20), rng=rng(), n_flips=0)


# Holm


@settings(derandomize=True, deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.001, 0.01, 0.02, 0.04, 0.3, 1.0]), max_size=8), st.floats(0.001, 0.999))
def test_holm_rejects_as_the_step_down_procedure(p, level):
    rejected = set()
    for step, place in enumerate(sorted(range(len(p)), key=p.__getitem__)):
        if p[place] * (len(p) - step) > level:
            break
        rejected.add(place)
    adjusted = holm(p)
    assert set(np.flatnonzero(adjusted <= level).tolist()) == rejected
    assert ((adjusted >= p) & (adjusted <= 1)).all()
    assert (np.diff(adjusted[np.argsort(p, kind="stable")]) >= 0).all()


def test_holm_errs_at_most_as_often_as_said():
    p = rng(1).random((4000, 12))
    assert np.mean([holm(row).min() <= 0.05 for row in p]) <= 0.05 + 3 * np.sqrt(0.05 / 4000)


@pytest.mark.parametrize(
    ("p", "message"), [([0.1, np.nan], "`p` must not hold NaN"), ([0.1, 1.5], r"`p` must lie in \[0, 1\], got 1.5")]
)
def test_holm_is_checked(p, message):
    with pytest.raises(ValueError, match=message):
        holm(p)


# Degradation


def test_degradation_is_the_papers_with_one_unseen_per_deleted():
    attack, classical = np.round(rng(1).random((2, 40)), 1)
    result = degradation(attack, classical, np.arange(40) % 2 == 0)
    assert result.deg_count == pytest.approx(np.mean(attack > classical))
    assert result.deg_rate == pytest.approx(np.mean(attack - classical))
    assert result.brier_attack == pytest.approx(np.mean((1 - attack) ** 2))
    assert result.brier_classical == pytest.approx(np.mean((1 - classical) ** 2))
    assert result.wins + result.ties + result.losses == result.n == 40
    assert result.ties == np.sum(attack == classical) > 0


def test_degradation_weighs_roles_equally():
    result = degradation([1.0, 0.2, 0.2, 0.5], [0.0, 0.6, 0.6, 0.5], [True, False, False, False])
    assert (result.wins, result.ties, result.losses) == (1, 1, 2)
    assert result.deg_count == 0.5
    assert result.deg_rate == pytest.approx((1 - 0.8 / 3) / 2)
    assert result.brier_classical == pytest.approx((1 + (2 * 0.16 + 0.25) / 3) / 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.5], [0.5, 0.5], [True]), r"`classical_truth` must have the shape of `attack_truth`, \(1,\), got \(2,\)"),
        (([1.5, 0], [0.5, 0], [True, False]), r"`attack_truth` must lie in \[0, 1\], got 1.5"),
        (([0.5, 0.5], [0.5, np.nan], [True, False]), "`classical_truth` must not hold NaN"),
        (([0.5], [0.5], [True]), "There must be deleted and unseen queries, got 1 deleted and 0 unseen"),
        (([], [], []), "There must be deleted and unseen queries, got 0 deleted and 0 unseen"),
        (([0.5, 0.5], [0.5, 0.5], [1, 0]), "`is_deleted` must be bool, got int64"),
    ],
)
def test_degradation_is_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        degradation(*arguments)
