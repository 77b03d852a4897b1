"""A check as JUnit XML: a test case a model and metric, so that a CI server shows and counts what failed."""

from __future__ import annotations

from collections.abc import Sequence
from xml.etree import ElementTree as Xml

from analyzer.core.errors import one_line
from analyzer.regression.counts.gate import Held
from analyzer.regression.counts.result import Result
from analyzer.regression.verdict import Verdict, worst

SUITE = "analyze check"
MOST_LAYERS = 200


def dump(result: Result) -> str:
    """The document, with a declaration and a final newline."""
    suite = Xml.Element("testsuite", name=SUITE)
    for one in result.held:
        if one.model in result.errors:
            case = _case(suite, one, "counted")
            _say(case, "error", one.reason, one.reason)
            continue
        for name, verdicts in _by_metric(one).items():
            _fill(_case(suite, one, name), one, verdicts, result)
    return document(suite)


def document(suite: Xml.Element) -> str:
    """A suite as a file, its cases counted."""
    for key, kind in (("tests", "testcase"), ("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
        suite.set(key, str(len(suite.findall(f".//{kind}"))))
    suites = Xml.Element("testsuites", dict(suite.attrib))
    suites.append(suite)
    Xml.indent(suites)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + Xml.tostring(suites, encoding="unicode") + "\n"


def _by_metric(one: Held) -> dict[str, list[Verdict]]:
    """A metric's total, kinds of operator and layers together; a budget is a case of its own."""
    found: dict[str, list[Verdict]] = {}
    for verdict in one.verdicts:
        found.setdefault(verdict.metric + (" budget" if verdict.budget is not None else ""), []).append(verdict)
    return found


def _case(suite: Xml.Element, one: Held, name: str) -> Xml.Element:
    mode = "" if one.mode == "inference" else f" ({one.mode})"
    return Xml.SubElement(suite, "testcase", classname=one_line(one.model) + mode, name=one_line(name))


def _fill(case: Xml.Element, one: Held, verdicts: Sequence[Verdict], result: Result) -> None:
    """A failure if any figure regressed, skipped where nothing could be compared, else what changed as output."""
    outcome = worst(verdict.outcome for verdict in verdicts)
    lines = [line(verdict) for verdict in verdicts if verdict.differs or verdict.budget is not None]
    if len(lines) > MOST_LAYERS:
        lines = [*lines[:MOST_LAYERS], f"and {len(lines) - MOST_LAYERS} more"]
    failed = [verdict for verdict in verdicts if result.fails(verdict)]
    if failed:
        _say(case, "failure", line(failed[0]), "\n".join(lines))
    elif outcome == "incomparable" and not result.updated:
        _say(case, "skipped", one.reason or "there is no figure", "")
    elif lines:
        Xml.SubElement(case, "system-out").text = one_line_each(lines)


def line(verdict: Verdict) -> str:
    """`inception_4a.branch_5x5.reduce.conv: macs 1,505,280 → 3,010,560, regressed`."""
    after = "none" if verdict.after is None else f"{verdict.after:,}"
    if verdict.budget is not None:
        return f"{verdict.path}: {verdict.metric} {after}, budget {verdict.budget:,}, {verdict.outcome}"
    before = "none" if verdict.before is None else f"{verdict.before:,}"
    where = f"{verdict.path or '(top level)'}{f' {verdict.op}' if verdict.op else ''}"
    where += f" #{verdict.call}" if verdict.call > 1 else ""
    return f"{where}: {verdict.metric} {before} → {after}, {verdict.outcome}"


def _say(case: Xml.Element, kind: str, message: str, text: str) -> None:
    said = Xml.SubElement(case, kind, message=one_line(message))
    if kind != "skipped":
        said.set("type", "regressed" if kind == "failure" else "error")
        said.text = one_line_each(text.split("\n"))


def one_line_each(lines: Sequence[str]) -> str:
    """XML 1.0 has no place for most control characters, not even escaped ones: they are written out."""
    return "\n".join(map(one_line, lines))
