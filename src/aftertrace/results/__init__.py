"""Results: what an audit found, as plain records.

result = Result.from_json(Path("run/result.json").read_bytes())
print(result.verdict.sentence)
print(result.attack("LogitDrop").auc.estimate)
scores = Scores.from_parquet(Path("run/scores.parquet").read_bytes())      # every attack, every query
drop = scores.score["LogitDrop"][scores.rows(Role.DELETED)]
"""

from aftertrace.results._canaries import (
    Canaries,
    CanaryGuesses,
    CanaryKind,
    CanaryResult,
    CanaryScore,
    CanaryScoreResult,
    GuessRule,
    Remainder,
)
from aftertrace.results._exposure import Exposure, ExposureResult
from aftertrace.results._records import (
    FORMAT,
    AgainstClassical,
    AttackResult,
    Certificate,
    Claim,
    ControlResult,
    Counts,
    DataSummary,
    Discoveries,
    Outcome,
    Overfitting,
    Result,
    SequentialResult,
    SliceResult,
    Spread,
    Training,
    Verdict,
)
from aftertrace.results._scores import Scores

__all__ = [
    "FORMAT",
    "AgainstClassical",
    "AttackResult",
    "Canaries",
    "CanaryGuesses",
    "CanaryKind",
    "CanaryResult",
    "CanaryScore",
    "CanaryScoreResult",
    "Certificate",
    "Claim",
    "ControlResult",
    "Counts",
    "DataSummary",
    "Discoveries",
    "Exposure",
    "ExposureResult",
    "GuessRule",
    "Outcome",
    "Overfitting",
    "Remainder",
    "Result",
    "Scores",
    "SequentialResult",
    "SliceResult",
    "Spread",
    "Training",
    "Verdict",
]
