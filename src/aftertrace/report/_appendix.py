"""What lets somebody else check an audit: every figure with its method, where all came from, and the words."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from aftertrace._figures import percent, share
from aftertrace._hashing import digest
from aftertrace.report._records import DASH, flat_settings, parties
from aftertrace.results import Result
from aftertrace.statistics import Interval, RateAtFpr

_GLOSSARY = (
    ("Original, unlearned", "the model before the deletion, and its update after it"),
    ("Deleted", "a {unit} that trained the original and not the unlearned model"),
    ("Unseen, retained", "a {unit} that trained neither of them; both of them"),
    ("Pair", "one original with one unlearned version of it"),
    ("Shadow side", "models that the attacker trains on own data to learn the attack"),
    ("Classical attack", "membership inference: it looks at the original model alone"),
    ("AUC", "how often a {who} {unit} is ranked above an unseen one; 0.5 is guessing, 1 is always"),
    ("TPR at an FPR", "share of {who} {unit}s found, when that share of unseen ones is accused wrongly"),
    ("FPR, false alarms", "share of unseen {unit}s that the attack takes for {who} ones"),
    ("Balanced accuracy", "mean of the shares of {who} and of unseen {unit}s that are told right; 50 % is guessing"),
    ("p (Holm)", "how likely so much would be by chance alone, raised for the number of comparisons; small is telling"),
    (
        "Told one by one",
        "named singly, at a false discovery rate: of all that are named so, that share is wrong on average",
    ),
    (
        "Brier score",
        "mean squared distance of the posteriors from the truth; 0 is certain and right, 2 certain and wrong",
    ),
    ("Logit drop", "how much confidence in the true class the update took away, as a difference of log odds"),
    ("DegCount", "share of {unit}s about which the attack is surer than the classical one, and right"),
    ("DegRate", "how much surer, on average, as a difference of probabilities"),
    (
        "Interval",
        "a range that holds the true value in 95 of 100 such audits, or as many as it says; its method says how",
    ),
    ("Undecided", "the limit lies inside the interval: the audit is too small to tell on which side the truth is"),
)


@dataclass(frozen=True)
class _Figure:
    """A figure, and its method in words; `is_share`: shown in percent."""

    name: str
    found: Interval
    method: str
    is_share: bool = False

    @property
    def cells(self) -> tuple[str, str, str, str]:
        """Name, estimate, interval and n."""
        found = self.found
        if found.low is None or found.high is None:
            return self.name, self._words(found.estimate), DASH, f"{found.n}"
        ends = f"{self._words(found.low)} to {self._words(found.high)} ({percent(found.confidence)})"
        return self.name, self._words(found.estimate), ends, f"{found.n}"

    def _words(self, value: float) -> str:
        return share(value, 2) if self.is_share else f"{value:z.4f}"


@dataclass(frozen=True)
class Appendix:
    """`figures`: rows of figure, estimate, interval, n and the number of a method in `methods`, from 1."""

    figures: tuple[tuple[str, ...], ...]
    methods: tuple[str, ...]
    remarks: tuple[tuple[str, str], ...]
    degradation: tuple[tuple[str, ...], ...]
    threat_model: tuple[str, ...]
    notes: tuple[str, ...]
    release: tuple[str, ...]
    provenance: tuple[tuple[str, str], ...]
    settings: tuple[tuple[str, str], ...]
    glossary: tuple[tuple[str, str], ...]


def appendix(result: Result, manifest: Mapping[str, Any], *, release: Iterable[str]) -> Appendix:
    """All that the first two parts leave out."""
    methods: dict[str, int] = {}
    figures = tuple((*each.cells, f"{methods.setdefault(each.method, len(methods) + 1)}") for each in _figures(result))
    return Appendix(
        figures=figures,
        methods=tuple(methods),
        remarks=tuple(_remarks(result)),
        degradation=tuple(_degradation(result)),
        threat_model=result.threat_model,
        notes=(*result.notes, *result.data.notes),
        release=tuple(release),
        provenance=tuple(_provenance(result, manifest)),
        settings=tuple(flat_settings(result.settings)),
        glossary=tuple((word, meaning.format(**parties(result))) for word, meaning in _GLOSSARY),
    )


def _figures(result: Result) -> Iterator[_Figure]:
    """Every figure that has a method."""
    for attack in result.attacks:
        yield _figure(f"AUC, {attack.name}", attack.auc)
        for rate in attack.rates:
            yield from _rate(rate, attack.name, result.unit)
    for each in result.slices:
        yield _figure(f"AUC, {each.by}: {each.group}", each.auc)
    for control in result.controls:
        yield _figure(f"Control {control.name}", control.auc)
    if result.update is not None:
        yield _figure("Accuracy lost by the update", result.update.lost, is_share=True)
    if result.utility is not None:
        yield _figure("Accuracy lost by the defense", result.utility.accuracy_lost, is_share=True)
        yield _figure("Brier score added by the defense", result.utility.brier_added)


def _figure(name: str, found: Interval, *, is_share: bool = False) -> _Figure:
    return _Figure(name, found, _sentence(found.method, found.note), is_share)


def _rate(rate: RateAtFpr, attack: str, unit: str) -> Iterator[_Figure]:
    if rate.tpr is not None:
        method = (
            f"{rate.tpr.method}, over {rate.n_positive} attacked and {rate.n_negative} unseen {unit}s; threshold from "
            f"{rate.n_calibration} held-out unseen ones."
        )
        yield _Figure(f"TPR at {share(rate.fpr, 0)} FPR, {attack}", rate.tpr, method, is_share=True)


def _remarks(result: Result) -> Iterator[tuple[str, str]]:
    """How attacks and groups were compared, and what could not be computed; and of which."""
    seen: dict[str, list[str]] = {}
    for attack in result.attacks:
        if attack.against is not None:
            line = _sentence(f"Against the classical attack: {attack.against.method}", attack.against.note)
            seen.setdefault(line, []).append(attack.name)
        for note in attack.notes:
            seen.setdefault(f"{note[0].upper()}{note[1:]}.", []).append(attack.name)
    for each in result.slices:
        seen.setdefault(f"p of a group: {each.method}.", []).append(f"{each.by}: {each.group}")
    for line, names in seen.items():
        yield line, f"{len(names)} of them" if len(names) > 3 else ", ".join(names)


def _degradation(result: Result) -> Iterator[tuple[str, ...]]:
    for attack in result.attacks:
        if (found := attack.degradation) is not None:
            counts = (f"{each}" for each in (found.wins, found.ties, found.losses))
            yield attack.name, share(found.deg_count), *counts, f"{found.deg_rate:+z.3f}"


def _sentence(text: str, note: str) -> str:
    return f"{text}; {note}." if note else f"{text}."


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


def _provenance(result: Result, manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    data, counts = result.data, result.counts
    features = "" if data.features is None else f", {data.features} features"
    yield "Data", f"{data.name}: {data.records} records{features}, {len(data.classes)} classes"
    yield "Fingerprint of the data (SHA-256)", data.fingerprint
    for number, model in enumerate(manifest.get("models", ())):
        yield f"Fingerprint of version {number}, {model['name']}", str(model["fingerprint"])
    if counts.models:
        yield "Models trained", f"{counts.models}, {counts.unconverged} of them stopped before they converged"
        yield from _training(result)
    if manifest.get("units"):
        yield "Fingerprint of the models' answers", f"{digest(manifest['units'])}, of {len(manifest['units'])} units"
    yield (
        "Persons" if result.unit == "person" else "Queries",
        f"{counts.deleted} deleted, {counts.unseen} unseen, {counts.held_out} held out, {counts.retained} retained",
    )
    yield from _circumstances(manifest)


def _circumstances(manifest: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    if "finished" in manifest:
        yield "Finished", str(manifest["finished"])
    for stage, seconds in manifest.get("seconds", {}).items():
        yield f"Seconds, {stage}", f"{seconds:.1f}"
    for name in ("python", "platform", "device"):
        if name in manifest:
            yield name.capitalize(), str(manifest[name])
    if manifest.get("libraries"):
        yield "Libraries", ", ".join(f"{name} {number}" for name, number in manifest["libraries"].items())
