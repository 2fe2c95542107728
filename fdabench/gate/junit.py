"""What the gate found, as JUnit XML, which nearly every CI reads: a test case for each run, and for each cell."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from fdabench.gate.verdict import Checked, Finding, Level, Verdict
from fdabench.gate.words import level_line, sentence, summary


def junit(checked: Checked, timestamp: str) -> str:
    """With the order and attributes of windyroad's JUnit schema. What is inconclusive is skipped, unless it fails.

    Args:
        timestamp: when the results were made, as `2026-11-23T12:50:39`.
    """
    cases = [_case(checked, who, findings) for who, findings in _by_name(checked.findings).items()]
    cases += [_level(checked, level) for level in checked.levels]
    cases += [_absent(checked, name) for name in checked.missing]
    told = {tag: str(sum(case.find(tag) is not None for case in cases)) for tag in ("failure", "error", "skipped")}
    suite = ET.Element(
        "testsuite",
        {"id": "0", "package": "fdabench", "name": checked.suite, "timestamp": timestamp, "hostname": "localhost"}
        | {"tests": str(len(cases)), "failures": told["failure"], "errors": told["error"], "skipped": told["skipped"]}
        | {"time": "0"},
    )
    ET.SubElement(suite, "properties")
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = "\n".join([*checked.why, *summary(checked)])
    ET.SubElement(suite, "system-err")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _by_name(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    found: dict[str, list[Finding]] = {}
    for finding in findings:
        found.setdefault(finding.who, []).append(finding)
    return found


def _new(checked: Checked, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": f"fdabench.{checked.suite}", "name": name, "time": "0"})


def _case(checked: Checked, who: str, findings: Sequence[Finding]) -> ET.Element:
    case = _new(checked, who)
    bad = [finding for finding in findings if finding.verdict in checked.failing]
    unsure = [finding for finding in findings if finding.verdict == Verdict.inconclusive]
    if bad:
        _told(case, "failure", bad)
    elif unsure:
        ET.SubElement(case, "skipped", {"message": "; ".join(sentence(finding) for finding in unsure)})
    return case


def _told(case: ET.Element, tag: str, findings: Sequence[Finding]) -> None:
    lines = [sentence(finding) for finding in findings]
    ET.SubElement(case, tag, {"message": lines[0], "type": f"class {findings[0].kind}"}).text = "\n".join(lines)


def _level(checked: Checked, level: Level) -> ET.Element:
    case = _new(checked, f"all cells together: {level.metric}")
    if level.verdict == Verdict.fail:
        ET.SubElement(case, "failure", {"message": level_line(level), "type": "class C"})
    return case


def _absent(checked: Checked, name: str) -> ET.Element:
    case = _new(checked, f"{name} is there")
    ET.SubElement(case, "error", {"message": "it has no result to compare", "type": "missing"})
    return case
