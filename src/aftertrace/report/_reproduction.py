"""A reproduction as Markdown, for the terminal, and as one offline page."""

import shutil
import textwrap
from collections.abc import Iterator

from aftertrace.report._page import environment
from aftertrace.results import ClaimResult, FigureRow, Finding, ReproductionResult, StudyResult
from aftertrace.statistics import Interval

DASH = "–"
_MARK = {Finding.HOLDS: "good", Finding.FAILS: "bad", Finding.OPEN: "doubt", Finding.NOT_RUN: "neutral"}
Rows = list[tuple[str, ...]]


def reproduction_text(result: ReproductionResult) -> str:
    """Every claim and its verdict, as wide as the terminal."""
    width = min(shutil.get_terminal_size((100, 24)).columns, 100)
    lines = []
    for study in result.studies:
        lines += ["", study.title]
        for claim in study.claims:
            lines.append(
                textwrap.fill(
                    f"{claim.finding.value.upper():<14}  {claim.claim} {_evidence(claim)}",
                    width,
                    subsequent_indent=" " * 16,
                )
            )
        lines += [
            textwrap.fill(f"Not run: {row.setting}: {row.error}", width, subsequent_indent="  ")
            for row in study.rows
            if row.error
        ]
    count = {finding: sum(claim.finding is finding for claim in result.claims) for finding in Finding}
    lines += ["", ", ".join(f"{number} {finding.value}" for finding, number in count.items() if number) + "."]
    return "\n".join(lines).strip("\n")


def reproduction_markdown(result: ReproductionResult) -> str:
    """A document: the claims, then every study with its figures."""
    parts = [
        "# Reproduction of arXiv 2005.02205",
        f"Written by `aftertrace reproduce --scale {result.scale}`: {result.sizes}.",
        "A claim is judged by the 95 % interval of one figure, fixed beforehand: it *holds* where the interval lies "
        "wholly where the claim says, *does not hold* where it lies wholly outside, and is *inconclusive* otherwise. "
        "Figures are means over target originals of the AUC inside each, with t intervals; records are redrawn for "
        "every original. Of 95 % intervals, one in twenty misses, and there are many here.",
        "## Claims",
        _markdown(("claim", "figure", "interval", "must be", "verdict", "fixed pools"), _claim_rows(result)),
        "Fixed pools: the same figure with the paper's pools of members and others, without a verdict, as roles are "
        "tied to records there.",
        "## What to know",
        "\n".join(f"* {note}" for note in result.notes),
    ]
    for study in result.studies:
        parts += [f"## {study.title} ({study.source})", f"`aftertrace reproduce --only {study.name}`"]
        parts += [_markdown(("setting", "accuracy", *study.attacks), _figure_rows(study))]
        fixed = _fixed_rows(study)
        if fixed:
            parts += [
                "With the paper's fixed pools (mean over seeds, range of single seeds), beside the corrected released "
                "code:",
                _markdown(("setting", "attack", "ours", "released", "expected"), fixed),
            ]
        remarks = [*study.notes, *_remarks(study)]
        if remarks:
            parts.append("\n".join(f"* {line}" for line in remarks))
    return "\n\n".join(parts) + "\n"


def render_reproduction(result: ReproductionResult) -> str:
    """The page: no script, no request."""
    return (
        environment()
        .get_template("reproduction.html.jinja")
        .render(
            result=result,
            count=[
                (finding.value, _MARK[finding], sum(claim.finding is finding for claim in result.claims))
                for finding in Finding
            ],
            claims=[
                (study.title, [(_MARK[c.finding], _claim_row(c)) for c in study.claims]) for study in result.studies
            ],
            studies=[
                (study, list(_figure_rows(study)), _fixed_rows(study), [*study.notes, *_remarks(study)])
                for study in result.studies
            ],
        )
    )


def _claim_rows(result: ReproductionResult) -> Rows:
    return [_claim_row(claim) for claim in result.claims]


def _claim_row(claim: ClaimResult) -> tuple[str, ...]:
    verdict = f"{claim.finding.value}: {claim.reason}" if claim.reason else claim.finding.value
    fixed = DASH if claim.fixed is None else _short(claim.fixed)
    return claim.claim, claim.figure, _figure(claim.interval), _bounds(claim), verdict, fixed


def _evidence(claim: ClaimResult) -> str:
    if claim.interval is None:
        return f"({claim.reason})"
    return f"({claim.figure}: {_figure(claim.interval)}; must be {_bounds(claim)})"


def _bounds(claim: ClaimResult) -> str:
    words = [("above", claim.above), ("below", claim.below)]
    return " and ".join(f"{word} {_short(value)}" for word, value in words if value is not None)


def _figure_rows(study: StudyResult) -> Rows:
    return [
        (row.setting, _accuracy(row), *(_figure(row.auc.get(attack)) for attack in study.attacks))
        for row in study.rows
        if not row.error
    ]


def _accuracy(row: FigureRow) -> str:
    if row.train_accuracy is None or row.test_accuracy is None:
        return DASH
    return f"{row.train_accuracy:.3f} / {row.test_accuracy:.3f}"


def _fixed_rows(study: StudyResult) -> Rows:
    return [
        (row.setting, attack, _range(own), row.reference.get(attack, DASH), _asked(row, attack))
        for row in study.rows
        for attack, own in row.fixed.items()
        if attack in row.reference or attack == row.asked_of
    ]


def _asked(row: FigureRow, attack: str) -> str:
    if row.asked is None or attack != row.asked_of:
        return DASH
    low, high = row.asked
    return f"{_short(low)} to {_short(high)}: {'met' if low <= row.fixed[attack].estimate <= high else 'MISSED'}"


def _remarks(study: StudyResult) -> Iterator[str]:
    for row in study.rows:
        if row.error:
            yield f"Not run: {row.setting}: {row.error}"
        if row.loss is not None:
            yield f"{row.setting}: costs {_figure(row.loss)} of accuracy on unseen records."
        if row.privacy:
            yield f"{row.setting}: {row.privacy}"


def _figure(interval: Interval | None) -> str:
    if interval is None:
        return DASH
    if interval.low is None or interval.high is None:
        return _short(interval.estimate)
    return f"{_short(interval.estimate)} ({_short(interval.low)} to {_short(interval.high)})"


def _range(interval: Interval) -> str:
    if interval.low is None or interval.high is None:
        return _short(interval.estimate)
    return f"{_short(interval.estimate)} [{_short(interval.low)}-{_short(interval.high)}]"


def _short(value: float) -> str:
    """Three decimals without the leading 0; more where a figure below 1 would read as 1."""
    text = f"{value:.3f}" if not 0.9995 <= value < 1 else f"{value:.5f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def _markdown(head: tuple[str, ...], rows: Rows) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines)
