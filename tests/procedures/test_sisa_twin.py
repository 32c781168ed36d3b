"""SISA against a plain loop over shards and slices; what is trained, what stays, what deleted records leave behind."""

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest

from aftertrace._random import Stream, stream
from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.procedures import PROCEDURE_CHECKS, Memoryless, Retrain, Sisa, SisaModels, _sisa
from aftertrace.trainers import MLP, Model, NetworkTrainer, Promise, Seeding, SklearnTrainer, TrainingData

TREE = Model(name="tree", params={"max_features": 1}).trainer()  # random, so that a wrong stream is seen
LOGISTIC = Model(name="logistic").trainer()
NETWORK = NetworkTrainer(network=MLP(hidden=(5,)), epochs=4, batch_size=8, learning_rate=0.02, precision="float64")
TOLERANCE = {TREE: 1e-12, LOGISTIC: 1e-8, NETWORK: 1e-10}
CASES = {"tree": (TREE, 1), "logistic": (LOGISTIC, 1), "mlp": (NETWORK, 1), "mlp-slices": (NETWORK, 3)}
N, SHARDS = 72, 4


def problem(seed=3, n=N):
    rng = np.random.default_rng(seed)
    label = np.arange(n) % 3
    return TrainingData(rng.normal(size=(n, 4)) + label[:, None], label, 3)


def streams(*numbers):
    return [stream(7, Stream.TRAIN, number) for number in numbers]


def rows(*without):
    """Rows of `keep` that lack some records."""
    keep = np.ones((len(without), N), dtype=bool)
    for m, records in enumerate(without):
        keep[m, list(records)] = False
    return keep


def posteriors(models, x, model=0):
    return np.exp(models.log_posteriors(x, np.full(len(x), model)))


# ---------------------------------------------------------------- the slow obvious twin


class Twin:
    """One ensemble: lists of records, one model per shard and slice, trained one by one by the trainer's reference."""

    def __init__(self, trainer, data, slices, shard, part, seeds):
        epochs = max(1, round(2 * trainer.epochs / (slices + 1))) if slices > 1 else None
        self.trainer = (replace(trainer, epochs=epochs) if epochs else trainer).reference()
        self.data, self.n_slices = data, slices
        self.records = [
            [list(np.flatnonzero((shard == s) & (part == r))) for r in range(slices)] for s in range(SHARDS)
        ]
        self.checkpoints = [[None] * slices for _ in range(SHARDS)]
        self.trained = 0
        for s in range(SHARDS):
            self.train(s, 0, seeds)

    def train(self, s, first, seeds):
        for r in range(first, self.n_slices):
            keep = np.zeros((1, N), dtype=bool)
            for each in self.records[s][: r + 1]:
                keep[0, each] = True
            seed = np.random.SeedSequence(seeds.entropy, spawn_key=(*seeds.spawn_key, 1, s, r))
            if r == 0:
                self.checkpoints[s][r] = self.trainer.fit(self.data, keep, streams=[seed])
            else:
                start = [(self.checkpoints[s][r - 1], 0)]
                self.checkpoints[s][r] = self.trainer.go_on(self.data, keep, streams=[seed], start=start)
            self.trained += 1

    def update(self, keep, seeds):
        """A copy that has forgotten and learned."""
        new = object.__new__(Twin)
        new.trainer, new.data, new.n_slices, new.trained = self.trainer, self.data, self.n_slices, 0
        new.records = [[[i for i in each if keep[i]] for each in shard] for shard in self.records]
        new.checkpoints = [list(each) for each in self.checkpoints]
        touched = {}
        for s in range(SHARDS):
            for r in reversed(range(self.n_slices)):
                if len(new.records[s][r]) < len(self.records[s][r]):
                    touched[s] = r
        known = {i for shard in self.records for each in shard for i in each}
        for record in np.flatnonzero(keep):
            if record not in known:
                sizes = [sum(map(len, shard)) for shard in new.records]
                smallest = sizes.index(min(sizes))
                new.records[smallest][-1].append(record)
                touched.setdefault(smallest, self.n_slices - 1)
        for s, first in touched.items():
            new.train(s, first, seeds)
        return new

    def posteriors(self, x, aggregate):
        answers = [posteriors(each[-1], x) for each in self.checkpoints]
        out = np.zeros_like(answers[0])
        for answer in answers:
            for q, row in enumerate(answer):
                if aggregate == "mean":
                    out[q] += row / len(answers)
                else:
                    out[q, list(row).index(max(row))] += 1 / len(answers)
        return out


