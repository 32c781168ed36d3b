"""What is released: each defense by hand, noise by its law, costs by hand."""

import statistics
import time
from dataclasses import dataclass, replace

import numpy as np
import pytest
from scipy import stats

from aftertrace.defenses import (
    DEFENSE_CHECKS,
    DEFENSES,
    KeyedNoise,
    LabelOnly,
    Rounding,
    Temperature,
    TopK,
    check_defense,
    defend,
    parse_defense,
    utility_cost,
)
from aftertrace.defenses._conformance import (
    classes_can_be_renamed,
    equal_questions_get_equal_answers,
    rows_are_distributions,
    rows_are_released_alone,
)
from aftertrace.defenses._cost import _interval
from aftertrace.defenses._noise import mixed, normal
from aftertrace.errors import ExperimentError, PosteriorsError, UnsupportedError
from aftertrace.posteriors import Kind, Posteriors, Role, correctness, from_parquet, to_parquet

ALL = [TopK(1), TopK(3), LabelOnly(), Temperature(0.5), Temperature(4), Rounding(0), Rounding(2), KeyedNoise(0.5)]


def table(n=60, K=4, originals=6, seed=0):
    rng = np.random.default_rng(seed)
    before, after = rng.dirichlet(np.ones(K), size=(2, n))
    return Posteriors.from_pair(
        before,
        after,
        label=rng.integers(0, K, n),
        role=np.where(np.arange(n) % 2, "unseen", "deleted"),
        original=np.arange(n) // 2 % originals,
        pair=np.arange(n) // 2,
        record=np.arange(n) + 100,
    )


@pytest.mark.parametrize("defense", ALL, ids=str)
def test_defenses_conform(defense):
    check_defense(defense)


def test_what_is_released_by_hand():
    values = np.array([[[0.6, 0.3, 0.1], [0.2, 0.2, 0.6]]])
    key = np.zeros((1, 2), dtype=np.uint64)

    def released(defense):
        return np.exp(defense.release(np.log(values), key))

    assert np.allclose(released(TopK(1)), [[[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]]])
    assert np.allclose(released(TopK(2)), values)  # one class is left, and gets the rest
    assert np.allclose(released(LabelOnly()), [[[1, 0, 0], [0, 0, 1]]])
    squared = np.sqrt(values)
    assert np.allclose(released(Temperature(2)), squared / squared.sum(axis=-1, keepdims=True))
    assert np.allclose(released(Rounding(0)), [[[1, 0, 0], [0, 0, 1]]])
    third = np.full((1, 1, 3), np.log(1 / 3))
    assert np.exp(Rounding(0).release(third, key[:, :1])).tolist() == [[[1, 0, 0]]]  # all round to 0
    assert np.allclose(np.exp(Rounding(1).release(third, key[:, :1])), 1 / 3)


def test_the_earlier_of_equal_classes_counts_as_larger():
    log_values, key = np.log(np.full((1, 1, 4), 0.25)), np.zeros((1, 1), dtype=np.uint64)
    assert np.exp(LabelOnly().release(log_values, key)).tolist() == [[[1, 0, 0, 0]]]
    certain = np.array([[[0.0, -np.inf, -np.inf]]])
    assert np.exp(TopK(2).release(certain, key)).tolist() == [[[1, 0, 0]]]
    assert np.allclose(np.exp(KeyedNoise(1).release(certain, key)), [[[1, 0, 0]]])


def test_more_classes_than_there_are_cannot_be_kept():
    for K in (2, 3):
        with pytest.raises(UnsupportedError, match=f"k can be at most {K - 1} for {K} classes, got {K}"):
            defend(table(K=K), TopK(K), seed=0, side="target")
        assert defend(table(K=K), TopK(K - 1), seed=0, side="target").kind is Kind.POSTERIOR


