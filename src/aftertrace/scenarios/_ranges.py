"""Whether the settings of an experiment can be, each by itself and together."""

from collections.abc import Iterator

from aftertrace._spelling import nearest
from aftertrace.results import Limits
from aftertrace.scenarios._settings import AttackSettings, Scenario, ShadowSettings, VerdictSettings


def range_problems(
    scenario: Scenario, shadow: ShadowSettings, attacks: AttackSettings, verdict: VerdictSettings, limits: Limits
) -> Iterator[str]:
    """A line for everything in these sections that cannot be."""
    yield from _size_problems(scenario)
    yield from _version_problems(scenario)
    is_per_record = scenario.adversary == "per_record"
    if is_per_record:
        yield from _per_record_problems(scenario)
    if limits.auc is not None and verdict.claim is not None:
        yield "verdict.claim: is a limit of the AUC by itself; leave limits.auc out, or the claim"
    if (limits.given() or verdict.claim) and scenario.pools == "fixed":
        yield (
            "limits: fixed pools are for reproduction and decide nothing (leak-free audits look significant); "
            'set scenario.pools = "redrawn", or leave the limits out'
        )
    if shadow != ShadowSettings() and is_per_record:
        yield (
            "shadow: a per-record adversary's shadow models are of the candidate records themselves; leave it out, or "
            'set scenario.adversary = "population"'
        )
    if attacks.per_record and not is_per_record:
        yield (
            f"attacks.per_record: {attacks.per_record[0]} needs shadow models of the candidate records "
            f'themselves; set scenario.adversary = "per_record", or leave these attacks out'
        )
    if not 0.5 <= verdict.confidence < 1:
        yield f"verdict.confidence: must be at least 0.5 and below 1, such as 0.95, got {verdict.confidence}"
    if attacks.features and not attacks.classifiers:
        yield "attacks.classifiers: features need at least one classifier, got none"
    names = [attack.name for attack in attacks.build(is_per_record=is_per_record) if not attack.classical]
    if verdict.attack not in names:
        yield (
            f"verdict.attack: must be an attack of this experiment{nearest(verdict.attack, names)}, "
            f"got {verdict.attack!r}; known are {', '.join(names)}"
        )


def _size_problems(scenario: Scenario) -> Iterator[str]:
    least = {
        "scenario.group": (scenario.group, 1),
        "scenario.unseen_per_pair": (scenario.unseen_per_pair, 1),
        "scenario.retained_per_pair": (scenario.retained_per_pair, 0),
        "scenario.held_out_per_pair": (scenario.held_out_per_pair, 1),
    }
    for name, side in (("shadow", scenario.shadow), ("target", scenario.target)):
        least[f"scenario.{name}.originals"] = (side.originals, 1)
        least[f"scenario.{name}.pairs"] = (side.pairs, 1)
        least[f"scenario.{name}.records"] = (side.records, 2)
        if side.pairs > side.records:
            yield (
                f"scenario.{name}.pairs: each pair deletes another record, so there can be at most "
                f"{side.records} (scenario.{name}.records), got {side.pairs}"
            )
        if scenario.gone >= side.records:
            yield (
                f"scenario.{name}.records: {scenario.gone} records leave up to version {scenario.versions[1]} "
                f"(scenario.group times scenario.versions), so there must be more than these, got {side.records}"
            )
    for key, (value, low) in least.items():
        if value < low:
            yield f"{key}: must be at least {low}, got {value}"


def _version_problems(scenario: Scenario) -> Iterator[str]:
    first, last = scenario.versions
    if not 0 <= first < last:
        yield f"scenario.versions: must be two numbers, the earlier first, such as [0, 1], got [{first}, {last}]"
    elif not 1 <= scenario.deleted_queries <= scenario.group * (last - first):
        yield (
            f"scenario.deleted_per_pair: {scenario.group * (last - first)} records leave between versions {first} and "
            f"{last}, so it must be 1 to that, got {scenario.deleted_queries}"
        )
    if scenario.attacked == "retained" and not scenario.retained_per_pair:
        yield "scenario.retained_per_pair: retained records are attacked, so it must be at least 1, got 0"


def _per_record_problems(scenario: Scenario) -> Iterator[str]:
    plain = Scenario()
    for name in ("group", "versions", "replaced", "attacked"):
        if getattr(scenario, name) != getattr(plain, name):
            yield (
                f"scenario.{name}: with a per-record adversary one candidate is deleted at a time and attacked; leave "
                f'it out, or set scenario.adversary = "population"'
            )
    if scenario.pools != "redrawn":
        yield 'scenario.pools: a per-record adversary\'s originals draw by coins; leave it at "redrawn"'
    if scenario.shadow.pairs != scenario.target.pairs:
        yield (
            f"scenario.shadow.pairs: both sides have the same candidates, twice as many as pairs, so it must equal "
            f"scenario.target.pairs = {scenario.target.pairs}, got {scenario.shadow.pairs}"
        )