@pytest.mark.parametrize("aggregate", ["mean", "vote"])
@pytest.mark.parametrize("name", CASES)
def test_equals_a_plain_loop_over_shards_and_slices(name, aggregate):
    """Two originals, four versions of them (records gone, joined, none changed), and later ones."""
    trainer, slices = CASES[name]
    data, procedure = problem(), Sisa(trainer, SHARDS, slices, aggregate)
    outside = [{0, 1}, {2, 3}]
    state = procedure.learn(data, rows(*outside), streams=streams(0, 1))
    twins = [
        Twin(trainer, data, slices, state.shard[m], state.slice[m], seeds) for m, seeds in enumerate(streams(0, 1))
    ]
    assert state.models.counts["models"] == sum(twin.trained for twin in twins) == 2 * SHARDS * slices
    agree(state, twins, trainer, aggregate)

    base, seeds = np.array([0, 1, 0, 1]), streams(2, 3, 4, 5)
    keep = rows({0, 1, 20}, {2, 3, 30, 31, 32}, {40}, {2, 3})
    first = procedure.forget(state, data, base, keep, streams=seeds)
    once = [twins[b].update(row, each) for b, row, each in zip(base, keep, seeds, strict=True)]
    assert first.models.counts["models"] == sum(twin.trained for twin in once)
    agree(first, once, trainer, aggregate)

    base, seeds = np.array([2, 1, 3]), streams(6, 7, 8)
    keep = rows({40, 41, 1}, {2, 3, 30, 31, 32, 33}, {2, 50})
    second = procedure.forget(first, data, base, keep, streams=seeds)
    twice = [once[b].update(row, each) for b, row, each in zip(base, keep, seeds, strict=True)]
    assert second.models.counts["models"] == sum(twin.trained for twin in twice)
    agree(second, twice, trainer, aggregate)


def agree(state, twins, trainer, aggregate):
    x = problem(seed=4).x
    assert len(state.models) == len(twins)
    every = np.repeat(np.arange(len(twins)), len(x))
    mixed = np.random.default_rng(0).permutation(len(every))  # models in any order in one call
    answers = np.empty((len(every), 3))
    answers[mixed] = np.exp(state.models.log_posteriors(np.tile(x, (len(twins), 1))[mixed], every[mixed]))
    for m, twin in enumerate(twins):
        gap = np.abs(answers[every == m] - twin.posteriors(x, aggregate)).max()
        assert gap <= TOLERANCE[trainer], (m, gap)


# ---------------------------------------------------------------- conformance

CONFORMING = {
    "tree": Sisa(TREE, shards=4),
    "tree-same-vote": Sisa(TREE, shards=4, aggregate="vote", seeding=Seeding.SAME),
    "logistic": Sisa(LOGISTIC, shards=4),
    "mlp-slices": Sisa(replace(NETWORK, epochs=2), shards=3, slices=2),
}


@pytest.mark.parametrize("check", PROCEDURE_CHECKS, ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CONFORMING)
def test_procedure_conforms(name, check):
    check(CONFORMING[name])


# ---------------------------------------------------------------- what is trained, and from where


@dataclass(frozen=True)
class Recording:
    """Notes what is asked of a trainer."""

    trainer: Any
    calls: list = field(default_factory=list)

    @property
    def promise(self):
        return self.trainer.promise

    @property
    def seedings(self):
        return self.trainer.seedings

    def fit(self, data, keep, *, streams, device="cpu", base=None):
        self.calls.append(("fit", keep.copy(), base))
        return self.trainer.fit(data, keep, streams=streams, device=device, base=base)


@dataclass(frozen=True)
class RecordingStages(Recording):
    def staged(self, stages):
        return RecordingStages(self.trainer.staged(stages), self.calls)

    def go_on(self, data, keep, *, streams, device="cpu", start):
        self.calls.append(("go_on", keep.copy(), start))
        return self.trainer.go_on(data, keep, streams=streams, device=device, start=start)