@pytest.mark.parametrize("defense", ALL, ids=str)
def test_every_version_and_every_class_valued_probe_is_defended(defense):
    """What is not defended is not there, and the undefended table stays as it was."""
    plain, rng = table(K=5), np.random.default_rng(1)
    copies = np.log(rng.dirichlet(np.ones(5), size=(len(plain), 2, 3)))
    distance = rng.normal(size=(len(plain), 2))
    probed = replace(plain, probes={"flips": copies, "distance": distance}, class_probes=frozenset({"flips"}))
    before = probed.log_values.copy(), copies.copy()
    released = defend(probed, defense, seed=3, side="target")
    assert set(released.probes) == {"flips"} == released.class_probes
    assert released.kind is defense.kind
    for old, new in ((probed.log_values, released.log_values), (copies, released.probes["flips"])):
        assert not np.shares_memory(old, new)
        if isinstance(defense, KeyedNoise):
            assert (np.abs(new - old) > 1e-12).all()
        else:  # no key matters: each row by itself
            rows = old.reshape(-1, 5)
            each = np.stack([defense.release(row[None], np.zeros(1, dtype=np.uint64))[0] for row in rows])
            assert np.array_equal(each.reshape(old.shape), new)
    assert np.array_equal(before[0], probed.log_values)
    assert np.array_equal(before[1], probed.probes["flips"])


def test_the_same_question_gets_the_same_noise_and_no_other():
    plain = table()
    first, again, other = (defend(plain, KeyedNoise(1), seed=seed, side="target") for seed in (0, 0, 1))
    assert np.array_equal(first.log_values, again.log_values)
    assert not np.isclose(first.log_values, other.log_values).any(axis=2).all()
    side = defend(plain, KeyedNoise(1), seed=0, side="shadow")
    assert not np.isclose(first.log_values, side.log_values).all()
    same = replace(plain, log_values=np.zeros_like(plain.log_values) - np.log(4))
    noise = defend(same, KeyedNoise(1), seed=0, side="target").log_values
    assert len(np.unique(noise[:, :, 0])) == 2 * len(plain)  # every record and version has its own
    one = replace(same, record=np.full(len(plain), 7), original=np.zeros(len(plain), dtype=np.int64))
    noise = defend(one, KeyedNoise(1), seed=0, side="target").log_values
    assert len(np.unique(noise[:, 0, 0])) == 1  # the original answers alike, whatever pair asks
    assert len(np.unique(noise[:, 1, 0])) == len(np.unique(plain.pair))


def test_keyed_noise_is_normal_and_independent():
    keys = mixed(np.arange(40_000, dtype=np.uint64), np.uint64(5))
    drawn = normal(keys)
    assert stats.kstest(drawn, "norm").pvalue > 0.001
    for neighbour in (drawn[1:], normal(mixed(np.arange(1, 40_000, dtype=np.uint64), np.uint64(6)))):
        assert abs(np.corrcoef(drawn[:-1], neighbour)[0, 1]) < 4 / np.sqrt(40_000)
    assert stats.kstest(normal(mixed(np.uint64(3), np.arange(40_000, dtype=np.uint64))), "norm").pvalue > 0.001


def test_a_table_of_scores_cannot_be_defended():
    plain = table()
    scores = replace(plain, log_values=plain.log_values[:, :, :1], classes=("score",), kind=Kind.SCORE)
    with pytest.raises(PosteriorsError, match="holds one score per record"):
        defend(scores, LabelOnly(), seed=0, side="target")


def test_class_probes_are_checked_and_kept():
    plain = table()
    with pytest.raises(PosteriorsError, match="must be"):
        replace(plain, probes={"a": np.zeros((60, 2, 3))}, class_probes=frozenset({"a"}))
    with pytest.raises(PosteriorsError, match="must be"):
        replace(plain, class_probes=frozenset({"absent"}))
    probed = replace(plain, probes={"a": np.zeros((60, 2, 4))}, class_probes=frozenset({"a"}))
    assert from_parquet(to_parquet(probed))[0].class_probes == {"a"}


