"""What was assumed, what was not tested, and what a reader must know: sentences for the result."""

import math

from aftertrace.results import Counts, SequentialResult
from aftertrace.scenarios._experiment import Experiment

LOW_RATE_QUERIES = 1000
"""Evaluated unseen queries that a false-positive rate of 1 % needs."""


def threat_model(experiment: Experiment, *, custom: bool) -> tuple[str, ...]:
    """Who the attacker is, what is seen, and how the deployer works."""
    scenario = experiment.scenario
    seeds = {
        "fresh": "every version is trained with new random numbers",
        "same": "every version is trained with the random numbers of the original",
        "coupled": "every version is trained with the random numbers of the original, record by record",
    }
    deployer = (
        "The deployer forgets by a procedure of its own; see the settings."
        if custom
        else f"The deployer forgets by training a new model on the records that remain; "
        f"{seeds[experiment.procedure.seed]}."
    )
    knows_candidates = scenario.adversary == "per_record"
    return (
        "The attacker asks the model before and after one deletion for its posteriors at a record, and knows the "
        "record's true class.",
        "The attacker can train shadow models of the same kind with and without the candidate records themselves."
        if knows_candidates
        else "The attacker can train shadow models of the same kind on other records of the same population.",
        deployer,
        f"One record is deleted at a time, drawn at random from {scenario.target.records} training records.",
    )


def not_tested(experiment: Experiment) -> tuple[str, ...]:
    """What this audit says nothing about."""
    return (
        *(
            ()
            if experiment.scenario.adversary == "per_record"
            else ("Attackers who know candidate records and train shadow models with and without them.",)
        ),
        "Attackers who see only predicted classes, more than two versions, or the model's parameters.",
        "Several records deleted at once, added records, and approximate unlearning.",
        *(() if experiment.scenario.retained_per_pair else ("Records that stayed in the training set.",)),
    )


def run_notes(experiment: Experiment, counts: Counts, sequence: SequentialResult | None = None) -> tuple[str, ...]:
    """What a reader must know to read the figures rightly."""
    notes = []
    if sequence is not None:
        notes.append(
            "Originals were added until the verdict was decided: its confidence sequence allows that. The intervals "
            "and tests of single attacks, groups and controls take the number of originals as fixed."
        )
    if experiment.scenario.pools == "fixed":
        notes.append(
            "Fixed pools, for reproduction only: roles are tied to records. Intervals are over originals and records, "
            "and wide; tests over originals take the records as given, and in leak-free audits of this design are "
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
