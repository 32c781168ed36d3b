"""A result for the terminal."""

import shutil
import sys
from collections.abc import Iterable, Mapping

from aftertrace.report._sentences import discoveries_sentence, queried, release_sentences
from aftertrace.report._summary import measures
from aftertrace.results import AttackResult, ControlResult, Outcome, Result
from aftertrace.statistics import Interval

MOST_GROUPS = 14
"""Of these, all are printed; of more, those where a leak is shown."""

_MARK = {
    Outcome.LEAKS: "LEAKS",
    Outcome.WITHIN: "WITHIN THE LIMITS",
    Outcome.TOO_COSTLY: "TOO COSTLY",
    Outcome.NOT_SHOWN: "NO LEAK SHOWN",
    Outcome.INCONCLUSIVE: "INCONCLUSIVE",
    Outcome.INVALID: "INVALID",
}
_COLOUR = {
    Outcome.LEAKS: "bold white on red",
    Outcome.WITHIN: "bold white on green",
    Outcome.TOO_COSTLY: "bold black on yellow",
    Outcome.NOT_SHOWN: "bold white on blue",
    Outcome.INCONCLUSIVE: "bold black on yellow",
    Outcome.INVALID: "bold white on magenta",
}

_Cells = Mapping[tuple[str | None, str | None], AttackResult]


