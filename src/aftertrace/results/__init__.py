"""Results: what an audit found, as plain records.

result = Result.from_json(Path("run/result.json").read_bytes())
print(result.verdict.sentence)
print(result.attack("LogitDrop").auc.estimate)
scores = Scores.from_parquet(Path("run/scores.parquet").read_bytes())      # every attack, every query
drop = scores.score["LogitDrop"][scores.rows(Role.DELETED)]
"""

from aftertrace.results._attacks import (
    AgainstClassical,
    AttackResult,
    ControlResult,
    Discoveries,
    SequentialResult,
    SliceResult,
)
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
from aftertrace.results._history import Again, Change, History, Loosened, Release
from aftertrace.results._limits import LIMIT_NAMES, LimitCheck, Limits, Standing
from aftertrace.results._privacy import PrivacyResult
from aftertrace.results._remedy import OptionKind, Remedy, RemedyOption
from aftertrace.results._reproduction import ClaimResult, FigureRow, Finding, ReproductionResult, StudyResult
from aftertrace.results._result import FORMAT, Counts, DataSummary, Result, Widening
from aftertrace.results._scores import Scores
from aftertrace.results._sweep import Axis, CellResult, SweepResult
from aftertrace.results._training import Certificate, Overfitting, Spread, Training, UpdateCost
from aftertrace.results._verdict import Claim, DeletionUnit, Outcome, Verdict

__all__ = [
    "FORMAT",
    "LIMIT_NAMES",
    "Again",
    "AgainstClassical",
    "AttackResult",
    "Axis",
    "Canaries",
    "CanaryGuesses",
    "CanaryKind",
    "CanaryResult",
    "CanaryScore",
    "CanaryScoreResult",
    "CellResult",
    "Certificate",
    "Change",
    "Claim",
    "ClaimResult",
    "ControlResult",
    "Counts",
    "DataSummary",
    "DeletionUnit",
    "Discoveries",
    "Exposure",
    "ExposureResult",
    "FigureRow",
    "Finding",
    "GuessRule",
    "History",
    "LimitCheck",
    "Limits",
    "Loosened",
    "OptionKind",
    "Outcome",
    "Overfitting",
    "PrivacyResult",
    "Release",
    "Remainder",
    "Remedy",
    "RemedyOption",
    "ReproductionResult",
    "Result",
    "Scores",
    "SequentialResult",
    "SliceResult",
    "Spread",
    "Standing",
    "StudyResult",
    "SweepResult",
    "Training",
    "UpdateCost",
    "Verdict",
    "Widening",
]
