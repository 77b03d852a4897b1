"""The section Differences: any two networks, modules aligned by role, and the modules that only one has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.units import METRICS, signed
from analyzer.records.comparison import TOTAL, compare_records
from analyzer.records.rows import Totals
from reports import cells
from reports.page.context import ALL_TOOLS, Block, Chart, Choice, Paragraphs, Section
from reports.page.figures import base as figures
from reports.page.network_views import NetworkView, compute_metric, metric_noun, metric_title, pairs
from reports.table import Cell, Row, Table, columns

MAX_BARS = 16
MAX_NAMES = 12  # The table has all.
Modules = Mapping[str, tuple["Totals | None", ...]]  # Role to the sums of both networks.


def section(networks: Sequence[NetworkView]) -> Section:
    options = tuple(
        (f"{first.name} → {other.name}", _blocks(first, other, reason)) for first, other, reason in pairs(networks)
    )
    lead = "Modules are aligned by role. Differences and ratios are of the second network relative to the first."
    return Section("difference", "Differences", "Differences", lead, (Choice("Compare", options),) if options else ())


def _blocks(first: NetworkView, other: NetworkView, reason: str | None) -> tuple[Block, ...]:
    name = f"{first.name} → {other.name}"
    if reason:
        text = f"Not compared: {reason}. The tables above and below show both networks."
        return (Paragraphs((text,), "notice", name),)
    if first.empty or other.empty:
        empty = first.name if first.empty else other.name
        return (Paragraphs((f"Not compared: {empty} has no rows.",), "notice", name),)
    named = [network.record.replace(model=network.name, overrides={}) for network in (first, other)]
    modules = compare_records(named).modules
    return (bars(first, other, modules), *_added_and_removed(first, other, modules))


def bars(first: NetworkView, other: NetworkView, modules: Modules) -> Chart:
    """Differences of top-level modules as bars, in the order of the pass; all of them, and branches, as a table."""
    metrics = (compute_metric([first, other]), "params")
    for metric in metrics:
        gaps = {role: _gap(metric, sums) for role, sums in modules.items() if "." not in role and role != TOTAL}
        largest = sorted(filter(gaps.get, gaps), key=lambda role: -abs(gaps[role]))[:MAX_BARS]
        if largest:
            break
    else:
        metric = metrics[0]
    shown = {role: gap for role, gap in gaps.items() if role in largest}
    unit, whole = metric_noun(metric), _gap(metric, modules[TOTAL])
    if not shown:
        summary = f"{other.name} has the same multiply-adds and parameters as {first.name} in every module."
    elif whole:
        summary = (
            f"{other.name} takes {METRICS[metric].text(abs(whole))} {'more' if whole > 0 else 'fewer'} {unit} than "
            f"{first.name}; the largest difference is in {largest[0]}, {signed(shown[largest[0]], metric)}."
        )
    else:
        summary = f"{other.name} takes as many {unit} as {first.name}, but in other modules."
    return Chart(
        id=f"difference-{first.index}-{other.index}",
        title=f"{first.name} → {other.name}: difference in {metric_title(metric)} by module",
        summary=summary,
        figure=figures.bars(
            list(shown),
            list(shown.values()),
            [f"{signed(gap, metric)} {unit}" for gap in shown.values()],
            unit=unit,
            colors=[figures.ORANGE if gap > 0 else figures.GREEN for gap in shown.values()],
        ),
        table=table(first, other, modules),
        marks=len(shown),
        legend=tuple(
            figures.Key(title, tint)
            for title, tint, present in (
                ("more", figures.ORANGE, any(gap > 0 for gap in shown.values())),
                ("less", figures.GREEN, any(gap < 0 for gap in shown.values())),
            )
            if present
        ),
    )


def _gap(metric: str, sums: Sequence[Totals | None]) -> int:
    before, after = ((totals.value(metric) or 0) if totals else 0 for totals in sums)
    return after - before


def table(first: NetworkView, other: NetworkView, modules: Modules) -> Table:
    """Two levels of modules, MACs and params of both; rows where nothing changed can be hidden."""
    metrics = (compute_metric([first, other]), "params")
    rows = [
        _row(role, sums, metrics)
        for role, sums in modules.items()
        if role != TOTAL and role.count(".") < 2 and any(totals and (totals.macs or totals.params) for totals in sums)
    ]
    titles = [
        title for metric in metrics for title in (f"{metric_title(metric)} 1st", "2nd", "difference", "ratio to 1st")
    ]
    return Table(
        f"{first.name} (1st) and {other.name} (2nd) by module",
        columns("module", *titles),
        (*rows, _row(TOTAL, modules[TOTAL], metrics)),
        total=True,
        tools=("changed", *ALL_TOOLS),
    )


def _row(role: str, sums: Sequence[Totals | None], metrics: Sequence[str]) -> Row:
    numbers: dict[str, list[int | None]] = {
        metric: [None if totals is None else totals.value(metric) for totals in sums] for metric in metrics
    }
    same = all(before == after for before, after in numbers.values())
    changes = (cell for metric, (before, after) in numbers.items() for cell in cells.change(metric, before, after))
    depth = 0 if role == TOTAL else role.count(".")
    return (Cell(role, depth=depth, tone="same" if same else ""), *changes)


def _added_and_removed(first: NetworkView, other: NetworkView, modules: Modules) -> list[Block]:
    """The topmost modules that only one of the two has."""
    texts = []
    for verb, index, name in (("Removed", 0, first.name), ("Added", 1, other.name)):
        only = [role for role, sums in modules.items() if sums[index] and not sums[1 - index] and role != TOTAL]
        topmost = [role for role in only if role.rpartition(".")[0] not in only]
        if topmost:
            more = [f"and {len(topmost) - MAX_NAMES} more"] if len(topmost) > MAX_NAMES else []
            texts.append(f"{verb} (only in {name}): {', '.join([*topmost[:MAX_NAMES], *more])}.")
    return [Paragraphs(tuple(texts))] if texts else []
