"""Canaries: fair coins, files that say no more than they must, bounds that hold."""

import csv
import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import binom

from aftertrace.data import BreastCancer, Csv, load
from aftertrace.errors import DataError, InputError, PosteriorsError, StoreError
from aftertrace.results._canaries import Canaries, CanaryKind, CanaryResult, CanaryScore, GuessRule
from aftertrace.scenarios._canaries import check_canaries, guess_rules, judge_canaries, make_canaries, n_right
from aftertrace.statistics import one_run_guesses
from aftertrace.trainers import SklearnTrainer, TrainingData

ROWS = 400


def rng(seed=0):
    return np.random.default_rng(seed)


@pytest.fixture
def people(tmp_path):
    """A file of people: text that must survive, and three classes."""
    draw = rng(9)
    lines = [
        f'{k:05d},"Street {k}, left",{draw.choice(["low", "middle", "high"])},{draw.normal():.3f}' for k in range(ROWS)
    ]
    path = tmp_path / "people.csv"
    path.write_text("\n".join(["code,address,risk,debt", *lines]))
    return path


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.reader(file))


def canaries(coin):
    return Canaries(
        kind=CanaryKind.MISLABELLED,
        target="y",
        label=("a",) * len(coin),
        coin=tuple(coin.tolist()),
        rules=guess_rules(len(coin)),
        source="x.csv",
        fingerprint="",
    )


def judged(draw, C, answers, **more):
    """The check of C canaries whose logits `answers(coin)` gives for both versions."""
    coin = draw.random(C) < 0.5
    return judge_canaries(canaries(coin), *answers(coin), **more)


def most(n, share):
    """The 99.5 % point of how many of n audits err at this rate."""
    return binom.ppf(0.995, n, share)


# What is guessed


