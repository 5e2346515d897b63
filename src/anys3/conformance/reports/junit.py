"""The report as JUnit's XML, which CI servers show."""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree as ET

from anys3.conformance.outcomes import Outcome, Result
from anys3.conformance.report import Report
from anys3.conformance.reports import wording
from anys3.conformance.reports.reproducing import check_line
from anys3.conformance.reports.wording import printable

_HOST = "anys3"


def to_junit(report: Report) -> str:
    """Return one suite per operation, with one test case per check.

    FAIL and ABSENT are failures, ERROR is an error, SKIP and BLOCKED are skipped. A FLAKY MUST is a failure:
    what fails now and then can't be relied on. WARN, and a FLAKY SHOULD, pass and say so in their output:
    a SHOULD does not break a build. Which check is which stands in the type attribute.
    """
    by_operation: dict[str, list[Result]] = {}
    for result in report.results:
        by_operation.setdefault(result.operation, []).append(result)
    root = ET.Element("testsuites", {"name": "anys3 check", **_totals(report.results)})
    for number, (operation, results) in enumerate(by_operation.items()):
        root.append(_suite(report, number, operation, results))
    ET.indent(root)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, "unicode") + "\n"


def _suite(report: Report, number: int, operation: str, results: list[Result]) -> ET.Element:
    attributes = {
        "name": printable(operation),
        "package": printable(operation),
        "id": str(number),
        "hostname": _HOST,
        "timestamp": printable(report.started.rstrip("Z")),
        "skipped": str(sum(_kind(result) == "skipped" for result in results)),
    }
    suite = ET.Element("testsuite", attributes | _totals(results))
    properties = ET.SubElement(suite, "properties")
    for name, value in (
        ("endpoint", report.endpoint),
        ("product", wording.title(report)),
        ("verdict", f"{report.verdict}: {wording.scope(report)}"),
        ("anys3", report.anys3_version),
    ):
        ET.SubElement(properties, "property", name=name, value=printable(value))
    suite.extend(_case(report, result) for result in results)
    ET.SubElement(suite, "system-out")
    ET.SubElement(suite, "system-err")
    return suite


def _case(report: Report, result: Result) -> ET.Element:
    case = ET.Element(
        "testcase",
        name=printable(result.check),
        classname=printable(f"anys3.{result.operation}"),
        time=f"{result.seconds:.3f}",
    )
    kind = _kind(result)
    if kind:
        found = ET.SubElement(case, kind, message=printable(result.sentence), type=result.outcome.value)
        found.text = printable(_told(report, result), keep="\n")
    elif remarks := _remarks(result):
        ET.SubElement(case, "system-out").text = printable("\n".join(remarks), keep="\n")
    return case


def _kind(result: Result) -> str:
    """Return the element that says what became of a check; "" for one that passed."""
    if result.outcome is Outcome.FLAKY:
        return "failure" if result.level == "MUST" else ""
    return {
        Outcome.FAIL: "failure",
        Outcome.ABSENT: "failure",
        Outcome.ERROR: "error",
        Outcome.SKIP: "skipped",
        Outcome.BLOCKED: "skipped",
    }.get(result.outcome, "")


def _totals(results: Iterable[Result]) -> dict[str, str]:
    rows = list(results)
    kinds = [_kind(result) for result in rows]
    return {
        "tests": str(len(rows)),
        "failures": str(kinds.count("failure")),
        "errors": str(kinds.count("error")),
        "time": f"{sum(result.seconds for result in rows):.3f}",
    }


def _told(report: Report, result: Result) -> str:
    lines = [f"{result.level} {', '.join(result.ids)}: {result.title}", result.sentence]
    broken = wording.breaks(result.ids)
    if broken and result.outcome in wording.BROKEN:
        lines.append(f"What it breaks: {broken}")
    lines += result.notes
    lines += [f"{exchange.summary} -> {exchange.status or exchange.error}" for exchange in result.exchanges]
    return "\n".join([*filter(None, lines), f"Again: {check_line(report.endpoint, result.check)}"])


def _remarks(result: Result) -> list[str]:
    found = f"{result.outcome} ({wording.MEANINGS[result.outcome]}): {result.sentence}"
    return [*([found] if result.outcome is not Outcome.PASS else []), *result.notes]
