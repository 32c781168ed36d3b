"""What was assumed, what was not tested, and what a reader must know: sentences for the result."""

import math

from aftertrace.results import Counts, DeletionUnit, SequentialResult
from aftertrace.scenarios._experiment import Experiment
from aftertrace.scenarios._settings import Scenario

PERSONS = "A person's score is the mean of that of his or her records, and all figures of the audit are of persons."
LOW_RATE_QUERIES = 1000
"""Evaluated unseen queries that a false-positive rate of 1 % needs."""


def threat_model(experiment: Experiment, *, custom: bool, unit: DeletionUnit) -> tuple[str, ...]:
    """Who the attacker is, what is seen, and how the deployer works."""
    scenario = experiment.scenario
    first, last = scenario.versions
    seen = "the model before and after one deletion" if scenario.group == 1 else "the model before and after a deletion"
    if (first, last) != (0, 1):
        names = ["the original model" if number == 0 else f"version {number}" for number in (first, last)]
        seen = " and ".join(names)
    return (
        f"The attacker asks {seen} for its posteriors at a record, and knows the record's true class.",
        _shadow_models(experiment),
        *_release(experiment),
        "The deployer forgets by a procedure of its own; see the settings." if custom else _deployer(experiment),
        _deletions(scenario, unit),
    )


def _shadow_models(experiment: Experiment) -> str:
    if experiment.scenario.adversary == "per_record":
        return (
            "The attacker can train shadow models of the same kind with and without the candidate records themselves."
        )
    other = experiment.shadow
    kind = "of the same kind" if other.model is None else f"of another kind ({other.model.name})"
    records = (
        "other records of the same population" if other.data is None else f"records of other data ({other.data.name})"
    )
    return f"The attacker can train shadow models {kind} on {records}."


def _release(experiment: Experiment) -> tuple[str, ...]:
    if experiment.defense == "none":
        return ()
    return (
        f"Every version releases its posteriors through {experiment.defense} only; the attacker knows that, and learns "
        f"on shadow models released alike.",
    )


def _deployer(experiment: Experiment) -> str:
    procedure = experiment.procedure
    seeds = {
        "fresh": "with new random numbers",
        "same": "with the random numbers of the original",
        "coupled": "with the random numbers of the original, record by record",
    }[procedure.seed]
    if procedure.name == "retrain":
        return (
            f"The deployer forgets by training a new model on the records that remain; every version is trained "
            f"{seeds}."
        )
    slices = f", from the checkpoint before the touched one of {procedure.slices} slices"
    return (
        f"The deployer trains a model on each of {procedure.shards} shards and releases their {procedure.aggregate}; "
        f"to forget, the shard that held the record is trained anew {seeds}"
        f"{slices if procedure.slices > 1 else ''} (SISA)."
    )


def _deletions(scenario: Scenario, unit: DeletionUnit) -> str:
    size, joined = scenario.target.records, ", and as many new ones join" if scenario.replaced else ""
    if unit == "person":
        who = "one person" if scenario.group == 1 else f"{scenario.group} persons"
        number, drawn = (
            f"All records of {who} are",
            f"drawn at random from {size} persons whose records train the model",
        )
    else:
        number = "One record is" if scenario.group == 1 else f"{scenario.group} records are"
        drawn = f"drawn at random from {size} training records"
    sentence = f"{number} deleted at a time, {drawn}{joined}."
    if scenario.attacked == "retained":
        return f"{sentence} Attacked are {unit}s that stayed in both versions."
    asked = scenario.deleted_queries
    between = scenario.group * (scenario.versions[1] - scenario.versions[0])
    return sentence if asked == between else f"{sentence} Attacked are {asked} of the {between} that left between both."


def not_tested(experiment: Experiment, *, unit: DeletionUnit) -> tuple[str, ...]:
    """What this audit says nothing about."""
    scenario = experiment.scenario
    several = scenario.gone > 1
    return (
        *(
            ()
            if scenario.adversary == "per_record"
            else ("Attackers who know candidate records and train shadow models with and without them.",)
        ),
        "Attackers who see more than two versions, or the model's parameters"
        + ("." if experiment.defense == "LabelOnly" else ", and those who see only predicted classes: they see less."),
        ("Approximate unlearning" if several else f"Several {unit}s deleted at once, and approximate unlearning")
        + ("." if scenario.replaced else ", and records that join."),
        *(() if scenario.retained_per_pair else (f"{unit.capitalize()}s that stayed in the training set.",)),
    )


def run_notes(
    experiment: Experiment, counts: Counts, sequence: SequentialResult | None = None, *, unit: DeletionUnit
) -> tuple[str, ...]:
    """What a reader must know to read the figures rightly."""
    notes = []
    if unit == "person":
        notes.append(PERSONS)
    if sequence is not None:
        notes.append(
            "Originals were added until the verdict was decided: its confidence sequence allows that. The intervals "
            "and tests of single attacks, groups and controls take the number of originals as fixed."
        )
    if experiment.scenario.pools == "fixed":
        notes.append(
            f"Fixed pools, for reproduction only: roles are tied to {unit}s. Intervals are over originals and {unit}s, "
            f"and wide; tests over originals take the {unit}s as given, and in leak-free audits of this design are "
            'significant far too often. For a verdict use pools = "redrawn".'
        )
    if counts.unconverged:
        notes.append(
            f"{counts.unconverged} of {counts.models} models stopped at their limit of iterations before the "
            f"solver's tolerance."
        )
    if experiment.model.params.get("precision") == "bf16":
        notes.append("Networks were trained in bf16: other arithmetic than the float32 of most deployed models.")
    if counts.unseen < LOW_RATE_QUERIES:
        notes.append(
            "For the rate at 1 % false alarms take more target originals or pairs, or a smaller share of held-out "
            "candidates (scenario.unseen_per_pair): each candidate is queried once per original."
            if experiment.scenario.adversary == "per_record"
            else f"For the rate at 1 % false alarms set scenario.unseen_per_pair to at least "
            f"{math.ceil(LOW_RATE_QUERIES / counts.pairs)}; unseen queries cost no training."
        )
    if counts.originals < 6:
        notes.append(f"{counts.originals} target originals: intervals and tests over originals need at least 6.")
    return tuple(notes)
