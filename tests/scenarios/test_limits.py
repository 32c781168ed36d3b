"""Limits: read strictly, held against ends of intervals, and turned into a verdict."""

from dataclasses import replace

import numpy as np
import pytest

import aftertrace as at
from aftertrace.attacks import LogitDrop, OriginalLogit, simulated_posteriors
from aftertrace.engine import InProcess
from aftertrace.errors import ExperimentError, InputError
from aftertrace.posteriors import Kind, Role, concatenate
from aftertrace.results import Claim, LimitCheck, Limits, Outcome, Standing
from aftertrace.scenarios import Judgement, assess, limits_of, read_limits
from aftertrace.scenarios._update import update_cost
from aftertrace.statistics import Interval

ROLES = ["unseen"] * 200


def interval(low, high, estimate=None):
    return Interval((low + high) / 2 if estimate is None else estimate, low, high, 0.95, 40, "by hand")


@pytest.mark.parametrize(
    ("name", "low", "high", "standing"),
    [
        ("auc", 0.61, 0.7, Standing.EXCEEDED),
        ("auc", 0.2, 0.39, Standing.EXCEEDED),  # over-unlearning
        ("auc", 0.41, 0.6, Standing.WITHIN),
        ("auc", 0.39, 0.6, Standing.UNDECIDED),
        ("auc", 0.5, 0.601, Standing.UNDECIDED),
        ("tpr_at_1pct", 0.0, 0.6, Standing.WITHIN),
        ("tpr_at_1pct", 0.61, 0.9, Standing.EXCEEDED),
        ("accuracy_loss", -0.5, 0.6, Standing.WITHIN),
    ],
)
def test_ends_of_intervals_decide(name, low, high, standing):
    assert LimitCheck.of(name, 0.6, interval(low, high)).standing is standing


def test_without_an_interval_nothing_is_decided():
    nothing = Interval(0.9, None, None, 0.95, 3, "none", "three originals")
    check = LimitCheck.of("auc", 0.6, nothing)
    assert check.standing is Standing.UNDECIDED
    assert check.note == "three originals"


@pytest.mark.parametrize(
    ("name", "value"),
    [("auc", 0.5), ("auc", 1.0), ("tpr_at_1pct", 0.01), ("per_record", 0), ("accuracy_loss", 1), ("auc", True)],
)
def test_values_out_of_range(name, value):
    with pytest.raises(InputError, match=f"The limit `{name}` must be"):
        Limits(**{name: value})


def test_a_file_of_limits(tmp_path):
    path = tmp_path / "limits.toml"
    path.write_text("[limits]\nauc = 0.6\naccuracy_loss = 0.01\n")
    assert read_limits(path) == Limits(auc=0.6, accuracy_loss=0.01)
    assert limits_of(str(path)) == limits_of({"auc": 0.6, "accuracy_loss": 0.01})
    assert limits_of(None).given() == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[limits]\nauk = 0.6", "auk: unknown key (is 'auc' meant?)"),
        ("[limits]\nauc = 0.4\nper_record = 2", "The limit `per_record` must be a share"),
        ("[limits]\nauc = 'low'", "The limit `auc` must be an AUC"),
        ("[limits]\nauc = 60", "an AUC above 0.5 and below 1, such as 0.6, got 60 (is 0.6 meant?)"),
        ("auc = 0.6", "there must be a section [limits]"),
        ("[limits]\nauc = 0.6\n[model]\nname = 'tree'", "and nothing else; found limits, model"),
        ("[limits", "not valid TOML"),
        ("[limits]", "at least one of auc, tpr_at_1pct, per_record, accuracy_loss"),
        ("x = 1\n" * 1_000_000, "must be a small TOML file"),
    ],
)
def test_files_that_are_none(tmp_path, text, message):
    path = tmp_path / "limits.toml"
    path.write_text(text)
    with pytest.raises(ExperimentError) as caught:
        read_limits(path)
    assert any(message in problem for problem in caught.value.problems)
    assert str(caught.value).startswith(str(path))


def test_a_number_is_no_limits():
    with pytest.raises(InputError, match="must be a file, or numbers by name"):
        limits_of(0.6)


def test_a_file_that_is_absent(tmp_path):
    with pytest.raises(ExperimentError, match="there is no such file"):
        read_limits(tmp_path / "limits.toml")


def judged(limits, *, leak=2.0, originals=12, pairs=40):
    table = simulated_posteriors(leak=leak, seed=0, originals=originals, pairs=pairs, held_out=1)
    judgement = Judgement(attack="LogitDrop", limits=limits, confidence=0.95, seed=0)
    found = assess(None, table, (LogitDrop(), OriginalLogit()), judgement, engine=InProcess(), progress=lambda *_: None)
    return found.verdict


