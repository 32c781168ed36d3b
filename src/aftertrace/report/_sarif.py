"""A gate as SARIF, for servers that show what is wrong with code."""

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import PureWindowsPath
from typing import Any
from urllib.parse import quote, urlsplit

from aftertrace._hashing import digest
from aftertrace.report._gate import GateLine, State, gate_lines
from aftertrace.results import Result

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
_LEVELS = {
    State.EXCEEDED: "error",
    State.FAILED: "error",
    State.INCONCLUSIVE: "warning",
    State.INVALID: "warning",
    State.UNTESTED: "note",
}


def sarif(result: Result, *, artifact: str) -> str:
    """A SARIF 2.1.0 log with one run: a rule per limit and per control, a result per one that did not pass.

    `artifact`: the model that is judged, as it was named (a file, `package.module:factory`, an address): where the
    results are shown. A relative path is kept; of an absolute one, of one that leaves the folder and of an address the
    last name only. Errors: a limit that is exceeded, a control that found something. Warnings: a limit that is
    undecided, or judged by an invalid audit. Notes: what could not be tested. Fingerprints depend on artifact and rule
    alone, so a server knows a finding of the last audit again, and closes it when it is gone.
    """
    lines, place = gate_lines(result), _relative(artifact)
    driver = {"name": "aftertrace", "version": version("aftertrace"), "rules": [_rule(line) for line in lines]}
    run = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"aftertrace/{place}/"},
        "columnKind": "unicodeCodePoints",
        "properties": {"outcome": result.verdict.outcome.value, "verdict": result.verdict.sentence},
        "results": [_result(line, number, place) for number, line in enumerate(lines) if line.state in _LEVELS],
    }
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def _rule(line: GateLine) -> Mapping[str, Any]:
    return {
        "id": _rule_id(line),
        "shortDescription": {"text": f"{line.kind} {line.name}"},
        "fullDescription": {"text": line.meaning},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["privacy"]},
    }


def _result(line: GateLine, number: int, place: str) -> Mapping[str, Any]:
    location = {"artifactLocation": {"uri": place, "uriBaseId": "%SRCROOT%"}, "region": {"startLine": 1}}
    known = digest([place, _rule_id(line)])[:32]
    return {
        "ruleId": _rule_id(line),
        "ruleIndex": number,
        "level": _LEVELS[line.state],
        "message": {"text": f"{line.state.capitalize()}: {line.message}"},
        "locations": [{"physicalLocation": location}],
        # the second is the one that GitHub goes by, and else computes from the text of the file
        "partialFingerprints": {"aftertrace/v1": known, "primaryLocationLineHash": f"{known}:1"},
    }


def _rule_id(line: GateLine) -> str:
    return f"{line.kind}/{line.name}"


def _relative(artifact: str) -> str:
    """A relative URI without steps upwards, that names no folder of this machine, user or host."""
    text = urlsplit(artifact).path if "://" in artifact else artifact
    path = PureWindowsPath(text)  # knows both kinds of slashes, and drives
    leaves = path.anchor or ".." in path.parts or "://" in artifact or text.startswith("~")
    shown = path.name if leaves else path.as_posix()
    return quote(shown if shown not in ("", ".") else "model", safe="/")
