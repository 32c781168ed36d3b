"""What attacks found: as a whole, in groups, about single deletions, look by look; and the controls beside them."""

from dataclasses import dataclass

from aftertrace.statistics import Degradation, Interval, RateAtFpr


@dataclass(frozen=True, kw_only=True)
class AgainstClassical:
    """Paired with the classical attack of equal knowledge on the same queries.

    `difference`: of AUCs, mean over originals, with the `p_value` of the sign-flip test; on one pair of models over its
    records, with an interval from `low` to `high`. `p_holm`: adjusted over all attacks of the run. What cannot be said
    is None, with `note`.
    """

    opponent: str
    difference: float | None
    low: float | None = None
    high: float | None = None
    p_value: float | None
    p_holm: float | None
    method: str
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class AttackResult:
    """One attack on the target side. `balanced_accuracy` is at `threshold`, chosen on the shadow side.

    `shadow`: the shadow models that it needs, "none", "population" or "per_record" (of the records themselves).
    What could not be computed is None, and `notes` say why.
    """

    name: str
    feature: str | None
    classifier: str | None
    classical: bool
    auc: Interval
    balanced_accuracy: float | None
    threshold: float | None
    rates: tuple[RateAtFpr, ...]
    degradation: Degradation | None
    against: AgainstClassical | None
    notes: tuple[str, ...] = ()
    shadow: str = "none"


@dataclass(frozen=True, kw_only=True)
class ControlResult:
    """A control with a known answer. `passed` is None where the data allow none. `auc.confidence` is that of the test.

    "unseen/unseen", "retained/retained", "permuted": roles are exchangeable by construction, so the AUC must be one
    half. "blind": an attack that sees the records alone; above one half, deleted and unseen records are not
    comparable. "planted": a leak of AUC .65 is put in, and the interval must lie above one half.
    """

    name: str
    attack: str
    auc: Interval
    passed: bool | None
    note: str = ""


@dataclass(frozen=True, kw_only=True)
class SliceResult:
    """The verdict's attack on a part of the queries: those of one `group` `by` class, confidence or a column.

    `p_value`: of deleted and unseen queries of the group having one law of scores, by `method`; `p_holm` adjusted over
    all groups that have one; both None where there are too few.
    """

    by: str
    group: str
    deleted: int
    unseen: int
    auc: Interval
    p_value: float | None
    p_holm: float | None
    method: str


@dataclass(frozen=True, kw_only=True)
class Discoveries:
    """Which single deletions can be told, and which of them because of the deletion
    (`aftertrace.statistics.single_deletions`).

    Of `deleted` records those whose Benjamini-Hochberg adjusted p-value is at most `fdr`: of them a share `fdr` is
    false in expectation. `before`: by the original's confidence alone (classical); `after`: by the verdict's attack
    on both versions; `worse`: by both versions more than by the original, a part of `after`.

    `compared_with_itself`: as many records by originals that never saw them, all others by the unseen records of the
    same original. `share`: of deletions that can be told `after`, over originals, or records of one. Of those,
    `unseen`: the fewest references of an original; a single deletion that stands out alone can
    be found `after` from `needed` on (as `worse` only from many more). Both are 0 where there are no such records.
    """

    fdr: float
    deleted: int
    before: int
    after: int
    worse: int
    unseen: int
    needed: int
    compared_with_itself: int = 0
    share: Interval | None = None


@dataclass(frozen=True, kw_only=True)
class SequentialResult:
    """An audit that looked after every block of originals: the mean of the AUCs inside originals, and its interval.

    `originals`, `estimate`, `low`, `high`: after each block. The intervals hold for all looks at once, with
    `confidence`. `decided`: did the last one leave the limit or lie within it?
    """

    attack: str
    confidence: float
    decided: bool
    originals: tuple[int, ...]
    estimate: tuple[float, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