def test_all_shards_are_trained_in_one_call_and_touched_ones_from_the_earlier_models():
    data, trainer = problem(), Recording(LOGISTIC)
    procedure = Sisa(trainer, SHARDS)
    state = procedure.learn(data, rows({}, {5}), streams=streams(0, 1))
    (((_, keep, base)),) = trainer.calls
    assert base is None
    assert keep.shape == (2 * SHARDS, N)
    assert np.array_equal(keep[:SHARDS].sum(axis=0), np.ones(N))  # every record in exactly one shard
    assert np.array_equal(keep[SHARDS:].sum(axis=0), np.arange(N) != 5)
    trainer.calls.clear()
    base_rows = np.array([0, 1, 0])
    procedure.forget(state, data, base_rows, rows({11}, {5, 12, 13}, {}), streams=streams(2, 3, 4))
    ((_, keep, base),) = trainer.calls
    touched = [(0, state.shard[0, 11]), *sorted({(1, state.shard[1, 12]), (1, state.shard[1, 13])})]
    assert len(keep) == len(touched)
    for row, (b, s), number in zip(keep, touched, base.row, strict=True):
        expected = state.shard[b] == s
        expected[[11] if b == 0 else [12, 13]] = False
        assert np.array_equal(row, expected)
        assert base.models is state.models.parts[state.models.part[b, s]]
        assert number == state.models.number[b, s]


def test_only_the_touched_shard_is_trained_and_only_from_the_touched_slice_on():
    data, trainer, slices = problem(), RecordingStages(replace(NETWORK, epochs=2)), 3
    procedure = Sisa(trainer, SHARDS, slices)
    state = procedure.learn(data, rows({}), streams=streams(0))
    for r in range(slices):
        record = int(np.flatnonzero((state.slice[0] == r) & (state.shard[0] == 2))[0])
        trainer.calls.clear()
        later = procedure.forget(state, data, np.array([0]), rows({record}), streams=streams(1))
        assert [kind for kind, _, _ in trainer.calls] == (["fit"] if r == 0 else []) + ["go_on"] * min(2, slices - r)
        for stage, (_, keep, _) in zip(range(r, slices), trainer.calls, strict=True):
            expected = (state.shard[0] == 2) & (state.slice[0] <= stage)
            expected[record] = False
            assert np.array_equal(keep, [expected])
        assert later.models.counts["models"] == slices - r
        for s in range(SHARDS):
            before, after = (one_shard(each.models, s) for each in (state, later))
            assert all(np.array_equal(before[name], after[name]) for name in before) == (s != 2)


def one_shard(models, s, model=0):
    return {name: value for name, value in models.parameters(model).items() if name.startswith(f"{s}/")}


@pytest.mark.parametrize("name", ["tree", "logistic"])
def test_untouched_shards_keep_their_models_bit_by_bit(name):
    data, procedure = problem(), Sisa(CASES[name][0], SHARDS)
    state = procedure.learn(data, rows({}), streams=streams(0))
    later = procedure.forget(state, data, np.array([0]), rows({17}), streams=streams(1))
    changed = []
    for s in range(SHARDS):
        before, after = (one_shard(each.models, s) for each in (state, later))
        assert before
        same = before.keys() == after.keys() and all(np.array_equal(before[key], after[key]) for key in before)
        changed += [] if same else [s]
    assert changed == [state.shard[0, 17]]
    assert later.models.counts["models"] == 1
    assert procedure.forget(state, data, np.array([0]), rows({}), streams=streams(1)).models.counts["models"] == 0


# ---------------------------------------------------------------- forgetting


@pytest.mark.parametrize("r", range(3))
@pytest.mark.parametrize("name", CASES)
def test_what_is_forgotten_leaves_no_trace(name, r):
    """Whatever the deleted record was, the version after it is the same; its original was not. In any slice."""
    trainer, slices = CASES[name]
    if r >= slices:
        return
    procedure, data = Sisa(trainer, SHARDS, slices), problem()
    state = procedure.learn(data, rows({}), streams=streams(0))
    record = int(np.flatnonzero(state.slice[0] == r)[4])
    asked = np.random.default_rng(5).uniform(-6, 9, size=(2000, 4))
    x, label = data.x.copy(), data.label.copy()
    x[record], label[record] = [5, -4, 8, -5], (label[record] + 1) % 3
    other = replace(data, x=x, label=label)
    another = procedure.learn(other, rows({}), streams=streams(0))
    assert np.abs(posteriors(state.models, asked) - posteriors(another.models, asked)).max() > 1e-3
    first, second = (
        procedure.forget(each, of, np.array([0]), rows({record}), streams=streams(1))
        for each, of in ((state, data), (another, other))
    )
    gap = np.abs(posteriors(first.models, asked) - posteriors(second.models, asked)).max()
    assert gap <= (1e-8 if trainer is LOGISTIC else 0)


