"""What would pass the limits: options beside each other, the cheapest that passes, and whether that held again."""

from dataclasses import dataclass
from typing import Literal

from aftertrace.results._limits import LimitCheck, Standing
from aftertrace.statistics import Interval

ACCURACY_STEP = 0.005
"""Less accuracy is not worth coarser posteriors, and samples of usual size could not tell it from none."""
OptionKind = Literal["as it is", "release", "training", "both"]


@dataclass(frozen=True, kw_only=True)
class RemedyOption:
    """A way to release or to train, and what it would give away and cost.

    `name`: in a few words. `what`: it in a sentence. `changes`: the settings of an experiment that make it, as `--set`
    takes them.

    `attack`: of those mounted, the one whose interval reaches furthest from one half, and `auc` is its. `checks`: for
    every limit the attack that comes off worst, so that an option passes only if it holds against all of them.
    `accuracy`: on unseen records, or of unseen persons, after the update, as a share. `accuracy_lost`, `brier_added`:
    against what is done today, and exactly 0 where the same answers are released; larger is worse (the Brier score is
    the mean squared distance from the truth, 0 to 2).

    What could not be tried has no figure, and `note` says why; else it says what a reader of the figures must know, as
    why "as it is" does not pass where the verdict may.
    """

    name: str
    kind: OptionKind
    what: str
    changes: tuple[str, ...] = ()
    attack: str | None = None
    auc: Interval | None = None
    checks: tuple[LimitCheck, ...] = ()
    accuracy: float | None = None
    accuracy_lost: Interval | None = None
    brier_added: Interval | None = None
    note: str = ""

    @property
    def passes(self) -> bool:
        """Does it lie within every limit?"""
        return bool(self.checks) and all(check.standing is Standing.WITHIN for check in self.checks)

    @property
    def leak(self) -> float | None:
        """Distance of the AUC from one half, 0 to 1/2."""
        return None if self.auc is None else abs(self.auc.estimate - 0.5)

    @property
    def cost(self) -> tuple[int, float]:
        """What decides which option is cheapest: accuracy lost in steps of `ACCURACY_STEP`, then Brier score added.

        A gain costs nothing.
        """
        lost, added = (
            0.0 if part is None else max(part.estimate, 0.0) for part in (self.accuracy_lost, self.brier_added)
        )
        return round(lost / ACCURACY_STEP), added


@dataclass(frozen=True, kw_only=True)
class Remedy:
    """Options judged on one half of the `unit`s, and the cheapest that passes tried again on the other half.

    `recommended`: its name, None where nothing passes; then `nearest` is the option that comes closest. `again`: the
    recommended option on the `confirming` units that the choice never saw.

    `attacks`: what every option had to hold against. `confidence`: of the intervals of `options`, raised for their
    number, so that the best of many does not pass by luck; `again` has the audit's own.
    """

    sentence: str
    options: tuple[RemedyOption, ...] = ()
    recommended: str | None = None
    nearest: str | None = None
    again: RemedyOption | None = None
    attacks: tuple[str, ...] = ()
    unit: Literal["originals", "records", "persons"] = "originals"
    choosing: int = 0
    confirming: int = 0
    confidence: float | None = None
    notes: tuple[str, ...] = ()

    @property
    def confirmed(self) -> bool:
        """Did the recommended option lie within every limit on the other half too?"""
        return self.again is not None and self.again.passes

    def option(self, name: str) -> RemedyOption:
        """The option of that name. Raises `KeyError` with the names there are."""
        for each in self.options:
            if each.name == name:
                return each
        raise KeyError(f"There is no option {name!r}; there are {', '.join(each.name for each in self.options)}.")

    @property
    def frontier(self) -> tuple[str, ...]:
        """Names of the options that no other beats both in leak and in accuracy, by their estimates."""
        placed = [
            (each.name, each.leak, each.accuracy)
            for each in self.options
            if each.leak is not None and each.accuracy is not None
        ]
        return tuple(
            name
            for name, leak, accuracy in placed
            if not any(
                other <= leak and right >= accuracy and (other, right) != (leak, accuracy) for _, other, right in placed
            )
        )
