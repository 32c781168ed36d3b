"""What an audit is asked, and of what: whoever asks something else must not take the place of its answer."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace._hashing import digest
from aftertrace._numbering import by_appearance
from aftertrace.attacks import Attack
from aftertrace.errors import UnsupportedError
from aftertrace.posteriors import Role
from aftertrace.procedures import Procedure
from aftertrace.scenarios import AuditSettings, Brought, Experiment
from aftertrace.scenarios._row_order import hashed
from aftertrace.store import Kind
from aftertrace.store._kind import differences

_EARLIER = "made by an earlier version of aftertrace"
_KNOWN = {"classes": "names of classes", "features": "features of the records", "persons": "persons"}


def question(
    settings: AuditSettings,
    *,
    attacks: Sequence[Attack],
    shadow: Experiment | None,
    procedure: Procedure | None,
    what_if: bool,
) -> dict[str, Any]:
    """The settings of an audit as nested plain values, known before any model is asked."""
    return {
        "limits": settings.limits.given(),
        "claim": None if settings.claim is None else asdict(settings.claim),
        "confidence": settings.confidence,
        "seed": settings.seed,
        "match": settings.match,
        "what_if": what_if,
        "attacks": [[attack.name, _print(attack)] for attack in attacks],
        "shadow": None if shadow is None else shadow.public_dict(),
        "procedure": None if procedure is None else digest(procedure),
    }


def _print(attack: Attack) -> str | None:
    """Of an attack's parameters, where they can be told."""
    try:
        return digest(attack)
    except UnsupportedError:  # one from elsewhere, which need not be a dataclass
        return None


def identity_of(brought: Brought, fingerprint: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit's folder keeps for its life. `fingerprint`: of the posteriors; `settings`: the `question`."""
    table = brought.table
    persons = None if brought.person is None else by_appearance(brought.person)[0]  # numbers of persons differ by key
    features = None if brought.features is None else [brought.features.values, list(brought.features.names)]
    whose = np.column_stack([table.label, table.role])
    answers = np.stack(
        [np.column_stack([table.log_values[:, version], whose]) for version in range(table.n_versions)], axis=1
    )
    rows = {role.name.lower(): table.role == role for role in Role}
    return {
        "all": digest([fingerprint, list(table.classes), persons, features]),
        "classes": list(table.classes),
        "features": None if brought.features is None else _unordered(brought.features.values),
        "persons": None if persons is None else digest(persons),
        "records": {role: [int(own.sum()), _unordered(answers[own])] for role, own in rows.items() if own.any()},
        "answers": [_unordered(answers[:, version]) for version in range(table.n_versions)],
        "settings": dict(settings),
    }


def _unordered(values: NDArray[np.floating]) -> str:
    """A hash of rows that their order does not enter."""
    return f"{int(hashed([values.reshape(len(values), -1)]).sum(dtype=np.uint64)):016x}"


def _differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    """How two audits differ in words, of all that is known of both or of one part: in what was brought, and asked.

    What an earlier version kept otherwise, or did not ask, tells nothing.
    """
    asked, before = here.get("settings") or {}, there.get("settings") or {}
    known = {name: own for name, own in asked.items() if name in before}
    is_whole = here.keys() <= there.keys()
    found = [*(_of_brought(there, here) if is_whole else []), *_of_settings(before, known)]
    return found if is_whole and known == asked else [*found, _EARLIER]


def _of_brought(there: Mapping[str, Any], here: Mapping[str, Any]) -> list[str]:
    found = list(_of_answers(there, here))
    for name, words in _KNOWN.items():  # each may follow from what is found before
        own, other = here.get(name), there.get(name)
        if own is None or other is None:
            found += [] if own is other else [f"no {words}" if own is None else f"{words}, and there none"]
        elif own != other and not found:
            found = [f"other {words}"]
    if not found and here.get("all") != there.get("all"):
        found = ["what was brought"]
    return found


def _of_answers(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    """Another model answers otherwise in one version; other records, or classes, are others in all versions."""
    records, before = here.get("records") or {}, there.get("records") or {}
    answers, earlier = here.get("answers") or [], there.get("answers") or []
    roles = [role for role in {**records, **before} if records.get(role) != before.get(role)]
    if len(answers) != len(earlier):
        yield f"{len(answers)} versions instead of {len(earlier)}"
        return
    if answers != earlier and sorted(answers) == sorted(earlier):
        yield "the versions in another order"
        return
    changed = [number for number, own in enumerate(answers) if own != earlier[number]]
    if changed and len(changed) < len(answers):
        yield f"other answers of {', '.join(_version(number, len(answers)) for number in changed)}"
        return
    sizes = {role: [own.get(role, [0])[0] for own in (records, before)] for role in roles}
    yield from (f"{size} {role} records instead of {other}" for role, (size, other) in sizes.items() if size != other)
    rest = [role for role, (size, other) in sizes.items() if size == other]
    if rest and len(rest) == len(records):
        yield "other records, or other answers or classes of theirs"
    else:
        yield from (f"other {role} records, or other answers or classes of theirs" for role in rest)


def _version(number: int, versions: int) -> str:
    return "the model before" if number == 0 else "the model after" if number == versions - 1 else f"version {number}"


def _of_settings(there: Mapping[str, Any], here: Mapping[str, Any]) -> Iterator[str]:
    attacks, earlier = here.get("attacks") or [], there.get("attacks") or []
    names, others = ([attack[0] for attack in each] for each in (attacks, earlier))
    if names != others:
        yield f"attacks = {', '.join(names) or 'none'} instead of {', '.join(others) or 'none'}"
    elif attacks != earlier:
        yield "other parameters of an attack"
    yield from differences(*({name: own for name, own in each.items() if name != "attacks"} for each in (there, here)))


AUDIT = Kind("audit", "another audit", _differences)
