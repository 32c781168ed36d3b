"""From results to what a page shows: plain records of strings and numbers."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from aftertrace.posteriors import Role, Use, pseudonyms
from aftertrace.report._sentences import discoveries_sentence, queried, release_sentences
from aftertrace.results import AttackResult, Outcome, Result, Scores
from aftertrace.statistics import Interval, RateAtFpr, benjamini_hochberg, roc_curve

EXPOSED = 20
CURVE_POINTS = 200
DASH = "–"

_BADGES = {
    Outcome.LEAKS: ("Leaks", "bad"),
    Outcome.WITHIN: ("Within the limit", "good"),
    Outcome.NOT_SHOWN: ("No leak shown", "neutral"),
    Outcome.INCONCLUSIVE: ("Inconclusive", "doubt"),
    Outcome.INVALID: ("Invalid", "doubt"),
}
_CONTROLS = {
    "unseen/unseen": "Two unseen records of a pair, and one is called deleted: nothing may be found.",
    "retained/retained": "Two records of a pair that stayed, and one is called deleted: nothing may be found.",
    "blind": "An attack that sees only the records, no model: else deleted and unseen ones are not comparable.",
    "planted": "A leak of AUC 0.65 is put into unseen records: it must be found.",
    "permuted": "A coin swaps a deleted and an unseen record within each pair: nothing may be found.",
}
_KNOWLEDGE = {
    "none": "Without training",
    "population": "Trained on shadow models",
    "per_record": "Shadow models of the records themselves",
}
_ROLES = (Role.DELETED, Role.UNSEEN, Role.RETAINED, Role.ADDED)
GLOSSARY = (
    ("Original, unlearned", "the model before the deletion, and its update after it"),
    ("Deleted", "a record that trained the original and not the unlearned model"),
    ("Unseen, retained", "a record that trained neither of them; both of them"),
    ("Pair", "one original with one unlearned version of it"),
    ("Shadow side", "models that the attacker trains on own data to learn the attack"),
    ("Classical attack", "membership inference: it looks at the original model alone"),
    ("AUC", "how often a deleted record is ranked above an unseen one; 0.5 is guessing, 1 is always"),
    ("TPR at an FPR", "share of deleted records found, when that share of unseen ones is accused wrongly"),
    ("Logit drop", "how much confidence in the true class the update took away, as a difference of log odds"),
    ("DegCount", "share of records about which the attack is surer than the classical one, and right"),
    ("DegRate", "how much surer, on average, as a difference of probabilities"),
)


@dataclass(frozen=True)
class AttackRow:
    """One attack in words; `low`, `high` are None without an interval."""

    name: str
    group: str
    classical: bool
    auc: float
    low: float | None
    high: float | None
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Curve:
    """A ROC curve, thinned. [n], [n]"""

    name: str
    classical: bool
    fpr: NDArray[np.float64]
    tpr: NDArray[np.float64]


@dataclass(frozen=True)
class Movement:
    """How far the records of one role moved: sorted logit drops [n], and the row of the table."""

    role: str
    drop: NDArray[np.float64]
    cells: tuple[str, ...]


@dataclass(frozen=True)
class Page:
    """Everything that the template shows."""

    title: str
    badge: str
    tone: str
    sentence: str
    meaning: str
    size: str
    limit: float | None
    confidence: str
    attacks: tuple[AttackRow, ...]
    footnotes: tuple[str, ...]
    curves: tuple[Curve, ...]
    least_fpr: float
    movements: tuple[Movement, ...]
    exposed: tuple[tuple[str, ...], ...]
    exposed_by: str
    slices: tuple[tuple[str, ...], ...]
    discoveries: str
    looks: tuple[tuple[str, ...], ...]
    controls: tuple[tuple[str, ...], ...]
    overfitting: tuple[tuple[str, ...], ...]
    release: tuple[str, ...]
    who: str
    threat_model: tuple[str, ...]
    not_tested: tuple[str, ...]
    notes: tuple[str, ...]
    settings: tuple[tuple[str, str], ...]
    provenance: tuple[tuple[str, str], ...]
    methods: tuple[tuple[str, str], ...]
    glossary: tuple[tuple[str, str], ...] = GLOSSARY

    @property
    def groups(self) -> list[tuple[str, list[AttackRow]]]:
        """The attacks by group, in order."""
        return [(name, list(rows)) for name, rows in itertools.groupby(self.attacks, key=lambda row: row.group)]

    @property
    def movement_rows(self) -> list[tuple[str, ...]]:
        """The table of movements."""
        return [(each.role, *each.cells) for each in self.movements]


def page(result: Result, scores: Scores, *, manifest: Mapping[str, Any], key: bytes) -> Page:
    """The records of a page; record numbers leave only as pseudonyms under `key`."""
    verdict, counts = result.verdict, result.counts
    badge, tone = _BADGES[verdict.outcome]
    auc = result.attack(verdict.attack).auc
    footnotes: list[str] = []
    attacks = tuple(_attack_row(attack, result, footnotes) for attack in result.attacks)
    who = result.attacked.name.lower()
    pairs = f"{counts.originals} originals, {counts.pairs} pairs" if counts.originals > 1 else "one pair of models"
    return Page(
        title=result.title,
        badge=badge,
        tone=tone,
        sentence=verdict.sentence,
        meaning=(
            f"Given a {who} and an unseen record, the attack {verdict.attack} names the {who} one in "
            f"{100 * auc.estimate:.0f} of 100 cases; guessing would in 50."
        ),
        size=f"{result.data.name}: {pairs}, {queried(result)}.",
        limit=verdict.limit,
        confidence=f"{auc.confidence:.0%}",
        attacks=attacks,
        footnotes=tuple(footnotes),
        curves=tuple(_curves(result, scores)),
        least_fpr=1 / max(counts.unseen, 10),
        movements=tuple(_movements(scores)),
        exposed=tuple(_exposed(result, scores, key)),
        exposed_by=verdict.attack,
        slices=tuple(_slices(result)),
        discoveries=(
            "" if result.discoveries is None else discoveries_sentence(result.discoveries, result.attacked.name.lower())
        ),
        looks=tuple(_looks(result)),
        controls=tuple(_controls(result)),
        overfitting=tuple(_overfitting(result)),
        who=who,
        release=tuple(release_sentences(result)),
        threat_model=result.threat_model,
        not_tested=result.not_tested,
        notes=(*result.notes, *result.data.notes),
        settings=tuple(flat_settings(result.settings)),
        provenance=tuple(_provenance(result, manifest)),
        methods=tuple(_methods(result)),
    )


def _attack_row(attack: AttackResult, result: Result, footnotes: list[str]) -> AttackRow:
    against, worse = attack.against, attack.degradation
    opponent = result.attack(against.opponent).auc.estimate if against else None
    return AttackRow(
        name=attack.name,
        group=attack.feature or _KNOWLEDGE[attack.shadow],
        classical=attack.classical,
        auc=attack.auc.estimate,
        low=attack.auc.low,
        high=attack.auc.high,
        cells=(
            _interval(attack.auc),
            _number(opponent),
            DASH if against is None else _p_value(against.p_holm),
            _number(attack.balanced_accuracy),
            *(_rate(rate, footnotes) for rate in attack.rates),
            DASH if worse is None else f"{worse.deg_count:.0%} ({worse.wins}/{worse.ties}/{worse.losses})",
            DASH if worse is None else f"{worse.deg_rate:+.3f}",
        ),
    )


def _rate(rate: RateAtFpr, footnotes: list[str]) -> str:
    if rate.tpr is None or rate.realised_fpr is None:
        if rate.refused not in footnotes:
            footnotes.append(rate.refused)
        return f"refused [{footnotes.index(rate.refused) + 1}]"
    return f"{rate.tpr.estimate:.0%} (at {rate.realised_fpr.estimate:.1%})"


def _curves(result: Result, scores: Scores) -> Iterator[Curve]:
    """The verdict's attack, EucDist, one trained attack, and their classical opponents: fixed names, never the best."""
    names = [result.verdict.attack, "EucDist", "SortedDiff/forest"]
    chosen = [name for name in dict.fromkeys(names) if name in scores.score]
    opponents = [a.opponent for name in chosen if (a := result.attack(name).against) and a.opponent in scores.score]
    evaluated = scores.use == Use.EVALUATE
    for name in (*chosen, *dict.fromkeys(opponents)):
        score = scores.score[name]
        curve = roc_curve(
            score[evaluated & (scores.role == result.attacked)], score[evaluated & (scores.role == Role.UNSEEN)]
        )
        thin = _thin(curve.fpr)
        yield Curve(name, result.attack(name).classical, curve.fpr[thin], curve.tpr[thin])


