"""What an attack is."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from aftertrace.errors import UnsupportedError
from aftertrace.posteriors import Kind, Posteriors, Role, Use


class Adversary(StrEnum):
    """What the attacker can train on, from nothing to most."""

    NONE = "none"  # no shadow models at all
    POPULATION = "population"  # shadow records disjoint from the target's
    PER_RECORD = "per_record"  # the candidate records themselves
    TRUTH = "truth"  # the roles of the audited queries: an auditor, no outsider


@dataclass(frozen=True)
class Needs:
    """What an attack cannot do without."""

    shadow: Adversary = Adversary.NONE
    kinds: frozenset[Kind] = frozenset({Kind.POSTERIOR, Kind.LABEL})
    label: bool = False  # the true class of every query
    probes: frozenset[str] = field(default_factory=frozenset)
    held_out: bool = False  # unseen queries of the target's models that may be looked at: public, never evaluated


class Scorer(Protocol):
    """A fitted attack."""

    def score(self, target: Posteriors) -> NDArray[np.float64]:
        """A finite score per query [Q]; larger means more likely deleted (for a classical attack: a member)."""
        ...


class Attack(Protocol):
    """A way to tell deleted from unseen records. A specification, like a trainer.

    Guarantees, checked by `aftertrace.attacks.conformance`: finite scores; the same seed gives the same
    scores; a query's score does not depend on the other evaluated queries or on any order (on held-out unseen
    ones it may: they are public); renaming classes changes nothing where `class_symmetric`; inputs are unchanged;
    no signal gives AUC near one half, a planted leak is found (by attacks on two versions).
    """

    @property
    def name(self) -> str: ...

    @property
    def needs(self) -> Needs: ...

    @property
    def classical(self) -> bool:
        """Does it look at the original model alone (membership inference)?"""
        ...

    @property
    def probabilistic(self) -> bool:
        """Is the score a probability of having been deleted?"""
        ...

    @property
    def class_symmetric(self) -> bool:
        """Is the score the same, whatever the order of classes?"""
        ...

    @property
    def opponent(self) -> str:
        """Name of the classical attack of equal knowledge that this one is compared with."""
        ...

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> Scorer:
        """Learn from the shadow side's queries, or from nothing where `needs.shadow` is NONE."""
        ...


@dataclass(frozen=True)
class ScoreFunction:
    """A scorer that is a plain function of the table."""

    function: Callable[[Posteriors], NDArray[np.float64]]

    def score(self, target: Posteriors) -> NDArray[np.float64]:
        """The function's value. -> [Q]"""
        return self.function(target)


def check_needs(attack: Attack, table: Posteriors, *, adversary: Adversary) -> None:
    """Raise `UnsupportedError` naming what `attack` needs and `table` or the adversary lacks."""
    order = list(Adversary)
    lacking = []
    if Adversary.TRUTH is not attack.needs.shadow and order.index(attack.needs.shadow) > order.index(adversary):
        lacking.append(f"shadow models ({attack.needs.shadow}), and there are none" if adversary is Adversary.NONE
                       else f"a {attack.needs.shadow} adversary, got {adversary}")  # fmt: skip
    if table.kind not in attack.needs.kinds:
        kinds = " or ".join(sorted(attack.needs.kinds))
        lacking.append(f"a table of kind {kinds}, got {table.kind}")
    absent = sorted(attack.needs.probes - table.probes.keys())
    if absent:
        lacking.append(f"the probes {', '.join(absent)}")
    if attack.needs.held_out and not ((table.use == Use.HELD_OUT) & (table.role == Role.UNSEEN)).any():
        lacking.append("held-out unseen queries on the target side, and there are none")
    if lacking:
        raise UnsupportedError(f"Attack {attack.name} needs {'; '.join(lacking)}.")
