"""Two files held against each other as JSON, Markdown, JUnit XML and workflow commands, in the shapes of any check."""

from __future__ import annotations

from collections.abc import Iterator
from xml.etree import ElementTree as Xml

from analyzer.core.errors import one_line
from analyzer.records.envelope import SCHEMA_VERSION, pretty
from analyzer.regression.benchmarks.compare import Files, verdicts
from reports.formats.text import markdown as text_of
from reports.formats.text import titled
from reports.regression import benchmarks as gate_files
from reports.regression import json as envelope
from reports.regression import junit
from reports.regression.annotations import command
from reports.regression.benchmarks import line, together
from reports.table import Cell, Table

MOST = 9  # GitHub shows ten annotations of a step.
LEFT_OUT = 200  # Bytes for saying so.


def json(files: Files) -> str:
    """The envelope: verdicts as of any check, and under `benchmarks` what each could have shown."""
    document = {
        "schema_version": SCHEMA_VERSION,
        "status": files.status,
        "base": files.base,
        "head": files.head,
        "incomparable": files.apart or None,
        "shared_log_ratio": files.shared,
        "rules": dict(vars(files.rules)),
        "verdicts": [envelope.to_json(verdict) for verdict in verdicts(files)],
        "benchmarks": [
            {"model": one.name, "outcome": one.outcome, "smallest_shown": one.smallest, "reason": one.reason or None}
            for one in files.compared
        ],
        "records": [],
    }
    return pretty(document) + "\n"


def markdown(files: Files, limit: int | None = None) -> str:
    """A table; beyond `limit` bytes benchmarks are left out, those that regressed last of all, and it says how many."""
    (table,) = gate_files.tables(files)
    text = titled(table)
    if limit is None or len(text.encode()) <= limit:
        return text
    kept: list[tuple[Cell, ...]] = []
    room = limit - len(titled(table.replace(rows=())).encode()) - LEFT_OUT
    for row in sorted(table.rows, key=lambda row: row[-1] != "regressed"):
        room -= len(text_of([Table("", (), (row,))]).encode())
        if room < 0:
            break
        kept.append(row)
    left = f"Too long to show here: {len(table.rows) - len(kept)} more."
    return titled(table.replace(rows=tuple(kept), notes=(left, *table.notes)))


def xml(files: Files) -> str:
    """JUnit: a case a benchmark; what is unclear or has no counterpart is skipped, with its reason."""
    suite = Xml.Element("testsuite", name="analyze check, benchmarks")
    for one in files.compared:
        case = Xml.SubElement(suite, "testcase", classname=one_line(one.name), name="time")
        said = one_line(files.apart or line(one, files.rules))
        if one.outcome == "regressed":
            Xml.SubElement(case, "failure", message=said, type="regressed").text = said
        elif files.apart:
            Xml.SubElement(case, "error", message=said, type="error").text = said
        elif one.outcome in ("unclear", "incomparable"):
            Xml.SubElement(case, "skipped", message=f"{one.outcome}: {said}")
        else:
            Xml.SubElement(case, "system-out").text = said
    return junit.document(suite)


def commands(files: Files) -> Iterator[str]:
    failures = files.failures
    for one in failures[:MOST]:
        yield command("error", f"{one.name}: regressed", one_line(line(one, files.rules)))
    if len(failures) > MOST:
        yield command("error", f"{len(failures) - MOST} more regressed", "see the table")
    if files.moved:
        yield command("warning", "all benchmarks together: unclear", together(files))
    if files.apart:
        yield command("error", "benchmarks of two machines", one_line(files.apart))