def test_one_limit_that_is_exceeded_decides():
    verdict = judged(Limits(auc=0.99, accuracy_loss=-0.5, per_record=0.5))
    assert verdict.outcome is Outcome.TOO_COSTLY
    assert verdict.sentence.startswith("The update costs more accuracy than allowed: the accuracy lost")
    verdict = judged(Limits(auc=0.6, accuracy_loss=-0.5))
    assert verdict.outcome is Outcome.LEAKS
    assert "AUC" in verdict.sentence
    assert "accuracy" not in verdict.sentence


def test_all_limits_must_hold():
    verdict = judged(Limits(auc=0.99, accuracy_loss=0.5, tpr_at_1pct=0.9))
    by_name = {check.name: check for check in verdict.checks}
    assert by_name["auc"].standing is by_name["accuracy_loss"].standing is Standing.WITHIN
    assert by_name["tpr_at_1pct"].standing is Standing.UNDECIDED  # 480 unseen queries are too few for 1 %
    assert by_name["tpr_at_1pct"].note.startswith("1000 evaluated unseen queries are needed")
    assert verdict.outcome is Outcome.INCONCLUSIVE
    assert "found at 1 % false alarms could not be measured; " in verdict.sentence.replace("\u00a0", " ")
    assert judged(Limits(auc=0.99, accuracy_loss=0.5)).outcome is Outcome.WITHIN


def test_the_rate_is_of_new_originals_where_there_are_enough():
    table = simulated_posteriors(leak=2, seed=0, originals=12, pairs=200)
    judgement = Judgement(attack="LogitDrop", limits=Limits(tpr_at_1pct=0.75), confidence=0.95, seed=0)
    verdict = assess(
        None, table, (LogitDrop(), OriginalLogit()), judgement, engine=InProcess(), progress=lambda *_: None
    ).verdict
    assert verdict.checks[0].method == "jackknife over originals, and the threshold's own uncertainty"
    assert verdict.checks[0].standing is Standing.WITHIN


def test_single_records_are_a_share_with_an_interval():
    table = simulated_posteriors(leak=60, seed=0, originals=1, pairs=60)
    table = replace(table, original=np.zeros_like(table.original))
    judgement = Judgement(attack="LogitDrop", limits=Limits(per_record=0.2), confidence=0.95, seed=0)
    few = assess(None, table, (LogitDrop(), OriginalLogit()), judgement, engine=InProcess(), progress=lambda *_: None)
    assert few.verdict.checks[0].standing is Standing.UNDECIDED
    many = simulated_posteriors(leak=60, seed=0, originals=1, pairs=20, held_out=100)
    many = replace(many, use=np.zeros_like(many.use))
    found = assess(None, many, (LogitDrop(), OriginalLogit()), judgement, engine=InProcess(), progress=lambda *_: None)
    check = found.verdict.checks[0]
    assert check.estimate == found.discoveries.after / found.discoveries.deleted > 0.5
    assert check.standing is Standing.EXCEEDED


def test_accuracy_of_the_update_by_hand():
    before = [[0.9, 0.1], [0.9, 0.1], [0.2, 0.8], [0.5, 0.5]]
    after = [[0.9, 0.1], [0.1, 0.9], [0.8, 0.2], [0.5, 0.5]]
    table = at.Posteriors.from_pair(before, after, label=[0, 0, 0, 1], role=["deleted", "unseen", "unseen", "unseen"])
    cost = update_cost(table, confidence=0.95)
    assert (cost.queries, cost.before, cost.after) == (3, 0.5, 0.5)
    assert cost.lost.estimate == pytest.approx(0)
    assert cost.lost.low < -0.5 < 0.5 < cost.lost.high


def test_an_update_that_changes_no_answer_is_not_certain_to_cost_nothing():
    table = simulated_posteriors(leak=0, seed=0, originals=1, pairs=50)
    same = replace(table, log_values=table.log_values[:, [0, 0]])
    cost = update_cost(same, confidence=0.95)
    assert cost.lost.estimate == 0
    assert 0.05 < cost.lost.high < 0.1  # none of 50: Clopper-Pearson


def test_the_interval_of_lost_accuracy_covers():
    """A tenth of answers turns wrong, a twentieth right: .05 is lost. Binomial(300, .95): below 273 by chance .002."""
    rng, covered = np.random.default_rng(0), 0
    for _ in range(300):
        state = rng.choice(3, 200, p=[0.1, 0.05, 0.85])
        first = np.where(state == 0, 0.9, 0.1)
        last = np.where(state == 1, 0.9, np.where(state == 0, 0.1, first))
        table = at.Posteriors.from_pair(
            np.stack([first, 1 - first], 1),
            np.stack([last, 1 - last], 1),
            label=np.zeros(200, int),
            role=ROLES,
        )
        lost = update_cost(table, confidence=0.95).lost
        covered += lost.low <= 0.05 <= lost.high
    assert 273 <= covered < 300