@pytest.mark.parametrize("defense", ALL, ids=str)
def test_names_are_read_back(defense):
    assert parse_defense(str(defense)) == defense
    assert str(defense).partition("(")[0] in DEFENSES


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("TopK", "takes a number in brackets"),
        ("LabelOnly(1)", "takes no number in brackets"),
        ("TopK(0)", "`k` must be at least 1, got 0."),
        ("TopK(1.5)", "TopK takes a whole number in brackets, got '1.5'"),
        ("Temperature(0)", "above 0, got 0.0"),
        ("Rounding(-1)", "defense: Rounding(-1)"),
        ("KeyedNoise(inf)", "above 0, got inf"),
        ("Topk(1)", "is 'TopK' meant?"),
        ("", "must be none or one such as"),
    ],
)
def test_mistakes_are_said(text, message):
    with pytest.raises(ExperimentError) as caught:
        parse_defense(text)
    assert message in str(caught.value)


def test_label_only_costs_no_accuracy_and_a_known_brier_score():
    plain = table(n=600)
    cost = utility_cost(plain, defend(plain, LabelOnly(), seed=0, side="target"))
    rows = plain.role == 1
    values, label = plain.values[rows, -1], plain.label[rows]
    right = values.argmax(axis=1) == label
    assert cost.queries == rows.sum()
    assert cost.accuracy == cost.defended_accuracy == pytest.approx(right.mean())
    assert (cost.accuracy_lost.estimate, cost.accuracy_lost.low, cost.accuracy_lost.high) == (0, 0, 0)
    truth = np.eye(4)[label]
    before, after = ((values - truth) ** 2).sum(axis=1), 2.0 * ~right
    each = [(after - before)[plain.original[rows] == number].mean() for number in np.unique(plain.original[rows])]
    assert cost.brier_added.estimate == pytest.approx(np.mean(each))
    interval = stats.t.interval(0.95, len(each) - 1, np.mean(each), stats.sem(each))
    assert (cost.brier_added.low, cost.brier_added.high) == pytest.approx(interval)


def test_everybody_counts_once():
    plain = table(n=600)
    released = defend(plain, TopK(1), seed=0, side="target")
    unit = plain.original * 1000 + plain.record % 7
    cost = utility_cost(plain, released, unit=unit)
    rows = np.flatnonzero(plain.role == 1)
    right = correctness(plain.values[rows, -1], plain.label[rows])[0]
    means = [right[unit[rows] == each].mean() for each in np.unique(unit[rows])]  # slow twin
    assert cost.queries == len(means)
    assert cost.accuracy == pytest.approx(np.mean(means))
    assert cost.accuracy != pytest.approx(right.mean())


def test_equal_largest_posteriors_are_right_by_chance():
    even = Posteriors.from_pair([[0.5, 0.5]], [[0.5, 0.5]], label=[1], role=["unseen"])
    cost = utility_cost(even, defend(even, LabelOnly(), seed=0, side="target"))
    assert (cost.accuracy, cost.defended_accuracy) == (0.5, 0.0)
    assert cost.accuracy_lost.low is None
    assert "at least 6 originals are needed" in cost.accuracy_lost.note


@dataclass(frozen=True)
class Centred:
    """Broken: a row's release depends on the rows beside it."""

    kind = Kind.POSTERIOR
    class_symmetric = True

    def release(self, log_values, key):
        values = np.exp(log_values)
        return np.log((values + values.mean(axis=0) + 1e-9) / (2 + 1e-9 * values.shape[-1]))


@dataclass(frozen=True)
class Restless(Centred):
    """Broken: to ask again gives another answer."""

    def release(self, log_values, key):
        fresh = np.random.default_rng(time.perf_counter_ns()).integers(2**63, size=key.shape, dtype=np.uint64)
        return KeyedNoise(1).release(log_values, fresh)


@dataclass(frozen=True)
class InPlace(Centred):
    """Broken: the input is written to."""

    def release(self, log_values, key):
        log_values[...] = TopK(1).release(log_values, key)
        return log_values


