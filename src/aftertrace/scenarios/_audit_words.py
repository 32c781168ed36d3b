"""What an audit of brought posteriors says beside its figures."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from aftertrace._figures import share
from aftertrace.posteriors import Kind, Posteriors, Role
from aftertrace.results import Counts, DeletionUnit
from aftertrace.scenarios._crossfit import FEWEST
from aftertrace.scenarios._shadow import ShadowSide
from aftertrace.statistics import Matching


def audit_threat_model(table: Posteriors, *, has_shadow: bool) -> Iterator[str]:
    answer = "scores" if table.kind is Kind.SCORE else "posteriors"
    yield (
        f"The attacker asks the model before and after the deletions for its {answer} at a record, and knows the "
        f"record's true class."
    )
    if table.n_versions > 2:
        yield f"The attacker sees {table.n_versions} versions, and does not know by which update a record left."
    if not has_shadow:
        yield "The attacker trains nothing: a stronger one, with shadow models, may find more."
        yield (
            "The attack Auditor is none of an outsider: it learns from the very roles that it is to tell, in folds, "
            "and bounds from above what an attacker of its form could learn."
        )
    else:
        yield (
            "The attacker trains shadow models, deletes from them and learns the attacks there; how they are trained "
            "is as the experiment of the shadow side says."
        )


def audit_not_tested(table: Posteriors, unit: DeletionUnit, *, has_shadow: bool) -> Iterator[str]:
    yield "Whether the records were deleted at all: a deletion that was not done does not show."
    if not has_shadow:
        yield "Attackers with shadow models: they need a simulation of the training."
    versions = "" if table.n_versions > 2 else "more than two versions, "
    yield f"Attackers who see only predicted classes, {versions}or the model's parameters."
    yield (
        f"Whether deleted and unseen {unit}s are comparable in what the control blind does not see: both must be draws "
        f"of one population."
    )


def matching_notes(matching: Matching | None, *, by_features: bool) -> tuple[str, ...]:
    if matching is None:
        return ()
    of_deleted, of_unseen = matching.deleted + matching.dropped_deleted, matching.unseen + matching.dropped_unseen
    alike = "classes and features" if by_features else "classes"
    return (
        f"Matched by {alike}: {matching.dropped_deleted} of {of_deleted} deleted and {matching.dropped_unseen} of "
        f"{of_unseen} unseen queries were left out, so that those kept are alike. All figures hold for those kept "
        f"only; that the control blind passes follows from this, and does not say that they were drawn alike.",
    )


def audit_notes(
    table: Posteriors,
    person: NDArray[np.int64] | None,
    judged: Posteriors,
    counts: Counts,
    *,
    tied: bool,
    left_out: Sequence[str],
) -> Iterator[str]:
    """`table`: the queries of `person`s, if persons are `judged`; `tied`: roles to records that originals share."""
    unit: DeletionUnit = "record" if person is None else "person"
    if counts.originals == 1:
        yield (
            f"One pair of models: intervals are over {unit}s and hold for this pair only; another training run may "
            f"leak more or less."
        )
    elif tied:
        yield (
            f"Several originals share {unit}s whose role is always the same: intervals are over originals and {unit}s, "
            f"and wide; tests over originals take the {unit}s as given."
        )
    elif len(np.unique(judged.record)) < len(judged):
        yield f"Some {unit}s are queried at several pairs: intervals over originals take the {unit}s as given."
    if person is not None:
        yield (
            f"{len(table)} records of {len(np.unique(person))} persons: a person's score is the mean of that of "
            f"his or her records, and all figures are of persons: of accuracy, too, everybody counts once."
        )
    yield from _sample_notes(judged, counts)
    yield from _unmoved_notes(table, "records of " if person is not None else "")
    if left_out:
        yield f"Left out, as they need further unseen {unit}s that enter no figure: {', '.join(left_out)}."
    if table.sum_deviation > 1e-6:
        yield f"Rows of posteriors sum to 1 within {table.sum_deviation:.1e}."


def shadow_notes(shadow: ShadowSide, judged: Posteriors, *, persons_are_judged: bool) -> Iterator[str]:
    """What of its file does not count; and where it deletes otherwise than the updates that are judged, so that the
    attacks learn another task.
    """
    if shadow.passed_over:
        yield (
            f"Passed over in {shadow.source}, as an audit is given limits of its own (`limits`, or `claim`): "
            f"{', '.join(shadow.passed_over)}."
        )
    if persons_are_judged and shadow.person is None:
        yield (
            "The shadow side deletes single records, and persons are deleted here: say whose its records are "
            "(data.person of its experiment), and it deletes persons as well."
        )
    unit = "person" if persons_are_judged else "record"
    deleted = judged.pair[judged.role == Role.DELETED]
    each = len(deleted) / max(1, len(np.unique(deleted)))
    group = shadow.experiment.scenario.group
    if each >= 2 * group:
        yield (
            f"One update deletes about {each:.0f} {unit}s here, and {group} on the shadow side, where each shows more: "
            f"set scenario.group of its experiment to about {each:.0f}."
        )


def _sample_notes(judged: Posteriors, counts: Counts) -> Iterator[str]:
    if counts.deleted < FEWEST:
        yield f"Only {counts.deleted} deleted: intervals are wide, and little can be excluded. Bring {FEWEST} or more."
    if min(counts.deleted, counts.unseen) < FEWEST:
        yield f"No auditor's attack: it needs {FEWEST} deleted and {FEWEST} unseen ones."
    labels = np.unique(judged.label[judged.role == Role.DELETED])
    if len(labels) == 1 and len(judged.classes) > 1:
        name = judged.classes[labels[0]]
        yield (
            f"All deleted ones are of class {name}: an attacker who knows this needs no model to leave out the others, "
            f"and the figures say nothing of deletions from other classes. Compare with unseen ones of that class "
            f"(`match=True`)."
        )


def _unmoved_notes(table: Posteriors, of: str) -> Iterator[str]:
    """Exactly equal answers: deterministic retraining, or coarse ones."""
    same = (table.log_values[:, 0] == table.log_values[:, -1]).all(axis=1)
    if not same.any():
        return
    if same.all():
        yield "Both versions answer every query exactly alike: are they two files of one model?"
        return
    shares = [
        f"{share(same[table.role == role].mean(), 0)} of {of}{role.name.lower()} {'persons' if of else 'ones'}"
        for role in (Role.DELETED, Role.UNSEEN, Role.RETAINED)
        if (table.role == role).any()
    ]
    yield (
        f"Exactly the same answer before and after: {', '.join(shares)}. So it is after deterministic retraining (a "
        f"fixed seed), and where answers are coarse (trees, rounding). Where an answer moves at all, a deletion near "
        f"it is told; fresh seeds move all of them."
    )
