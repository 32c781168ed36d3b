"""For whom: the verdict's attack on parts of the queries, and which single deletions it can tell."""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from aftertrace.posteriors import Kind, Posteriors
from aftertrace.results import Discoveries, Scores, SliceResult
from aftertrace.scenarios._controls import interval_of
from aftertrace.scenarios._groups import Grouping
from aftertrace.scenarios._persons import Persons
from aftertrace.statistics import (
    Interval,
    auc_by_original,
    benjamini_hochberg,
    clopper_pearson,
    holm,
    mann_whitney,
    rate_interval,
    sign_flip_test,
    unseen_needed,
)

FDR = 0.05
MOST_CLASSES = 20
"""More are not listed one by one."""
_CONFIDENCE = (0.5, 0.9)  # where groups part: fixed in advance, alike in every audit
_CONFIDENCE_NAMES = ("below .5", ".5 to .9", "above .9")
Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Groups = Mapping[str, Grouping]
"""What they are by -> the group of every query [Q]."""


def every_group(table: Posteriors, columns: Groups, persons: Persons | None = None) -> dict[str, Grouping]:
    """Groups of the queries [Q] of `table`, records, or of `persons` [G].

    By class, by the original's confidence in the true class, by whether the original classified the record rightly,
    and by each of `columns`. A person's confidence is the mean of that of his or her records; persons whose records
    differ in anything else are in no group of it.
    """

    def at_unit(code: NDArray[np.int64]) -> NDArray[np.int64]:
        return code if persons is None else persons.shared(code)

    groups: dict[str, Grouping] = {}
    if table.kind is not Kind.SCORE:
        first = np.exp(table.log_values[:, 0])
        confidence = first[np.arange(len(table)), table.label]
        confidence = confidence if persons is None else persons.mean(confidence)
        wrong = (first.argmax(axis=1) != table.label).astype(np.int64)
        if len(table.classes) <= MOST_CLASSES:
            groups["class"] = Grouping(table.classes, at_unit(table.label))
        groups["original's confidence"] = Grouping(_CONFIDENCE_NAMES, np.searchsorted(_CONFIDENCE, confidence))
        groups["original's class"] = Grouping(("right", "wrong"), at_unit(wrong))
    return groups | {by: Grouping(group.names, at_unit(group.code)) for by, group in columns.items()}


def slice_results(
    score: Array,
    table: Posteriors,
    rows: NDArray[np.intp],
    groups: Groups,
    *,
    confidence: float,
    crossed: bool = False,
    rng: np.random.Generator,
) -> tuple[SliceResult, ...]:
    """The attack with `score` [Q] on the evaluated `rows` of `table`, group by group, with Holm over all groups.

    Deleted queries of a group are compared with unseen ones of the same group. Groups without one of the roles are left
    out. Tests: sign flips over originals; with one original, Mann and Whitney's.
    """
    found = []
    is_deleted = table.is_attacked[rows]
    parts = ((by, name, group.code[rows] == k) for by, group in groups.items() for k, name in enumerate(group.names))
    for by, name, part in parts:
        deleted, unseen = int((part & is_deleted).sum()), int((part & ~is_deleted).sum())
        if not (deleted and unseen):
            continue
        own = rows[part]
        interval = interval_of(
            score[own], is_deleted[part], table.original[own], confidence, record=table.record[own], is_crossed=crossed
        )
        auc, p_value, method = _tested(score[own], is_deleted[part], table.original[own], interval, rng)
        found.append(
            SliceResult(
                by=by, group=name, deleted=deleted, unseen=unseen, auc=auc, p_value=p_value, p_holm=None, method=method
            )
        )
    p_values = [each.p_value for each in found if each.p_value is not None]
    adjusted = iter(holm(np.array(p_values)).tolist() if p_values else [])
    return tuple(each if each.p_value is None else replace(each, p_holm=next(adjusted)) for each in found)


def _tested(
    score: Array,
    is_deleted: Mask,
    original: NDArray[np.int64],
    interval: Interval,
    rng: np.random.Generator,
) -> tuple[Interval, float | None, str]:
    """AUC, p-value and what the test was."""
    if (original == original[0]).all():
        p_value = mann_whitney(score[is_deleted], score[~is_deleted])
        return interval, p_value, "Mann-Whitney over records, conditional on the pair"
    own = auc_by_original(score, is_deleted, original)[1]
    own = own[np.isfinite(own)]
    if len(own) < 2:
        return interval, None, "none: fewer than 2 originals hold both roles"
    test = sign_flip_test(own - 0.5, rng=rng)
    return interval, float(test.p_value), f"{test.method} over {len(own)} originals"


def discoveries(
    classical: Array, score: Array, table: Posteriors, rows: NDArray[np.intp], *, confidence: float
) -> Discoveries:
    """How many of the records deleted in the evaluated `rows` are exposed before, after, and worse by the deletion.

    `classical`, `score` [Q]: of the original alone and of both versions. P-values per record are those of
    `single_deletions`, which says what is tested; Benjamini-Hochberg over all records, for each question apart.
    Its guarantee is proved for `before` and `after` of records that are deleted once, among shared unseen records
    (positive dependence), and simulated for `worse`, records of several originals, and those compared with themselves.
    """
    own = rows[table.is_attacked[rows]]
    told = Scores.of(table, {}).deletions(own, before=classical, after=score)
    before, after, worse = (
        int((benjamini_hochberg(p_value) <= FDR).sum()) for p_value in (told.before, told.after, told.worse)
    )
    is_told = (benjamini_hochberg(told.after) <= FDR)[np.searchsorted(told.record, table.record[own])]
    among = ~told.compared_with_itself
    # twice the mean of several p-values is never below twice the smallest there can be
    smallest = 1 if (told.times[among] == 1).any() else 2
    return Discoveries(
        fdr=FDR,
        deleted=len(told.record),
        before=before,
        after=after,
        worse=worse,
        unseen=int(told.references[among].min()) if among.any() else 0,
        needed=unseen_needed(smallest * len(told.record), fdr=FDR) if among.any() else 0,
        compared_with_itself=int(told.compared_with_itself.sum()),
        share=_share(is_told, table.original[own], confidence),
    )


def _share(is_told: Mask, original: NDArray[np.int64], confidence: float) -> Interval:
    """Deletions of one original are not independent: with several, the unit is the original."""
    if (original == original[0]).all():
        return clopper_pearson(int(is_told.sum()), is_told.size, confidence=confidence)
    return rate_interval(is_told, original, confidence=confidence)