@dataclass(frozen=True)
class Favouring(Centred):
    """Broken: the order of classes matters, and it says that it does not."""

    def release(self, log_values, key):
        return KeyedNoise(1).release(log_values, np.zeros_like(key))


@dataclass(frozen=True)
class Unfinished(Centred):
    """Broken: rows do not sum to 1."""

    def release(self, log_values, key):
        return log_values - 1e-6


@pytest.mark.parametrize(
    ("broken", "check"),
    [
        (Unfinished(), rows_are_distributions),
        (Restless(), equal_questions_get_equal_answers),
        (InPlace(), equal_questions_get_equal_answers),
        (Centred(), rows_are_released_alone),
        (Favouring(), classes_can_be_renamed),
    ],
)
def test_conformance_can_fail(broken, check):
    """Each by its own check, and by all of them."""
    for checks in (check, check_defense):
        with pytest.raises(AssertionError):
            checks(broken)
    for before in DEFENSE_CHECKS[: DEFENSE_CHECKS.index(check)]:
        before(broken)


def test_every_defense_is_tested():
    assert {type(defense) for defense in ALL} == {build for build, _ in DEFENSES.values()}


@pytest.mark.parametrize("value", [4.0, 0.5, 1.23456789012, 1 / 3, 1e-300, 1e22])
def test_numbers_are_read_back_to_the_last_bit(value):
    for defense in (Temperature(value), KeyedNoise(value)):
        assert parse_defense(str(defense)) == defense
    assert str(Temperature(4.0)) == "Temperature(4)"


def test_extreme_parameters():
    log_values, key = np.log([[[0.6, 0.3, 0.1]]]), np.zeros((1, 1), dtype=np.uint64)
    assert np.exp(Temperature(1e-320).release(log_values, key)).tolist() == [[[1, 0, 0]]]
    assert np.allclose(np.exp(Temperature(1e300).release(log_values, key)), 1 / 3)
    assert np.allclose(np.exp(Rounding(15).release(log_values, key)), np.exp(log_values), atol=1e-15)
    with pytest.raises(ValueError, match=r"`decimals` must lie in 0..15, got 16"):
        Rounding(16)


def test_how_far_a_sum_is_from_1_is_not_released():
    """Whole numbers of 2^-20, so that a shift of a row's logarithms by 2^-12 is exact."""
    plain = table()
    log_values = np.round(plain.log_values * 2**20) / 2**20
    shifted = log_values + 2.0**-12
    for defense in (Temperature(4), KeyedNoise(0.5), LabelOnly()):
        one, other = (
            defend(replace(plain, log_values=rows), defense, seed=0, side="target") for rows in (log_values, shifted)
        )
        assert np.array_equal(one.log_values, other.log_values)


