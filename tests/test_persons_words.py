"""Where persons are judged, nothing that is counted is called a record or a query, wherever it is said."""

import json
import re
from dataclasses import replace
from html import unescape

import numpy as np
import pytest

import aftertrace as at
from aftertrace.attacks import simulated_posteriors
from aftertrace.report import as_text

COUNTED = re.compile(r"\b(records?|queries|query)\b")
OF_RECORDS = (  # what persons have, what models are asked about, and what a simulation calls its setting
    r"\d+ records of \d+ persons",
    "that of his or her records",
    "of records of (deleted|unseen) persons",
    "whose records differ",
    "whose record each is",
    "records like yours",
    "posteriors at a record, and knows the record's true class",
    "Whether the records were deleted at all",
    "sees records only",
    "copies of a record get other noise",
    r"scenario\.(shadow|target)\.records",
    r"records = ",
    "`records`",
    r"\d+ records, \d+ classes",
)


def counted_otherwise(text):
    """Sentences that count records or queries."""
    plain = unescape(text).replace("\u00a0", " ")
    for allowed in OF_RECORDS:
        plain = re.sub(allowed, "", plain)
    return [sentence for sentence in re.split(r"(?<=[.:;?]) |\n", plain) if COUNTED.search(sentence)]


@pytest.fixture(scope="module")
def audit(tmp_path_factory):
    """One pair of models, three records each, too few for the rates; every limit, and options for a remedy."""
    table = simulated_posteriors(leak=2.0, seed=3, originals=1, pairs=300)
    table = replace(table, pair=np.zeros(len(table), dtype=np.int64))
    return at.audit(
        table,
        person=1000 * table.is_attacked + table.record // 6,
        limits={"auc": 0.6, "tpr_at_1pct": 0.03, "per_record": 0.01, "accuracy_loss": 0.02},
        what_if=True,
        out=tmp_path_factory.mktemp("persons") / "run",
    )


def page(audit, folder):
    html = audit.to_html(folder / "report.html").read_text(encoding="utf-8")
    shown = re.sub(r"<(script|style|svg).*?</\1>", "", html, flags=re.DOTALL)
    return re.sub(r"\s*<[^>]+>\s*", "\n", re.sub(r"</?(code|span)[^>]*>", "", shown))


def texts(value):
    """All strings inside a result, without its settings and its experiment to fill in."""
    if isinstance(value, dict):
        return [text for key, own in value.items() if key not in ("settings", "starter") for text in texts(own)]
    return [text for own in value for text in texts(own)] if isinstance(value, list) else [str(value)]


def test_the_audit_has_all_that_could_be_called_so(audit):
    result = audit.result
    assert (result.unit, result.counts.originals) == ("person", 1)
    assert result.remedy.options
    assert result.slices
    assert result.widening
    assert {check.estimate is None for check in result.verdict.checks} == {True, False}


def test_nowhere_are_records_counted(audit, tmp_path):
    said = {
        "terminal": " ".join(as_text(audit.result, width=100).split("\n")),
        "page": page(audit, tmp_path),
        "result": "\n".join(texts(json.loads(audit.to_json(tmp_path / "result.json").read_text(encoding="utf-8")))),
        "JUnit": audit.to_junit(tmp_path / "junit.xml").read_text(encoding="utf-8"),
        "SARIF": audit.to_sarif(tmp_path / "gate.sarif").read_text(encoding="utf-8"),
    }
    assert all(re.search(r"\bpersons?\b", text) for text in said.values())
    assert not {where: found for where, text in said.items() if (found := counted_otherwise(text))}


def test_where_records_are_judged_they_are_called_so():
    table = simulated_posteriors(leak=2.0, seed=3, originals=1, pairs=40)
    result = at.audit(replace(table, pair=np.zeros(len(table), dtype=np.int64))).result
    assert "delong over records" in result.attack("LogitDrop").auc.method
    assert "person" not in as_text(result).lower()
