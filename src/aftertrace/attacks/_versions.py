"""Several versions, or scores instead of posteriors: drops in confidence without any training."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from aftertrace.attacks._protocol import Needs, ScoreFunction
from aftertrace.attacks._score import ScoreAttack
from aftertrace.posteriors import Kind, Posteriors


@dataclass(frozen=True)
class LargestDrop(ScoreAttack):
    """The largest drop in confidence from one version to the next, of all V versions seen.

    The deletion form of *Back-Front* on a stream of models (arXiv 2205.06369), where it is not known by which update a
    record left. With two versions it is `LogitDrop`. Needs the true class, or scores, and then an `opponent` that takes
    these; no shadow models.
    """

    opponent: str = "OriginalLogit"

    @property
    def name(self) -> str:
        return "LargestDrop"

    @property
    def needs(self) -> Needs:
        return Needs(label=True, kinds=frozenset(Kind))

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(largest_drop)


@dataclass(frozen=True)
class StepDrop(ScoreAttack):
    """The drop in confidence by one update: from version `step - 1` to version `step`, which is at least 1."""

    step: int
    opponent: str = "OriginalLogit"

    @property
    def name(self) -> str:
        return f"StepDrop/{self.step}"

    @property
    def needs(self) -> Needs:
        return Needs(label=True, kinds=frozenset(Kind))

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(lambda table: table.confidence[:, self.step - 1] - table.confidence[:, self.step])


@dataclass(frozen=True)
class ScoreDrop(ScoreAttack):
    """First score minus last score, where a model gives one score per record (a log-likelihood) and no posteriors."""

    @property
    def name(self) -> str:
        return "ScoreDrop"

    @property
    def needs(self) -> Needs:
        return Needs(kinds=frozenset({Kind.SCORE}))

    @property
    def opponent(self) -> str:
        return "OriginalScore"

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(lambda table: table.confidence[:, 0] - table.confidence[:, -1])


@dataclass(frozen=True)
class OriginalScore(ScoreAttack):
    """The original model's score alone: the classical counterpart of `ScoreDrop`."""

    @property
    def name(self) -> str:
        return "OriginalScore"

    @property
    def needs(self) -> Needs:
        return Needs(kinds=frozenset({Kind.SCORE}))

    @property
    def classical(self) -> bool:
        return True

    def fit(self, shadow: Posteriors | None, *, rng: np.random.Generator) -> ScoreFunction:
        """Nothing to learn."""
        return ScoreFunction(lambda table: table.confidence[:, 0])


def largest_drop(table: Posteriors) -> NDArray[np.float64]:
    """The largest of `confidence[v - 1] - confidence[v]` over the versions v. -> [Q]"""
    return np.max(-np.diff(table.confidence, axis=1), axis=1)
