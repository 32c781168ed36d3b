from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from aftertrace.errors import TrainingError, UnsupportedError
from aftertrace.trainers import ForestTrainer, Seeding, SklearnTrainer, TrainingData, TreeTrainer, check_trainer

MASK = 2**64 - 1


# The slow twin: one tree at a time, recursive or best first, on plain lists of records.


def mix(z):
    z = (z + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def below(key, step, n):
    return ((mix((key + step) & MASK) >> 32) * n) >> 32


def poisson(u):
    times, term, cumulated = 0, np.exp(-1.0), np.exp(-1.0)
    while u >= cumulated and times < 20:
        times += 1
        term /= times
        cumulated += term
    return times


def bag(kind, key, records):
    if kind == "poisson":
        return {i: poisson((mix((~key & MASK) ^ mix(i)) >> 11) * 2.0**-53) for i in records}
    if kind == "bootstrap":
        drawn = [records[below(~key & MASK, i, len(records))] for i in range(len(records))]
        return {i: drawn.count(i) for i in records}
    return dict.fromkeys(records, 1)


class Twin:
    def __init__(self, trainer, data, n_features):
        self.trainer, self.data, self.n_features = trainer, data, n_features

    def shares(self, records, weight):
        sums = np.zeros(self.data.n_classes)
        for i in records:
            sums[self.data.label[i]] += weight[i]
        return sums

    def impurity(self, sums):
        return sums.sum() - (sums**2).sum() / sums.sum()

    def split(self, records, weight, key, depth):
        """-> gain, feature, threshold, records on the left; or None"""
        t = self.trainer
        sums = self.shares(records, weight)
        if (
            len(records) < max(t.min_samples_split, 2 * t.min_samples_leaf)
            or depth >= (t.max_depth or np.inf)
            or (sums > 0).sum() < 2
        ):
            return None
        order = list(range(self.data.x.shape[1]))
        best, varied = None, False
        for step in range(len(order)):
            if step >= self.n_features and varied:
                break
            other = step + below(key, step, len(order) - step)
            order[step], order[other] = order[other], order[step]
            x = self.data.x[:, order[step]]
            values = sorted({x[i] for i in records})
            varied = varied or len(values) > 1
            for a, b in pairwise(values):
                left = [i for i in records if x[i] <= a]
                right = [i for i in records if x[i] > a]
                if min(len(left), len(right)) < t.min_samples_leaf:
                    continue
                gain = self.impurity(sums) - sum(self.impurity(self.shares(side, weight)) for side in (left, right))
                if best is None or gain > best[0] + 1e-9:
                    best = (gain, order[step], 0.5 * a + 0.5 * b, left, right)
        return best

    def grow(self, records, weight, key):
        """Leaves and splits as nested tuples: shares, or (feature, threshold, left, right)."""
        root = [self.split(records, weight, key, 0), records, key, 0, None]
        leaves, made = [root], 1
        limit = self.trainer.max_leaf_nodes or np.inf
        while made < limit:
            open_leaves = [leaf for leaf in leaves if leaf[0]]
            if not open_leaves:
                break
            gain = max(leaf[0][0] for leaf in open_leaves)
            leaf = next(leaf for leaf in open_leaves if leaf[0][0] > gain - 1e-9)
            children = []
            for side, part in ((1, leaf[0][3]), (2, leaf[0][4])):
                key, depth = mix(leaf[2] ^ (side << 62)), leaf[3] + 1
                children.append([self.split(part, weight, key, depth), part, key, depth, None])
            leaf[4] = children
            leaves.remove(leaf)
            leaves += children
            made += 1
        return root

    def answer(self, node, x, weight):
        while node[4]:
            node = node[4][0] if x[node[0][1]] <= node[0][2] else node[4][1]
        sums = self.shares(node[1], weight)
        return sums / sums.sum() if sums.sum() else sums


def twin_posteriors(trainer, data, keep, stream, x):
    forest = isinstance(trainer, ForestTrainer)
    kind = "all" if not forest or not trainer.bootstrap else "poisson" if trainer.coupled else "bootstrap"
    most = trainer.max_features
    F = data.x.shape[1]
    twin = Twin(trainer, data, {None: F, "sqrt": max(1, int(np.sqrt(F)))}.get(most, most))
    row_key, total = int(stream.generate_state(1, np.uint64)[0]), np.zeros((len(x), data.n_classes))
    records = np.flatnonzero(keep).tolist()
    for tree in range(trainer.n_estimators if forest else 1):
        key = mix(row_key ^ mix(tree))
        times = bag(kind, key, records)
        weight = {i: times[i] * (1 if data.weight is None else data.weight[i]) for i in records}
        inside = [i for i in records if weight[i] > 0]
        root = twin.grow(inside, weight, key)
        total += [twin.answer(root, each, weight) for each in x]
    sums = total.sum(axis=1, keepdims=True)
    return np.where(sums > 0, total / np.where(sums > 0, sums, 1), 1 / data.n_classes)


def posteriors(models, x, number):
    return np.exp(models.log_posteriors(x, np.full(len(x), number)))


def problem(seed, n=60, n_features=4, n_classes=2, values=None):
    """Records of which many share values, some are duplicates and one column is constant."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, n_features)) if values is None else rng.integers(values, size=(n, n_features)).astype(float)
    label = rng.integers(n_classes, size=n)
    x[:, 0] += label
    x[n // 2 : n // 2 + 3] = x[0]
    if n_features > 2:
        x[:, -1] = 7.0
    return TrainingData(x, label, n_classes)


def stream(number=0):
    return np.random.SeedSequence(number)


SHAPES = [
    TreeTrainer(),
    TreeTrainer(max_leaf_nodes=6),
    TreeTrainer(max_leaf_nodes=5, min_samples_leaf=4),
    TreeTrainer(max_depth=3, min_samples_split=9),
    TreeTrainer(max_features=2),
    ForestTrainer(n_estimators=5, min_samples_leaf=3, coupled=True),
    ForestTrainer(n_estimators=5, coupled=True, max_features=1),
    ForestTrainer(n_estimators=4, max_leaf_nodes=5, coupled=True),
    ForestTrainer(n_estimators=4, min_samples_leaf=2),
    ForestTrainer(n_estimators=3, bootstrap=False),
]


class TestTwin:
    @pytest.mark.parametrize("trainer", SHAPES, ids=range(len(SHAPES)))
    @pytest.mark.parametrize(("n_classes", "values"), [(2, None), (3, 4), (2, 2)])
    def test_each_row_is_what_the_definition_says(self, trainer, n_classes, values):
        data = problem(1, n_classes=n_classes, values=values)
        keep = np.ones((4, 60), dtype=bool)
        keep[1, 0] = keep[2, [3, 17, 40]] = keep[3, :9] = False
        models = trainer.fit(data, keep, streams=[stream()] * 4)
        for m in range(4):
            expected = twin_posteriors(trainer, data, keep[m], stream(), data.x)
            assert np.abs(posteriors(models, data.x, m) - expected).max() < 1e-12

    @pytest.mark.parametrize("whole", [True, False])
    def test_weights(self, whole):
        """Sums of fractions are rounded, so that only splits without ties can be compared."""
        data = problem(2, n=50, n_features=2)
        rng = np.random.default_rng(0)
        weight = rng.integers(4, size=50).astype(float) if whole else rng.random(50) * (rng.random(50) < 0.9)
        data = TrainingData(data.x, data.label, 2, weight)
        keep = np.ones((2, 50), dtype=bool)
        keep[1, 5] = False
        for trainer in (
            TreeTrainer(min_samples_leaf=4),
            ForestTrainer(n_estimators=4, min_samples_leaf=4, coupled=True),
        ):
            models = trainer.fit(data, keep, streams=[stream()] * 2)
            for m in range(2):
                expected = twin_posteriors(trainer, data, keep[m], stream(), data.x)
                assert np.abs(posteriors(models, data.x, m) - expected).max() < 1e-12


class TestSharing:
    @settings(max_examples=60, deadline=None)
    @given(
        st.integers(0, 10**6),
        st.sampled_from(SHAPES),
        st.integers(2, 5),
        st.sampled_from([None, 2, 5]),
        st.integers(0, 25),
    )
    def test_rows_grown_together_equal_rows_grown_alone(self, seed, trainer, n_classes, values, most):
        data = problem(seed, n=150, n_features=6, n_classes=n_classes, values=values)
        rng = np.random.default_rng(seed)
        keep = np.ones((7, 150), dtype=bool)
        for m in range(1, 7):
            keep[m, rng.integers(150, size=rng.integers(most + 1))] = False
        streams = [stream(seed)] * 5 + [stream(seed + 1)] * 2
        together = trainer.fit(data, keep, streams=streams)
        alone = trainer.reference().fit(data, keep, streams=streams)
        for m in range(7):
            assert np.array_equal(posteriors(together, data.x, m), posteriors(alone, data.x, m))

    def test_every_record_of_a_set_deleted_in_turn(self):
        data = problem(3, n=90, values=6)
        keep = ~np.eye(90, dtype=bool)
        for trainer in (TreeTrainer(max_leaf_nodes=7), ForestTrainer(n_estimators=6, coupled=True)):
            together = trainer.fit(data, keep, streams=[stream()] * 90)
            alone = trainer.reference().fit(data, keep, streams=[stream()] * 90)
            assert np.array_equal(
                together.log_posteriors(data.x, np.arange(90)), alone.log_posteriors(data.x, np.arange(90))
            )

    def test_tables_that_do_not_fit_are_made_again(self, monkeypatch):
        from aftertrace.trainers import _forest

        data, keep = problem(4, n=120, n_features=5), ~np.eye(120, dtype=bool)[:40]
        trainer = ForestTrainer(n_estimators=3, coupled=True)
        roomy = trainer.fit(data, keep, streams=[stream()] * 40)
        plain = _forest._room
        monkeypatch.setattr(
            _forest,
            "_room",
            lambda records, rule: (lambda desk: desk._replace(entry=desk.entry[:700], by_class=desk.by_class[:700]))(
                plain(records, rule)
            ),
        )
        tight = trainer.fit(data, keep, streams=[stream()] * 40)
        numbers = np.arange(40)
        assert np.array_equal(roomy.log_posteriors(data.x[:40], numbers), tight.log_posteriors(data.x[:40], numbers))

    def test_added_records(self):
        data = problem(5, n=80)
        keep = np.ones((9, 80), dtype=bool)
        keep[:, 70:] = False
        keep[np.arange(1, 9), np.arange(70, 78)] = True
        trainer = ForestTrainer(n_estimators=5, coupled=True)
        together = trainer.fit(data, keep, streams=[stream()] * 9)
        for m in range(9):
            expected = twin_posteriors(trainer, data, keep[m], stream(), data.x[:20])
            assert np.abs(posteriors(together, data.x[:20], m) - expected).max() < 1e-12

    def test_a_deletion_moves_only_trees_that_held_the_record(self):
        data = problem(6)
        keep = np.ones((2, 60), dtype=bool)
        keep[1, 8] = False
        models = ForestTrainer(n_estimators=200, coupled=True).fit(data, keep, streams=[stream()] * 2)
        moved = (models.root[0] != models.root[1]).mean()
        assert 0.5 < moved < 0.75  # 1 - 1/e of the bags hold a record


class TestAgainstScikitLearn:
    def test_trees_without_ties_are_the_same(self):
        from sklearn.tree import DecisionTreeClassifier

        data = problem(7, n=300, n_features=2)
        keep = np.ones((1, 300), dtype=bool)
        for params in ({"max_leaf_nodes": 8}, {"max_depth": 4, "min_samples_leaf": 5}, {"min_samples_split": 30}):
            ours = posteriors(TreeTrainer(**params).fit(data, keep, streams=[stream()]), data.x, 0)
            theirs = DecisionTreeClassifier(random_state=0, **params).fit(data.x, data.label).predict_proba(data.x)
            assert np.abs(ours - theirs).max() < 1e-12

    @pytest.mark.parametrize("coupled", [False, True])
    def test_forests_agree_in_distribution(self, coupled):
        """Posteriors of many small forests: means and spreads between seeds are scikit-learn's, within noise."""
        from sklearn.ensemble import RandomForestClassifier

        rng = np.random.default_rng(8)
        label = rng.integers(2, size=200)
        x = rng.normal(size=(200, 6)) + label[:, None] * np.array([1, 0.5, 0, 0, 0, 0])
        data, keep, n = TrainingData(x, label, 2), np.ones((60, 200), dtype=bool), 60
        queries = rng.normal(size=(40, 6)) + 0.5
        params = {"n_estimators": 10, "min_samples_leaf": 5}
        streams = [stream(number) for number in range(n)]
        ours = ForestTrainer(coupled=coupled, **params).fit(data, keep, streams=streams)
        theirs = SklearnTrainer(RandomForestClassifier(**params)).fit(data, keep, streams=streams)
        a, b = (np.stack([posteriors(models, queries, m)[:, 1] for m in range(n)]) for models in (ours, theirs))
        noise = np.sqrt(a.var(axis=0) / n + b.var(axis=0) / n)
        z = (a.mean(axis=0) - b.mean(axis=0)) / noise
        assert np.abs(z).max() < 4.5
        assert np.square(z).mean() < 2
        assert 0.8 < a.std(axis=0).mean() / b.std(axis=0).mean() < 1.25


class TestProtocol:
    @pytest.mark.parametrize(
        "trainer",
        [TreeTrainer(max_leaf_nodes=10), ForestTrainer(n_estimators=20), ForestTrainer(n_estimators=20, coupled=True)],
        ids=["tree", "forest", "coupled"],
    )
    def test_conformance(self, trainer):
        check_trainer(trainer)
        check_trainer(trainer.reference())

    def test_seedings(self):
        assert ForestTrainer(coupled=True).seedings == {Seeding.COUPLED}
        assert Seeding.COUPLED not in ForestTrainer().seedings
        assert TreeTrainer().seedings == set(Seeding)

    def test_parameters_are_the_whole_model(self):
        data = problem(9)
        keep = np.ones((2, 60), dtype=bool)
        keep[1, 4] = False
        models = ForestTrainer(n_estimators=4, coupled=True).fit(data, keep, streams=[stream()] * 2)
        saved = models.parameters(1)
        for query, expected in zip(data.x, posteriors(models, data.x, 1), strict=True):
            total = np.zeros(2)
            for root in saved["root"]:
                node = root
                while saved["feature"][node] >= 0:
                    goes_left = query[saved["feature"][node]] <= saved["threshold"][node]
                    node = saved["left" if goes_left else "right"][node]
                total += saved["share"][saved["left"][node]]
            assert np.allclose(total / total.sum(), expected, atol=1e-15)

    def test_one_record(self):
        data = problem(10)
        keep = np.zeros((1, 60), dtype=bool)
        keep[0, 3] = True
        for trainer in (TreeTrainer(), ForestTrainer(n_estimators=2, coupled=True)):
            answers = posteriors(trainer.fit(data, keep, streams=[stream(3)]), data.x, 0)
            assert np.allclose(answers.sum(axis=1), 1)

    def test_neighbouring_floats_are_told_apart(self):
        x = np.array([[1.0], [np.nextafter(1.0, 2.0)]])
        data = TrainingData(x, np.array([0, 1]), 2)
        models = TreeTrainer().fit(data, np.ones((1, 2), dtype=bool), streams=[stream()])
        assert np.array_equal(posteriors(models, x, 0), np.eye(2))


class TestBadInput:
    def test_rows_without_records(self):
        data = problem(0)
        with pytest.raises(TrainingError, match="at least one training record"):
            TreeTrainer().fit(data, np.zeros((1, 60), dtype=bool), streams=[stream()])

    def test_devices(self):
        data = problem(0)
        with pytest.raises(UnsupportedError, match="'cpu', got 'cuda'"):
            TreeTrainer().fit(data, np.ones((1, 60), dtype=bool), streams=[stream()], device="cuda")

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"max_leaf_nodes": 1}, "`max_leaf_nodes` must be a whole number of at least 2, got 1"),
            ({"min_samples_leaf": 0.5}, "`min_samples_leaf` must be a whole number of at least 1, got 0.5"),
            ({"max_features": "all"}, "`max_features` must be 'sqrt'"),
            ({"max_features": 0}, "`max_features` must be 'sqrt'"),
            ({"max_depth": 0}, "`max_depth`"),
            ({"min_samples_split": True}, "`min_samples_split`"),
        ],
    )
    def test_parameters(self, params, message):
        with pytest.raises(ValueError, match=message):
            TreeTrainer(**params)

    def test_number_of_trees(self):
        with pytest.raises(ValueError, match="`n_estimators` must be at least 1, got 0"):
            ForestTrainer(n_estimators=0)