def slow_mixed(key, word):
    """SplitMix64 in whole numbers of Python."""

    def scrambled(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    return scrambled(((key ^ scrambled((word + golden) % 2**64)) + golden) % 2**64)


def test_keyed_noise_equals_its_slow_twin():
    rng = np.random.default_rng(0)
    keys, words = rng.integers(2**64 - 1, size=(2, 50), dtype=np.uint64)
    words[:3] = [0, 1, 2**64 - 1]
    slow = [slow_mixed(key, word) for key, word in zip(keys.tolist(), words.tolist(), strict=True)]
    assert mixed(keys, words).tolist() == slow
    log_values = np.log(rng.dirichlet(np.ones(3), 50))
    released = KeyedNoise(0.7).release(log_values, keys)
    for row, key, got in zip(log_values.tolist(), keys.tolist(), released, strict=True):
        noise = [statistics.NormalDist().inv_cdf(((slow_mixed(key, k) >> 12) + 0.5) / 2**52) for k in range(3)]
        weight = np.exp(np.array(row) + 0.7 * np.array(noise))
        assert np.allclose(np.exp(got), weight / weight.sum(), atol=1e-9)


def test_noise_is_finite_for_every_key():
    ends = normal(np.array([0, 2**64 - 1], dtype=np.uint64))
    assert np.isfinite(ends).all()
    assert ends[0] == pytest.approx(-ends[1])


def test_released_noise_has_its_law_and_is_independent_of_neighbours():
    """Of 20 000 records whose log posteriors are equal, in two classes and two versions: logits have variance 2."""
    n = 20_000
    even = np.full((n, 2), 0.5)
    made = Posteriors.from_pair(even, even, label=np.zeros(n, dtype=int), role=np.full(n, "unseen"))
    logit = np.diff(defend(made, KeyedNoise(0.5), seed=0, side="target").log_values, axis=2)[:, :, 0]
    assert stats.kstest(logit.ravel(), stats.norm(scale=0.5 * np.sqrt(2)).cdf).pvalue > 0.001
    neighbours = (logit[:, 0], logit[:, 1]), (logit[1:, 0], logit[:-1, 0]), (logit[1:, 1], logit[:-1, 0])
    for one, other in neighbours:
        assert abs(np.corrcoef(one, other)[0, 1]) < 4 / np.sqrt(n)


def test_to_ask_often_does_not_average_noise_away_and_other_models_have_their_own():
    n = 64
    even = np.full((n, 2), 0.5)
    asked = Posteriors.from_pair(
        even, even, label=np.zeros(n, dtype=int), role=np.full(n, "unseen"), record=np.full(n, 5),
        original=np.repeat([0, 1], n // 2), pair=np.arange(n) // 2,
    )  # fmt: skip

    def answers(**more):
        released = defend(asked, KeyedNoise(1), seed=0, side="target", **more)
        return [[len(np.unique(released.log_values[part, v, 0])) for v in (0, 1)] for part in np.split(np.arange(n), 2)]

    assert answers() == [[1, 16], [1, 16]]  # one answer by the original, one by each of its 16 versions
    assert answers(first_is_original=False) == [[16, 16], [16, 16]]
    numbered_anew = replace(asked, pair=np.tile(np.arange(n // 4), 2).repeat(2))  # pairs counted within an original
    released = defend(numbered_anew, KeyedNoise(1), seed=0, side="target")
    assert len(np.unique(released.log_values[:, 1, 0])) == n // 2


def test_a_certain_answer_stays_certain_under_noise_and_float32_is_fine():
    rows = np.log(np.random.default_rng(0).dirichlet(np.ones(4), (30, 2))).astype(np.float32)
    rows[0, 0] = [0, -np.inf, -np.inf, -np.inf]
    single = replace(table(n=30), log_values=rows)
    for defense in ALL:
        released = defend(single, defense, seed=0, side="target")
        assert released.sum_deviation < 1e-6
        if not isinstance(defense, TopK):
            assert released.values[0, 0].tolist() == [1, 0, 0, 0]


def test_utility_cost_refuses_what_cannot_be_compared():
    plain = table()
    with pytest.raises(PosteriorsError, match="must hold the same queries"):
        utility_cost(plain, plain.select(np.arange(60)[::-1]))
    deleted = plain.select(plain.role == Role.DELETED)
    with pytest.raises(PosteriorsError, match="measured on unseen queries; got none"):
        utility_cost(deleted, deleted)
    scores = replace(plain, log_values=plain.log_values[:, :, :1], classes=("score",), kind=Kind.SCORE)
    with pytest.raises(PosteriorsError, match="needs a value per class"):
        utility_cost(scores, scores)


def test_intervals_of_costs_cover():
    """Eight originals of unequal numbers of queries: 95 % within four standard errors of 1000 trials."""
    rng = np.random.default_rng(0)
    original = np.repeat(np.arange(8), np.arange(3, 11))
    hits = 0
    for _ in range(1000):
        interval = _interval(0.1 * rng.normal(size=8)[original] + rng.normal(size=len(original)), original, 0.95)
        hits += interval.low <= 0 <= interval.high
    assert abs(hits / 1000 - 0.95) < 4 * np.sqrt(0.95 * 0.05 / 1000)