@pytest.mark.parametrize("count", [24, 47, 48, 100, 1000, 5001])
def test_rules_fit_the_canaries(count):
    rules = guess_rules(count)
    assert rules[0] == GuessRule(n_in=count // 4, n_out=count // 4)
    assert all(rule.n <= count for rule in rules)
    assert all(rule.n_in >= 12 and rule.n_out == 0 for rule in rules[1:])
    assert len(set(rules)) == len(rules)


def slow_right(value, coin, rule):
    ranked = sorted(range(len(coin)), key=lambda k: (value[k], k))
    right = sum(1 for k in ranked[::-1][: rule.n_in] if coin[k])
    return right + sum(1 for k in ranked[: rule.n_out] if not coin[k])


@pytest.mark.parametrize("values", [1000, 3])
def test_right_guesses_against_the_slow_twin(values):
    draw = rng(1)
    for C in (24, 101):
        value, coin = draw.integers(0, values, C) / 7, draw.random(C) < 0.5
        for rule in (*guess_rules(C), GuessRule(n_in=1, n_out=0), GuessRule(n_in=0, n_out=1)):
            assert n_right(value, coin, rule) == slow_right(value, coin, rule)


def test_right_guesses_agree_with_the_statistics():
    draw = rng(2)
    value, coin = draw.normal(size=100), draw.random(100) < 0.5
    own = n_right(value, coin, GuessRule(n_in=25, n_out=25))
    assert own == one_run_guesses(value, coin, n_guesses=50, rng=draw)


# Bounds that hold


def response(draw, coin, epsilon):
    """Randomised response on each coin."""
    return np.where(draw.random(coin.size) < 1 / (1 + np.exp(-epsilon)), coin, ~coin)


@pytest.mark.parametrize("epsilon", [0.0, 0.5, 2.0])
def test_the_bound_is_rarely_above_the_truth(epsilon):
    """Each version answers with half of epsilon, the second one against the coin: together they have all of it."""
    draw, runs = rng(3), 300

    def answers(coin):
        noise = draw.random((2, coin.size))
        return (
            response(draw, coin, epsilon / 2) + noise[0] / 2,
            -1.0 * response(draw, coin, epsilon / 2) + noise[1] / 2,
        )

    found = [judged(draw, 300, answers) for _ in range(runs)]
    assert sum(each.epsilon > epsilon for each in found) <= most(runs, 0.05)
    assert sum(each.scores[1].epsilon > epsilon / 2 for each in found) <= most(runs, 0.05)
    if epsilon == 0:
        assert np.mean([each.epsilon for each in found]) < 0.01
        assert sum(each.p_value <= 0.05 for each in found) <= most(runs, 0.05)


def test_the_bound_holds_at_delta_where_it_would_not_without():
    """With probability delta a canary is given away, beside randomised response."""
    draw, runs, epsilon, delta = rng(4), 100, 0.5, 0.05

    def answers(coin):
        told = np.where(coin, 30.0, -30.0)
        before = np.where(draw.random(coin.size) < delta, told, response(draw, coin, epsilon) + draw.random(coin.size))
        return before, np.zeros(coin.size)

    state = draw.bit_generator.state
    with_delta = [judged(draw, 1000, answers, delta=delta).epsilon for _ in range(runs)]
    draw.bit_generator.state = state
    without = [judged(draw, 1000, answers).epsilon for _ in range(runs)]
    assert sum(low > epsilon for low in with_delta) <= most(runs, 0.05)
    assert sum(low > epsilon for low in without) > runs / 2


def test_leaks_are_found():
    draw = rng(5)

    def shifted(coin):
        return draw.normal(size=coin.size) + 2.0 * coin, draw.normal(size=coin.size) / 10

    def few_remembered(coin):
        return draw.normal(size=coin.size) + 20.0 * (coin & (draw.random(coin.size) < 0.1)), np.zeros(coin.size)

    def tied(coin):
        return 20.0 * (coin & (draw.random(coin.size) < 0.1)), np.zeros(coin.size)

    assert np.mean([judged(draw, 1000, shifted).epsilon for _ in range(10)]) > 2
    for answers in (few_remembered, tied):
        found = [judged(draw, 1000, answers) for _ in range(10)]
        assert np.mean([each.epsilon for each in found]) > 1
        assert all(each.scores[0].best.n_out == 0 for each in found)


def test_the_deletion_can_give_away_what_the_first_version_does_not():
    draw = rng(6)

    def answers(coin):
        level = 3 * draw.normal(size=coin.size)
        return level + coin, level + 0.05 * draw.normal(size=coin.size)

    found = judged(draw, 1000, answers)
    assert [each.score for each in found.scores] == list(CanaryScore)
    assert found.scores[0].epsilon > 4 > 1 > found.scores[1].epsilon
    assert found.sentence.startswith("Both versions show")


def test_perfect_guesses_give_the_largest_bound():
    found = judged(rng(7), 200, lambda coin: (1.0 * coin, np.zeros(coin.size)))
    assert found.epsilon == found.largest == canaries(np.ones(200, bool)).bound_if(1.0)


def test_more_confidence_and_delta_give_less():
    coin = rng(8).random(400) < 0.5
    before, after = 1.5 * coin + rng(9).normal(size=400), np.zeros(400)
    plain = judge_canaries(canaries(coin), before, after)
    assert 0 < judge_canaries(canaries(coin), before, after, confidence=0.99).epsilon < plain.epsilon
    assert judge_canaries(canaries(coin), before, after, delta=1e-3).epsilon < plain.epsilon


def test_no_leak_within_delta_is_said_as_such():
    coin = rng(8).random(400) < 0.5
    found = judge_canaries(canaries(coin), coin + rng(9).normal(size=400), np.zeros(400), delta=0.2)
    assert found.epsilon == 0
    assert found.p_value < 0.05
    assert "does not exceed that delta" in found.sentence


def test_canaries_that_move_the_wrong_way_are_noted():
    draw, runs = rng(10), 200
    against = judged(draw, 400, lambda coin: (-2.0 * coin + draw.normal(size=coin.size), np.zeros(coin.size)))
    assert against.epsilon == 0
    assert any("against the declared direction" in note for note in against.notes)
    quiet = [judged(draw, 100, lambda coin: draw.normal(size=(2, coin.size))) for _ in range(runs)]
    assert sum(any("against" in note for note in each.notes) for each in quiet) <= most(runs, 0.05)


def test_what_the_updated_model_alone_shows():
    draw, runs = rng(11), 200

    def remainder(trace):
        return judged(draw, 200, lambda coin: (np.zeros(200), draw.normal(size=200) + trace * coin))

    complete = [remainder(0).remainder.p_value for _ in range(runs)]
    assert sum(p_value <= 0.05 for p_value in complete) <= most(runs, 0.05)
    kept, overshot = remainder(1.0), remainder(-1.0)
    assert kept.remainder.auc > 0.6
    assert "not completely deleted" in kept.notes[-1]
    assert overshot.remainder.auc < 0.4
    assert "overshot" in overshot.notes[-1]


def test_too_few_of_a_kind_to_tell():
    coin = np.arange(40) < 3
    found = judge_canaries(canaries(coin), np.zeros(40), np.zeros(40))
    assert found.remainder.auc is None
    assert "too few" in found.notes[-1]


@pytest.mark.parametrize(
    ("setting", "text"), [({"delta": 1.0}, "`delta` must"), ({"confidence": 1.0}, "`confidence` must")]
)
def test_levels_out_of_range(setting, text):
    with pytest.raises(InputError, match=text):
        judged(rng(), 100, lambda coin: np.zeros((2, coin.size)), **setting)


# What is written


def test_files(people, tmp_path):
    made = make_canaries(people, target="risk", count=200, out=tmp_path / "c", rng=rng())
    header, *source = rows_of(people)
    head_in, *inserted = rows_of(tmp_path / "c" / "insert.csv")
    head_all, *asked = rows_of(tmp_path / "c" / "query.csv")
    assert head_in == header
    assert head_all == ["canary", *header]
    assert [int(row[0]) for row in asked] == list(range(200))
    assert [row[1:] for row, is_in in zip(asked, made.coin, strict=True) if is_in] == inserted
    own = {row[0]: row for row in source}
    assert len({row[1] for row in asked}) == 200
    for row, label in zip(asked, made.label, strict=True):
        code, address, risk, debt = row[1:]
        assert [code, address, debt] == [own[code][place] for place in (0, 1, 3)]
        assert risk == label != own[code][2]
    private = tmp_path / "c" / "canaries.json"
    assert private.stat().st_mode & 0o777 == 0o600
    assert Canaries.from_json(private.read_bytes()) == made


def test_other_classes_are_drawn_evenly(people, tmp_path):
    make_canaries(people, target="risk", count=ROWS, out=tmp_path / "c", rng=rng())
    own = {row[0]: row[2] for row in rows_of(people)[1:]}
    given = [(own[row[1]], row[3]) for row in rows_of(tmp_path / "c" / "query.csv")[1:]]
    for truth in ("low", "middle", "high"):
        others = [label for real, label in given if real == truth]
        assert set(others) == {"low", "middle", "high"} - {truth}
        assert abs(others.count(others[0]) / len(others) - 0.5) < 0.15


def test_as_is_keeps_the_class(people, tmp_path):
    make_canaries(people, target="risk", count=100, out=tmp_path / "c", rng=rng(), kind="as-is")
    own = rows_of(people)
    assert all(row[1:] in own for row in rows_of(tmp_path / "c" / "query.csv")[1:])


def test_a_known_data_set_is_read_back_exactly(tmp_path):
    made = make_canaries("breast-cancer", count=100, out=tmp_path / "c", rng=rng(), kind="as-is")
    source, asked = load(BreastCancer()), load(Csv(path=str(tmp_path / "c" / "query.csv"), target="class"))
    known = {tuple(row): source.classes[label] for row, label in zip(source.x.tolist(), source.label, strict=True)}
    for row, label in zip(asked.x[:, 1:].tolist(), made.label, strict=True):
        assert known[tuple(row)] == label


def test_coins_are_fair_and_tell_nothing_of_the_draw(people, tmp_path):
    coins, places = [], []
    for seed in range(60):
        made = make_canaries(people, target="risk", count=100, out=tmp_path / str(seed), rng=rng(seed))
        coins.append(made.coin)
        places.append([int(row[1]) for row in rows_of(tmp_path / str(seed) / "query.csv")[1:]])
    coins, places = np.array(coins), np.array(places)
    assert abs(coins.mean() - 0.5) < 4 * 0.5 / np.sqrt(coins.size)
    assert coins.sum(axis=1).std() > 2  # a fixed number in would have 0
    for other in (places, np.arange(100)):
        assert abs(np.corrcoef(coins.ravel(), np.broadcast_to(other, coins.shape).ravel())[0, 1]) < 0.05
    assert (coins[0] != coins[1]).any()


def test_the_same_generator_gives_the_same_files(people, tmp_path):
    for name in ("a", "b"):
        make_canaries(people, target="risk", count=100, out=tmp_path / name, rng=rng(1))
    for name in ("canaries.json", "insert.csv", "query.csv"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_coins_are_never_overwritten(people, tmp_path):
    make_canaries(people, target="risk", count=100, out=tmp_path / "c", rng=rng())
    before = (tmp_path / "c" / "canaries.json").read_bytes()
    with pytest.raises(StoreError, match="there are canaries here already"):
        make_canaries(people, target="risk", count=100, out=tmp_path / "c", rng=rng(1))
    assert (tmp_path / "c" / "canaries.json").read_bytes() == before


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"count": 20}, "20 canaries can show an epsilon of at most 0.81"),
        ({"count": 2}, "at most 0"),
        ({"count": ROWS + 1}, f"at most the {ROWS} records of people.csv"),
        ({"kind": "odd"}, "`kind` must be mislabelled or as-is, got 'odd'"),
        ({"target": None}, "`target` must name the column"),
        ({"target": "rsk"}, "is 'risk' meant"),
        ({"data": "breast-cancr", "target": None}, "is 'breast-cancer' meant"),
        ({"data": "csv", "target": None}, "must be a CSV file"),
    ],
)
def test_mistakes_in_making(people, tmp_path, changes, text):
    wanted = {"data": people, "target": "risk", "count": 100, **changes}
    with pytest.raises((InputError, DataError), match=text):
        make_canaries(wanted.pop("data"), out=tmp_path / "c", rng=rng(), **wanted)
    assert not (tmp_path / "c").exists()


