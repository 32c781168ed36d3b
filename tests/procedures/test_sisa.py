"""SISA against plain loops over shards and slices."""

import numpy as np
import pytest
from sklearn.tree import DecisionTreeClassifier

from aftertrace._random import Stream, stream
from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.procedures import Sisa, check_procedure
from aftertrace.procedures._sisa import ASSIGN, TRAIN, _child
from aftertrace.trainers import (
    MLP,
    LogisticTrainer,
    NetworkTrainer,
    Seeding,
    SklearnTrainer,
    TrainingData,
    TreeTrainer,
)

NETWORK = NetworkTrainer(network=MLP(hidden=(5,)), epochs=4, batch_size=16, precision="float64")
CASES = {
    "tree": (TreeTrainer(max_leaf_nodes=5), 1, 1e-12),
    "scikit-learn's tree": (SklearnTrainer(DecisionTreeClassifier(max_leaf_nodes=5)), 1, 1e-12),
    "logistic": (LogisticTrainer(), 1, 1e-8),
    "network": (NETWORK, 1, 1e-9),
    "network, 3 slices": (NETWORK, 3, 1e-9),
}


def problem(n=150, n_classes=3):
    rng = np.random.default_rng(3)
    label = np.arange(n) % n_classes
    return TrainingData(rng.normal(size=(n, 4)) + label[:, None], label, n_classes)


def streams(*numbers):
    return [stream(5, Stream.TRAIN, "target", 0, number) for number in numbers]


def keep_of(data, *gone):
    keep = np.ones((len(gone), len(data.label)), dtype=bool)
    for row, records in enumerate(gone):
        keep[row, records] = False
    return keep


