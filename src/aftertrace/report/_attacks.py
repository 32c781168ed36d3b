"""What the engineer reads: every attack, ROC curves, movements, groups, controls."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._figures import NBSP, share
from aftertrace.posteriors import Role, Use
from aftertrace.report._forest import AucScale, Dot
from aftertrace.report._gate import control_meaning
from aftertrace.report._records import DASH, SHOWN, _interval, _p_value, without_gaps
from aftertrace.results import AttackResult, Result, Scores
from aftertrace.statistics import RateAtFpr, roc_curve

CURVE_POINTS = 200
_KNOWLEDGE = {
    "none": "Without training",
    "population": "Trained on shadow models",
    "per_record": "Shadow models of the records themselves",
    "truth": "Learned from the truth itself, an upper bound",
}
_COLUMNS = {
    "Classical": "Classical: AUC of the classical attack of equal knowledge.",
    "p (Holm)": "p: of the difference, by sign flips of originals or DeLong of one pair; corrected for all attacks.",
    "Balanced accuracy": "Balanced accuracy: share told right of both roles, at the threshold of the shadow side.",
}
"""Between the AUC and the rates: what each column means."""
_ROLES = (Role.DELETED, Role.UNSEEN, Role.RETAINED, Role.ADDED)


@dataclass(frozen=True)
class AttackRow:
    """One attack: its AUC as a dot and in words, and further figures."""

    name: str
    group: str
    classical: bool
    dot: Dot
    auc: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class GroupRow:
    """The verdict's attack on a part of the records."""

    name: str
    dot: Dot
    auc: str
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Curve:
    """A ROC curve, thinned. [n], [n] A classical one has the `hue` of the attack that it is the opponent of."""

    name: str
    classical: bool
    hue: int
    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]


@dataclass(frozen=True)
class Curves:
    """ROC curves of `attacked` against `unseen` records, so many of each."""

    curves: tuple[Curve, ...]
    attacked: int
    unseen: int

    @property
    def least_fpr(self) -> float:
        """Where the logarithmic axes begin."""
        return 1 / max(self.unseen, 10)

    @property
    def data(self) -> dict[str, Any]:
        """For the page's script: both rates as whole numbers of records."""
        return {
            "least": self.least_fpr,
            "attacked": self.attacked,
            "unseen": self.unseen,
            "curves": [
                {
                    "name": curve.name,
                    "accused": np.rint(curve.fpr * self.unseen).astype(int).tolist(),
                    "found": np.rint(curve.tpr * self.attacked).astype(int).tolist(),
                }
                for curve in self.curves
            ],
        }


@dataclass(frozen=True)
class Movement:
    """How far the records of one role moved: sorted logit drops [n], and the row of the table."""

    role: str
    drop: NDArray[np.float64]
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Evidence:
    """The figures behind the verdict. `heads`, `group_heads`: of the cells; columns that nothing fills are left out."""

    attack: str
    scale: AucScale
    heads: tuple[str, ...]
    attacks: tuple[AttackRow, ...]
    footnotes: tuple[str, ...]
    roc: Curves
    movements: tuple[Movement, ...]
    group_heads: tuple[str, ...]
    groups: tuple[GroupRow, ...]
    looks: tuple[tuple[str, ...], ...]
    controls: tuple[tuple[str, ...], ...]
    overfitting: tuple[tuple[str, ...], ...]
    least_p: str

    @property
    def families(self) -> list[tuple[str, list[AttackRow]]]:
        """The attacks by what the attacker knows or by feature, in order."""
        return [(name, list(rows)) for name, rows in itertools.groupby(self.attacks, key=lambda row: row.group)]

    @property
    def legend(self) -> tuple[str, ...]:
        """What the columns of the attacks mean that are not rates."""
        return tuple(words for head, words in _COLUMNS.items() if head in self.heads)

    @property
    def has_gaps(self) -> bool:
        """Does some attack lack a figure that another one has?"""
        return any(DASH in row.cells for row in self.attacks)

    @property
    def movement_rows(self) -> list[tuple[str, ...]]:
        """The table of movements."""
        return [(each.role, *each.cells) for each in self.movements]


def evidence(result: Result, scores: Scores) -> Evidence:
    """All figures of an audit that need no name of a record."""
    footnotes: list[str] = []
    aucs = [*(each.auc for each in result.attacks), *(each.auc for each in result.slices)]
    scale = AucScale.of(aucs, limit=result.verdict.limit)
    attacks = [_attack_row(attack, result, scale, footnotes) for attack in result.attacks]
    groups = list(_groups(result, scale))
    heads, cells = without_gaps(_heads(result), [row.cells for row in attacks])
    who = result.attacked.name.capitalize()
    group_heads, group_cells = without_gaps((who, "Unseen", "p (Holm)"), [row.cells for row in groups])
    return Evidence(
        attack=result.verdict.attack,
        scale=scale,
        heads=heads,
        attacks=tuple(replace(row, cells=own) for row, own in zip(attacks, cells, strict=True)),
        footnotes=tuple(footnotes),
        roc=_curves(result, scores),
        movements=tuple(_movements(scores)),
        group_heads=group_heads,
        groups=tuple(replace(row, cells=own) for row, own in zip(groups, group_cells, strict=True)),
        looks=tuple(_looks(result)),
        controls=tuple(_controls(result)),
        overfitting=tuple(_overfitting(result)),
        least_p=_least_p(result),
    )


