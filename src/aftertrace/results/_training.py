"""How the models of a run were trained, and how well they do."""

from collections.abc import Mapping
from dataclasses import dataclass

from aftertrace.statistics import Interval


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """Some models were retrained by the trainer's slow reference: `deviation` is the largest one in posteriors.

    `allowed`: what the trainer's `promise` allows; None where it promises equality in distribution only, and
    `p_value` is of a test of that.
    """

    models: int
    promise: str
    deviation: float
    allowed: float | None
    p_value: float | None
    passed: bool
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Training:
    """How the models were trained. `fallbacks`: rows that were solved alone, as the shared way did not converge.

    `worst`: the largest over all models, such as `log_odds_step`, the last step of the solver in log odds.
    `shards_without_a_class`: shards (SISA) whose records lack a class that their original's have; they give it 0.
    """

    trainer: str
    promise: str
    fallbacks: int
    worst: Mapping[str, float]
    certificate: Certificate | None
    shards_without_a_class: int = 0


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Mean and range over originals."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class Overfitting:
    """Accuracy of the target originals on their training records and on unseen ones, and the gap."""

    train_accuracy: Spread
    test_accuracy: Spread
    gap: Spread


@dataclass(frozen=True, kw_only=True)
class UpdateCost:
    """Accuracy on unseen records of the first and of the last version, undefended or as released, and what was `lost`
    (their difference). `queries` of them.
    """

    queries: int
    before: float
    after: float
    lost: Interval
