"""Where the compute goes: tiles of modules a network, by a metric the reader picks; bars across networks."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS, intensity, percent, seconds
from analyzer.records.record import Module, Record, prefixes
from reports.page import cells
from reports.page.context import Block, Cell, Chart, Section, Table
from reports.page.figures import base as figures
from reports.page.subjects import Subject

PICKED = ("macs", "params", "activations")
TITLES = {"macs": "MACs", "params": "Parameters", "activations": "Activations", "time": "Time"}
UNITS = {"macs": "multiply-adds", "params": "parameters", "activations": "elements", "time": "seconds"}
MOST_PARTS = 7
BRANCHES = {
    "branch_1x1": "1x1 branch",
    "branch_3x3": "3x3 branch",
    "branch_5x5": "5x5 branch",
    "branch_pool": "pool branch",
}
BRANCH_COLOURS = dict(zip(BRANCHES, (figures.BLUE, figures.GREEN, figures.ORANGE, figures.PURPLE), strict=True))
OTHER = "outside a branch"
WHOLE = "(whole)"


def section(subjects: Sequence[Subject]) -> Section:
    shown = [one for one in subjects if not one.empty]
    blocks: list[Block] = [bars(shown)] if len(shown) > 1 else []
    blocks += [tiles(one) for one in shown]
    lead = (
        "Each tile is a module; its height is its share. Pick what it is a share of; click a tile to look inside, "
        "the bar above the tiles to go back."
    )
    return Section("compute", "Where the compute goes", "Compute", lead if shown else "Nothing to show.", tuple(blocks))


def module_times(record: Record) -> dict[str, float]:
    """Seconds of every module in a timed pass, the whole under ""; empty where nothing was timed."""
    return {path: whole / 1e9 for path, whole in _nanoseconds(record).items()}


def _nanoseconds(record: Record) -> dict[str, int]:
    """Whole ones: tiles must not be larger together than what they are part of, by no rounding."""
    found: Counter[str] = Counter()
    for one, time in record.measurement.parts.items() if record.measurement else ():
        for path in ("", *prefixes(one.path)):
            found[path] += round(time * 1e9)
    return dict(found)


def _timed(one: Subject) -> dict[str, float]:
    return next((times for record in one.timed if (times := module_times(record))), {})


def value(module: Module, metric: str, times: Mapping[str, float]) -> float:
    found: float = times.get(module.path, 0.0) if metric == "time" else getattr(module.totals, metric)
    return found


def text(metric: str, figure: float) -> str:
    return seconds(figure) if metric == "time" else f"{METRICS[metric].text(figure)} {METRICS[metric].title}"


def tiles(one: Subject) -> Chart:
    """The icicle of one network: the whole, its modules, their parts."""
    times = _timed(one)
    metrics = [metric for metric in (*PICKED, "time") if metric != "time" or times]
    modules = [module for module in one.parts if any(value(module, metric, times) for metric in metrics)]
    branched = any(part in BRANCHES for module in modules for part in module.path.split("."))
    wholes = {metric: times.get("", 0.0) if metric == "time" else getattr(one.totals, metric) for metric in metrics}
    values = {metric: [wholes[metric], *(value(module, metric, times) for module in modules)] for metric in metrics}
    first = next((metric for metric in metrics if wholes[metric]), metrics[0])
    figure = figures.icicle(
        ids=[WHOLE, *(module.path for module in modules)],
        labels=[one.name, *(module.path.rpartition(".")[2] for module in modules)],
        parents=["", *(module.path.rpartition(".")[0] or WHOLE for module in modules)],
        values=values[first],
        colours=[figures.SLATE, *(_colour(module) for module in modules)],
        height=560 if len(modules) > 30 else 340,
    )
    tops = [module for module in modules if "." not in module.path]
    ranked = sorted(tops, key=lambda module: -value(module, first, times))[:3]
    named = (
        ", ".join(f"{module.path} {percent(value(module, first, times) / wholes[first])}" for module in ranked)
        if wholes[first]
        else ""
    )
    legend = tuple((title, BRANCH_COLOURS[name]) for name, title in BRANCHES.items()) if branched else ()
    return Chart(
        id=f"tiles-{one.place}",
        title=one.name,
        summary=f"{one.name} by {TITLES[first]}: most in {named}." if named else f"{one.name} has no multiply-adds.",
        figure=figure,
        table=modules_table(one, times),
        marks=1 + sum(1 for module in tops if value(module, first, times)) if wholes[first] else 0,
        legend=(*legend, (OTHER, figures.TEAL)) if branched else (),
        views=tuple((TITLES[metric], _view(metric, values[metric])) for metric in metrics if wholes[metric]),
    )


def _view(metric: str, values: Sequence[float]) -> dict[str, list[object]]:
    """The tiles by another metric."""
    if metric != "time":
        return {"values": [values]}
    return {
        "values": [[round(value * 1e9) for value in values]],
        "hovertemplate": [figures.TILE.replace(".4s}", ",} ns")],
    }


def _colour(module: Module) -> str:
    branch = next((part for part in module.path.split(".") if part in BRANCHES), None)
    if branch:
        return BRANCH_COLOURS[branch]
    return figures.TEAL


def modules_table(one: Subject, times: Mapping[str, float]) -> Table:
    """Modules and their parts: what the tiles are drawn from."""
    totals = one.totals
    columns = [
        cells.left("module"),
        cells.right("output"),
        cells.right("params"),
        cells.right("MACs"),
        cells.left("share of MACs"),
        cells.right("activations"),
        cells.right("FLOP/B"),
    ]
    columns += [cells.right("time"), cells.left("share of time")] if times else []
    rows = []
    for module in one.parts:
        depth = module.path.count(".")
        if depth > 1:
            continue
        own = module.totals
        row: list[Cell] = [
            cells.words(module.path.rpartition(".")[2] if depth else module.path, depth=depth),
            cells.words(shape_text(module.outputs[0][1:]) if module.outputs else cells.MISSING),
            cells.figure("params", own.params),
            cells.figure("macs", own.macs),
            cells.part(own.macs, totals.macs),
            cells.figure("activations", own.activations),
            Cell(intensity(own.intensity), own.intensity) if own.traffic else cells.NONE,
        ]
        if times:
            row += [cells.time(times.get(module.path)), cells.part(times.get(module.path, 0.0), times[""])]
        rows.append(row)
    return Table(
        f"tiles-{one.place}-data", f"{one.name} by module", tuple(columns), cells.lines(rows), tools=("csv",), fold=True
    )


def stage(role: str) -> str:
    """Modules of one resolution together: inception_4a to inception_4e are one part of the bar."""
    match = re.fullmatch(r"(inception_?\d)[a-z]", role) or re.fullmatch(r"(conv\d+)_\d+", role)
    return match[1] if match else role


def bars(subjects: Sequence[Subject]) -> Chart:
    """All networks as bars of the same parts, aligned by role; small parts are the rest."""
    metrics = [metric for metric in PICKED if any(getattr(one.totals, metric) for one in subjects)]
    found = {one.name: _stages(one) for one in subjects}
    names = list(dict.fromkeys(name for stages in found.values() for name in stages))
    weight = {
        name: max(
            stages[name]["macs"] / max(one.totals.macs, 1) if name in stages else 0
            for one, stages in zip(subjects, found.values(), strict=True)
        )
        for name in names
    }
    kept = sorted(sorted(names, key=lambda name: -weight[name])[:MOST_PARTS], key=names.index)
    parts = [*kept, *(["the rest"] if len(kept) < len(names) else [])]

    def figure(stages: Mapping[str, Counter[str]], part: str, metric: str) -> int:
        if part != "the rest" or part in kept:
            return stages[part][metric] if part in stages else 0
        return sum(sums[metric] for name, sums in stages.items() if name not in kept)

    values = {
        metric: {part: [figure(stages, part, metric) for stages in found.values()] for part in parts}
        for metric in metrics
    }
    texts = {
        metric: {part: [text(metric, value) for value in row] for part, row in values[metric].items()}
        for metric in metrics
    }
    first = metrics[0] if metrics else "macs"
    drawn = figures.stacked(list(found), values.get(first, {}), texts.get(first, {}), unit=UNITS[first])
    most = max(subjects, key=lambda one: one.totals.macs)
    least = min(subjects, key=lambda one: one.totals.macs)
    rows = []
    for one, stages in zip(subjects, found.values(), strict=True):
        for part in parts:
            sums = {metric: figure(stages, part, metric) for metric in metrics}
            if any(sums.values()):
                rows.append(
                    [
                        cells.words(one.name),
                        cells.words(part),
                        *(cells.figure(metric, sums[metric]) for metric in metrics),
                        cells.part(sums.get("macs", 0), one.totals.macs),
                    ]
                )
    columns = (
        cells.left("network"),
        cells.left("part"),
        *(cells.right(METRICS[metric].title) for metric in metrics),
        cells.left("share of MACs"),
    )
    return Chart(
        id="parts",
        title="Networks side by side, by part",
        summary=f"{most.name} has the most multiply-adds, {METRICS['macs'].text(most.totals.macs)}; {least.name} the "
        f"fewest, {METRICS['macs'].text(least.totals.macs)}. Parts are aligned by role.",
        figure=drawn,
        table=Table("parts-data", "Networks by part", columns, cells.lines(rows), tools=("csv",), fold=True),
        marks=sum(1 for row in values.get(first, {}).values() for value in row if value),
        legend=tuple((part, figures.series(place)) for place, part in enumerate(parts)),
        views=tuple(
            (
                TITLES[metric],
                {"x": list(values[metric].values()), "text": list(texts[metric].values()), "axis": UNITS[metric]},
            )
            for metric in metrics
        ),
    )


def _stages(one: Subject) -> dict[str, Counter[str]]:
    stages: dict[str, Counter[str]] = {}
    for row in one.record.rows:
        name = stage((row.role or row.path).partition(".")[0]) or "(top level)"
        stages.setdefault(name, Counter()).update({metric: getattr(row, metric) for metric in PICKED})
    return stages
