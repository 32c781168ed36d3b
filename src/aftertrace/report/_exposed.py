"""The records that were attacked, most exposed first, as a table that tells no one who they are.

Names are pseudonyms. Confidences are rounded to a tenth and drops to a digit: with exact ones, whoever can ask both
versions could look a person up in the table and would learn more from the report than from the models. Equal scores are
ordered by pseudonym, so that the order of the rows does not tell the order of the records in a file either.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.posteriors import Role, Use
from aftertrace.report._records import EXPOSED, _p_value, shown_names
from aftertrace.results import Result, Scores
from aftertrace.statistics import benjamini_hochberg

MOST = 10_000
"""Records that a page holds."""
_FIGURES = ("Above unseen", "Worse (p)")


@dataclass(frozen=True)
class Exposed:
    """Rows of the table, at most `MOST` of `all`, in words; in the column `class_at`, if there is one, a number in
    `classes`.
    """

    heads: tuple[str, ...]
    class_at: int | None
    rows: tuple[tuple[str | int, ...], ...]
    classes: tuple[str, ...]
    all: int

    @property
    def first(self) -> list[tuple[str, ...]]:
        """The rows that are shown without a script."""
        return [
            tuple(self.classes[int(cell)] if place == self.class_at else str(cell) for place, cell in enumerate(row))
            for row in self.rows[:EXPOSED]
        ]

    @property
    def beyond(self) -> int:
        """Rows that only a script shows."""
        return max(0, len(self.rows) - EXPOSED)

    @property
    def left_out(self) -> int:
        """Records that the page does not hold."""
        return self.all - len(self.rows)

    @property
    def data(self) -> dict[str, Any]:
        """For the page's script."""
        return {"rows": self.rows, "classes": self.classes, "classAt": self.class_at}


def exposed(result: Result, scores: Scores, key: bytes, *, drop: str) -> Exposed:
    """The attacked records by the score of the verdict's attack; `drop` is the heading of what they lost."""
    evaluated = scores.use == Use.EVALUATE
    score = scores.score[result.verdict.attack]
    attacked = np.flatnonzero(evaluated & (scores.role == result.attacked))
    unseen = np.sort(score[evaluated & (scores.role == Role.UNSEEN)])
    names = np.array(shown_names(scores.record[attacked], key, unit=result.unit))
    order = np.lexsort((names, -score[attacked]))[:MOST]
    rows, worse = attacked[order], _made_worse(result, scores, attacked)
    below = np.searchsorted(unseen, score[rows], side="left") / max(unseen.size, 1)
    bare = is_score(result)
    return Exposed(
        heads=(result.unit.capitalize(), *(() if bare else ("Class",)), "Before", "After", drop, *_FIGURES),
        class_at=None if bare else 1,
        rows=tuple(
            (
                str(name),
                *(() if bare else (int(scores.label[row]),)),
                *_moved(scores.phi[row], is_score=bare),
                f"{math.floor(100 * share)} %",
                _p_value(worse[int(scores.record[row])]),
            )
            for row, name, share in zip(rows, names[order], below, strict=True)
        ),
        classes=result.data.classes,
        all=len(attacked),
    )


def is_score(result: Result) -> bool:
    """Whether the models give one number per record, such as a log-likelihood, and no posteriors."""
    return len(result.data.classes) == 1


def _moved(phi: NDArray[np.float64], *, is_score: bool) -> tuple[str, str, str]:
    """Before, after and the drop, as coarse as they may leave the run."""
    before, after = (_one_digit(each) if is_score else f"{1 / (1 + math.exp(-each)):.1f}" for each in phi)
    drop = phi[0] - phi[1]
    return before, after, f"{'+' if drop > 0 else ''}{_one_digit(drop)}"


def _one_digit(value: float) -> str:
    return f"{float(f'{value:.1g}'):g}"


def _made_worse(result: Result, scores: Scores, attacked: NDArray[np.intp]) -> dict[int, float]:
    """Adjusted p-value of each record: more exposed by the verdict's attack than by its classical opponent."""
    attack = result.attack(result.verdict.attack)
    before = scores.phi[:, 0] if attack.against is None else scores.score[attack.against.opponent]
    told = scores.deletions(attacked, before=before, after=scores.score[attack.name])
    return dict(zip(told.record.tolist(), benjamini_hochberg(told.worse).tolist(), strict=True))
