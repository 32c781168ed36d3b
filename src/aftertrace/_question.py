"""What an audit is asked, and of what: whoever asks something else must not take the place of its answer."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from aftertrace._hashing import digest
from aftertrace._numbering import by_appearance
from aftertrace.attacks import Attack
from aftertrace.errors import UnsupportedError
from aftertrace.procedures import Procedure
from aftertrace.scenarios import AuditSettings, Brought, Experiment


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
        "attacks": [_described(attack) for attack in attacks],
        "shadow": None if shadow is None else shadow.public_dict(),
        "procedure": None if procedure is None else digest(procedure),
    }


def _described(attack: Attack) -> str:
    """An attack by its name and, where it can be told, by its parameters too."""
    try:
        return f"{attack.name} {digest(attack)[:12]}"
    except UnsupportedError:  # one from elsewhere, which need not be a dataclass
        return attack.name


def identity_of(brought: Brought, fingerprint: str, settings: Mapping[str, Any]) -> dict[str, Any]:
    """What the audit's folder keeps for its life. `fingerprint`: of the posteriors; `settings`: the `question`."""
    persons = None if brought.person is None else by_appearance(brought.person)[0]  # numbers of persons differ by key
    features = None if brought.features is None else [brought.features.values, list(brought.features.names)]
    known = digest([list(brought.table.classes), persons, features])
    return {"posteriors": fingerprint, "known": known, "settings": dict(settings)}