def test_scores_have_no_accuracy():
    table = simulated_posteriors(leak=0, seed=0, originals=1, pairs=5)
    scores = replace(
        table, log_values=table.phi[:, :, None], classes=("score",), label=np.zeros_like(table.label), kind=Kind.SCORE
    )
    assert update_cost(scores, confidence=0.95) is None
    assert (scores.role == Role.UNSEEN).any()


# what must not pass


def test_the_same_model_twice_is_refused(tmp_path):
    values = np.random.default_rng(0).dirichlet([1, 1], 40)
    role = ["deleted", "unseen"] * 20
    with pytest.raises(InputError, match="array 0 and array 1 are the same"):
        at.audit(values, values, label=[0] * 40, role=role, limits={"auc": 0.6})
    path = tmp_path / "v.csv"
    rows = [f"{k},0,{role[k]},{a!r},{b!r}" for k, (a, b) in enumerate(values.tolist())]
    path.write_text("\n".join(["record,label,role,0,1", *rows]))
    with pytest.raises(InputError, match=r"v\.csv and v\.csv are the same"):
        at.audit(path, path, limits={"auc": 0.6})


def test_accuracy_alone_limits_no_leak():
    with pytest.raises(InputError, match="alone limits no leak"):
        judged(Limits(accuracy_loss=0.1))


def test_only_the_auc_speaks_of_a_claim():
    table = simulated_posteriors(leak=0.5, seed=0, originals=12, pairs=40)
    claim = Claim(epsilon=5.0)
    judgement = Judgement(attack="LogitDrop", limits=Limits(accuracy_loss=-0.5), claim=claim, confidence=0.95, seed=0)
    verdict = assess(
        None, table, (LogitDrop(), OriginalLogit()), judgement, engine=InProcess(), progress=lambda *_: None
    ).verdict
    assert verdict.outcome is Outcome.TOO_COSTLY
    assert "allows this AUC" in verdict.sentence
    assert "refutes" not in verdict.sentence


def test_few_originals_have_no_rate():
    table = simulated_posteriors(leak=2, seed=0, originals=3, pairs=700)
    judgement = Judgement(attack="LogitDrop", limits=Limits(tpr_at_1pct=0.9), confidence=0.95, seed=0)
    check = assess(
        None, table, (LogitDrop(), OriginalLogit()), judgement, engine=InProcess(), progress=lambda *_: None
    ).verdict.checks[0]
    assert check.standing is Standing.UNDECIDED
    assert "at least 6 originals" in check.note


def test_pairs_of_one_original_that_share_records():
    """The AUC's interval is over records; what has no such interval is not measured."""
    table = simulated_posteriors(leak=0, seed=0, originals=1, pairs=60)
    shared = np.where(table.role == Role.UNSEEN, table.record % 16, table.record)
    judgement = Judgement(attack="LogitDrop", limits=Limits(auc=0.9, accuracy_loss=0.5), confidence=0.95, seed=0)
    checks = assess(
        None,
        replace(table, record=shared),
        (LogitDrop(), OriginalLogit()),
        judgement,
        engine=InProcess(),
        progress=lambda *_: None,
    ).verdict.checks
    assert checks[0].method == "jackknife over records, conditional on the original"
    assert "several pairs of one original" in checks[1].note


def test_telling_all_of_one_original_is_not_telling_a_tenth_of_all():
    """One original in ten gives all its deletions away: the share is .1, and the unit is the original."""
    tables = [
        simulated_posteriors(leak=60 if k == 0 else 0, seed=k, originals=1, pairs=4, held_out=300) for k in range(10)
    ]
    table = concatenate(
        [
            replace(t, original=t.original + k, pair=t.pair + 100 * k, record=t.record + 10_000 * k, use=t.use * 0)
            for k, t in enumerate(tables)
        ]
    )
    judgement = Judgement(attack="LogitDrop", limits=Limits(per_record=0.14), confidence=0.95, seed=0)
    found = assess(None, table, (LogitDrop(), OriginalLogit()), judgement, engine=InProcess(), progress=lambda *_: None)
    assert found.verdict.checks[0].estimate == pytest.approx(0.1, abs=0.02)
    assert found.verdict.checks[0].standing is Standing.UNDECIDED
