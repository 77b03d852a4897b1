"""The verdict first: a sentence a network, its figures on a card, and the totals to the last unit."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS, intensity, percent, scaled, seconds
from analyzer.records.timings import Measurement
from reports.page import cells
from reports.page.context import Block, Card, Cards, Cell, Fact, Section, Table, Words
from reports.page.subjects import Subject

COUNTS = ("params", "macs", "activations")
TITLES = {"params": "Parameters", "macs": "Multiply-adds", "activations": "Activations"}


def section(subjects: Sequence[Subject], notices: Sequence[str]) -> Section:
    blocks: list[Block] = [Words(tuple(notices), "warning")] if notices else []
    blocks.append(Words(tuple(sentences(subjects)), "lead"))
    blocks.append(Cards(tuple(card(one, subjects[0]) for one in subjects)))
    blocks.append(totals(subjects))
    if notes := _notes(subjects):
        blocks.append(Words(notes, "notice"))
    return Section("verdict", "Verdict", "Verdict", "", tuple(blocks))


def sentences(subjects: Sequence[Subject]) -> list[str]:
    """One of the first network alone, one of it against each other."""
    first = subjects[0]
    said = [_alone(first)]
    for other in subjects[1:]:
        if other.empty:
            said.append(_alone(other))
        elif other.apart:
            said.append(f"{other.name} is not held against {first.name}: {other.apart}. Its figures stand beside.")
        elif not first.empty:
            said.append(_against(first, other))
    return said


def _alone(one: Subject) -> str:
    if one.empty:
        return f"{one.name} has no rows: the record is empty, and there is nothing to show of it."
    totals = one.totals
    text = f"{one.name} takes {scaled(totals.params)} parameters and {scaled(totals.macs)} multiply-adds"
    tops = [module for module in one.parts if "." not in module.path]
    if tops and totals.macs:
        most = max(tops, key=lambda module: module.totals.macs)
        text += f", {percent(most.totals.macs / totals.macs)} of them in {most.path}"
    if one.memory:
        where = f" in {one.memory.peak_path}" if one.memory.peak_path else ""
        text += f"; memory peaks at {scaled(one.memory.peak, 'B')}{where}"
    if (timed := _timed(one)) and timed.whole:
        text += f"; a pass takes {seconds(timed.whole.median_s)} ({timed.configuration.label}, {timed.quality})"
    return f"{text}."


def _against(first: Subject, other: Subject) -> str:
    parts = [
        cells.sentence(metric, getattr(first.totals, metric), getattr(other.totals, metric))
        for metric in ("params", "macs")
    ]
    if first.memory and other.memory:
        parts.append(cells.sentence("memory", first.memory.peak, other.memory.peak))
    if (pair := _times(first, other)) is not None:
        parts.append(cells.sentence("time", *pair))
    *head, last = parts
    return f"{first.name} has {head[0]} than {other.name}, {', '.join([*head[1:], ''])[:-2]} and {last}."


def _timed(one: Subject) -> Measurement | None:
    return next((record.measurement for record in one.timed if record.measurement and record.measurement.whole), None)


def _times(first: Subject, other: Subject) -> tuple[float, float] | None:
    """The whole passes of both, at the first setting that they share on one machine."""
    from analyzer.records.comparable import why_not

    for ours in first.timed:
        for theirs in other.timed:
            one, two = ours.measurement and ours.measurement.whole, theirs.measurement and theirs.measurement.whole
            if one and two and why_not(ours, theirs) is None and "void" not in (one.quality, two.quality):
                return one.median_s, two.median_s
    return None


def card(one: Subject, first: Subject) -> Card:
    held = one is not first and one.apart is None and not first.empty and not one.empty
    facts = []
    for metric in COUNTS:
        value = getattr(one.totals, metric)
        before = getattr(first.totals, metric) if held else None
        exact = f"{value:,} {METRICS[metric].unit}"
        facts.append(_fact(TITLES[metric], METRICS[metric].text(value), value, before, exact))
    if one.memory:
        before = first.memory.peak if held and first.memory else None
        exact = f"{one.memory.peak:,} bytes"
        facts.append(_fact("Peak memory", scaled(one.memory.peak, "B"), one.memory.peak, before, exact))
    if timed := _timed(one):
        assert timed.whole is not None
        pair = _times(first, one) if held else None
        facts.append(
            _fact(
                f"Time of a pass, {timed.quality}",
                seconds(timed.whole.median_s),
                pair[1] if pair else 0.0,
                pair[0] if pair else None,
                timed.configuration.label,
            )
        )
    record = one.record
    shape = ", ".join(map(shape_text, record.input)) or "no input"
    note = f"not held against {first.name}: {one.apart}" if one.apart else ""
    return Card(one.name, f"{shape} · {record.mode} · {record.dtype}", tuple(facts), note, one.place)


def _fact(title: str, text: str, value: float, before: float | None, exact: str) -> Fact:
    if before is None:
        return Fact(title, text, exact)
    return Fact(title, text, exact, cells.against(value, before), cells.tone(value, before))


def totals(subjects: Sequence[Subject]) -> Table:
    """The whole of each network, to the last unit."""
    metrics = ["params", "macs", "flops", "activations", "traffic"]
    if any(one.totals.backward_macs is not None for one in subjects):
        metrics.insert(2, "backward_macs")
    rows = []
    for one in subjects:
        row: list[Cell] = [cells.words(one.name)]
        row += [cells.whole(getattr(one.totals, metric)) for metric in metrics]
        row.append(Cell(intensity(one.totals.intensity), one.totals.intensity) if one.totals.traffic else cells.NONE)
        row.append(cells.whole(one.memory.peak if one.memory else None))
        rows.append(row)
    columns = [cells.left("network"), *(cells.right(METRICS[metric].title) for metric in metrics)]
    columns += [cells.right("FLOP/B"), cells.right("peak bytes")]
    return Table("totals", "Totals, to the last unit", tuple(columns), cells.lines(rows), tools=("sort", "csv"))


def _notes(subjects: Sequence[Subject]) -> tuple[str, ...]:
    found = [f"{one.name}: {note}" for one in subjects for note in one.record.notes]
    for one in subjects:
        if one.record.unknown_ops:
            found.append(f"{one.name}: not counted, no formula for (calls): {one.record.count.uncounted}.")
        if one.record.agreement and one.record.agreement.differences:
            found.append(f"{one.name}: counters disagree on {len(one.record.agreement.differences)} figures.")
    return tuple(found)