def test_a_column_of_that_name_is_refused(people, tmp_path):
    people.write_text(people.read_text().replace("code,", "canary,", 1))
    with pytest.raises(InputError, match="no column may be called 'canary'"):
        make_canaries(people, target="risk", count=100, out=tmp_path / "c", rng=rng())


# What is read


@pytest.fixture
def made(people, tmp_path):
    return make_canaries(people, target="risk", count=100, out=tmp_path / "c", rng=rng())


CLASSES = ("low", "middle", "high")


def answers(made, path, leak, seed, *, numbers=None, label=None, classes=CLASSES):
    """A version's file: every canary's class with confidence .4 and noise, more where its coin said in."""
    draw = rng(seed)
    lines = []
    for number in range(len(made)) if numbers is None else numbers:
        own = made.label[number % len(made)]
        top = 0.4 + 0.05 * draw.random() + leak * made.coin[number % len(made)]
        values = {name: top if name == own else (1 - top) / 2 for name in CLASSES}
        said = (label or {}).get(number, own)
        lines.append(",".join([str(number), said, *(f"{values[name]:.12f}" for name in classes)]))
    path.write_text("\n".join([",".join(["record", "label", *classes]), *lines]))
    return path


def test_a_check_of_files(made, tmp_path):
    before = answers(made, tmp_path / "v1.csv", 0.3, 0)
    after = answers(made, tmp_path / "v2.csv", 0.0, 1)
    found = check_canaries(tmp_path / "c", before=before, after=after)
    assert found.epsilon == found.largest
    assert found.inserted == sum(made.coin)
    assert [each.best.n_correct for each in found.scores] == [50, 50]
    assert "50 of 50 guesses right" in found.sentence


