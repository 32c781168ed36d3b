"""What one pair of models can say, and how to learn more."""

import shlex
import tomllib
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from aftertrace.results import Widening
from aftertrace.scenarios._blanks import BLANK, blanks
from aftertrace.scenarios._shadow import ShadowSide
from aftertrace.scenarios._starter import ORIGINALS, SIMULATION, Pair, starter
from aftertrace.scenarios._toml import literal
from aftertrace.statistics import MIN_ORIGINALS

_CAN = (
    "Whether the deletions of these {unit}s from this model show more than guessing explains, with an interval over "
    "{unit}s.",
    "Which of these {unit}s are most exposed, and which groups of them.",
    "Whether a limit is exceeded for this pair.",
)
_CANNOT = (
    "How the next update will fare: another training run, seed or deletion may leak more or less, and the interval "
    "does not cover that.",
    "How an attacker fares who trained models on the very {unit}s in question.",
    "Rates at false alarms rarer than about ten in the unseen {unit}s at hand.",
)
_PAGE = (
    "How to name a pipeline, a network or a command there: see Your own training in the documentation "
    "(docs/simulation.md)."
)


def widening_of(pair: Pair, shadow: ShadowSide | None) -> Widening:
    """The recipe: simulate many originals with the user's own training, delete from each, and attack them all."""
    if shadow is not None:
        return _of_shadow_side(pair, shadow)
    return _by_hand(pair) if pair.scores else _from_start(pair)


def _of(pair: Pair, sentences: Iterable[str]) -> tuple[str, ...]:
    return tuple(sentence.format(unit=pair.unit) for sentence in sentences)


def _from_start(pair: Pair) -> Widening:
    text = starter(pair)
    missing = ", ".join(blanks(tomllib.loads(text)))
    plan, run = f"aftertrace plan {SIMULATION}", f"aftertrace run {SIMULATION}"
    return Widening(
        can=_of(pair, _CAN),
        cannot=_of(pair, _CANNOT),
        how=f"Train many models as you train yours, delete {pair.unit}s from each, and attack them all.",
        cost=f"This trains {pair.product()} models like yours: on two sides, the attacker's and the one attacked, "
        f"{ORIGINALS} originals and {pair.pairs} updates of each. The fewest that have an interval are {MIN_ORIGINALS} "
        f"originals on either side, {pair.product(MIN_ORIGINALS)} models.",
        steps=(
            f"Fill in `{SIMULATION}` where it says {BLANK}: {missing}. `--out` writes it beside the result, in Python "
            f'`audit.to_simulation("{SIMULATION}")` does.',
            _PAGE,
            f"`{plan}` trains a little, and says how long it all takes.",
            f"`{run}` is the audit of many pairs.",
        ),
        command=run,
        models=pair.models(),
        starter=text,
    )


def _of_shadow_side(pair: Pair, shadow: ShadowSide) -> Widening:
    side, source = shadow.experiment.scenario.target, shlex.quote(shadow.source)
    command = shlex.join(["aftertrace", "run", shadow.source, *_judged_as(pair, shadow)])
    models = side.originals * (1 + side.pairs)
    return Widening(
        can=_of(pair, _CAN),
        cannot=_of(pair, _CANNOT),
        how="The training of the shadow side, simulated for the target side too.",
        cost=f"This trains {side.originals} x {1 + side.pairs} = {models} models like yours: {side.originals} "
        f"originals and {side.pairs} updates of each. The shadow models are trained already.",
        steps=(
            f"`aftertrace plan {source}` says how long it takes.",
            f"`{command}` is the audit of many pairs.",
        ),
        command=command,
        models=models,
    )


def _judged_as(pair: Pair, shadow: ShadowSide) -> Iterator[str]:
    """Options by which `run` judges as the audit did, whatever limits the file has."""
    given = pair.limits.given()
    if shadow.limits.given() and (pair.claim is not None or not given):
        yield "--set=limits={}"  # other limits take the place of the file's; one of its AUC cannot stand beside a claim
    if pair.claim is not None or shadow.claim is not None:
        yield "--set=verdict.claim={}" if pair.claim is None else f"--set=verdict.claim={literal(asdict(pair.claim))}"
    if pair.confidence != shadow.experiment.verdict.confidence:
        yield f"--set=verdict.confidence={literal(pair.confidence)}"
    for name, limit in given.items():
        yield f"--fail-above={name}={literal(limit)}"


def _by_hand(pair: Pair) -> Widening:
    return Widening(
        can=_of(pair, _CAN),
        cannot=_of(pair, _CANNOT),
        how="Models that give one number for each record cannot be trained by a simulation, which trains classifiers: "
        f"train several as you trained these, delete other {pair.unit}s from each, and audit them together.",
        cost=f"Each pair takes two trainings. The fewest that have an interval are {MIN_ORIGINALS} pairs of different "
        f"originals.",
        steps=(
            "Write the scores of all originals into one file and those of their updates into another, with a column "
            "`original` that numbers them.",
            "`aftertrace audit --before v1.csv --after v2.csv` judges them all.",
        ),
        command="aftertrace audit --before v1.csv --after v2.csv",
    )
