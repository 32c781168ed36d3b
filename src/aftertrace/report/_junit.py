"""A gate as JUnit XML, for servers that show test results."""

import re
from collections import Counter
from xml.etree import ElementTree as ET

from aftertrace.report._gate import GateLine, State, gate_lines
from aftertrace.results import Result

_ELEMENTS = {
    State.EXCEEDED: "failure",
    State.INCONCLUSIVE: "failure",
    State.FAILED: "failure",
    State.INVALID: "error",
    State.UNTESTED: "skipped",
}
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot hold, escaped or not."""


def junit_xml(result: Result) -> str:
    """One suite: a test case per limit and per control, to be written as UTF-8.

    A limit that is exceeded or left undecided is a failure (of type "exceeded" or "inconclusive"), a control that found
    something a failure of type "failed", a limit of an invalid audit an error. Skipped is what could not be tested and
    blocks nothing: a control that the data do not allow, a planted leak that was not found, limits that were not given.
    Names are the same in every audit. Equal results give equal text: it holds no time, no host and no path.

    Format: the schema junit-10.xsd of Jenkins' xUnit plug-in, which GitHub's and GitLab's readers accept too.
    """
    lines = gate_lines(result)
    found = Counter(_ELEMENTS.get(line.state, "passed") for line in lines)
    counts = {"tests": str(len(lines)), "failures": str(found["failure"]), "errors": str(found["error"])}
    root = ET.Element("testsuites", {"name": "aftertrace", **counts, "time": "0"})
    name = _clean(f"aftertrace: {result.title}")
    suite = ET.SubElement(root, "testsuite", {"name": name, **counts, "skipped": str(found["skipped"]), "time": "0"})
    properties = ET.SubElement(suite, "properties")
    ET.SubElement(properties, "property", {"name": "outcome", "value": result.verdict.outcome.value})
    for line in lines:
        _add_case(suite, line)
    ET.SubElement(suite, "system-out").text = _clean(result.verdict.sentence)
    ET.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ET.tostring(root, encoding="unicode")}\n'


def _add_case(suite: ET.Element, line: GateLine) -> None:
    names = {"classname": f"aftertrace.{line.kind}", "name": _clean(line.name), "time": "0"}
    case = ET.SubElement(suite, "testcase", names)
    if line.state in _ELEMENTS:
        facts = {"type": line.state.value, "message": _clean(line.message)}
        ET.SubElement(case, _ELEMENTS[line.state], facts).text = _clean(line.meaning)
    else:
        ET.SubElement(case, "system-out").text = _clean(line.message)


def _clean(text: str) -> str:
    return _NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text)