def test_order_of_rows_and_classes_does_not_matter(made, tmp_path):
    before = answers(made, tmp_path / "v1.csv", 0.0, 0)
    after = answers(made, tmp_path / "v2.csv", 0.0, 1)
    found = check_canaries(tmp_path / "c", before=before, after=after)
    head, *lines = before.read_text().splitlines()
    before.write_text("\n".join([head, *lines[::-1]]))
    assert check_canaries(tmp_path / "c", before=before, after=after) == found
    names = ("high", "low", "middle")
    turned = answers(made, tmp_path / "turned.csv", 0.0, 0, classes=names)
    assert check_canaries(tmp_path / "c", before=turned, after=after) == found


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"numbers": range(97)}, r"missing: 3 ('97', '98', '99')"),
        ({"numbers": range(105)}, r"no canary: 5 ('100', '101', '102', ...)"),
        ({"numbers": [*range(100), 7]}, r"twice or more: 1 ('7')"),
        ({"label": {3: "other"}}, "the label of canary 3 must be"),
    ],
)
def test_files_that_do_not_fit(made, tmp_path, changes, text):
    after = answers(made, tmp_path / "v2.csv", 0.0, 1)
    if "label" in changes:
        changes = {"label": {3: next(name for name in CLASSES if name != made.label[3])}}
    before = answers(made, tmp_path / "v1.csv", 0.0, 0, **changes)
    for files in ((before, after), (after, before)):
        with pytest.raises(PosteriorsError) as caught:
            check_canaries(tmp_path / "c", before=files[0], after=files[1])
        assert str(before) in str(caught.value)
        assert text in str(caught.value)


