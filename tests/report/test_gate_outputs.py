"""What a server is told: JUnit XML and SARIF agree with the verdict, hold no path, and survive hostile names."""

import json
from dataclasses import replace
from xml.etree import ElementTree as ET

import pytest

from aftertrace.attacks import LogitDrop, OriginalLogit, simulated_posteriors
from aftertrace.engine import InProcess
from aftertrace.report._gate import _LIMITS, State, gate_lines, gate_text
from aftertrace.report._junit import junit_xml
from aftertrace.report._sarif import sarif
from aftertrace.results import (
    LIMIT_NAMES,
    ControlResult,
    Counts,
    DataSummary,
    LimitCheck,
    Limits,
    Outcome,
    Result,
    Standing,
    Verdict,
)
from aftertrace.scenarios import Judgement, assess
from aftertrace.statistics import Interval

EVIL = "a<b>&\"'\x00\x1b[31m\ud800\ufffe]]>\n"


def control(name, passed, note=""):
    ends = (0.4, 0.6) if passed is not None else (None, None)
    return ControlResult(
        name=name, attack="LogitDrop", auc=Interval(0.5, *ends, 0.9975, 8, "m"), passed=passed, note=note
    )


def check(name="auc", limit=0.6, low=0.65, high=0.75, standing=Standing.EXCEEDED):
    return LimitCheck(
        name=name,
        limit=limit,
        estimate=0.7,
        low=low,
        high=high,
        confidence=0.95,
        n=12,
        method="jackknife over originals",
        standing=standing,
    )


WITHIN = check(low=0.5, high=0.58, standing=Standing.WITHIN)
UNDECIDED = check("tpr_at_1pct", 0.03, 0.01, 0.05, Standing.UNDECIDED)
UNMEASURED = LimitCheck.unmeasured("per_record", 0.05, "900 unseen records are needed, got 20", confidence=0.95)
COSTLY = check("accuracy_loss", 0.01, 0.02, 0.03)
PASSED = (control("unseen/unseen", True), control("planted", True))


def result(outcome, checks=(), controls=PASSED, sentence="The verdict.", title="two versions"):
    return Result(
        title=title,
        verdict=Verdict(outcome=outcome, sentence=sentence, attack="LogitDrop", limit=0.6, checks=tuple(checks)),
        attacks=(),
        controls=tuple(controls),
        counts=Counts(originals=1, pairs=40, deleted=40, unseen=40, held_out=0, retained=0, models=0, unconverged=0),
        overfitting=None,
        data=DataSummary(name="posteriors", records=80, features=None, classes=("a", "b"), fingerprint="0"),
        settings={},
        threat_model=(),
        not_tested=(),
        notes=(),
    )


RESULTS = {
    "within": result(Outcome.WITHIN, [WITHIN]),
    "exceeded": result(Outcome.LEAKS, [check(), UNDECIDED]),
    "costly": result(Outcome.TOO_COSTLY, [WITHIN, COSTLY]),
    "undecided": result(Outcome.INCONCLUSIVE, [WITHIN, UNDECIDED, UNMEASURED]),
    "invalid": result(Outcome.INVALID, [WITHIN, UNDECIDED], [control("blind", False), control("planted", True)]),
    "blunt": result(Outcome.WITHIN, [WITHIN], [control("unseen/unseen", None, "too few"), control("planted", False)]),
    "no limit": result(Outcome.NOT_SHOWN),
}


def cases(text):
    return {case.get("name"): case for case in ET.fromstring(text.encode()).iter("testcase")}


