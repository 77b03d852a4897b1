"""A check as JUnit XML: one test case per model and metric, so that a CI server lists and counts the failures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal
from xml.etree import ElementTree as Xml

from analyzer.core.errors import one_line
from analyzer.regression.outcome import Change, CheckResult, ModelCheck, worst
from reports.regression.summary import conclusion, describe, new_or_removed

MAX_LINES = 200


def dump(result: CheckResult) -> str:
    """The document, with a declaration and a final newline."""
    suite = Xml.Element("testsuite", name=result.suite)
    Xml.SubElement(Xml.SubElement(suite, "properties"), "property", name="conclusion", value=conclusion(result))
    for check in result.checks:
        if check.error:
            _add(_case(suite, check, result.action), "error", check.reason, check.reason)
            continue
        by_metric: dict[str, list[Change]] = {}
        for change in check.changes:
            name = change.metric + (" budget" if change.budget is not None else "")
            by_metric.setdefault(name, []).append(change)
        for name, changes in by_metric.items():
            _fill(_case(suite, check, name), check, changes, result)
    for key, kind in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f".//{kind}"))))
    suites = Xml.Element("testsuites", dict(suite.attrib))
    suites.append(suite)
    Xml.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(suites, encoding="unicode") + "\n"


def outcomes(result: CheckResult) -> list[tuple[str, Literal["passed", "failed", "skipped"], str]]:
    """For another program's JUnit file: name, outcome and message of each model or benchmark."""
    cases: list[tuple[str, Literal["passed", "failed", "skipped"], str]] = []
    for check in result.checks:
        message = describe(check.changes[0], check)
        failed = any(map(result.fails, check.changes))
        decided = check.outcome in ("improved", "unchanged")
        cases.append((check.model, "failed" if failed else "passed" if decided else "skipped", message))
    return cases


def _case(suite: Xml.Element, check: ModelCheck, name: str) -> Xml.Element:
    mode = "" if check.mode == "inference" else f" ({check.mode})"
    return Xml.SubElement(suite, "testcase", classname=one_line(check.model) + mode, name=one_line(name))


def _fill(case: Xml.Element, check: ModelCheck, changes: Sequence[Change], result: CheckResult) -> None:
    """Failure if a change fails, skipped if nothing was decided, else the changes as output."""
    outcome = worst(change.outcome for change in changes)
    lines = [describe(change, check) for change in changes if change.differs or change.budget is not None]
    if len(lines) > MAX_LINES:
        lines = [*lines[:MAX_LINES], f"and {len(lines) - MAX_LINES} more"]
    failures = [change for change in changes if result.fails(change)]
    if failures:
        _add(case, "failure", describe(failures[0], check), "\n".join(lines))
    elif result.incomparable:
        _add(case, "error", result.incomparable, result.incomparable)
    elif outcome in ("inconclusive", "incomparable") and not result.updated:
        word = new_or_removed(check) if check.missing else outcome
        _add(case, "skipped", f"{word}: {check.reason or describe(changes[0], check)}")
    elif lines:
        Xml.SubElement(case, "system-out").text = _escape_lines(lines)


def _add(case: Xml.Element, kind: str, message: str, text: str = "") -> None:
    element = Xml.SubElement(case, kind, message=one_line(message))
    if kind != "skipped":
        element.set("type", "regressed" if kind == "failure" else "error")
        element.text = _escape_lines(text.split("\n"))


def _escape_lines(lines: Sequence[str]) -> str:
    """XML 1.0 cannot represent most control characters, not even as references: they become escape sequences."""
    return "\n".join(map(one_line, lines))