@pytest.mark.parametrize("name", CASES)
def test_one_after_another_is_the_same_as_at_once(name):
    """With the original's stream even the numbers are, whichever shards and slices are touched, in either order."""
    trainer, slices = CASES[name]
    procedure, data = Sisa(trainer, 2, slices, seeding=Seeding.SAME), problem()
    assert isinstance(procedure, Memoryless)
    assert procedure.memoryless
    state = procedure.learn(data, rows({}), streams=streams(0))
    place = state.shard[0].astype(int) * slices + state.slice[0]
    one = int(np.flatnonzero(place == 0)[0])
    others = [int(np.flatnonzero(place == p)[1]) for p in range(2 * slices)]
    base = np.arange(len(others))
    both = rows(*({one, each} for each in others))
    at_once = procedure.forget(state, data, 0 * base, both, streams=streams(*0 * base))
    for order in ([{one}] * len(others), [{each} for each in others]):
        middle = procedure.forget(state, data, 0 * base, rows(*order), streams=streams(*0 * base))
        last = procedure.forget(middle, data, base, both, streams=streams(*0 * base))
        for m in base:
            gap = np.abs(posteriors(last.models, data.x, m) - posteriors(at_once.models, data.x, m)).max()
            assert gap <= (1e-8 if trainer is LOGISTIC else 0)


def test_fresh_and_same_streams():
    """A shard trained anew draws from the stream it is given: the original's gives the original's draws again."""
    data, procedure = problem(), Sisa(TREE, SHARDS)
    x = data.x + 0.3
    state = procedure.learn(data, rows({}), streams=streams(0))
    away = procedure.forget(state, data, np.array([0]), rows({9}), streams=streams(0))
    differs = []
    for number in range(5):
        back = procedure.forget(away, data, np.array([0]), rows({}), streams=streams(number))
        assert back.shard[0, 9] == state.shard[0, 9]  # the smallest, as it had one less
        differs.append(not np.array_equal(posteriors(back.models, x), posteriors(state.models, x)))
    assert differs[0] is False
    assert any(differs[1:])


# ---------------------------------------------------------------- who is in which shard


@dataclass(frozen=True, eq=False)
class Told:
    """Models whose log posteriors are told, and must stay as they are: [M, K], the same for every record."""

    values: np.ndarray
    counts: dict = field(default_factory=dict)
    worst: dict = field(default_factory=dict)

    def __len__(self):
        return len(self.values)

    def log_posteriors(self, x, model):
        if len(model) == len(self.values) and np.array_equal(model, np.arange(len(self.values))):
            return self.values  # its own array: whoever adds to it in place changes the model
        return self.values[model]


@dataclass(frozen=True)
class Untrained:
    """Trains nothing."""

    @property
    def promise(self):
        return Promise.EXACT

    @property
    def seedings(self):
        return frozenset({Seeding.FRESH})

    def fit(self, data, keep, *, streams, device="cpu", base=None):
        return Told(np.zeros((len(keep), data.n_classes)), {"models": len(keep), "odd": 1}, {"step": float(len(keep))})


def test_shards_are_of_equal_size_at_random_and_of_the_originals_stream():
    data, originals = problem(), 600
    keep = np.zeros((originals, N), dtype=bool)
    keep[:, :14] = True
    state = Sisa(Untrained(), 3).learn(data, keep, streams=streams(*range(originals)))
    assert np.array_equal(state.shard >= 0, keep)
    sizes = np.stack([(state.shard == s).sum(axis=1) for s in range(3)])
    assert set(sizes.ravel()) == {4, 5}
    alone = Sisa(Untrained(), 3).learn(data, keep[7:8], streams=streams(7))
    assert np.array_equal(alone.shard[0], state.shard[7])
    # each record is in each shard as often as the shard's size says, within 4 standard errors
    for s, size in enumerate(sizes.mean(axis=1)):
        share = (state.shard[:, :14] == s).mean(axis=0)
        assert np.abs(share - size / 14).max() < 4 * np.sqrt(size / 14 * (1 - size / 14) / originals)
    # neighbours share a shard as two records at random do: (5·4 + 5·4 + 4·3) / (14·13)
    together, chance = (state.shard[:, 0] == state.shard[:, 1]).mean(), 52 / 182
    assert abs(together - chance) < 4 * np.sqrt(chance * (1 - chance) / originals)