def outcome_of(case):
    kinds = [child for child in case if child.tag in ("failure", "error", "skipped")]
    assert len(kinds) <= 1
    return (kinds[0].tag, kinds[0].get("type")) if kinds else "passed"


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("within", {"auc": "passed", "unseen/unseen": "passed", "planted": "passed"}),
        ("exceeded", {"auc": ("failure", "exceeded"), "tpr_at_1pct": ("failure", "inconclusive")}),
        ("costly", {"auc": "passed", "accuracy_loss": ("failure", "exceeded")}),
        ("undecided", {"tpr_at_1pct": ("failure", "inconclusive"), "per_record": ("failure", "inconclusive")}),
        ("invalid", {"auc": ("error", "invalid"), "blind": ("failure", "failed"), "planted": "passed"}),
        ("blunt", {"auc": "passed", "planted": ("skipped", "not tested"), "unseen/unseen": ("skipped", "not tested")}),
        ("no limit", {"none": ("skipped", "not tested")}),
    ],
)
def test_a_test_case_per_limit_and_control(name, expected):
    found = {key: outcome_of(case) for key, case in cases(junit_xml(RESULTS[name])).items()}
    assert expected.items() <= found.items()
    assert len(found) == len(gate_lines(RESULTS[name]))


@pytest.mark.parametrize("name", RESULTS)
def test_counts_add_up_and_the_order_is_the_schemas(name):
    root = ET.fromstring(junit_xml(RESULTS[name]).encode())
    suite = root[0]
    found = [outcome_of(case) for case in suite.iter("testcase")]
    tags = [each[0] for each in found]
    for element in (root, suite):
        assert element.get("tests") == str(len(found))
        assert element.get("failures") == str(tags.count("failure"))
        assert element.get("errors") == str(tags.count("error"))
    assert suite.get("skipped") == str(tags.count("skipped"))
    assert [child.tag for child in suite] == ["properties", *["testcase"] * len(found), "system-out"]
    assert all(case.get("classname") and case.get("name") for case in suite.iter("testcase"))


@pytest.mark.parametrize("name", RESULTS)
def test_something_blocks_exactly_where_the_verdict_does(name):
    """A server that goes by the cases and one that goes by the exit code decide alike."""
    stops = RESULTS[name].verdict.outcome not in (Outcome.WITHIN, Outcome.NOT_SHOWN)
    assert any(line.blocks for line in gate_lines(RESULTS[name])) == stops
    root = ET.fromstring(junit_xml(RESULTS[name]).encode())
    assert (root.get("failures"), root.get("errors")) != ("0", "0") if stops else True
    levels = {each["level"] for each in json.loads(sarif(RESULTS[name], artifact="m"))["runs"][0]["results"]}
    assert bool(levels & {"error", "warning"}) == stops


def test_messages_hold_the_figures():
    text = gate_text(RESULTS["undecided"])
    assert text.splitlines()[0] == "The verdict."
    assert (
        "passed: auc: AUC must be at most 0.6 and at least 0.4, and is 0.700 (95 % interval 0.500 to 0.580; "
        in text.replace("\u00a0", " ")
    )
    assert "inconclusive: per_record: " in text
    assert "and was not measured: 900 unseen records are needed, got 20." in text
    assert "unseen/unseen" not in text


def test_hostile_words_stay_words():
    evil = result(Outcome.LEAKS, [check()], [control(EVIL, None, EVIL)], sentence=EVIL, title=EVIL)
    text = junit_xml(evil)
    suite = ET.fromstring(text.encode())[0]
    clean = "a<b>&\"'\ufffd\ufffd[31m\ufffd\ufffd]]>\n"
    assert suite.get("name") == f"aftertrace: {clean}"
    assert suite.find("system-out").text == clean
    assert clean in [case.get("name") for case in suite.iter("testcase")]
    log = json.loads(sarif(replace(evil, controls=PASSED), artifact="<script>"))
    assert log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "%3Cscript%3E"


def test_every_limit_has_a_name_and_a_meaning():
    assert set(LIMIT_NAMES) == set(_LIMITS) == set(Limits.__dataclass_fields__)


# SARIF


