"""Charts of one timed pass: kinds of operators, modules and overhead, operators against MACs, kernels."""

from __future__ import annotations

from collections import defaultdict

from analyzer.core.units import percent, scaled, seconds, times
from analyzer.records.record import Record
from analyzer.records.timings import Measurement, Timing, quartiles
from reports import cells
from reports.page.context import ALL_TOOLS, Block, Chart
from reports.page.figures import base as figures
from reports.page.figures import scatter
from reports.page.network_views import NetworkView
from reports.table import Row, Table, columns
from reports.timing.breakdown import OVERHEAD, groups_by_kind, measurement_of

MAX_KINDS, MAX_KERNELS = 8, 12


def kinds(network: NetworkView, record: Record) -> Chart:
    """Shares of MACs and of time, kind by kind of operator."""
    groups = groups_by_kind(record)
    total_s, total_macs = sum(group.seconds for group in groups.values()), sum(group.macs for group in groups.values())
    names = sorted(groups, key=lambda name: -groups[name].seconds)
    shown = names[:MAX_KINDS]
    times_s = [groups[name].seconds / total_s for name in shown]
    macs = [groups[name].macs / total_macs if total_macs else 0.0 for name in shown]
    without_macs = sum(group.seconds for name, group in groups.items() if not group.macs and name != OVERHEAD)
    rows = tuple(
        (
            name,
            cells.share(groups[name].macs, total_macs),
            cells.share(groups[name].seconds, total_s),
            cells.duration(groups[name].seconds),
            cells.count("macs", groups[name].macs),
        )
        for name in names
    )
    titles = ("share of MACs", "share of time")
    shares = {
        title: (values, list(map(percent, values))) for title, values in zip(titles, (macs, times_s), strict=True)
    }
    return chart(
        network, measurement_of(record), "kinds", "MACs and time by kind of operator",
        f"{percent(without_macs / total_s)} of the time goes to operators without MACs.",
        figures.grouped(shown, shares, unit="share of the pass"),
        Table("By kind of operator", columns("operator", *titles, "time", "MACs", left=titles), rows, tools=("csv",)),
        sum(1 for value in (*times_s, *macs) if value),
    )  # fmt: skip


def modules(network: NetworkView, record: Record) -> Chart:
    """Top-level modules in order, and overhead: they add up to the pass. Whiskers are quartiles over the passes."""
    measurement = measurement_of(record)
    times_s: dict[str, float] = defaultdict(float)
    members: dict[str, list[Timing]] = defaultdict(list)
    for timing, time_s in measurement.operator_times_s.items():
        outside = OVERHEAD if timing.kind == "overhead" else f"({timing.op})"
        name = timing.path.partition(".")[0] or outside  # Overhead of a module is part of it.
        times_s[name] += time_s
        members[name].append(timing)
    names = sorted(times_s, key=lambda name: name == OVERHEAD)  # Stable: overhead last.
    spreads = {
        name: quartiles([sum(samples) for samples in zip(*(timing.samples_s for timing in members[name]), strict=True)])
        for name in names
    }
    above = [max(spreads[name][1] - times_s[name], 0.0) for name in names]
    below = [max(times_s[name] - spreads[name][0], 0.0) for name in names]
    total_s = sum(times_s.values())
    longest = max(names, key=times_s.__getitem__)
    rows = tuple(
        (name, cells.duration(times_s[name]), cells.share(times_s[name], total_s), *map(cells.duration, spreads[name]))
        for name in names
    )
    titles = columns("module", "time", "share", "lower quartile", "upper quartile", left=("share",))
    overhead = f" Overhead outside modules: {percent(times_s[OVERHEAD] / total_s)}." if OVERHEAD in times_s else ""
    return chart(
        network, measurement, "modules", "time by module, adding up to the pass",
        f"{longest} takes longest: {seconds(times_s[longest])}, {percent(times_s[longest] / total_s)} of the pass."
        f"{overhead} Whiskers: quartiles over the passes.",
        figures.bars(
            names, [times_s[name] for name in names], [seconds(times_s[name]) for name in names], unit="time",
            suffix="s", colors=[figures.SLATE if name == OVERHEAD else figures.BLUE for name in names],
            spread=(above, below),
        ),
        Table("By module", titles, rows, tools=ALL_TOOLS),
        len(names),
    )  # fmt: skip


