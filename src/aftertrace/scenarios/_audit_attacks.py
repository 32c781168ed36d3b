"""Which attacks are mounted on what a user brings, and which of them gives the verdict."""

from aftertrace.attacks import (
    Attack,
    EucDist,
    LargestDrop,
    LogitDrop,
    OriginalLogit,
    OriginalScore,
    ScoreDrop,
    StepDrop,
    Superset,
)
from aftertrace.posteriors import Kind, Posteriors
from aftertrace.scenarios._crossfit import CrossFitted, can_be_fitted
from aftertrace.scenarios._shadow import ShadowSide

_AUDITOR = (
    CrossFitted(Superset(), "Auditor"),
    CrossFitted(Superset(classical=True), "Auditor/classical"),
)


def verdict_attack(table: Posteriors, shadow: ShadowSide | None) -> str:
    """The attack of the verdict, fixed in advance by what there is to attack."""
    if table.n_versions > 2:
        return "LargestDrop"
    if table.kind is Kind.SCORE:
        return "ScoreDrop"
    return "LogitDrop" if shadow is None else shadow.experiment.verdict.attack


def attacks_on(table: Posteriors, shadow: ShadowSide | None) -> tuple[list[Attack], list[str]]:
    """The attacks that what was brought allows, and the names of those that it does not."""
    if shadow is not None:
        built = shadow.experiment.build_attacks()
        own: list[Attack] = [attack for attack in built if not attack.needs.held_out]
        return own, [attack.name for attack in built if attack.needs.held_out]
    is_score = table.kind is Kind.SCORE
    own = [ScoreDrop(), OriginalScore()] if is_score else [LogitDrop(), EucDist(), OriginalLogit()]
    if table.n_versions > 2:
        opponent = "OriginalScore" if is_score else "OriginalLogit"
        own += [LargestDrop(opponent), *(StepDrop(step, opponent) for step in range(1, table.n_versions))]
    if is_score or not can_be_fitted(table):
        return own, []
    return [*own, *_AUDITOR], []