@pytest.mark.parametrize("name", RESULTS)
def test_a_log_has_what_sarif_asks_for(name):
    log = json.loads(sarif(RESULTS[name], artifact="models/v2.onnx"))
    assert set(log) == {"$schema", "version", "runs"}
    assert log["version"] == "2.1.0"
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    rules = driver["rules"]
    assert driver["name"] == "aftertrace"
    assert len({rule["id"] for rule in rules}) == len(rules)
    assert all(rule["shortDescription"]["text"] and rule["fullDescription"]["text"] for rule in rules)
    for each in run["results"]:
        assert rules[each["ruleIndex"]]["id"] == each["ruleId"]
        assert each["level"] in ("error", "warning", "note")
        assert each["message"]["text"]
        (location,) = each["locations"]
        assert location["physicalLocation"]["artifactLocation"]["uri"] == "models/v2.onnx"
        assert location["physicalLocation"]["region"]["startLine"] == 1


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("within", {}),
        ("exceeded", {"limit/auc": "error", "limit/tpr_at_1pct": "warning"}),
        ("invalid", {"limit/auc": "warning", "limit/tpr_at_1pct": "warning", "control/blind": "error"}),
        ("blunt", {"control/unseen/unseen": "note", "control/planted": "note"}),
        ("no limit", {"limit/none": "note"}),
    ],
)
def test_what_passed_is_no_result(name, expected):
    found = json.loads(sarif(RESULTS[name], artifact="m"))["runs"][0]["results"]
    assert {each["ruleId"]: each["level"] for each in found} == expected


@pytest.mark.parametrize(
    ("artifact", "uri"),
    [
        ("models/v2.skops", "models/v2.skops"),
        ("./models//v2.skops", "models/v2.skops"),
        ("/home/someone/models/v2.skops", "v2.skops"),
        (r"C:\Users\someone\v2.skops", "v2.skops"),
        (r"models\v2.skops", "models/v2.skops"),
        ("../elsewhere/v2.skops", "v2.skops"),
        ("~someone/v2.skops", "v2.skops"),
        ("https://user:secret@host.example/v1/predict?key=secret", "predict"),
        ("https://host.example", "model"),
        ("shop.models:make@weights.pt", "shop.models%3Amake%40weights.pt"),
        ("", "model"),
    ],
)
def test_places_are_relative_and_name_nobody(artifact, uri):
    text = sarif(RESULTS["exceeded"], artifact=artifact)
    found = json.loads(text)["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["artifactLocation"]
    assert found == {"uri": uri, "uriBaseId": "%SRCROOT%"}
    assert "secret" not in text
    assert "someone" not in text


def test_a_finding_is_known_again():
    """The same rule of the same model, whatever the figures; another one of another model."""

    def prints(found, artifact="a"):
        return {
            each["ruleId"]: tuple(each["partialFingerprints"].values())
            for each in json.loads(sarif(found, artifact=artifact))["runs"][0]["results"]
        }

    first = prints(RESULTS["exceeded"])
    moved = prints(result(Outcome.LEAKS, [check(low=0.8, high=0.9), UNDECIDED], sentence="Another."))
    assert first == moved
    assert len(set(first.values())) == 2
    assert not set(first.values()) & set(prints(RESULTS["exceeded"], "b").values())


# A real audit


def test_a_real_audit_tells_the_same_everywhere():
    table = simulated_posteriors(leak=2, seed=0)
    judgement = Judgement(attack="LogitDrop", limits=Limits(auc=0.6), confidence=0.95, seed=0)
    found = assess(None, table, (LogitDrop(), OriginalLogit()), judgement, engine=InProcess(), progress=lambda *_: None)
    whole = replace(RESULTS["within"], verdict=found.verdict, controls=found.controls)
    lines = {line.name: line for line in gate_lines(whole)}
    assert found.verdict.outcome is Outcome.LEAKS
    assert lines["auc"].state is State.EXCEEDED
    assert not any(lines[each.name].blocks for each in found.controls)
    assert outcome_of(cases(junit_xml(whole))["auc"]) == ("failure", "exceeded")
    assert junit_xml(whole) == junit_xml(whole)
