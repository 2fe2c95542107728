"""Writes the findings of the gate as JUnit XML, which most CI systems read, with a test case for each cell."""

from collections.abc import Sequence
from xml.etree import ElementTree as ET

from fdabench.formatting import join_first
from fdabench.gate.baseline.model import UnfinishedRun
from fdabench.gate.compare.changed_settings import ChangedRuns
from fdabench.gate.compare.verdict import CheckResult, Finding, SuiteWideTest, Verdict
from fdabench.gate.output.cell_rows import facts
from fdabench.gate.output.text import head, hints, suite_test_line, summary
from fdabench.gate.output.units import format_metric


def junit(result: CheckResult, timestamp: str) -> str:
    """Return the XML, with the order and attributes of windyroad's JUnit schema.

    An inconclusive cell is `skipped`, or a failure if inconclusive findings make the check fail.

    Args:
        result: the result of the check.
        timestamp: when the results were made, as `2026-11-23T12:50:39`.
    """
    findings_by_cell = _by_cell(result.changed_findings)
    cases = [_cell_case(result, cell, findings_by_cell.get(cell, [])) for cell in _by_cell(result.findings)]
    cases += [_suite_wide_case(result, test) for test in result.suite_wide_tests]
    cases += [_missing_case(result, run) for run in result.missing]
    cases += [_changed_case(result, changed) for changed in result.changed]
    counts = {tag: str(sum(case.find(tag) is not None for case in cases)) for tag in ("failure", "error", "skipped")}
    suite = ET.Element(
        "testsuite",
        {"id": "0", "package": "fdabench", "name": result.suite, "timestamp": timestamp, "hostname": "localhost"}
        | {
            "tests": str(len(cases)),
            "failures": counts["failure"],
            "errors": counts["error"],
            "skipped": counts["skipped"],
        }
        | {"time": "0"},
    )
    ET.SubElement(suite, "properties")
    suite.extend(cases)
    ET.SubElement(suite, "system-out").text = "\n".join([*head(result), *hints(result), *result.why, *summary(result)])
    ET.SubElement(suite, "system-err")
    root = ET.Element("testsuites")
    root.append(suite)
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _by_cell(findings: Sequence[Finding]) -> dict[str, list[Finding]]:
    by_cell: dict[str, list[Finding]] = {}
    for finding in findings:
        by_cell.setdefault(finding.cell, []).append(finding)
    return by_cell


def _test_case(result: CheckResult, name: str) -> ET.Element:
    return ET.Element("testcase", {"classname": f"fdabench.{result.suite}", "name": name, "time": "0"})


def _cell_case(result: CheckResult, cell: str, findings: Sequence[Finding]) -> ET.Element:
    """The test case of a cell over all its seeds.

    Its name contains the ids of its runs, and its message the findings that are not `unchanged`, the worst first.
    """
    ids = [key for (name, _), key in sorted(result.ids.items()) if name == cell]
    case = _test_case(result, f"{format_metric(cell)} ({join_first(ids, 3)})" if ids else cell)
    failing = [finding for finding in findings if finding.verdict in result.failing]
    inconclusive = [finding for finding in findings if finding.verdict == Verdict.inconclusive]
    message = "; ".join(facts(failing or inconclusive, len(ids)))
    if failing:
        failure = ET.SubElement(case, "failure", {"message": message, "type": f"class {failing[0].kind}"})
        failure.text = "\n".join(facts(findings, len(ids)))
    elif inconclusive:
        ET.SubElement(case, "skipped", {"message": message})
    return case


def _suite_wide_case(result: CheckResult, test: SuiteWideTest) -> ET.Element:
    case = _test_case(result, f"all cells together: {test.metric}")
    if test.verdict == Verdict.fail:
        ET.SubElement(case, "failure", {"message": suite_test_line(test), "type": "class C"})
    return case


def _missing_case(result: CheckResult, run: UnfinishedRun) -> ET.Element:
    case = _test_case(result, f"{run.name} has a result")
    ET.SubElement(case, "error", {"message": f"no result to compare: {run.reason}", "type": "missing"})
    return case


def _changed_case(result: CheckResult, runs: ChangedRuns) -> ET.Element:
    case = _test_case(result, runs.text.split(":")[0])
    error = ET.SubElement(case, "error", {"message": runs.text, "type": "changed settings"})
    error.text = "\n".join(hints(result))
    return case
