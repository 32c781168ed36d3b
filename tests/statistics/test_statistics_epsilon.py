"""Epsilon: exact error rates on known mechanisms, oracles, guarantees and their ceilings."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.special import ndtr
from scipy.stats import binom, binomtest

from aftertrace.statistics import (
    DpGuarantee,
    auc,
    auc_ceiling,
    dp_compose,
    dp_group,
    dp_substitution,
    epsilon_bonferroni,
    epsilon_clopper_pearson,
    epsilon_one_run,
    epsilon_split,
    one_run_guesses,
    one_run_p_value,
    tpr_ceiling,
)
from aftertrace.statistics._epsilon import _bounds

EPSILONS = (0.25, 1.0, 4.0)


def rng(seed=0):
    return np.random.default_rng(seed)


def gaussian_sd(epsilon, delta):
    """Of the smallest Gaussian noise that hides a change of 1 (Balle and Wang 2018, theorem 8)."""
    return brentq(
        lambda sd: ndtr(1 / (2 * sd) - epsilon * sd) - np.exp(epsilon) * ndtr(-1 / (2 * sd) - epsilon * sd) - delta,
        0.01,
        100,
    )


# A threshold fixed in advance


@pytest.mark.parametrize(("tp", "P", "fp", "n"), [(90, 100, 5, 100), (3, 3, 0, 400), (0, 9, 9, 9), (7, 9, 7, 9)])
@pytest.mark.parametrize("delta", [0.0, 0.01, 0.9])
def test_clopper_pearson_bound_is_its_formula(tp, P, fp, n, delta):
    tpr = binomtest(tp, P, alternative="greater").proportion_ci(0.96, method="exact").low
    fpr = binomtest(fp, n, alternative="less").proportion_ci(0.96, method="exact").high
    ratios = max((tpr - delta) / fpr, (1 - fpr - delta) / (1 - tpr))
    bound = epsilon_clopper_pearson(tp, P, fp, n, delta=delta, confidence=0.92)
    assert bound.low == pytest.approx(math.log(max(ratios, 1)), abs=1e-9)
    assert (bound.n, bound.delta, bound.confidence) == (P + n, delta, 0.92)


def test_values_of_jax_privacy():
    """jax_privacy 2.0.0, CanaryScoreAuditor.epsilon_clopper_pearson with Explicit threshold; _epsilon_one_run."""
    assert epsilon_clopper_pearson(90, 100, 5, 100).low == pytest.approx(1.9879745637300572, abs=1e-9)
    assert epsilon_clopper_pearson(90, 100, 5, 100, delta=0.01).low == pytest.approx(1.9757610802121457, abs=1e-9)
    for (C, r, v, delta), low, p in (
        ((100, 100, 90, 1e-6), 1.6307767015354624, 3.549743234197028e-05),
        ((1000, 600, 500, 1e-5), 1.4252712457813592, 0.00024162243261570504),
        ((1000, 1000, 700, 1e-3), 0.69611048480184, 0.9914030226797648),
        ((50, 20, 20, 1e-9), 1.822715313130531, 0.0019012811611690238),
    ):
        assert epsilon_one_run(v, r, C, delta=delta).low == pytest.approx(low, abs=2e-6)
        assert one_run_p_value(v, r, C, epsilon=1.0, delta=delta) == pytest.approx(p, rel=1e-8)


def exact_audit(P, tpr, fpr, epsilon, delta=0.0):
    """Probability that the bound exceeds `epsilon`, and its median, over all counts."""
    k = np.arange(P + 1)
    tp, fp = (a.ravel() for a in np.meshgrid(k, k, indexing="ij"))
    low = _bounds(tp, P, fp, P, delta=delta, error=0.05)
    mass = np.outer(binom.pmf(k, P, tpr), binom.pmf(k, P, fpr)).ravel()
    order = np.argsort(low)
    return mass[low > epsilon + 1e-12].sum(), low[order][np.searchsorted(np.cumsum(mass[order]), 0.5)]


@pytest.mark.parametrize(("epsilon", "trials"), [(0.25, 2000), (1.0, 150), (4.0, 70)])
def test_randomised_response_is_not_exceeded_and_half_is_reached(epsilon, trials):
    truth = np.exp(epsilon) / (1 + np.exp(epsilon))
    for P in (10, trials // 2):
        alarms, median = exact_audit(P, truth, 1 - truth, epsilon)
        assert alarms <= 0.05
    assert median >= 0.5 * epsilon - 1e-3


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_laplace_and_gaussian_are_not_exceeded(epsilon):
    for P in (20, 300):
        assert exact_audit(P, 0.5, 0.5 * np.exp(-epsilon), epsilon)[0] <= 0.05  # Laplace at its sharpest threshold
        for threshold in (0.5, 1.0, 2.0):
            sd = gaussian_sd(epsilon, 0.01)
            rates = ndtr((1 - threshold) / sd), ndtr(-threshold / sd)
            assert exact_audit(P, *rates, epsilon, 0.01)[0] <= 0.05


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1, 0, 1, 1), "`n_deleted` must be at least 1, got 0"),
        ((1, 1, 0, 0), "`n_unseen` must be at least 1, got 0"),
        ((2, 1, 0, 1), "`true_positives` must lie between 0 and `n_deleted` = 1, got 2"),
        ((1, 1, -1, 1), "`false_positives` must lie between 0 and `n_unseen` = 1, got -1"),
    ],
)
def test_counts_are_checked(arguments, message):
    with pytest.raises(ValueError, match=message):
        epsilon_clopper_pearson(*arguments)
    with pytest.raises(TypeError):
        epsilon_clopper_pearson(0.5, 1, 0, 1)
    with pytest.raises(ValueError, match=r"`delta` must lie in \[0, 1\), got 1"):
        epsilon_clopper_pearson(1, 1, 0, 1, delta=1)


# Many thresholds


def trials(mechanism, epsilon, generator, n=1000):
    """Scores of independent trials, and a grid of thresholds declared for the mechanism."""
    is_deleted = generator.random(n) < 0.5
    if mechanism == "response":
        honest = generator.random(n) < np.exp(epsilon) / (1 + np.exp(epsilon))
        return (is_deleted == honest).astype(float), is_deleted, [0.5]
    if mechanism == "laplace":
        return is_deleted + generator.laplace(0, 1 / epsilon, n), is_deleted, np.linspace(-1, 2, 7)
    sd = gaussian_sd(epsilon, 0.01)
    return is_deleted + sd * generator.standard_normal(n), is_deleted, 0.5 + sd * np.linspace(-2, 2, 9)


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("mechanism", ["response", "laplace", "gaussian"])
def test_many_thresholds_do_not_exceed_the_truth(mechanism, epsilon):
    generator, audits = rng(5), 300
    delta = 0.01 if mechanism == "gaussian" else 0.0
    low = np.empty((audits, 2))
    for audit in range(audits):
        score, is_deleted, grid = trials(mechanism, epsilon, generator)
        original = np.arange(score.size)
        low[audit] = (
            epsilon_split(score, is_deleted, original, rng=generator, delta=delta).low,
            epsilon_bonferroni(score, is_deleted, original, thresholds=grid, delta=delta).low,
        )
    assert ((low > epsilon).sum(axis=0) <= audits * 0.05 + 3 * math.sqrt(audits * 0.05 * 0.95)).all()
    if epsilon >= 1 and mechanism != "gaussian":
        assert (np.median(low, axis=0) >= 0.5 * epsilon).all()


def test_no_leak_raises_hardly_an_alarm():
    generator, alarms = rng(6), np.zeros(2)
    for _ in range(300):
        score, is_deleted = generator.standard_normal(200), generator.random(200) < 0.5
        original = generator.permutation(200)
        alarms += (
            epsilon_split(score, is_deleted, original, rng=generator).low > 0,
            epsilon_bonferroni(score, is_deleted, original, thresholds=[-1, 0, 1]).low > 0,
        )
    assert (alarms <= 26).all()


def test_bonferroni_is_the_best_of_its_thresholds():
    score, is_deleted, grid = trials("laplace", 4.0, rng(1), n=80)
    bound = epsilon_bonferroni(score, is_deleted, np.arange(80), thresholds=grid, confidence=0.9)
    slow = [
        epsilon_clopper_pearson(
            int((score > t)[is_deleted].sum()), int(is_deleted.sum()),
            int((score > t)[~is_deleted].sum()), int((~is_deleted).sum()), confidence=1 - 0.1 / len(grid),
        ).low
        for t in grid
    ]  # fmt: skip
    assert bound.low == pytest.approx(max(slow), abs=1e-12)
    assert (bound.n, bound.method) == (80, "clopper-pearson, Bonferroni over 7 thresholds")


def test_split_counts_on_the_other_half():
    score = np.repeat([1.0, -np.inf], 51)
    bound = epsilon_split(score, score == 1, np.arange(102), rng=rng())
    assert bound.n == 52  # halves are rounded down
    assert bound.low == pytest.approx(epsilon_clopper_pearson(26, 26, 0, 26).low, abs=1e-12)
    assert epsilon_split(np.zeros(20), score[41:61] == 1, np.arange(20), rng=rng()).low == 0


@pytest.mark.parametrize(
    "bound",
    [
        lambda *a: epsilon_split(*a, rng=rng()),
        lambda *a: epsilon_bonferroni(*a, thresholds=[0.0]),
    ],
)
def test_trials_are_checked(bound):
    with pytest.raises(ValueError, match="needs one canary per original, .* original 7 has 2. .*`epsilon_one_run`"):
        bound([1.0, 2.0, 3.0], [True, False, True], [7, 7, 3])
    with pytest.raises(ValueError, match="There must be deleted and unseen queries"):
        bound([1.0, 2.0], [True, True], [0, 1])
    with pytest.raises(ValueError, match="`score` must not hold NaN"):
        bound([1.0, np.nan], [True, False], [0, 1])


def test_thresholds_and_halves_are_checked():
    with pytest.raises(ValueError, match="`thresholds` must hold at least 1 value, got 0"):
        epsilon_bonferroni([1.0, 2.0], [True, False], [0, 1], thresholds=[])
    with pytest.raises(ValueError, match="Each role must hold at least 2 queries to be split, got 1"):
        epsilon_split([1.0, 2.0], [True, False], [0, 1], rng=rng())


# One run


@pytest.mark.parametrize("delta", [0.0, 1e-4])
@pytest.mark.parametrize(("v", "r", "C"), [(1, 1, 1), (5, 8, 20), (40, 40, 40), (12, 40, 99)])
def test_p_value_is_its_formula(v, r, C, delta):
    for epsilon in (0.0, 0.7, 3.0):
        mass = binom.pmf(np.arange(r + 1), r, 1 / (1 + math.exp(-epsilon)))
        reach = mass[v:].sum()
        alpha = max(mass[v - i : v].sum() / i for i in range(1, v + 1))
        expected = min(1, reach + 2 * C * delta * alpha)
        assert one_run_p_value(v, r, C, epsilon=epsilon, delta=delta) == pytest.approx(expected, rel=1e-9)


@settings(derandomize=True, deadline=None, max_examples=60)
@given(st.integers(0, 60), st.integers(0, 60), st.integers(0, 200), st.floats(-6, -0.5))
def test_every_smaller_epsilon_is_refuted_too(v, wrong, abstained, log_delta):
    r = max(1, v + wrong)
    delta, C = 10**log_delta, r + abstained
    low = epsilon_one_run(v, r, C, delta=delta).low
    for epsilon in np.linspace(0, 6, 40):
        p = one_run_p_value(v, r, C, epsilon=epsilon, delta=delta)
        assert (p <= 0.05) == (epsilon <= low and p <= 0.05), epsilon
        assert p <= 0.05 + 1e-7 or epsilon >= low


@pytest.mark.parametrize("epsilon", EPSILONS)
@pytest.mark.parametrize("share", [0.2, 1.0])
def test_one_run_of_randomised_response(epsilon, share):
    """Each canary answered for by randomised response: the bound is exact up to the lattice."""
    C, truth = 1000, 1 / (1 + math.exp(-epsilon))
    r = int(C * share)
    low = np.array([epsilon_one_run(v, r, C).low for v in range(r + 1)])
    mass = binom.pmf(np.arange(r + 1), r, truth)
    assert mass[low > epsilon].sum() <= 0.05
    assert low[int(binom.median(r, truth))] >= (0.5 if share == 1 or epsilon >= 1 else 0.0) * epsilon


@pytest.mark.parametrize("epsilon", [0.25, 1.0])
def test_one_run_with_interfering_canaries(epsilon):
    """A sum of all canaries with Laplace noise: one bit of it is all that any guess has."""
    generator, exceeded = rng(2), 0
    for _ in range(300):
        member = generator.random(40) < 0.5
        total = member.sum() + generator.laplace(0, 1 / epsilon)
        score = np.full(40, total) + generator.standard_normal(40)
        correct = one_run_guesses(score, member, n_guesses=20, rng=generator)
        exceeded += epsilon_one_run(correct, 20, 40).low > epsilon
    assert exceeded <= 26


def test_guesses_are_the_top_in_and_the_bottom_out():
    member = np.array([True, False, True, False, False])
    score = np.array([5.0, 4.0, 3.0, 2.0, -np.inf])
    assert [one_run_guesses(score, member, n_guesses=r, rng=rng()) for r in range(1, 6)] == [1, 2, 2, 3, 4]


def test_ties_tell_nothing_though_members_come_first():
    member = np.arange(200) < 100
    correct = [one_run_guesses(np.zeros(200), member, n_guesses=100, rng=rng(seed)) for seed in range(200)]
    assert np.mean(correct) == pytest.approx(50, abs=1.5)


def test_one_run_ends():
    assert epsilon_one_run(0, 10, 10).low == 0
    assert epsilon_one_run(5, 10, 10).low == 0
    assert epsilon_one_run(4, 4, 4).low == 0  # 2^-4 > .05
    q = 0.05**0.1  # all of 10 correct
    assert epsilon_one_run(10, 10, 10).low == pytest.approx(math.log(q / (1 - q)), abs=1e-8)
    assert epsilon_one_run(10, 10, 10, delta=0.99).low == 0


@pytest.mark.parametrize("counts", [(2, 1, 5), (-1, 1, 1), (1, 3, 2), (0, 0, 5)])
def test_guesses_are_checked(counts):
    with pytest.raises(ValueError, match="There must be at least one guess, .* got .* correct of .* guesses on"):
        epsilon_one_run(*counts)
    with pytest.raises(ValueError, match="There must be at least one guess"):
        one_run_p_value(*counts, epsilon=1.0)


def test_one_run_arguments_are_checked():
    with pytest.raises(ValueError, match="`n_guesses` must lie between 1 and the number of canaries, 2, got 3"):
        one_run_guesses([1, 2], [True, False], n_guesses=3, rng=rng())
    with pytest.raises(ValueError, match="`epsilon` must be at least 0, got -1"):
        one_run_p_value(1, 1, 1, epsilon=-1.0)
    with pytest.raises(ValueError, match=r"`delta` must lie in \[0, 1\), got -0.1"):
        epsilon_one_run(1, 1, 1, delta=-0.1)


# Guarantees


@pytest.mark.parametrize("delta", [0.0, 0.01, 0.5, 1.0])
@pytest.mark.parametrize("epsilon", [0.0, 0.25, 1.0, 4.0, 800.0])
def test_auc_ceiling_is_the_area_under_the_tpr_ceiling(epsilon, delta):
    guarantee = DpGuarantee(epsilon, delta)
    fpr = np.linspace(0, 1, 40_001)
    area = np.trapezoid([tpr_ceiling(guarantee, fpr=f) for f in fpr], fpr)
    assert auc_ceiling(guarantee) == pytest.approx(area, abs=3e-5)
    assert tpr_ceiling(guarantee, fpr=1.0) == 1
    assert tpr_ceiling(guarantee, fpr=0.0) == pytest.approx(delta)


@pytest.mark.parametrize("epsilon", EPSILONS)
def test_randomised_response_attains_the_ceilings(epsilon):
    q = math.exp(epsilon) / (1 + math.exp(epsilon))
    assert auc_ceiling(DpGuarantee(epsilon)) == pytest.approx(q, abs=1e-12)  # (1 + TPR - FPR) / 2
    assert tpr_ceiling(DpGuarantee(epsilon), fpr=1 - q) == pytest.approx(q, abs=1e-12)


def test_laplace_stays_below_the_ceiling():
    x = rng().laplace(0, 1, 20_000)
    assert auc(x[:10_000] + 1, x[10_000:]) < auc_ceiling(DpGuarantee(1.0))


def test_substitution_is_a_removal_and_an_addition():
    g = dp_substitution(DpGuarantee(0.7, 1e-3))
    assert (g.epsilon, g.delta) == (1.4, pytest.approx(1e-3 * (1 + math.exp(0.7)), rel=1e-12))


@pytest.mark.parametrize("size", [1, 2, 5])
def test_group_is_the_chain_of_single_changes(size):
    epsilon, delta = 0.3, 1e-4
    chained = delta
    for _ in range(size - 1):
        chained = delta + math.exp(epsilon) * chained
    g = dp_group(DpGuarantee(epsilon, delta), size=size)
    assert (g.epsilon, g.delta) == (pytest.approx(size * epsilon), pytest.approx(chained, rel=1e-12))


def test_hopeless_guarantees_end_at_one():
    assert dp_group(DpGuarantee(500.0, 1e-9), size=1000) == DpGuarantee(500_000.0, 1.0)
    assert dp_group(DpGuarantee(500.0), size=1000) == DpGuarantee(500_000.0, 0.0)
    assert dp_compose([DpGuarantee(1, 0.7), DpGuarantee(2, 0.7)]) == DpGuarantee(3, 1.0)
    assert dp_compose([]) == DpGuarantee(0, 0.0)
    assert auc_ceiling(DpGuarantee(math.inf)) == 1


@pytest.mark.parametrize(("epsilon", "versions"), [(0.25, 2), (0.25, 3), (1.0, 2), (1.0, 3)])
def test_composed_randomised_response_stays_below_the_ceiling(epsilon, versions):
    """The likelihood ratio of several answers is the strongest attack; its AUC in closed form."""
    q = math.exp(epsilon) / (1 + math.exp(epsilon))
    k = np.arange(versions + 1)
    member, other = binom.pmf(k, versions, q), binom.pmf(k, versions, 1 - q)
    value = sum(member[i] * (other[:i].sum() + other[i] / 2) for i in k)
    assert auc_ceiling(DpGuarantee(epsilon)) < value <= auc_ceiling(dp_compose([DpGuarantee(epsilon)] * versions))


def test_guarantees_are_checked():
    with pytest.raises(ValueError, match="`epsilon` must be at least 0, got -1"):
        DpGuarantee(-1)
    with pytest.raises(ValueError, match="`epsilon` must be at least 0, got nan"):
        DpGuarantee(math.nan)
    with pytest.raises(ValueError, match=r"`delta` must lie in \[0, 1\], got 2"):
        DpGuarantee(1, 2)
    with pytest.raises(ValueError, match="`size` must be at least 1, got 0"):
        dp_group(DpGuarantee(1), size=0)
    with pytest.raises(ValueError, match=r"`fpr` must lie in \[0, 1\], got 1.5"):
        tpr_ceiling(DpGuarantee(1), fpr=1.5)