def dealt(records, S, R, own):
    """Shard and slice of each record, as they are dealt like cards."""
    order = np.random.default_rng(_child(own, ASSIGN)).permutation(records)
    return {int(r): (i % S, i // S % R) for i, r in enumerate(order)}


def shard_by_hand(trainer, data, place, s, R, seeds):
    """The model on a shard, a call per slice. `seeds`: the stream of each slice."""
    trainer = trainer.staged(R) if hasattr(trainer, "staged") else trainer
    models = None
    for r in range(R):
        keep = np.zeros((1, len(data.label)), dtype=bool)
        keep[0, [record for record, (shard, part) in place.items() if shard == s and part <= r]] = True
        own = [_child(seeds[r], TRAIN, s, r)]
        if models is None:
            models = trainer.fit(data, keep, streams=own)
        else:
            models = trainer.go_on(data, keep, streams=own, start=[(models, 0)])
    return models


def answers_by_hand(shards, x, aggregate):
    each = [np.exp(models.log_posteriors(x, np.zeros(len(x), dtype=int))) for models in shards]
    if aggregate == "vote":
        each = [np.eye(answer.shape[1])[answer.argmax(axis=1)] for answer in each]
    return sum(each) / len(each)


def answers(models, x, model=0):
    return np.exp(models.log_posteriors(x, np.full(len(x), model)))


@pytest.mark.parametrize("aggregate", ["mean", "vote"])
@pytest.mark.parametrize("case", CASES)
def test_ensembles_equal_shards_trained_by_hand(case, aggregate):
    trainer, R, tolerance = CASES[case]
    data, S = problem(), 4
    original, later = streams(0, 1, 2)[:1], streams(1, 2)
    procedure = Sisa(trainer, shards=S, slices=R, aggregate=aggregate)
    state = procedure.learn(data, keep_of(data, []), streams=original)
    place = dealt(np.arange(150), S, R, original[0])
    by_hand = [shard_by_hand(trainer, data, place, s, R, [original[0]] * R) for s in range(S)]
    assert np.allclose(answers(state.models, data.x), answers_by_hand(by_hand, data.x, aggregate), atol=tolerance)

    gone = ([7], [20, 21])
    after = procedure.forget(state, data, np.zeros(2, dtype=int), keep_of(data, *gone), streams=later)
    for row, records in enumerate(gone):
        first = {}
        for record in records:
            s, r = place[record]
            first[s] = min(first.get(s, R), r)
        left = {record: at for record, at in place.items() if record not in records}
        versions = list(by_hand)
        for s, r0 in first.items():
            seeds = [original[0]] * r0 + [later[row]] * (R - r0)
            versions[s] = shard_by_hand(trainer, data, left, s, R, seeds)
        expected = answers_by_hand(versions, data.x, aggregate)
        assert np.allclose(answers(after.models, data.x, row), expected, atol=tolerance)


@pytest.mark.parametrize("case", CASES)
def test_only_the_touched_shard_and_slices_are_trained(case):
    trainer, R, _ = CASES[case]
    data = problem()
    procedure = Sisa(trainer, shards=5, slices=R)
    state = procedure.learn(data, keep_of(data, []), streams=streams(0))
    assert state.models.counts["models"] == 5 * R
    for record in (3, 90, 140):
        after = procedure.forget(state, data, np.array([0]), keep_of(data, [record]), streams=streams(1))
        s, r = state.shard[0, record], state.slice[0, record]
        assert after.models.counts["models"] == R - r
        same = (after.part == state.part) & (after.number == state.number)
        assert not same[r:, 0, s].any()
        assert same.sum() == 5 * R - (R - r)
        assert np.array_equal(np.delete(after.shard[0], record), np.delete(state.shard[0], record))


@pytest.mark.parametrize("case", ["tree", "network, 3 slices"])
def test_procedures_conform(case):
    trainer, R, _ = CASES[case]
    check_procedure(Sisa(trainer, shards=3, slices=R))
    check_procedure(Sisa(trainer, shards=2, slices=R, aggregate="vote", seeding=Seeding.SAME))


def test_a_deleted_record_leaves_nothing_in_what_is_trained_anew():
    """Its values may be anything: scalers, weights and checkpoints of the later version do not know it."""
    data = problem()
    procedure = Sisa(NETWORK, shards=3, slices=3)
    gone = 11
    other = TrainingData(data.x.copy(), data.label, 3)
    other.x[gone] = 50
    found = []
    for own in (data, other):
        state = procedure.learn(own, keep_of(own, []), streams=streams(0))
        after = procedure.forget(state, own, np.array([0]), keep_of(own, [gone]), streams=streams(1))
        found.append((answers(state.models, data.x), answers(after.models, data.x)))
    assert not np.allclose(found[0][0], found[1][0])
    assert np.array_equal(found[0][1], found[1][1])


def test_the_same_seed_trains_a_shard_with_the_originals_numbers():
    data = problem()
    trainer = SklearnTrainer(DecisionTreeClassifier(max_features=1, max_leaf_nodes=4))
    moved = {}
    for seeding, number in ((Seeding.SAME, 0), (Seeding.FRESH, 1)):
        procedure = Sisa(trainer, shards=5, seeding=seeding)
        state = procedure.learn(data, keep_of(data, []), streams=streams(0))
        after = procedure.forget(state, data, np.zeros(20, dtype=int), keep_of(data, *([i] for i in range(20))),
                                 streams=streams(*[number] * 20))  # fmt: skip
        moved[seeding] = np.mean(
            [np.abs(answers(after.models, data.x, m) - answers(state.models, data.x)).mean() for m in range(20)]
        )
    assert moved[Seeding.FRESH] > 1.5 * moved[Seeding.SAME]


def test_records_that_join_go_to_the_smallest_shard():
    data = problem()
    procedure = Sisa(TreeTrainer(max_leaf_nodes=5), shards=4)
    keep = keep_of(data, list(range(110, 150)))
    state = procedure.learn(data, keep, streams=streams(0))
    sizes = np.bincount(state.shard[0][keep[0]], minlength=4)
    later = keep.copy()
    small = np.flatnonzero(state.shard[0] == 2)[:3]
    later[0, small], later[0, [120, 121]] = False, True
    after = procedure.forget(state, data, np.array([0]), later, streams=streams(1))
    assert sizes.max() - sizes.min() <= 1
    assert (after.shard[0, [120, 121]] == 2).all()
    assert after.models.counts["models"] == 1


def test_versions_chain_from_the_last_state():
    data = problem()
    procedure = Sisa(TreeTrainer(max_leaf_nodes=5), shards=4)
    state = procedure.learn(data, keep_of(data, []), streams=streams(0))
    middle = procedure.forget(state, data, np.zeros(2, dtype=int), keep_of(data, [3], [4]), streams=streams(1, 2))
    last = procedure.forget(middle, data, np.array([1]), keep_of(data, [4, 9]), streams=streams(3))
    at_once = procedure.forget(state, data, np.array([0]), keep_of(data, [4, 9]), streams=streams(4))
    assert np.allclose(answers(last.models, data.x), answers(at_once.models, data.x))  # trees without ties draw nothing


@pytest.mark.parametrize("aggregate", ["mean", "vote"])
def test_classes_missing_in_a_shard_count_as_0_there(aggregate):
    """30 records, one of them of class 2: three of four shards have never seen it."""
    data = problem(n=30)
    label = np.where(np.arange(30) < 1, 2, np.arange(30) % 2)
    data = TrainingData(data.x, label, 3)
    procedure = Sisa(TreeTrainer(max_leaf_nodes=3), shards=4, aggregate=aggregate)
    state = procedure.learn(data, keep_of(data, []), streams=streams(0))
    assert state.models.counts["shards_without_a_class"] == 3
    posteriors = answers(state.models, data.x)
    assert np.isfinite(posteriors).all()
    assert np.allclose(posteriors.sum(axis=1), 1)
    assert posteriors[:, 2].max() <= 0.25


def test_the_mean_is_not_of_the_first_shard():
    """The released code of arXiv 2005.02205 added all shards into the array of the first one."""
    data = problem()
    state = Sisa(TreeTrainer(max_leaf_nodes=5), shards=2).learn(data, keep_of(data, []), streams=streams(0))
    first, second = (
        np.exp(state.models.parts[0].log_posteriors(data.x, np.full(150, number))) for number in state.number[0, 0]
    )
    assert np.allclose(answers(state.models, data.x), (first + second) / 2)
    assert not np.allclose(first, second)


def test_what_cannot_be_is_said():
    with pytest.raises(UnsupportedError, match="slices = 2 needs models that go on training"):
        Sisa(TreeTrainer(), slices=2)
    with pytest.raises(ValueError, match="`shards` must be at least 1, got 0"):
        Sisa(TreeTrainer(), shards=0)
    with pytest.raises(ValueError, match="'mean' or 'vote', got 'median'"):
        Sisa(TreeTrainer(), aggregate="median")
    with pytest.raises(UnsupportedError, match="coupled"):
        Sisa(NETWORK, seeding=Seeding.COUPLED)
    data = problem(n=6)
    with pytest.raises(TrainingError, match="Every shard must hold records.*use fewer shards"):
        Sisa(TreeTrainer()).learn(data, keep_of(data, []), streams=streams(0))
    few = Sisa(TreeTrainer(), shards=3)
    state = few.learn(data, keep_of(data, []), streams=streams(0))
    gone = np.flatnonzero(state.shard[0] == 1)
    with pytest.raises(TrainingError, match="shard 1 of 3 holds none of the 4"):
        few.forget(state, data, np.array([0]), keep_of(data, gone), streams=streams(1))


def test_arrays_are_kept_by_shard():
    data = problem()
    state = Sisa(NETWORK, shards=2).learn(data, keep_of(data, []), streams=streams(0))
    names = state.models.parameters(0)
    assert {name.partition("/")[0] for name in names} == {"0", "1"}