def test_slices_are_of_equal_size():
    state = Sisa(replace(NETWORK, epochs=1), 3, 4).learn(problem(), rows({0}), streams=streams(0))
    sizes = [((state.shard[0] == s) & (state.slice[0] == r)).sum() for s in range(3) for r in range(4)]
    assert sum(sizes) == N - 1
    assert max(sizes) - min(sizes) <= 1


def test_records_stay_where_they_are_and_new_ones_join_the_smallest_shard():
    data, procedure = problem(), Sisa(replace(NETWORK, epochs=1), 3, 2)
    state = procedure.learn(data, rows(range(63, N)), streams=streams(0))  # 21 in each shard
    gone = np.flatnonzero(state.shard[0] == 1)[:3]
    later = procedure.forget(state, data, np.array([0]), rows({*gone, *range(68, N)}), streams=streams(1))
    stayed = np.flatnonzero((state.shard[0] >= 0) & (later.shard[0] >= 0))
    assert len(stayed) == 60
    assert np.array_equal(later.shard[0, stayed], state.shard[0, stayed])
    assert np.array_equal(later.slice[0, stayed], state.slice[0, stayed])
    assert (later.shard[0, gone] == -1).all()
    assert later.shard[0, 63:].tolist() == [1, 1, 1, 0, 1, -1, -1, -1, -1]  # 18 -> 21; then the first of equal ones
    assert (later.slice[0, 63:68] == 1).all()
    assert (state.shard[0, 63:] == -1).all()  # the earlier state is as it was


# ---------------------------------------------------------------- aggregation


def ensemble(values, aggregate, shards):
    """Models whose shards answer `values` [M·S, K], row after row."""
    with np.errstate(divide="ignore"):
        told = Told(np.log(np.array(values)))
    number = np.arange(len(values)).reshape(-1, shards)
    return SisaModels((told,), np.zeros_like(number), number, aggregate, {}, {})


def test_mean_of_posteriors_by_hand_and_shards_keep_their_answers():
    """The released code of arXiv 2005.02205 adds up in the array of the first shard, which the next version reads."""
    models = ensemble([[0.9, 0.1, 0], [0.5, 0.2, 0.3], [0.4, 0, 0.6]], "mean", 3)
    answers = [posteriors(models, np.zeros((1, 2))) for _ in range(3)]
    for each in answers:
        assert np.allclose(each, [[0.6, 0.1, 0.3]], atol=1e-15)
    shared = replace(models, part=np.zeros((2, 3), int), number=np.array([[0, 1, 2], [0, 1, 1]]))
    assert np.allclose(posteriors(shared, np.zeros((1, 2)), 1), [[1.9 / 3, 0.5 / 3, 0.2]], atol=1e-15)
    assert np.allclose(posteriors(shared, np.zeros((1, 2)), 0), [[0.6, 0.1, 0.3]], atol=1e-15)


def test_votes_by_hand_with_ties_for_the_first_class():
    values = [[0.5, 0.5, 0], [0.2, 0.4, 0.4], [0.1, 0.8, 0.1], [0, 0.3, 0.7]]
    assert np.allclose(posteriors(ensemble(values, "vote", 4), np.zeros((1, 2))), [[0.25, 0.5, 0.25]], atol=1e-15)


@pytest.mark.parametrize("aggregate", ["mean", "vote"])
def test_shards_without_a_class(aggregate):
    """Two records of class 2 in four shards, none of class 3: no NaN, a 0 in the mean, and shards are counted."""
    data = problem()
    label = np.where(np.arange(N) < 2, 2, np.arange(N) % 2)
    data = TrainingData(data.x, label, 4)
    procedure = Sisa(Model(name="tree", params={"max_leaf_nodes": 4}).trainer(), SHARDS, aggregate=aggregate)
    state = procedure.learn(data, rows({}), streams=streams(0))
    holding = set(state.shard[0, :2])
    assert state.models.counts["shards_without_a_class"] == SHARDS - len(holding)
    p = posteriors(state.models, data.x)
    assert np.allclose(p.sum(axis=1), 1)
    assert (p[:, 3] == 0).all()
    assert (p[:, 2] <= len(holding) / SHARDS).all()
    by_hand = np.zeros((N, 4))
    for s in range(SHARDS):
        keep = (state.shard == s)[:1]
        seed = np.random.SeedSequence(streams(0)[0].entropy, spawn_key=(*streams(0)[0].spawn_key, 1, s, 0))
        own = posteriors(procedure.trainer.fit(data, keep, streams=[seed]), data.x)
        by_hand += (own if aggregate == "mean" else np.eye(4)[own.argmax(axis=1)]) / SHARDS
    assert np.allclose(p, by_hand, atol=1e-12)
    without = procedure.forget(state, data, np.array([0]), rows({0, 1}), streams=streams(1))
    assert without.models.counts["shards_without_a_class"] == 0  # nobody has class 2 now
    assert (posteriors(without.models, data.x)[:, 2] == 0).all()


