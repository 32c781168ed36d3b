"""Releases one after the other: what each audit found, how it changed, and how sure all of them together are."""

import csv
import io
import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aftertrace.errors import InputError, StoreError
from aftertrace.results._limits import LimitCheck
from aftertrace.results._result import Result
from aftertrace.results._verdict import Outcome
from aftertrace.statistics import Interval
from aftertrace.store import RunFolder

_SIMULATED = ("seed", "model", "procedure", "scenario", "shadow", "defense")
MOVER = "difference of independent estimates, recovered from their intervals (Zou and Donner)"
ROUNDING = 1e-9
"""How far off a sum of chances may be, which are no round numbers of binary digits: (1 - .95) / 2 is more than .025."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """One audit of a history. `auc`: of the verdict's `attack`; `seed`: of the simulation, None for models brought."""

    name: str
    outcome: Outcome
    sentence: str
    attack: str
    auc: Interval
    checks: tuple[LimitCheck, ...]
    seed: int | None

    @classmethod
    def of(cls, name: str, result: Result) -> "Release":
        """What an audit found."""
        return cls(
            name=name,
            outcome=result.verdict.outcome,
            sentence=result.verdict.sentence,
            attack=result.verdict.attack,
            auc=result.attack(result.verdict.attack).auc,
            checks=result.verdict.checks,
            seed=result.settings.get("seed") if _simulated(result) else None,
        )

    @property
    def false_pass(self) -> float:
        """The most likely that the audit passes although a limit is exceeded: one end of that limit's interval."""
        return max(((1 - check.confidence) / 2 for check in self.checks), default=0.0)

    @property
    def false_alarm(self) -> float:
        """The most likely that the audit finds some limit exceeded although none is: an end each, of an AUC both."""
        errors = ((1 - check.confidence) / (1 if check.name == "auc" else 2) for check in self.checks)
        return min(1.0, math.fsum(errors))


@dataclass(frozen=True, kw_only=True)
class Change:
    """The AUC of the last release less that of the release `since`."""

    since: str
    difference: Interval


@dataclass(frozen=True, kw_only=True)
class Loosened:
    """A limit, by its `name` in `Limits`, that the release `since` had last `before`, and `release` has wider or not.

    `after`: None where there is no such limit any more.
    """

    release: str
    since: str
    name: str
    before: float
    after: float | None


@dataclass(frozen=True, kw_only=True)
class Again:
    """An audit of the very answers that the release `since` was judged by."""

    release: str
    since: str


@dataclass(frozen=True, kw_only=True)
class History:
    """Audits in the order of their releases, and the error budget that they share.

    `changes`: of the last release against the first and the one before it. `again`: audits that are of no new release.
    `budget`: how likely at most a release of the whole period may pass although it exceeds a limit; None: none was
    declared.
    """

    releases: tuple[Release, ...]
    changes: tuple[Change, ...]
    budget: float | None
    again: tuple[Again, ...] = ()

    @classmethod
    def of(cls, results: Sequence[tuple[str, Result]], *, budget: float | None = None) -> "History":
        """The history of audits by name, in their order. All of them count, also those that did not pass.

        Raises `InputError` for no audit, a name that comes twice, or a budget that is not between 0 and 1.
        """
        names = Counter(name for name, _ in results)
        if not results:
            raise InputError("A history must have at least one audit, got none.")
        twice, times = names.most_common(1)[0]
        if times > 1:
            raise InputError(f"Each audit of a history must come once; {twice!r} comes {times} times. Give it once.")
        if budget is not None and not 0 < budget < 1:
            raise InputError(f"The budget must be a chance between 0 and 1, such as 0.1, got {budget}.")
        releases = tuple(Release.of(name, result) for name, result in results)
        *earlier, last = releases
        compared = dict.fromkeys((*earlier[:1], *earlier[-1:]))
        changes = tuple(Change(since=each.name, difference=_difference(each, last)) for each in compared)
        return cls(releases=releases, changes=changes, budget=budget, again=tuple(_again(results)))

    @classmethod
    def of_folders(cls, folders: Sequence[Path], *, budget: float | None = None) -> "History":
        """The history of finished runs and audits by their folders, named by as much of the path as tells them apart.

        Raises `StoreError` for a folder without a readable `result.json`, and else as `of`.
        """
        return cls.of([*zip(_names(folders), map(_result_in, folders), strict=True)], budget=budget)

    @property
    def loosened(self) -> tuple[Loosened, ...]:
        """Where a release has a wider limit than the last one before it that had it, or none any more."""
        return tuple(_loosened(self.releases))

    @property
    def false_passes(self) -> float:
        """How likely at most one audit or more passed although a limit is exceeded.

        A sum, so that it holds however the audits hang together (Bonferroni).
        """
        return min(1.0, math.fsum(release.false_pass for release in self.releases))

    @property
    def false_alarms(self) -> float:
        """How likely at most one audit or more found a limit exceeded although none is."""
        return min(1.0, math.fsum(release.false_alarm for release in self.releases))

    @property
    def left(self) -> float | None:
        """What remains of the budget; below 0 where more was spent, and 0 where it was spent but for rounding."""
        if self.budget is None:
            return None
        left = self.budget - self.false_passes
        return left if abs(left) > ROUNDING else 0.0

    def confidence_for(self, audits: int | None) -> float | None:
        """The confidence of intervals with which so many further audits just spend what is left, each the same part.

        None `audits`: nobody knows how many; then the next one may spend half of what is left, and so on with every
        other: what they spend together never reaches it. None is returned where nothing is left, or no budget declared.
        """
        left = self.left
        if left is None or left <= 0:
            return None
        return max(0.0, 1 - 2 * left / (2 if audits is None else audits))

    def to_csv(self) -> str:
        """A row per release: outcome, AUC with its interval, every limit's figure and standing, and what was spent."""
        sink = io.StringIO()
        limits = list(dict.fromkeys(check.name for release in self.releases for check in release.checks))
        own = [f"{name}_{part}" for name in limits for part in ("limit", "found", "low", "high", "standing")]
        writer = csv.writer(sink, lineterminator="\n")
        heads = ("release", "outcome", "attack", "auc", "low", "high", "confidence", "n")
        writer.writerow([*heads, *own, "false_pass", "false_alarm"])
        for release in self.releases:
            writer.writerow([*_row(release), *_limit_cells(release, limits), release.false_pass, release.false_alarm])
        return sink.getvalue()