def operators(network: NetworkView, record: Record) -> Chart:
    """Time against MACs: one point per resolved operator, one color per kind."""
    measurement = measurement_of(record)
    counted = record.rows_by_key()
    groups: dict[str, list[tuple[float, float, str]]] = defaultdict(list)
    rows: list[Row] = []
    unresolved = 0
    for timing, time_s in measurement.operator_times_s.items():
        row = counted.get(timing.key)
        if timing.kind != "operator" or row is None or timing.phase != "forward":
            continue
        unresolved += not timing.resolved
        duration, quality = cells.duration(time_s), cells.quality(timing.quality)
        rows.append((timing.path, timing.op, cells.count("macs", row.macs), duration, quality))
        if row.macs and timing.resolved:
            groups[timing.op].append((row.macs, float(f"{time_s:.4g}"), figures.escape_label(timing.path)))
    rates = sorted(macs / time_s for values in groups.values() for macs, time_s, _ in values if time_s)
    summary = (
        f"Operators run {scaled(rates[0])} to {scaled(rates[-1])} MACs per second, a factor of "
        f"{times(rates[-1] / rates[0])}."
        if rates
        else "No operator with MACs is long enough for its time to be resolved."
    )
    if unresolved:
        verbs = "operator is too short and has" if unresolved == 1 else "operators are too short and have"
        summary += f" {unresolved} {verbs} no point."
    titles = columns("path", "op", "MACs", "time", "quality", left=("op", "quality"))
    return chart(
        network, measurement, "operators", "time against MACs", summary,
        scatter.points(
            {op: scatter.transpose(values) for op, values in groups.items()},
            x="MACs", y="time", hover="%{x:.4s} MACs in %{y:.4s}s", unit_y="s",
        ),
        Table("By operator", titles, tuple(rows), tools=ALL_TOOLS),
        len(rates),
    )  # fmt: skip


def kernels(network: NetworkView, record: Record) -> list[Block]:
    """The kernels by torch.profiler, if the record has them."""
    measurement = measurement_of(record)
    times_s: dict[str, float] = defaultdict(float)
    for timing in measurement.of("kernel"):
        times_s[timing.op] += timing.median_s
    if not times_s:
        return []
    names = sorted(times_s, key=lambda name: -times_s[name])
    shown, total_s = names[:MAX_KERNELS], sum(times_s.values())
    rows = tuple((name, cells.duration(times_s[name]), cells.share(times_s[name], total_s)) for name in names)
    longest = f"{shown[0]} takes {percent(times_s[shown[0]] / total_s)} of the time of all kernels"
    return [
        chart(
            network, measurement, "kernels", "kernels",
            f"{longest}. Times are by torch.profiler and include its own cost.",
            figures.bars(
                shown,
                [times_s[name] for name in shown], [seconds(times_s[name]) for name in shown],
                unit="time", suffix="s", colors=figures.PURPLE,
            ),
            Table("By kernel", columns("kernel", "time", "share", left=("share",)), rows, tools=ALL_TOOLS),
            len(shown),
        )
    ]  # fmt: skip


def _run(network: NetworkView, measurement: Measurement) -> str:
    """The number of the network and, after its first run, that of the run."""
    runs = [record.measurement for record in network.timed]
    position = runs.index(measurement)
    return f"{network.index}-{position}" if position else str(network.index)


def chart(
    network: NetworkView, measurement: Measurement, name: str, title: str, summary: str, figure: figures.Figure,
    table: Table, marks: int,
) -> Chart:  # fmt: skip
    """A chart of one network's pass, with the quality of its operator times."""
    quality, reason = measurement.operator_quality
    return Chart(
        id=f"{name}-{_run(network, measurement)}",
        title=f"{network.name}: {title}",
        summary=f"{summary} At {measurement.configuration.label}.",
        figure=figure,
        table=table.replace(title=f"{network.name}: {table.title[0].lower()}{table.title[1:]}"),
        marks=marks,
        quality=quality,
        reason=reason,
    )