def _thin(fpr: NDArray[np.float64]) -> NDArray[np.intp]:
    """At most `CURVE_POINTS` points, evenly spread in the logarithm of the rate, both ends among them."""
    grid = np.logspace(np.log10(max(fpr[fpr > 0].min(), 1e-6)), 0, CURVE_POINTS)
    return np.unique([0, *(np.searchsorted(fpr, grid, side="right") - 1), len(fpr) - 1])


def _movements(scores: Scores) -> Iterator[Movement]:
    drop = scores.phi[:, 0] - scores.phi[:, 1]
    for role in _ROLES:
        own = np.sort(drop[(scores.role == role) & (scores.use == Use.EVALUATE)])
        if own.size:
            low, middle, high = np.quantile(own, [0.25, 0.5, 0.75])
            cells = (f"{own.size}", f"{(own == 0).mean():.0%}", f"{low:+.4f}", f"{middle:+.4f}", f"{high:+.4f}")
            yield Movement(role.name.capitalize(), own, cells)


def shown_names(records: NDArray[np.int64], key: bytes) -> list[str]:
    """Records as a page names them: short pseudonyms under `key`."""
    return [f"r-{int(name):015x}"[:12] for name in pseudonyms([str(record) for record in records.tolist()], key)]


def _exposed(result: Result, scores: Scores, key: bytes) -> Iterator[tuple[str, ...]]:
    evaluated = scores.use == Use.EVALUATE
    score = scores.score[result.verdict.attack]
    deleted = np.flatnonzero(evaluated & (scores.role == result.attacked))
    unseen = np.sort(score[evaluated & (scores.role == Role.UNSEEN)])
    rows = deleted[np.argsort(-score[deleted], kind="stable")][:EXPOSED]
    confidence = 1 / (1 + np.exp(-scores.phi[rows]))
    below = np.searchsorted(unseen, score[rows], side="left") / max(unseen.size, 1)
    names = shown_names(scores.record[rows], key)
    worse = _made_worse(result, scores, deleted)
    for row, name, (before, after), share in zip(rows, names, confidence, below, strict=True):
        yield (
            name,
            result.data.classes[scores.label[row]],
            f"{before:.3f}",
            f"{after:.3f}",
            f"{scores.phi[row, 0] - scores.phi[row, 1]:+.3f}",
            f"{share:.1%}",
            _p_value(worse[int(scores.record[row])]),
        )