def _names(folders: Sequence[Path]) -> list[str]:
    parts = [folder.resolve().parts for folder in folders]
    for depth in range(1, max(map(len, parts), default=0)):
        names = ["/".join(own[-depth:]) for own in parts]
        if len(set(names)) == len(names):
            return names
    return [folder.name for folder in folders]  # some folder comes twice: `of` refuses


def _result_in(folder: Path) -> Result:
    content = RunFolder(folder).read("result.json")
    try:
        return Result.from_json(content)
    except StoreError as error:
        raise StoreError(f"{folder / 'result.json'}: damaged ({error}) Give the command that made it again.") from error


def _loosened(releases: Sequence[Release]) -> Iterator[Loosened]:
    last: dict[str, tuple[str, float]] = {}  # who had each limit last, and which
    before: set[str] = set()  # the limits of the release before
    for release in releases:
        own = {check.name: check.limit for check in release.checks}
        for name, (since, limit) in last.items():
            after = own.get(name)
            if (after is None and name in before) or (after is not None and after > limit):
                yield Loosened(release=release.name, since=since, name=name, before=limit, after=after)
        last |= {name: (release.name, limit) for name, limit in own.items()}
        before = set(own)


def _again(results: Sequence[tuple[str, Result]]) -> Iterator[Again]:
    for number, (name, result) in enumerate(results):
        since = next((earlier for earlier, other in results[:number] if _same_answers(result, other)), None)
        if since is not None:
            yield Again(release=name, since=since)


def _same_answers(one: Result, other: Result) -> bool:
    """Whether both judge the same answers: of models brought by their fingerprint; of a simulation by its settings, and
    by what attacks found that both have, as settings do not say everything (code of one's own may have changed).
    """
    if one.data.fingerprint != other.data.fingerprint or _simulated(one) != _simulated(other):
        return False
    if not _simulated(one):
        return True
    found = {attack.name: attack.auc.estimate for attack in other.attacks}
    alike = [attack.auc.estimate == found[attack.name] for attack in one.attacks if attack.name in found]
    return bool(alike) and all(alike)


def _simulated(result: Result) -> list[Any]:
    """What was simulated; nothing where models were brought."""
    return [result.settings.get(name) for name in _SIMULATED] if "scenario" in result.settings else []


def _difference(first: Release, last: Release) -> Interval:
    """Last less first, with an interval where both are of one measure, and their draws do not hang together.

    Source: G. Zou, A. Donner, Stat. Med. 27 (2008).
    """
    a, b, obstacle = last.auc, first.auc, _obstacle(first, last)
    estimate = a.estimate - b.estimate
    if obstacle or a.low is None or a.high is None or b.low is None or b.high is None:
        note = f"no interval: {obstacle or 'not both have one'}"
        return Interval(estimate, None, None, a.confidence, 0, "none", note)
    low = estimate - math.hypot(a.estimate - a.low, b.high - b.estimate)
    high = estimate + math.hypot(a.high - a.estimate, b.estimate - b.low)
    return Interval(estimate, low, high, a.confidence, min(a.n, b.n), MOVER)


def _obstacle(first: Release, last: Release) -> str:
    """Why the difference of two audits can have no interval; nothing where it can."""
    if first.attack != last.attack:
        return f"the attacks are not the same ({first.attack}, {last.attack})"
    if first.seed is None or last.seed is None:
        return "both may share records or models, so that how far chance goes cannot be told"
    if first.seed == last.seed:
        return "both simulations draw by the same seed, so that their originals are not independent"
    return "" if first.auc.confidence == last.auc.confidence else "their intervals are not of the same confidence"


def _row(release: Release) -> Iterator[Any]:
    auc = release.auc
    yield from (release.name, release.outcome.value, release.attack, auc.estimate, auc.low, auc.high)
    yield from (auc.confidence, auc.n)


def _limit_cells(release: Release, limits: Sequence[str]) -> Iterator[Any]:
    checks = {check.name: check for check in release.checks}
    for name in limits:
        check = checks.get(name)
        if check is None:
            yield from (None,) * 5
        else:
            yield from (check.limit, check.estimate, check.low, check.high, check.standing.value)
