"""What is released: each defense by hand, noise by its law, costs by hand."""

from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

from aftertrace.defenses import (
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
from aftertrace.defenses._noise import mixed, normal
from aftertrace.errors import ExperimentError, PosteriorsError, UnsupportedError
from aftertrace.posteriors import Kind, Posteriors, from_parquet, to_parquet

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
        ("TopK(1.5)", "defense: TopK(1.5)"),
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


def test_equal_largest_posteriors_are_right_by_chance():
    even = Posteriors.from_pair([[0.5, 0.5]], [[0.5, 0.5]], label=[1], role=["unseen"])
    cost = utility_cost(even, defend(even, LabelOnly(), seed=0, side="target"))
    assert (cost.accuracy, cost.defended_accuracy) == (0.5, 0.0)
    assert cost.accuracy_lost.low is None
    assert "needs at least 6" in cost.accuracy_lost.note
