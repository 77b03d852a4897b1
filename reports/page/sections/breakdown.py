"""What one timed pass is made of: kinds of operators, modules with gap and spread, operators against MACs, kernels."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from statistics import quantiles

from analyzer.core.units import percent, scaled, seconds
from analyzer.records.record import Record
from analyzer.records.timings import Measurement, Timing
from reports import cells
from reports.page.context import ALL_TOOLS, Block, Chart
from reports.page.figures import base as figures
from reports.page.figures import points
from reports.page.network_views import NetworkView
from reports.table import Row, Table, columns
from reports.timing.breakdown import OVERHEAD, groups_by_kind, measurement_of

KINDS, KERNELS = 8, 12


def kinds(one: NetworkView, record: Record) -> Chart:
    """Shares of MACs and of time side by side: what multiply-adds hide."""
    cell, found = measurement_of(record), groups_by_kind(record)
    whole, macs = sum(part.seconds for part in found.values()), sum(part.macs for part in found.values())
    names = sorted(found, key=lambda name: -found[name].seconds)
    shown = names[:KINDS]
    times = [found[name].seconds / whole for name in shown]
    works = [found[name].macs / macs if macs else 0.0 for name in shown]
    free = sum(part.seconds for name, part in found.items() if not part.macs and name != OVERHEAD) / whole
    rows = tuple(
        (
            name,
            cells.share(found[name].macs, macs),
            cells.share(found[name].seconds, whole),
            cells.duration(found[name].seconds),
            cells.count("macs", found[name].macs),
        )
        for name in names
    )
    shares = ("share of MACs", "share of time")
    titles = columns("operator", *shares, "time", "MACs", left=shares)
    table = Table("By kind of operator", titles, rows, tools=("csv",))
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
        (("share of MACs", figures.colour(0)), ("share of time", figures.colour(1))),
    )  # fmt: skip


def modules(one: NetworkView, record: Record) -> Chart:
    """Top-level modules in order and the gap between operators: they add up to a pass; whiskers: the middle half."""
    cell = measurement_of(record)
    values: dict[str, float] = defaultdict(float)
    members: dict[str, list[Timing]] = defaultdict(list)
    for part, time in cell.operator_times_s.items():
        name = OVERHEAD if part.kind == "overhead" else part.path.partition(".")[0] or f"({part.op})"
        values[name] += time
        members[name].append(part)
    order = [*(name for name in values if name != OVERHEAD), *([OVERHEAD] if OVERHEAD in values else [])]
    halves = {name: _half(members[name]) for name in order}
    above = [max(halves[name][1] - values[name], 0.0) for name in order]
    below = [max(values[name] - halves[name][0], 0.0) for name in order]
    whole = sum(values.values())
    most = max(order, key=values.__getitem__)
    rows = tuple(
        (name, cells.duration(values[name]), cells.share(values[name], whole), *map(cells.duration, halves[name]))
        for name in order
    )
    titles = columns("module", "time", "share", "lower quartile", "upper quartile", left=("share",))
    gap = f" The gap between operators is {percent(values[OVERHEAD] / whole)}." if OVERHEAD in values else ""
    return _chart(
        one, cell, "modules", "Modules and gap, which add up to the pass",
        f"{most} takes most, {seconds(values[most])}, {percent(values[most] / whole)} of the cut pass.{gap} "
        "Whiskers: the middle half of the passes.",
        figures.bars(
            order, [values[name] for name in order], [seconds(values[name]) for name in order], unit="time", suffix="s",
            colours=[figures.SLATE if name == OVERHEAD else figures.BLUE for name in order], spread=(above, below),
        ),
        Table("Module by module", titles, rows, tools=ALL_TOOLS),
        len(order),
    )  # fmt: skip


def _half(members: Sequence[Timing]) -> tuple[float, float]:
    """Lower and upper quartile, over the passes, of what parts take together."""
    sums = [sum(samples) for samples in zip(*(one.samples_s for one in members), strict=True)]
    if len(sums) < 2:
        return (sums[0], sums[0]) if sums else (0.0, 0.0)
    low, _, high = quantiles(sums, n=4, method="inclusive")
    return low, high


def operators(one: NetworkView, record: Record) -> Chart:
    """Time against MACs, a point an operator, a colour a kind. One too short for the clock has no point."""
    cell = measurement_of(record)
    named = {(row.path, row.op, row.call): row for row in record.rows}
    groups: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    rows: list[Row] = []
    short = 0
    for part, time in cell.operator_times_s.items():
        row = named.get((part.path, part.op, part.call))
        if part.kind != "operator" or row is None or part.phase != "forward":
            continue
        short += not part.resolved
        macs = cells.count("macs", row.macs)
        rows.append((part.path, part.op, macs, cells.duration(time), cells.quality(part.quality)))
        if row.macs and part.resolved:
            groups[part.op].append((row.macs, float(f"{time:.4g}"), figures.escape_label(part.path)))
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
    titles = columns("path", "op", "MACs", "time", "quality", left=("op", "quality"))
    return _chart(
        one, cell, "operators", "Time against multiply-adds",
        summary,
        points.scatter(drawn, x="multiply-adds", y="time", hover="%{x:.4s} MACs in %{y:.4s}s", suffix="s"),
        Table("Operator by operator", titles, tuple(rows), tools=ALL_TOOLS),
        len(rates),
    )  # fmt: skip


def kernels(one: NetworkView, record: Record) -> list[Block]:
    """What torch's profiler saw, where it was asked."""
    cell = measurement_of(record)
    found: dict[str, float] = defaultdict(float)
    for part in cell.of("kernel"):
        found[part.op] += part.median_s
    if not found:
        return []
    names = sorted(found, key=lambda name: -found[name])
    shown, whole = names[:KERNELS], sum(found.values())
    rows = tuple((name, cells.duration(found[name]), cells.share(found[name], whole)) for name in names)
    titles = columns("kernel", "time", "share", left=("share",))
    return [
        _chart(
            one, cell, "kernels", "Kernels",
            f"{shown[0]} takes {percent(found[shown[0]] / whole)} of what the profiler saw; its own cost is in them.",
            figures.bars(
                [name if len(name) <= 28 else f"{name[:27]}…" for name in shown],
                [found[name] for name in shown], [seconds(found[name]) for name in shown],
                unit="time", suffix="s", colours=figures.PURPLE,
            ),
            Table("Kernel by kernel", titles, rows, tools=ALL_TOOLS),
            len(shown),
        )
    ]  # fmt: skip


def _chart(
    one: NetworkView, cell: Measurement, name: str, title: str, summary: str, figure: figures.Figure, table: Table, marks: int,
    legend: tuple[tuple[str, str], ...] = (),
) -> Chart:  # fmt: skip
    id = f"{name}-{one.index}"
    return Chart(
        id=id,
        title=f"{one.name}: {title}",
        summary=f"{summary} At {cell.configuration.label}.",
        figure=figure,
        table=table.replace(title=f"{one.name}: {table.title.lower()}"),
        marks=marks,
        legend=legend or figures.legend(figure),
        quality=cell.operator_quality[0],
        reason=cell.operator_quality[1],
    )