def as_text(result: Result, *, width: int | None = None, colour: bool | None = None) -> str:
    """Verdict, attacks, controls and notes. `width` and `colour`: as the terminal has them, if not given."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    columns = width or min(shutil.get_terminal_size((100, 24)).columns, 100)
    with_colour = sys.stdout.isatty() if colour is None else colour
    console = Console(
        width=columns, color_system="standard" if with_colour else None, force_terminal=with_colour, highlight=False
    )
    verdict, counts = result.verdict, result.counts
    with console.capture() as capture:
        console.print()
        console.print(Text(f" {_MARK[verdict.outcome]} ", style=_COLOUR[verdict.outcome]), verdict.sentence)
        console.print()
        size = f"{counts.originals} originals, {counts.pairs} pairs of versions" if counts.originals > 1 else "one pair"
        console.print(
            f"{result.title}: {size}; {queried(result)}.",
            markup=False,
        )
        for line in _limit_lines(result):
            console.print(line, markup=False)
        who = result.attacked.name.lower()
        console.print(
            f"AUC: how often a {who} {result.unit} is ranked above an unseen one; 0.50 is guessing.", style="dim"
        )
        console.print(
            "Classical attacks see the original model alone. TPR@10%: found at 10 % false alarms.", style="dim"
        )
        console.print()
        console.print(_main_table(result, Table))
        if result.slices:
            console.print(_slices_table(result, Table))
        trained = _trained_table(result, Table)
        if trained is not None:
            console.print(trained)
            console.print("* differs from the classical attack with the same classifier (Holm, 5 %)", style="dim")
            console.print()
        for line in _closing_lines(result):
            console.print(line, markup=False)
    return capture.get().strip("\n")


def _main_table(result: Result, table_class: type) -> object:
    confidence = result.attacks[0].auc.confidence
    table = table_class(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("Attack", no_wrap=True)
    for heading in ("AUC", f"{confidence:.0%} interval", "classical", "p (Holm)", "TPR@10%", "TPR@1%"):
        table.add_column(heading, justify="right")
    for attack in result.attacks:
        if attack.classifier is not None:
            continue
        name = f"{attack.name} (classical)" if attack.classical else attack.name
        table.add_row(name, f"{attack.auc.estimate:.2f}", _ends(attack.auc), *_against(attack, result), *_rates(attack))
    table.add_row("")
    return table


def _slices_table(result: Result, table_class: type) -> object:
    """For whom: the groups, or of many the telling ones."""
    table = table_class(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(f"For whom, by {result.verdict.attack}")
    for heading in (result.attacked.name.lower(), "AUC", "interval", "p (Holm)"):
        table.add_column(heading, justify="right")
    shown = result.slices
    if len(shown) > MOST_GROUPS:
        shown = tuple(each for each in shown if each.p_holm is not None and each.p_holm <= 0.05)
    for each in shown:
        table.add_row(
            f"{each.by}: {each.group}",
            f"{each.deleted}",
            f"{each.auc.estimate:.2f}",
            _ends(each.auc),
            "none" if each.p_holm is None else _p(each.p_holm),
        )
    if len(shown) < len(result.slices):
        table.add_row(f"{len(result.slices) - len(shown)} more groups, where no leak is shown, in the report")
    table.add_row("")
    return table


def _trained_table(result: Result, table_class: type) -> object | None:
    """Features by classifiers: AUC, and a star where it differs from the classical attack."""
    trained: _Cells = {(each.feature, each.classifier): each for each in result.attacks if each.classifier is not None}
    if not trained:
        return None
    features = list(dict.fromkeys(feature for feature, _ in trained))
    classifiers = list(dict.fromkeys(classifier for _, classifier in trained))
    table = table_class(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("Trained on shadow models, AUC")
    for classifier in classifiers:
        table.add_column(str(classifier), justify="right")
    for feature in features:
        name = "Classical" if feature == "Classical" else str(feature)
        table.add_row(name, *(_cell(trained, feature, classifier) for classifier in classifiers))
    return table


def _cell(trained: "_Cells", feature: str | None, classifier: str | None) -> str:
    attack = trained.get((feature, classifier))
    if attack is None:
        return "-"
    p_value = attack.against.p_holm if attack.against else None
    return f"{attack.auc.estimate:.2f}{'*' if p_value is not None and p_value <= 0.05 else ' '}"


def _ends(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return "none"
    return f"{interval.low:.2f} to {interval.high:.2f}"


def _against(attack: AttackResult, result: Result) -> tuple[str, str]:
    if attack.against is None:
        return "", ""
    opponent = result.attack(attack.against.opponent)
    p_value = attack.against.p_holm
    return f"{opponent.auc.estimate:.2f}", "none" if p_value is None else _p(p_value)


def _p(value: float) -> str:
    return "<.0001" if value < 0.0001 else f"{value:.4f}".lstrip("0") if value < 0.1 else f"{value:.2f}"


def _rates(attack: AttackResult) -> Iterable[str]:
    for rate in attack.rates:
        yield "refused" if rate.refused or rate.tpr is None else f"{rate.tpr.estimate:.0%}"


def _closing_lines(result: Result) -> Iterable[str]:
    yield "Controls: " + "; ".join(map(_control, result.controls)) + "."
    if result.discoveries is not None:
        yield discoveries_sentence(result.discoveries, result.attacked.name.lower(), result.unit)
    if result.overfitting is not None:
        own = result.overfitting
        yield (
            f"Target models: accuracy {own.train_accuracy.mean:.3f} on training records, "
            f"{own.test_accuracy.mean:.3f} on unseen ones."
        )
    yield from release_sentences(result)
    if result.remedy is not None:
        yield f"Remedy: {result.remedy.sentence}"
    if result.widening is not None:
        yield f"One pair of models tells of this pair only. {result.widening.how} {result.widening.command}"
    if result.training is not None and result.training.certificate is not None:
        yield f"Certificate: {result.training.certificate.sentence}"
    refused = {rate.refused for attack in result.attacks for rate in attack.rates if rate.refused}
    for line in (*sorted(refused), *result.notes):
        yield f"Note: {line}"


def _limit_lines(result: Result) -> Iterable[str]:
    """Every limit beside what was found."""
    for row in measures(result):
        if row.accepted:
            yield f"Limit: {row.name}: accepted {row.accepted}, found {row.found}: {row.standing.lower()}."


def _control(control: ControlResult) -> str:
    word = {True: "passed", False: "FAILED", None: "not testable"}[control.passed]
    return (
        f"{control.name} {word} ({control.auc.estimate:.2f})"
        if control.passed is not None
        else f"{control.name} {word}"
    )
