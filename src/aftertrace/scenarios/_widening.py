"""What one pair of models can say, and how to learn more."""

from aftertrace.results import Counts, Widening
from aftertrace.scenarios._shadow import ShadowSide

_CAN = (
    "Whether the deletions of these records from this model show more than guessing explains, with an interval over "
    "records.",
    "Which of these records are most exposed, and which groups of them.",
    "Whether a limit is exceeded for this pair.",
)
_CANNOT = (
    "How the next update will fare: another training run, seed or deletion may leak more or less, and the interval "
    "does not cover that.",
    "How an attacker fares who trained models on the very records in question.",
    "Rates at false alarms rarer than about ten in the unseen records at hand.",
)


def widening_of(counts: Counts, shadow: ShadowSide | None) -> Widening:
    """The recipe: simulate many originals with the user's own training, delete from each, and attack them all."""
    if shadow is None:
        return Widening(
            can=_CAN,
            cannot=_CANNOT,
            how=(
                "Describe your data and how you train in an experiment file (model.name may be a scikit-learn class, a "
                "function that makes a pipeline, a torch class, or a command of your own); `aftertrace plan` says what "
                "it will take."
            ),
            command="aftertrace run simulation.toml",
        )
    side = shadow.experiment.scenario.target
    return Widening(
        can=_CAN,
        cannot=_CANNOT,
        how=f"The training of the shadow side, simulated for the target side too: {side.originals} originals with "
        f"{side.pairs} deletions each; the shadow models are trained already.",
        command=f"aftertrace run {shadow.source}",
        models=side.originals * (1 + side.pairs),
    )
