"""Options for a remedy, before they are judged: what is done today, and what else could be done at release."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from aftertrace.defenses import Defense, KeyedNoise, LabelOnly, Rounding, Temperature, TopK
from aftertrace.results import OptionKind, RemedyOption

RELEASES: Mapping[Defense, tuple[str, str]] = {
    TopK(3): (
        "three largest posteriors",
        "Release only the three largest posteriors, with the rest spread evenly over the other classes.",
    ),
    TopK(1): (
        "largest posterior only",
        "Release only the largest posterior, with the rest spread evenly over the other classes.",
    ),
    Rounding(2): ("two decimals", "Round posteriors to two decimals."),
    Rounding(1): ("one decimal", "Round posteriors to one decimal."),
    LabelOnly(): ("predicted class only", "Release the predicted class alone."),
    Temperature(2): ("temperature of 2", "Flatten posteriors with a temperature of 2."),
    KeyedNoise(0.03): ("noise of 3 %", "Add noise of 3 % to posteriors, the same whenever a version is asked again."),
    KeyedNoise(0.1): ("noise of 10 %", "Add noise of 10 % to posteriors, the same whenever a version is asked again."),
    KeyedNoise(0.3): ("noise of 30 %", "Add noise of 30 % to posteriors, the same whenever a version is asked again."),
    KeyedNoise(1): (
        "noise of 100 %",
        "Add noise as large as the posteriors themselves, the same whenever a version is asked again.",
    ),
}
"""What is tried on the same answers: its name, and what that is for a person."""
COPIES = "not tested: slightly changed copies of a record get other noise, which an attacker can average away"
AS_IT_IS: Final = "as it is"


@dataclass(frozen=True, kw_only=True)
class Candidate:
    """An option before it is judged: how it is called, and what is done at release."""

    name: str
    kind: OptionKind
    what: str
    changes: tuple[str, ...] = ()
    defense: Defense | None = None

    @property
    def training(self) -> tuple[str, ...]:
        """The changes that need other models."""
        return tuple(change for change in self.changes if not change.startswith("defense="))

    def option(self, note: str = "") -> RemedyOption:
        """It without figures, and why there are none."""
        return RemedyOption(name=self.name, kind=self.kind, what=self.what, changes=self.changes, note=note)


def release_candidates(classes: int, *, today: Defense | None = None) -> Iterator[Candidate]:
    """What is done today, and everything else that could be done at release of posteriors of so many classes."""
    yield Candidate(name=AS_IT_IS, kind=AS_IT_IS, what="Change nothing.", defense=today)
    for defense, (name, what) in RELEASES.items():
        if defense != today and not _hides_nothing(defense, classes):
            yield Candidate(name=name, kind="release", what=what, changes=(f"defense={defense}",), defense=defense)


def left_out(classes: int) -> tuple[str, ...]:
    """A note that names the releases that so many classes leave no room for, if there are any."""
    names = [name for defense, (name, _) in RELEASES.items() if _hides_nothing(defense, classes)]
    if len(names) == len(RELEASES):
        return ("No other release was tried: there is one score per record, and releases need a value per class.",)
    return (f"Not tried, since every posterior of {classes} classes would show: {', '.join(names)}.",) if names else ()


def _hides_nothing(defense: Defense, classes: int) -> bool:
    """Scores have no class to hide, and the last posterior follows from the others."""
    return classes == 1 or (isinstance(defense, TopK) and defense.k >= classes - 1)
