"""Canaries for the terminal."""

import shutil
import textwrap

from aftertrace._figures import percent
from aftertrace.results import Canaries, CanaryResult, CanaryScore, CanaryScoreResult

_SCORE = {
    CanaryScore.LOGIT_DROP: "Both versions (logit drop)",
    CanaryScore.ORIGINAL_LOGIT: "First version alone",
}


def canaries_text(made: Canaries) -> str:
    """What was made, and what it can show, as wide as the terminal."""
    return _filled(
        f"{len(made)} canaries ({made.kind}) from {made.source}; {sum(made.coin)} to insert.",
        f"They can show an epsilon of at most {made.bound_if(1.0):.2f} (at delta = 0, 95 % confidence), if every guess "
        f"is right; with three of four right, {made.bound_if(0.75):.2f}.",
        "Next: append insert.csv to the training set and train; query all of query.csv; delete what was inserted; "
        "query all of query.csv again; then aftertrace canaries check.",
    )


def canary_result_text(result: CanaryResult) -> str:
    """The sentence, the figures, and what they do not say, as wide as the terminal."""
    mark = f"EPSILON AT LEAST {result.epsilon:.2f}." if result.epsilon else "NO LEAK SHOWN."
    return _filled(
        f"{mark} {result.sentence}",
        "",
        f"{result.canaries} canaries ({result.kind}) from {result.source}, {result.inserted} inserted and deleted.",
        *map(_score, result.scores),
        f"Both bounds hold at once, with {percent(result.confidence)} confidence, at delta = {result.delta:g}; if "
        f"every guess were right, the bound would be {result.largest:.2f}.",
        *result.notes,
        "",
        *(f"Note: {limit}" for limit in result.limits),
    )


def _score(found: CanaryScoreResult) -> str:
    return f"{_SCORE[found.score]}: epsilon at least {found.epsilon:.2f}; {found.best.words}, p = {found.p_value:.2g}."


def _filled(*lines: str) -> str:
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    return "\n".join(textwrap.fill(line, width) for line in lines)
