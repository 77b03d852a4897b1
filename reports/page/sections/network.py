"""The networks as drawings, side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from reports.page.context import Picture, Section
from reports.page.figures.diagram import SHORT, SILENT, stops, svg
from reports.page.subjects import Subject

LEAD = (
    "Modules from top to bottom, branches side by side, each with its kernel and output channels. The line at the top "
    "of a box is its share of the multiply-adds; a box leads to its line in the full table."
)


def section(subjects: Sequence[Subject], places: Mapping[tuple[int, str], str]) -> Section:
    shown = [one for one in subjects if not one.empty]
    drawings = tuple(
        (one.name, _words(one), svg(one.record, one.name, {path: places[one.place, path] for path in _paths(one)}))
        for one in shown
    )
    return Section("network", "The networks, drawn", "Diagram", LEAD, (Picture(drawings),) if drawings else ())


def _paths(one: Subject) -> list[str]:
    return [module.path for module in one.modules]


def _words(one: Subject) -> str:
    """What the drawing shows, for those who do not see it."""
    ops = Counter(row.op for row in one.record.rows if row.op not in SILENT)
    branched = [stop for stop in stops(one.record) if stop.branches]
    named = ", ".join(f"{times} {SHORT.get(op, op)}" for op, times in ops.most_common(5))
    text = f"{len(stops(one.record))} modules: {named}."
    if branched:
        text += f" {len(branched)} have branches, {branched[0].path} to {branched[-1].path}."
    return text