def _heads(result: Result) -> tuple[str, ...]:
    return (*_COLUMNS, *(f"TPR at {share(rate.fpr, 0)} FPR" for rate in result.attacks[0].rates))


def _attack_row(attack: AttackResult, result: Result, scale: AucScale, footnotes: list[str]) -> AttackRow:
    against = attack.against
    opponent = result.attack(against.opponent).auc.estimate if against else None
    return AttackRow(
        name=attack.name,
        group=attack.feature or _KNOWLEDGE[attack.shadow],
        classical=attack.classical,
        dot=scale.dot(attack.auc),
        auc=_interval(attack.auc),
        cells=(
            DASH if opponent is None else f"{opponent:.2f}",
            DASH if against is None else _p_value(against.p_holm),
            DASH if attack.balanced_accuracy is None else share(attack.balanced_accuracy),
            *(_rate(rate, footnotes) for rate in attack.rates),
        ),
    )


def _least_p(result: Result) -> str:
    """Where so few originals allow no p that would be telling: the smallest, if every original agrees."""
    m, compared = result.counts.originals, [each.against for each in result.attacks if each.against is not None]
    tests = sum(each.p_holm is not None for each in compared)
    least = tests * 2.0 ** (1 - m)
    if m == 1 or least <= SHOWN:
        return ""
    return f"With {m} originals and {tests} attacks compared, p (Holm) cannot be below {_p_value(min(1.0, least))}."


def _rate(rate: RateAtFpr, footnotes: list[str]) -> str:
    if rate.tpr is None or rate.realised_fpr is None:
        if rate.refused not in footnotes:
            footnotes.append(rate.refused)
        return f"refused{NBSP}[{footnotes.index(rate.refused) + 1}]"
    return f"{share(rate.tpr.estimate)} (at{NBSP}{share(rate.realised_fpr.estimate)})"


def _curves(result: Result, scores: Scores) -> Curves:
    """The verdict's attack, EucDist, one trained attack, and their classical opponents: fixed names, never the best."""
    names = [result.verdict.attack, "EucDist", "SortedDiff/forest"]
    chosen = [name for name in dict.fromkeys(names) if name in scores.score]
    hues = {name: hue for hue, name in enumerate(chosen)}
    for name in chosen:
        against = result.attack(name).against
        if against is not None and against.opponent in scores.score:
            hues.setdefault(against.opponent, hues[name])
    evaluated = scores.use == Use.EVALUATE
    attacked, unseen = (evaluated & (scores.role == role) for role in (result.attacked, Role.UNSEEN))
    return Curves(
        curves=tuple(
            _curve(result.attack(name), hue, scores.score[name][attacked], scores.score[name][unseen])
            for name, hue in hues.items()
        ),
        attacked=int(attacked.sum()),
        unseen=int(unseen.sum()),
    )


def _curve(attack: AttackResult, hue: int, attacked: NDArray[np.float64], unseen: NDArray[np.float64]) -> Curve:
    curve = roc_curve(attacked, unseen)
    thin = _thin(curve.fpr)
    return Curve(attack.name, attack.classical, hue, curve.fpr[thin], curve.tpr[thin])


def _thin(fpr: NDArray[np.float64]) -> NDArray[np.intp]:
    """At most `CURVE_POINTS` points, evenly spread in the logarithm of the rate, both ends among them."""
    grid = np.logspace(np.log10(max(fpr[fpr > 0].min(), 1e-6)), 0, CURVE_POINTS)
    return np.unique([0, *(np.searchsorted(fpr, grid, side="right") - 1), len(fpr) - 1])


def _movements(scores: Scores) -> Iterator[Movement]:
    drop = scores.phi[:, 0] - scores.phi[:, 1]
    for role in _ROLES:
        own = np.sort(drop[(scores.role == role) & (scores.use == Use.EVALUATE)])
        if own.size:
            quartiles = (f"{each:+.2g}" if each else "0" for each in np.quantile(own, [0.25, 0.5, 0.75]))
            yield Movement(role.name.capitalize(), own, (f"{own.size}", share((own == 0).mean(), 0), *quartiles))


def _groups(result: Result, scale: AucScale) -> Iterator[GroupRow]:
    for each in result.slices:
        cells = f"{each.deleted}", f"{each.unseen}", _p_value(each.p_holm)
        yield GroupRow(f"{each.by}: {each.group}", scale.dot(each.auc), _interval(each.auc), cells)


def _looks(result: Result) -> Iterator[tuple[str, ...]]:
    if result.sequence is not None:
        seen = result.sequence
        for originals, *figures in zip(seen.originals, seen.estimate, seen.low, seen.high, strict=True):
            yield f"{originals}", *(f"{figure:.3f}" for figure in figures)


def _controls(result: Result) -> Iterator[tuple[str, ...]]:
    for control in result.controls:
        word = {True: "passed", False: "FAILED", None: f"not testable: {control.note or control.auc.note}"}
        figure = DASH if control.passed is None else _interval(control.auc)
        if control.passed is not None and control.auc.low is None:
            figure = f"{control.auc.estimate:.2f} ({control.note.replace(' ', NBSP)})"
        yield control.name, control_meaning(control.name, result), figure, word[control.passed]


def _overfitting(result: Result) -> Iterator[tuple[str, ...]]:
    if result.overfitting is not None:
        for name, spread in (
            ("Accuracy on training records", result.overfitting.train_accuracy),
            ("Accuracy on unseen records", result.overfitting.test_accuracy),
            ("Gap", result.overfitting.gap),
        ):
            yield name, *map(share, (spread.mean, spread.low, spread.high))
