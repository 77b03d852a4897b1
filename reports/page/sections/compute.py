"""The section Compute: modules as tiles, by a metric that the reader selects, and networks as stacked bars."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from analyzer.core.units import METRICS, percent
from analyzer.records.rows import Module
from reports import cells
from reports.counting.groups import TOP_LEVEL
from reports.counting.network import network as network_table
from reports.page.context import Block, Chart, Section
from reports.page.figures import base as figures
from reports.page.network_views import NetworkView
from reports.table import Table, columns

PICKABLE = ("macs", "params", "activations")
TITLES = {"macs": "MACs", "params": "Parameters", "activations": "Activations", "time": "Time"}
MAX_PARTS = 7
REST = "(the rest)"  # In brackets, because a module may have any name.
BRANCHES = {
    "branch_1x1": "1x1 branch",
    "branch_3x3": "3x3 branch",
    "branch_5x5": "5x5 branch",
    "branch_pool": "pool branch",
}
BRANCH_COLOURS = dict(zip(BRANCHES, (figures.BLUE, figures.GREEN, figures.ORANGE, figures.PURPLE), strict=True))
WHOLE = "(whole)"


def section(networks: Sequence[NetworkView]) -> Section:
    shown = [network for network in networks if not network.empty]
    blocks: list[Block] = [bars(shown)] if len(shown) > 1 else []
    blocks += map(tiles, shown)
    lead = (
        "Each tile is a module; its height is its share of the metric selected below. Click a tile to look inside, and "
        "the bar above the tiles to go back."
    )
    return Section("compute", "Where the compute goes", "Compute", lead if shown else "Nothing to show.", tuple(blocks))


def tiles(network: NetworkView) -> Chart:
    """The icicle of one network: the whole, its modules, their parts."""
    times_s = network.module_times_s
    wholes = {metric: getattr(network.totals, metric) for metric in PICKABLE}
    wholes |= {"time": times_s[""]} if times_s else {}

    def value(module: Module, metric: str) -> float:
        number: float = times_s.get(module.path, 0.0) if metric == "time" else getattr(module.totals, metric)
        return number

    modules = [module for module in network.parts if any(value(module, metric) for metric in wholes)]
    values = {metric: [whole, *(value(module, metric) for module in modules)] for metric, whole in wholes.items()}
    shown = [metric for metric in wholes if wholes[metric]]
    first = shown[0] if shown else PICKABLE[0]
    branched = any(_branch(module) for module in modules)
    top_modules = [module for module in modules if "." not in module.path]
    largest = sorted(top_modules, key=lambda module: -value(module, first))[:3] if shown else []
    named = ", ".join(f"{module.path} {percent(value(module, first) / wholes[first])}" for module in largest)
    legend = (
        *(figures.Key(title, BRANCH_COLOURS[name]) for name, title in BRANCHES.items()),
        figures.Key("outside a branch", figures.TEAL),
    )
    return Chart(
        id=f"tiles-{network.index}",
        title=network.name,
        summary=f"{network.name} by {TITLES[first]}: most in {named}." if named else f"{network.name} has no MACs.",
        figure=figures.icicle(
            ids=[WHOLE, *(module.path for module in modules)],
            labels=[network.name, *(module.path.rpartition(".")[2] for module in modules)],
            parents=["", *(module.path.rpartition(".")[0] or WHOLE for module in modules)],
            values=values[first],
            colours=[figures.SLATE, *(BRANCH_COLOURS.get(_branch(module), figures.TEAL) for module in modules)],
            height=560 if len(modules) > 30 else 340,
        ),
        table=network_table(network.record, 2, times_s or None).replace(
            title=f"{network.name} by module", notes=(), tools=("csv",)
        ),
        marks=1 + sum(1 for module in top_modules if value(module, first)) if shown else 0,
        legend=legend if branched else (),
        views=tuple((TITLES[metric], _view(metric, values[metric])) for metric in shown),
    )


def _branch(module: Module) -> str:
    return next((part for part in module.path.split(".") if part in BRANCHES), "")


def _view(metric: str, values: Sequence[float]) -> dict[str, list[object]]:
    """The tiles by another metric; times as whole nanoseconds."""
    if metric != "time":
        return {"values": [values]}
    hover = figures.TILE.replace(".4s}", ",} ns")
    return {"values": [[round(value * 1e9) for value in values]], "hovertemplate": [hover]}


def stage(role: str) -> str:
    """Modules of one resolution share a part of the bar: inception_4a to inception_4e are inception_4."""
    match = re.fullmatch(r"(inception_?\d)[a-z]", role) or re.fullmatch(r"(conv\d+)_\d+", role)
    return match[1] if match else role


def bars(networks: Sequence[NetworkView]) -> Chart:
    """All networks as bars of the same parts, aligned by role; small parts are summed up as the rest."""
    metrics = [metric for metric in PICKABLE if any(getattr(network.totals, metric) for network in networks)]
    parts, sums = _largest_parts(networks)
    values = {metric: {part: [stages[part][metric] for stages in sums] for part in parts} for metric in metrics}
    texts = {
        metric: {part: [f"{METRICS[metric].text(value)} {METRICS[metric].title}" for value in row]
                 for part, row in values[metric].items()}
        for metric in metrics
    }  # fmt: skip
    first = metrics[0] if metrics else PICKABLE[0]
    most = max(networks, key=lambda network: network.totals.macs)
    least = min(networks, key=lambda network: network.totals.macs)
    rows = tuple(
        (
            network.name,
            part,
            *(cells.count(metric, stages[part][metric]) for metric in metrics),
            cells.share(stages[part]["macs"], network.totals.macs),
        )
        for network, stages in zip(networks, sums, strict=True)
        for part in parts
        if any(stages[part].values())
    )
    titles = ("network", "part", *(METRICS[metric].title for metric in metrics), "share of MACs")
    return Chart(
        id="parts",
        title="Networks side by side, by part",
        summary=f"{most.name} has the most multiply-adds, {METRICS['macs'].text(most.totals.macs)}; {least.name} has "
        f"the fewest, {METRICS['macs'].text(least.totals.macs)}. Parts are aligned by role.",
        figure=figures.stacked(
            [network.name for network in networks],
            values.get(first, {}),
            texts.get(first, {}),
            unit=METRICS[first].unit,
        ),
        table=Table("Networks by part", columns(*titles, left=("part", "share of MACs")), rows, tools=("csv",)),
        marks=sum(1 for row in values.get(first, {}).values() for value in row if value),
        legend=tuple(figures.Key(part, figures.colour(index)) for index, part in enumerate(parts)),
        views=tuple(
            (
                TITLES[metric],
                {
                    "x": list(values[metric].values()),
                    "text": list(texts[metric].values()),
                    "axis": METRICS[metric].unit,
                },
            )
            for metric in metrics
        ),
    )


def _largest_parts(networks: Sequence[NetworkView]) -> tuple[list[str], list[defaultdict[str, Counter[str]]]]:
    """The parts with the largest share of MACs in any network, and each network's sums by part and metric."""
    by_network = [_stages(network) for network in networks]
    names = list(dict.fromkeys(name for stages in by_network for name in stages))

    def largest_share(name: str) -> float:
        shares = (
            stages[name]["macs"] / max(network.totals.macs, 1)
            for network, stages in zip(networks, by_network, strict=True)
        )
        return max(shares)

    largest = sorted(names, key=largest_share, reverse=True)[:MAX_PARTS]
    if len(largest) < len(names):
        for stages in by_network:
            for name in set(stages) - set(largest):
                stages[REST] += stages[name]
    return [*(name for name in names if name in largest), *([REST] if len(largest) < len(names) else [])], by_network


def _stages(network: NetworkView) -> defaultdict[str, Counter[str]]:
    stages: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in network.record.rows:
        name = stage((row.role or row.path).partition(".")[0]) or TOP_LEVEL
        stages[name].update({metric: getattr(row, metric) for metric in PICKABLE})
    return stages