def test_folders_that_hold_no_canaries(made, tmp_path):
    before = answers(made, tmp_path / "v1.csv", 0.0, 0)
    with pytest.raises(StoreError, match="there is no such file; give the folder"):
        check_canaries(tmp_path, before=before, after=before)
    private = tmp_path / "c" / "canaries.json"
    whole = json.loads(private.read_text())
    for damage in ({"format": 2}, {"coin": whole["coin"][:9]}, {"rules": []}, {"scores": ["hunch"]}):
        private.write_text(json.dumps({**whole, **damage}))
        with pytest.raises(StoreError, match="Not canaries of format 1"):
            check_canaries(tmp_path / "c", before=before, after=before)


def test_the_result_as_json(made, tmp_path):
    before, after = (answers(made, tmp_path / f"{v}.csv", 0.02, v) for v in (1, 2))
    found = check_canaries(tmp_path / "c", before=before, after=after, delta=1e-5)
    assert CanaryResult.from_json(found.to_json()) == found
    assert "coin" not in found.to_json().replace("coins", "").replace("its coin said so", "")
    with pytest.raises(StoreError, match="Not a result of canaries"):
        CanaryResult.from_json("{}")
    assert replace(found, epsilon=1.0) != found


# The whole way


def test_a_tree_that_remembers_its_records_is_found(tmp_path):
    """Insert, train, delete, train anew, query, check; the training set is half of the data, canaries the other."""
    from sklearn.tree import DecisionTreeClassifier

    data = load(BreastCancer())
    names = [name.replace(" ", "_") for name in data.columns]
    order = rng(12).permutation(len(data))
    own, public = order[:269], order[269:]

    def write(path, rows):
        lines = [",".join(map(repr, [*data.x[row].tolist(), int(data.label[row])])) for row in rows]
        path.write_text("\n".join([",".join([*names, "tumour"]), *lines]) + "\n")

    write(tmp_path / "own.csv", own)
    write(tmp_path / "public.csv", public)
    folder = tmp_path / "c"
    made = make_canaries(tmp_path / "public.csv", target="tumour", count=250, out=folder, rng=rng(13))

    inserted = (folder / "insert.csv").read_text().split("\n", 1)[1]
    (tmp_path / "first.csv").write_text((tmp_path / "own.csv").read_text() + inserted)
    asked = load(Csv(path=str(folder / "query.csv"), target="tumour", drop=("canary",)))

    def version(path, answer, trainer):
        records = load(Csv(path=str(path), target="tumour"))
        keep = np.ones((1, len(records)), dtype=bool)
        training_data = TrainingData(records.x, records.label, len(records.classes))
        models = trainer.fit(training_data, keep, streams=[np.random.SeedSequence(5)])
        values = np.exp(models.log_posteriors(asked.x, np.zeros(len(asked), dtype=np.int64)))
        rows = [f"{k},{made.label[k]},{a!r},{b!r}" for k, (a, b) in enumerate(values.tolist())]
        answer.write_text("\n".join(["record,label,0,1", *rows]))

    def check(trainer):
        version(tmp_path / "first.csv", tmp_path / "v1.csv", trainer)
        version(tmp_path / "own.csv", tmp_path / "v2.csv", trainer)
        return check_canaries(folder, before=tmp_path / "v1.csv", after=tmp_path / "v2.csv")

    deep = check(SklearnTrainer(DecisionTreeClassifier()))
    stump = check(SklearnTrainer(DecisionTreeClassifier(max_depth=1)))
    assert deep.epsilon > 1
    assert stump.epsilon < 0.5
    assert deep.remainder.p_value > 0.01