def _made_worse(result: Result, scores: Scores, deleted: NDArray[np.intp]) -> dict[int, float]:
    """Adjusted p-value of each deleted record: more exposed by the verdict's attack than by its classical opponent."""
    attack = result.attack(result.verdict.attack)
    before = scores.phi[:, 0] if attack.against is None else scores.score[attack.against.opponent]
    told = scores.deletions(deleted, before=before, after=scores.score[attack.name])
    return dict(zip(told.record.tolist(), benjamini_hochberg(told.worse).tolist(), strict=True))


def _slices(result: Result) -> Iterator[tuple[str, ...]]:
    for each in result.slices:
        name, p_value = f"{each.by}: {each.group}", _p_value(each.p_holm)
        yield name, f"{each.deleted}", f"{each.unseen}", _interval(each.auc), p_value


def _looks(result: Result) -> Iterator[tuple[str, ...]]:
    if result.sequence is not None:
        seen = result.sequence
        for originals, *figures in zip(seen.originals, seen.estimate, seen.low, seen.high, strict=True):
            yield f"{originals}", *(f"{figure:.3f}" for figure in figures)


def _controls(result: Result) -> Iterator[tuple[str, ...]]:
    for control in result.controls:
        word = {True: "passed", False: "FAILED", None: f"not testable: {control.note or control.auc.note}"}
        figure = DASH if control.passed is None else _interval(control.auc)
        if control.passed is not None and control.auc.low is None:
            figure = f"{control.auc.estimate:.2f} ({control.note})"
        yield control.name, _CONTROLS.get(control.name, ""), figure, word[control.passed]


