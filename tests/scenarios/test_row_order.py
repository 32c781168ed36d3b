"""How what is brought was sorted, and the key of its pseudonyms, change no result."""

from dataclasses import replace

import numpy as np
import pytest

from aftertrace.attacks import simulated_posteriors
from aftertrace.posteriors import Features, Kind
from aftertrace.results import Limits
from aftertrace.scenarios import AuditSettings, Brought, audit_posteriors
from aftertrace.scenarios._persons import Persons
from aftertrace.scenarios._row_order import as_brought, row_order


def coarse(seed=0, originals=3, pairs=60, **more):
    """Answers of few values, as trees give: many rows are equal but for their record."""
    table = simulated_posteriors(leak=1.0, seed=seed, originals=originals, pairs=pairs, **more)
    first = np.clip(np.round(table.values[:, :, 0] * 4) / 4, 0.25, 0.75)
    return replace(table, log_values=np.log(np.stack([first, 1 - first], axis=2)))


def shuffled(brought, seed):
    """Other places, and other numbers for records and persons."""
    rng = np.random.default_rng(seed)
    again = brought.select(rng.permutation(len(brought.table)))
    number = rng.permutation(10**6)
    person = None if again.person is None else number[again.person]
    return replace(again, table=replace(again.table, record=number[again.table.record]), person=person)


def content(brought):
    order = row_order(brought.table, person=brought.person, features=brought.features)
    table = brought.select(order).table
    return np.column_stack([table.log_values.reshape(len(table), -1), table.label, table.pair, table.member])


def one_pair(**more):
    table = coarse(originals=1, K=2, **more)
    return replace(table, pair=np.zeros_like(table.pair))


def shared_records():
    """Originals that ask about the same records, some in one of them only."""
    table = coarse(originals=8, pairs=30, K=2)
    return replace(table, record=np.random.default_rng(1).integers(0, 150, len(table)))


def persons(table):
    number = np.arange(len(table)) // 2 % 40
    return np.where(table.is_attacked, number, number + 100)


def features(table):
    values = np.random.default_rng(2).integers(0, 3, (len(table), 2)).astype(float)
    return Features(values, ("age", "rooms"))


def scores_alone():
    table = one_pair(pairs=120)
    return replace(
        table,
        log_values=table.phi[:, :, None],
        kind=Kind.SCORE,
        classes=("score",),
        label=np.zeros_like(table.label),
    )


BROUGHT = {
    "one pair": Brought(table=one_pair(pairs=120)),
    "features": Brought(table=one_pair(pairs=120), features=features(one_pair(pairs=120))),
    "several originals": Brought(table=coarse(originals=8, pairs=30, K=2)),
    "shared records": Brought(table=shared_records()),
    "persons": Brought(table=one_pair(pairs=120), person=persons(one_pair(pairs=120))),
    "scores": Brought(table=scores_alone()),
}


@pytest.mark.parametrize("name", BROUGHT)
def test_equal_content_has_one_order(name):
    brought = BROUGHT[name]
    expected = content(brought)
    for seed in range(3):
        assert np.array_equal(content(shuffled(brought, seed)), expected)


def test_records_that_differ_elsewhere_only_keep_their_place():
    """Two rows of one pair are equal; what their records answer for another pair tells them apart."""
    table = coarse(originals=2, pairs=2, K=2).select(np.array([0, 1, 4, 5]))
    table = replace(
        table,
        log_values=np.log([[[0.5, 0.5]] * 2] * 2 + [[[0.75, 0.25]] * 2, [[0.25, 0.75]] * 2]),
        member=np.zeros((4, 2), dtype=bool),
        label=np.zeros(4, dtype=np.int64),
        pair=np.array([0, 0, 1, 1]),
        record=np.array([7, 8, 7, 8]),
    )
    ordered = [replace(table, record=np.array(record)) for record in ([7, 8, 7, 8], [3, 2, 3, 2])]
    ordered += [table.select(np.array([1, 0, 2, 3]))]
    found = set()
    for each in ordered:
        at = each.select(row_order(each))
        strong = at.record[np.isclose(at.values[:, 0, 0], 0.75)][0]
        found.add(tuple((at.record[at.pair == 0] == strong).tolist()))
    assert len(found) == 1


def test_and_back():
    brought, place = BROUGHT["persons"], np.random.default_rng(0).permutation(240)
    table, person = brought.table.select(place), brought.person[place]
    assert np.array_equal(place[as_brought(place)], np.arange(240))
    persons = Persons.of(table, person)
    back = persons.table.record[as_brought(place, persons)]
    assert back.tolist() == list(dict.fromkeys(brought.person.tolist()))


SETTINGS = AuditSettings(limits=Limits(auc=0.7, accuracy_loss=0.5))
MATCHED = replace(SETTINGS, match=True)


@pytest.mark.parametrize(
    ("name", "settings", "remedy"),
    [*((name, SETTINGS, name == "persons") for name in BROUGHT), ("features", MATCHED, False)],
)
def test_results_do_not_depend_on_the_order_of_rows(name, settings, remedy):
    brought = BROUGHT[name]
    result, scores = audit_posteriors(brought, settings, remedy=remedy)
    again, other = audit_posteriors(shuffled(brought, 1), settings, remedy=remedy)
    assert again.to_json() == result.to_json()
    for attack, score in scores.score.items():
        assert np.array_equal(np.sort(other.score[attack]), np.sort(score))


@pytest.mark.parametrize("name", ["one pair", "shared records"])
def test_scores_stand_where_their_records_stood(name):
    table = BROUGHT[name].table
    _, scores = audit_posteriors(BROUGHT[name])
    assert np.array_equal(scores.record, table.record)
    assert np.allclose(scores.phi, table.phi)


def test_persons_stand_where_their_first_records_stood():
    person = BROUGHT["persons"].person
    _, scores = audit_posteriors(BROUGHT["persons"])
    assert scores.record.tolist() == list(dict.fromkeys(person.tolist()))