def test_counts_and_worst_are_of_the_step():
    data, procedure = problem(), Sisa(Untrained(), SHARDS)
    state = procedure.learn(data, rows({}, {}), streams=streams(0, 1))
    assert state.models.counts == {"models": 2 * SHARDS, "odd": 1, "shards_without_a_class": 0}
    assert state.models.worst == {"step": 2 * SHARDS}
    later = procedure.forget(state, data, np.array([1]), rows({3}), streams=streams(2))
    assert later.models.counts["models"] == 1
    assert later.models.worst == {"step": 1}


# ---------------------------------------------------------------- errors


def test_refuses_what_it_cannot_do():
    with pytest.raises(UnsupportedError, match=r"procedure.slices = 2 needs models that go on .* solves anew"):
        Sisa(TREE, slices=2)
    with pytest.raises(UnsupportedError, match=r"procedure.seed = 'coupled' is not supported by NetworkTrainer"):
        Sisa(NETWORK, seeding=Seeding.COUPLED)
    with pytest.raises(ValueError, match=r"`shards` must be at least 1, got 0"):
        Sisa(TREE, shards=0)
    with pytest.raises(ValueError, match=r"`slices` must be at least 1, got -1"):
        Sisa(TREE, slices=-1)
    with pytest.raises(ValueError, match=r"`aggregate` must be 'mean' or 'vote', got 'median'"):
        Sisa(TREE, aggregate="median")
    data = problem()
    state = Retrain(TREE).learn(data, rows({}), streams=streams(0))
    with pytest.raises(UnsupportedError, match="got Retrained"):
        Sisa(TREE).forget(state, data, np.array([0]), rows({1}), streams=streams(1))


def test_shards_without_records_are_refused():
    data, keep = problem(), rows(range(5, N))
    with pytest.raises(TrainingError, match="shard 5 of 6 holds none"):
        Sisa(TREE, shards=6).learn(data, keep, streams=streams(0))
    procedure = Sisa(TREE, shards=5)
    state = procedure.learn(data, keep, streams=streams(0))
    with pytest.raises(TrainingError, match="holds none of the 4"):
        procedure.forget(state, data, np.array([0]), rows(range(4, N)), streams=streams(1))


def test_a_shard_of_one_class_is_the_trainers_affair():
    """A tree can, a logistic regression says what it needs."""
    data = replace(problem(), label=np.where(np.arange(N) < 1, 1, 0))
    tree = Sisa(TREE, SHARDS).learn(data, rows({}), streams=streams(0))
    assert np.isfinite(posteriors(tree.models, data.x)).all()
    assert tree.models.counts["shards_without_a_class"] == SHARDS - 1
    with pytest.raises(TrainingError, match=r"1 classes: it needs records of at least two"):
        Sisa(LOGISTIC, SHARDS).learn(data, rows({}), streams=streams(0))


def test_parameters_need_shards_that_have_some():
    from sklearn.naive_bayes import GaussianNB

    models = Sisa(SklearnTrainer(GaussianNB()), 2).learn(problem(), rows({}), streams=streams(0)).models
    with pytest.raises(UnsupportedError, match="SklearnModels has no arrays to keep"):
        models.parameters(0)


def test_answers_do_not_depend_on_how_many_are_asked_at_once(monkeypatch):
    data = problem()
    models = Sisa(TREE, SHARDS).learn(data, rows({}, {1}), streams=streams(0, 1)).models
    model = np.arange(N) % 2
    whole = models.log_posteriors(data.x, model)
    monkeypatch.setattr(_sisa, "_NUMBERS_AT_ONCE", 5 * SHARDS * 4)  # blocks of five queries, and a rest of two
    assert np.array_equal(models.log_posteriors(data.x, model), whole)