def _training(result: Result) -> Iterator[tuple[str, str]]:
    if result.training is None:
        return
    if result.training.shards_without_a_class:
        yield (
            "Shards without a class",
            f"{result.training.shards_without_a_class}: their records lack a class of their original's, which they "
            f"give 0",
        )
    if result.training.fallbacks:
        yield "Solved alone", f"{result.training.fallbacks} models, as the shared solver did not converge for them"
    for name, value in result.training.worst.items():
        yield f"Largest {name.replace('_', ' ')}", f"{value:.1e}"
    if result.training.certificate is not None:
        yield "Certificate", result.training.certificate.sentence


def _overfitting(result: Result) -> Iterator[tuple[str, ...]]:
    if result.overfitting is not None:
        for name, spread in (
            ("Accuracy on training records", result.overfitting.train_accuracy),
            ("Accuracy on unseen records", result.overfitting.test_accuracy),
            ("Gap", result.overfitting.gap),
        ):
            yield name, f"{spread.mean:.3f}", f"{spread.low:.3f}", f"{spread.high:.3f}"


def _methods(result: Result) -> Iterator[tuple[str, str]]:
    """Each different way in which a figure was made, and the attacks that it is for."""
    seen: dict[str, list[str]] = {}
    for attack in result.attacks:
        auc, against = attack.auc, attack.against
        lines = [_sentence(f"AUC: {auc.method}, n = {auc.n}", auc.note)]
        if against is not None:
            lines.append(_sentence(f"Against the classical attack: {against.method}", against.note))
        lines += [
            f"TPR at {rate.fpr:.0%} FPR: {rate.tpr.method}, n = {rate.n_positive} deleted and "
            f"{rate.n_negative} unseen; threshold from {rate.n_calibration} held-out unseen queries."
            for rate in attack.rates
            if rate.tpr is not None
        ]
        for line in (*lines, *(f"{note[0].upper()}{note[1:]}." for note in attack.notes)):
            seen.setdefault(line, []).append(attack.name)
    for line, names in seen.items():
        yield line, f"{len(names)} attacks" if len(names) > 3 else ", ".join(names)


def _sentence(text: str, note: str) -> str:
    return f"{text}; {note}." if note else f"{text}."


def _provenance(result: Result, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    data, counts = result.data, result.counts
    features = "" if data.features is None else f", {data.features} features"
    yield "Data", f"{data.name}: {data.records} records{features}, {len(data.classes)} classes"
    yield "Fingerprint of the data (SHA-256)", data.fingerprint
    if counts.models:
        yield "Models trained", f"{counts.models}, {counts.unconverged} of them stopped before they converged"
        yield from _training(result)
    yield (
        "Queries",
        f"{counts.deleted} deleted, {counts.unseen} unseen, {counts.held_out} held out, {counts.retained} retained",
    )
    if "finished" in manifest:
        yield "Finished", str(manifest["finished"])
    for stage, seconds in manifest.get("seconds", {}).items():
        yield f"Seconds, {stage}", f"{seconds:.1f}"
    for name in ("python", "platform", "device"):
        if name in manifest:
            yield name.capitalize(), str(manifest[name])
    if manifest.get("libraries"):
        yield "Libraries", ", ".join(f"{name} {number}" for name, number in manifest["libraries"].items())


def flat_settings(settings: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, str]]:
    """Nested settings as dotted names with values."""
    for key, value in settings.items():
        name = f"{place}.{key}" if place else str(key)
        if isinstance(value, Mapping) and value:
            yield from flat_settings(value, name)
        else:
            yield name, _setting(value)


def _setting(value: Any) -> str:
    if value is None:
        return "not set"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str) or not isinstance(value, Sequence):
        return str(value) if value not in ({}, "") else "none"
    return ", ".join(map(str, value)) or "none"


def _interval(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return f"{interval.estimate:.2f} (no interval)"
    return f"{interval.estimate:.2f} ({interval.low:.2f} to {interval.high:.2f})"


def _number(value: float | None) -> str:
    return DASH if value is None else f"{value:.2f}"


def _p_value(value: float | None) -> str:
    if value is None:
        return DASH
    return "< .0001" if value < 0.0001 else f"{value:.4f}" if value < 0.1 else f"{value:.2f}"
