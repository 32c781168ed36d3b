"""Canaries, as they were made, and what they told of two versions of a model."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from aftertrace._figures import percent
from aftertrace.errors import StoreError
from aftertrace.results._json import json_of, record_of
from aftertrace.statistics import epsilon_one_run

FORMAT: Literal[1] = 1
"""Version of `canaries.json` and of the result of a check. 1: first."""

LIMITS = (
    "A bound of 0 proves nothing: a stronger attack, other canaries or more of them may show a leak.",
    "The bound is on the epsilon of both versions together, for one record more or less; it says nothing of exchanging "
    "one record for another.",
    "It holds only if each canary was inserted exactly where its coin said so, all inserted ones were deleted, and "
    "nothing else depended on the coins.",
    "Canaries are chosen to be remembered: ordinary records may be exposed less, as epsilon is about the worst case.",
    "The confidence is that of one check: the best of several checks of the same canaries has less.",
)
"""What a check does not say, and what it rests on."""


class CanaryKind(StrEnum):
    """Which class a canary is given."""

    MISLABELLED = "mislabelled"  # another one at random: only memory explains confidence in it
    AS_IS = "as-is"  # its own


class CanaryScore(StrEnum):
    """What guesses are made from; larger: more likely inserted and deleted."""

    LOGIT_DROP = "logit drop"  # both versions: phi before minus phi after, at the canary's class
    ORIGINAL_LOGIT = "original logit"  # the first version alone: phi before


@dataclass(frozen=True, kw_only=True)
class GuessRule:
    """The `n_in` canaries of largest score are guessed in, the `n_out` of smallest out; on the others, no guess."""

    n_in: int
    n_out: int

    @property
    def n(self) -> int:
        """How many guesses the rule makes."""
        return self.n_in + self.n_out


@dataclass(frozen=True, kw_only=True)
class Canaries:
    """`canaries.json`: everything that a check needs, fixed before any model is trained. Keep it private.

    `label` [C]: each canary's class by name; `coin` [C]: was it to be inserted?; canaries are numbered from 0 in an
    order drawn independently of the coins. `rules` and `scores` are all that will be counted. `source`, `fingerprint`:
    the records that canaries were drawn from.
    """

    kind: CanaryKind
    target: str
    label: tuple[str, ...]
    coin: tuple[bool, ...]
    rules: tuple[GuessRule, ...]
    source: str
    fingerprint: str
    scores: tuple[CanaryScore, ...] = tuple(CanaryScore)
    format: Literal[1] = FORMAT

    def __len__(self) -> int:
        return len(self.coin)

    def level(self, confidence: float) -> float:
        """The confidence of each single bound, so that all of them hold together with `confidence` (Bonferroni)."""
        return 1 - (1 - confidence) / (len(self.scores) * len(self.rules))

    def bound_if(self, share: float, *, delta: float = 0.0, confidence: float = 0.95) -> float:
        """The bound on epsilon that results if this share of each rule's guesses is right; of 1, the largest possible.

        >>> rules = (GuessRule(n_in=25, n_out=25),)
        >>> canaries = Canaries(kind=CanaryKind.AS_IS, target="y", label=("a",) * 100, coin=(True, False) * 50,
        ...                     rules=rules, source="x.csv", fingerprint="")
        >>> round(canaries.bound_if(1.0), 2), round(canaries.bound_if(0.75), 2)
        (2.57, 0.39)
        """
        return max(
            epsilon_one_run(int(share * rule.n), rule.n, len(self), delta=delta, confidence=self.level(confidence)).low
            for rule in self.rules
        )

    def to_json(self) -> str:
        """The content of `canaries.json`."""
        return json_of(self)

    @classmethod
    def from_json(cls, content: str | bytes) -> "Canaries":
        """The canaries of a `canaries.json`. Raises `StoreError` if it is damaged or of another format."""
        made = record_of(cls, content, f"canaries of format {FORMAT}")
        if not len(made.label) == len(made.coin) >= max((rule.n for rule in made.rules), default=len(made.coin) + 1):
            raise StoreError(
                f"Not canaries of format {FORMAT}: there must be one class and one coin per canary, and no more "
                f"guesses; got {len(made.label)} classes, {len(made.coin)} coins and {len(made.rules)} rules."
            )
        return made


@dataclass(frozen=True, kw_only=True)
class CanaryGuesses:
    """What came of a rule: of `n_in` + `n_out` guesses `n_correct` were right, which alone shows `epsilon`."""

    n_in: int
    n_out: int
    n_correct: int
    epsilon: float

    @property
    def words(self) -> str:
        """Such as "58 of 62 guesses right"."""
        return f"{self.n_correct} of {self.n_in + self.n_out} guesses right"


@dataclass(frozen=True, kw_only=True)
class CanaryScoreResult:
    """What a score told: the largest bound of its `guesses`, and the `p_value` of there being no leak in it at all.

    Both are adjusted for all rules and all scores of the check.
    """

    score: CanaryScore
    epsilon: float
    p_value: float
    guesses: tuple[CanaryGuesses, ...]

    @property
    def best(self) -> CanaryGuesses:
        """The guesses that gave the bound; the first, where all give 0."""
        return max(self.guesses, key=lambda each: each.epsilon)


@dataclass(frozen=True, kw_only=True)
class Remainder:
    """What the updated model alone shows of the canaries that were deleted from it.

    `auc`: how often one is given more confidence in its class than one that was never inserted; `p_value`, two-sided,
    of its answers being independent of the coins, as they are after complete deletion. Below one half the deletion
    overshot. Both None with fewer than 8 canaries of either kind.
    """

    auc: float | None
    p_value: float | None


@dataclass(frozen=True, kw_only=True)
class CanaryResult:
    """What canaries tell of two versions.

    With probability `confidence`, `epsilon` is not above the true one at `delta`; that holds for the bound of each of
    `scores` at once. `largest`: the bound if all guesses were right. Holds no coin, timing, path or host.
    """

    sentence: str
    epsilon: float
    delta: float
    confidence: float
    largest: float
    p_value: float
    canaries: int
    inserted: int
    kind: CanaryKind
    scores: tuple[CanaryScoreResult, ...]
    remainder: Remainder
    notes: tuple[str, ...]
    source: str
    source_fingerprint: str
    fingerprint: str
    limits: tuple[str, ...] = LIMITS
    format: Literal[1] = FORMAT

    @classmethod
    def of(
        cls,
        canaries: Canaries,
        scores: Sequence[CanaryScoreResult],
        remainder: Remainder,
        *,
        delta: float,
        confidence: float,
        notes: Sequence[str],
        fingerprint: str,
    ) -> "CanaryResult":
        """The sum of `scores`. `fingerprint`: of the posteriors."""
        best = max(scores, key=lambda each: each.epsilon)
        p_value = min(each.p_value for each in scores)
        return cls(
            sentence=_sentence(best, p_value, delta, confidence),
            epsilon=best.epsilon,
            delta=delta,
            confidence=confidence,
            largest=canaries.bound_if(1.0, delta=delta, confidence=confidence),
            p_value=p_value,
            canaries=len(canaries),
            inserted=sum(canaries.coin),
            kind=canaries.kind,
            scores=tuple(scores),
            remainder=remainder,
            notes=(*notes, _remainder_sentence(remainder, confidence)),
            source=canaries.source,
            source_fingerprint=canaries.fingerprint,
            fingerprint=fingerprint,
        )

    def to_json(self) -> str:
        """Sorted keys, numbers at full precision."""
        return json_of(self)

    @classmethod
    def from_json(cls, content: str | bytes) -> "CanaryResult":
        """The result that `to_json` wrote. Raises `StoreError` if it is damaged or of another format."""
        return record_of(cls, content, f"a result of canaries of format {FORMAT}")


def _sentence(best: CanaryScoreResult, p_value: float, delta: float, confidence: float) -> str:
    guesses, at = best.best, f" at delta = {delta:g}" if delta else ""
    if best.epsilon == 0:
        why = "chance alone gives as many" if p_value > 1 - confidence else "the leak does not exceed that delta"
        return (
            f"No leak is shown{at}: of guesses which canaries had been in training, the best rule had {guesses.words}, "
            f"and {why} (p = {p_value:.2g}). That is no proof that there is none."
        )
    versions = "Both versions show" if best.score is CanaryScore.LOGIT_DROP else "The first version alone shows"
    return (
        f"{versions} who had been in training more clearly than an epsilon of {best.epsilon:.2f}{at} allows "
        f"({percent(confidence)} confidence): {guesses.words}, where chance gives half."
    )


def _remainder_sentence(found: Remainder, confidence: float) -> str:
    if found.auc is None or found.p_value is None:
        return "Whether the updated model alone still shows the canaries cannot be told: there are too few of them."
    figures = f"(AUC {found.auc:.2f}, p = {found.p_value:.2g})"
    if found.p_value > 1 - confidence:
        return f"The updated model alone shows nothing of the deleted canaries {figures}, as after complete deletion."
    if found.auc < 0.5:
        return (
            f"The updated model alone has less confidence in deleted canaries than in ones that were never inserted "
            f"{figures}: the deletion overshot, and gives them away."
        )
    return f"The updated model alone still shows the deleted canaries {figures}: they were not completely deleted."