def test_queries_that_are_alike_are_answered_as_others_are(monkeypatch):
    data = problem(0)
    keep = np.ones((3, len(data.label)), dtype=bool)
    keep[1, 0] = keep[2, 1] = False
    models = ForestTrainer(n_estimators=5).fit(data, keep, streams=[stream(m) for m in range(3)])
    x, model = np.repeat(data.x, 3, axis=0), np.tile(np.arange(3), len(data.x))
    plain = models.log_posteriors(x, model)
    monkeypatch.setattr("aftertrace.trainers._forest._MANY", 1)
    assert np.array_equal(models.log_posteriors(x, model), plain)


def test_versions_take_over_the_records_of_the_original(monkeypatch):
    from aftertrace.trainers import Base

    data = problem(0)
    keep = np.ones((4, len(data.label)), dtype=bool)
    keep[:, :5] = False
    keep[[1, 2, 3], [7, 8, 9]] = False
    trainer = TreeTrainer(max_leaf_nodes=6)
    same = [stream()] * 3
    cold = trainer.fit(data, keep[1:], streams=same)
    original = trainer.fit(data, keep[:1], streams=same[:1])
    monkeypatch.setattr("aftertrace.trainers._forest._coded", None)  # a call would fail
    warm = trainer.fit(data, keep[1:], streams=same, base=Base(original, np.zeros(3, int)))
    for row in range(3):
        model = np.full(len(data.x), row)
        assert np.array_equal(cold.log_posteriors(data.x, model), warm.log_posteriors(data.x, model))
    monkeypatch.undo()
    keep[1, 0] = True  # a record that the original did not have
    added = trainer.fit(data, keep[1:], streams=same, base=Base(original, np.zeros(3, int)))
    alone = trainer.fit(data, keep[1:2], streams=same[:1])
    first = np.zeros(len(data.x), int)
    assert np.array_equal(added.log_posteriors(data.x, first), alone.log_posteriors(data.x, first))


@pytest.mark.parametrize("n_classes", [2, 5])
def test_many_queries_of_one_model_are_answered_as_few_are(n_classes):
    """Trees written out anew for many queries say what a walk through the shared nodes says, to the last bit."""
    rng = np.random.default_rng(4)
    x, label = rng.normal(size=(300, 3)), rng.integers(0, n_classes, 300)
    keep = np.ones((3, 300), dtype=bool)
    keep[1, :5] = keep[2, 100:140] = False
    forest = ForestTrainer(n_estimators=20, coupled=True)
    models = forest.fit(TrainingData(x, label, n_classes), keep, streams=[np.random.SeedSequence(1)] * 3)
    queries, model = rng.normal(size=(1500, 3)), np.repeat([0, 2, 0], [600, 700, 200])
    together = models.log_posteriors(queries, model)
    few = [models.log_posteriors(queries[q : q + 100], model[q : q + 100]) for q in range(0, 1500, 100)]
    np.testing.assert_array_equal(together, np.concatenate(few))
