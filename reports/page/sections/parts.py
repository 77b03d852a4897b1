"""What one timed pass is made of: kinds of operators, modules with gap and spread, operators against MACs, kernels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import quantiles

from analyzer.core.units import percent, scaled, seconds
from analyzer.records.record import Record
from analyzer.records.timings import Measurement, Timing
from reports.page import cells
from reports.page.context import Block, Chart, Table
from reports.page.figures import base as figures
from reports.page.figures import points
from reports.page.subjects import Subject
from reports.timing.parts import GAP, by_kind, cell_of

KINDS, KERNELS = 8, 12


def kinds(one: Subject, record: Record) -> Chart:
    """Shares of MACs and of time side by side: what multiply-adds hide."""
    cell, found = cell_of(record), by_kind(record)
    whole, macs = sum(part.seconds for part in found.values()), sum(part.macs for part in found.values())
    names = sorted(found, key=lambda name: -found[name].seconds)
    shown = names[:KINDS]
    times = [found[name].seconds / whole for name in shown]
    works = [found[name].macs / macs if macs else 0.0 for name in shown]
    free = sum(part.seconds for name, part in found.items() if not part.macs and name != GAP) / whole
    rows = [
        [
            cells.words(name),
            cells.part(found[name].macs, macs),
            cells.part(found[name].seconds, whole),
            cells.time(found[name].seconds),
            cells.figure("macs", found[name].macs),
        ]
        for name in names
    ]
    heads = (cells.left("share of MACs"), cells.left("share of time"), cells.right("time"), cells.right("MACs"))
    table = Table(
        "", "By kind of operator", (cells.left("operator"), *heads), cells.lines(rows), (), ("csv",), fold=True
    )
    return _chart(
        one, cell, "kinds", "What multiply-adds hide",
        f"{percent(free)} of the time goes to operators without any multiply-add.",
        figures.grouped(
            shown,
            {"share of MACs": (works, list(map(percent, works))), "share of time": (times, list(map(percent, times)))},
            unit="share of the whole",
        ),
        table,
        sum(1 for value in (*times, *works) if value),
        (("share of MACs", figures.series(0)), ("share of time", figures.series(1))),
    )  # fmt: skip


def modules(one: Subject, record: Record) -> Chart:
    """Top-level modules in order and the gap between operators: they add up to a pass; whiskers: the middle half."""
    cell = cell_of(record)
    values: dict[str, float] = defaultdict(float)
    members: dict[str, list[Timing]] = defaultdict(list)
    for part, time in cell.parts.items():
        name = GAP if part.kind == "gap" else part.path.partition(".")[0] or f"({part.op})"
        values[name] += time
        members[name].append(part)
    order = [*(name for name in values if name != GAP), *([GAP] if GAP in values else [])]
    halves = {name: _half(members[name]) for name in order}
    above = [max(halves[name][1] - values[name], 0.0) for name in order]
    below = [max(values[name] - halves[name][0], 0.0) for name in order]
    whole = sum(values.values())
    most = max(order, key=values.__getitem__)
    rows = [
        [
            cells.words(name),
            cells.time(values[name]),
            cells.part(values[name], whole),
            *map(cells.time, halves[name]),
        ]
        for name in order
    ]
    heads = (cells.right("time"), cells.left("share"), cells.right("lower quartile"), cells.right("upper quartile"))
    gap = f" The gap between operators is {percent(values[GAP] / whole)}." if GAP in values else ""
    return _chart(
        one, cell, "modules", "Modules and gap, which add up to the pass",
        f"{most} takes most, {seconds(values[most])}, {percent(values[most] / whole)} of the cut pass.{gap} "
        "Whiskers: the middle half of the passes.",
        figures.bars(
            order, [values[name] for name in order], [seconds(values[name]) for name in order], unit="time", suffix="s",
            colours=[figures.SLATE if name == GAP else figures.BLUE for name in order], spread=(above, below),
        ),
        Table("", "Module by module", (cells.left("module"), *heads), cells.lines(rows), tools=cells.ALL, fold=True),
        len(order),
    )  # fmt: skip


def _half(members: Sequence[Timing]) -> tuple[float, float]:
    """Lower and upper quartile, over the passes, of what parts take together."""
    sums = [sum(samples) for samples in zip(*(one.samples_s for one in members), strict=True)]
    if len(sums) < 2:
        return (sums[0], sums[0]) if sums else (0.0, 0.0)
    low, _, high = quantiles(sums, n=4, method="inclusive")
    return low, high


def operators(one: Subject, record: Record) -> Chart:
    """Time against MACs, a point an operator, a colour a kind. One too short for the clock has no point."""
    cell = cell_of(record)
    named = {(row.path, row.op, row.call): row for row in record.rows}
    groups: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    rows, short = [], 0
    for part, time in cell.parts.items():
        row = named.get((part.path, part.op, part.call))
        if part.kind != "tile" or row is None or part.phase != "forward":
            continue
        short += not part.resolved
        counted = [cells.words(part.path), cells.words(part.op), cells.figure("macs", row.macs)]
        rows.append([*counted, cells.time(time), cells.verdict(part.quality)])
        if row.macs and part.resolved:
            groups[part.op].append((row.macs, float(f"{time:.4g}"), figures.safe(part.path)))
    drawn = {
        op: ([x for x, _, _ in found], [y for _, y, _ in found], [text for _, _, text in found])
        for op, found in groups.items()
    }
    rates = sorted(x / y for found in groups.values() for x, y, _ in found if y)
    summary = (
        f"Between {scaled(rates[0])} and {scaled(rates[-1])} multiply-adds a second: as many take up to "
        f"{rates[-1] / rates[0]:.0f} times longer in one operator than in another."
        if rates
        else "No operator with multiply-adds was long enough for the clock."
    )
    if short:
        summary += f" {short} operators are too short for the clock and have no point."
    heads = (cells.left("path"), cells.left("op"), cells.right("MACs"), cells.right("time"), cells.left("verdict"))
    return _chart(
        one, cell, "operators", "Time against multiply-adds",
        summary,
        points.scatter(drawn, x="multiply-adds", y="time", hover="%{x:.4s} MACs in %{y:.4s}s", suffix="s"),
        Table("", "Operator by operator", heads, cells.lines(rows), tools=cells.ALL, fold=True),
        len(rates),
    )  # fmt: skip


def kernels(one: Subject, record: Record) -> list[Block]:
    """What torch's profiler saw, where it was asked."""
    cell = cell_of(record)
    found: dict[str, float] = defaultdict(float)
    for part in cell.of("kernel"):
        found[part.op] += part.median_s
    if not found:
        return []
    names = sorted(found, key=lambda name: -found[name])
    shown, whole = names[:KERNELS], sum(found.values())
    rows = [[cells.words(name), cells.time(found[name]), cells.part(found[name], whole)] for name in names]
    heads = (cells.left("kernel"), cells.right("time"), cells.left("share"))
    return [
        _chart(
            one, cell, "kernels", "Kernels",
            f"{shown[0]} takes {percent(found[shown[0]] / whole)} of what the profiler saw; its own cost is in them.",
            figures.bars(
                [name if len(name) <= 28 else f"{name[:27]}…" for name in shown],
                [found[name] for name in shown], [seconds(found[name]) for name in shown],
                unit="time", suffix="s", colours=figures.PURPLE,
            ),
            Table("", "Kernel by kernel", heads, cells.lines(rows), tools=cells.ALL, fold=True),
            len(shown),
        )
    ]  # fmt: skip


def _chart(
    one: Subject, cell: Measurement, name: str, title: str, summary: str, figure: figures.Figure, table: Table, marks: int,
    legend: tuple[tuple[str, str], ...] = (),
) -> Chart:  # fmt: skip
    id = f"{name}-{one.place}"
    return Chart(
        id=id,
        title=f"{one.name}: {title}",
        summary=f"{summary} At {cell.configuration.label}.",
        figure=figure,
        table=table.replace(id=f"{id}-data", title=f"{one.name}: {table.title.lower()}"),
        marks=marks,
        legend=legend or figures.key(figure),
        trust=cell.trust[0],
        reason=cell.trust[1],
    )
