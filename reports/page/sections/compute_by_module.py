"""The section Compute: modules as tiles and kinds of operators as bars, by a metric that the reader selects."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from analyzer.core.frozen import Frozen
from analyzer.core.units import METRICS, percent, seconds
from analyzer.records.rows import total
from reports import cells
from reports.counting.count_tables import network as network_table
from reports.page.context import Block, Chart, Choice, Section
from reports.page.figures import base as figures
from reports.page.figures.palette import SERIES, SLATE, color
from reports.page.module_tree import NEGLIGIBLE, Node, kind, level, tree, walk
from reports.page.network_views import NetworkView, compute_metric, metric_noun, metric_title
from reports.table import Table, columns

TITLES = {"macs": "MACs", "step_macs": "MACs", "params": "Parameters", "activations": "Activations", "time": "Time"}
WHOLE = "(whole)"
OTHER = "other"
MAX_TILES_BELOW = 3  # Networks whose tiles are all shown; of more, the reader selects one.
LEAD = (
    "Each tile is a module; its height is its share of the metric selected below. Equal blocks in a row are one tile. "
    "Click a tile, or press Enter on it, to look inside; Escape or the path above the tiles leads back."
)


def section(networks: Sequence[NetworkView]) -> Section:
    shown = [network for network in networks if not network.empty]
    hues = kind_colors(shown)
    metric = compute_metric(shown)
    charts = [tiles(network, hues, metric) for network in shown]
    blocks: list[Block] = [*charts]
    if len(charts) > MAX_TILES_BELOW:
        options = tuple((network.name, (chart,)) for network, chart in zip(shown, charts, strict=True))
        blocks = [Choice("Network", options)]
    if shown:
        blocks.append(kinds(shown, hues, metric))
    return Section("compute", "Where the compute goes", "Compute", LEAD if shown else "", tuple(blocks))


def kind_colors(networks: Sequence[NetworkView]) -> dict[str, str]:
    """A color per kind of operator, in the order of MACs and parameters; those after the seventh are other."""
    weights: Counter[str] = Counter()
    for network in networks:
        macs, params = max(network.totals.macs, 1), max(network.totals.params, 1)
        for row in network.record.rows:
            weights[kind(row)] += row.macs / macs + row.params / params  # type: ignore[assignment]
    del weights[OTHER]
    names = [name for name, weight in weights.most_common(len(SERIES) - 1) if weight]
    return {name: color(index) for index, name in enumerate(names)} | {OTHER: SLATE}


def tiles(network: NetworkView, hues: Mapping[str, str] | None = None, compute: str = "") -> Chart:
    """The icicle of one network: the whole, its modules, their parts. Hue: the kind of operator with most MACs."""
    hues = kind_colors([network]) if hues is None else hues
    compute = compute or compute_metric([network])
    times_s = network.module_times_s
    metrics = [compute, "params", "activations", *(["time"] if times_s else [])]
    whole = tree(network, metrics)
    nodes = [(whole, ""), *((node, parent or WHOLE) for node, parent in walk(whole))]
    shown = [metric for metric in metrics if whole.values[metric]]
    first = shown[0] if shown else compute
    tints = [hues.get(node.kind, SLATE) for node, _ in nodes]
    return Chart(
        id=f"tiles-{network.index}",
        title=network.name,
        summary=_largest(network, whole, first),
        figure=figures.icicle(
            ids=[node.path or WHOLE for node, _ in nodes],
            labels=[node.label for node, _ in nodes],
            parents=[parent for _, parent in nodes],
            values=_values(nodes, first),
            colors=[SLATE, *tints[1:]],
            height=560 if len(nodes) > 30 else 340,
        ),
        table=network_table(network.record, 2, times_s or None).replace(
            title=f"{network.name} by module", notes=(), tools=("csv",)
        ),
        marks=sum(1 for node in whole.children if node.values[first]) if shown else 0,
        legend=tuple(figures.Key(name, tint) for name, tint in hues.items() if tint in tints[1:]),
        views=tuple(
            (
                TITLES[metric],
                {
                    "values": [_values(nodes, metric)],
                    "hovertemplate": [figures.TILE.format(unit=_unit(metric))],
                    "summary": _largest(network, whole, metric),
                    "unit": _unit(metric),
                },
            )
            for metric in shown
        ),
    )


def _values(nodes: Sequence[tuple[Node, str]], metric: str) -> list[float]:
    """Times are whole nanoseconds."""
    return [round(node.values[metric] * 1e9) if metric == "time" else node.values[metric] for node, _ in nodes]


def _unit(metric: str) -> str:
    return "ns" if metric == "time" else metric_noun(metric)


def _largest(network: NetworkView, whole: Node, metric: str) -> str:
    """A sentence: the largest parts, at the level at which the metric divides."""
    if not whole.values[metric]:
        return f"{network.name} has no MACs."
    chain = level(whole, metric)
    parts = sorted(chain[-1].children, key=lambda node: -node.values[metric])[:3]
    if not parts:
        chain, parts = chain[:-1], [chain[-1]]
    large = [node for node in parts if node.share(metric, whole) >= NEGLIGIBLE] or parts[:1]
    named = ", ".join(f"{node.label} {percent(node.share(metric, whole))}" for node in large)
    inside = f", all in {chain[-1].label}" if len(chain) > 1 else ""
    value = whole.values[metric]
    amount = seconds(value) if metric == "time" else f"{METRICS[metric].text(value)} {metric_noun(metric)}"
    return f"{network.name}, {amount}: most in {named}{inside}."


class _View(Frozen):
    """Shares and texts by kind, one per network, and the sentence."""

    shares: Mapping[str, Sequence[float]]
    texts: Mapping[str, Sequence[str]]
    summary: str


def kinds(networks: Sequence[NetworkView], hues: Mapping[str, str], compute: str) -> Chart:
    """One bar per network, divided by kind of operator."""
    metrics = [compute, "params", "activations"]
    by_network = [_sums(network, hues, metrics) for network in networks]
    shown = [metric for metric in metrics if any(sums[name][metric] for sums in by_network for name in hues)]
    names = [name for name in hues if any(sums[name].total() for sums in by_network)]
    views = {metric: _view(networks, by_network, names, metric) for metric in shown or [compute]}
    first, view = next(iter(views.items()))
    rows = tuple(
        (
            network.name,
            name,
            *(cells.count(metric, sums[name][metric]) for metric in metrics),
            cells.share(sums[name][compute], sum(part[compute] for part in sums.values())),
        )
        for network, sums in zip(networks, by_network, strict=True)
        for name in names
        if sums[name].total()
    )
    share_title = f"share of {metric_title(compute)}"
    titles = columns("network", "kind", *map(metric_title, metrics), share_title, left=("kind", share_title))
    return Chart(
        id="operator-kinds",
        title="By kind of operator",
        summary=view.summary,
        figure=figures.stacked(
            [network.name for network in networks], view.shares, view.texts, unit=f"share of {metric_noun(first)}",
            colors=[hues[name] for name in names], shares=True,
        ),
        table=Table("Networks by kind of operator", titles, rows, tools=("sort", "csv")),
        marks=sum(1 for shares in view.shares.values() for share in shares if share),
        legend=tuple(figures.Key(name, hues[name]) for name in names),
        views=tuple(
            (
                TITLES[metric],
                {
                    "x": list(view.shares.values()),
                    "text": list(view.texts.values()),
                    "axis": f"share of {metric_noun(metric)}",
                    "summary": view.summary,
                },
            )
            for metric, view in views.items()
        ),
    )  # fmt: skip


def _sums(network: NetworkView, hues: Mapping[str, str], metrics: Sequence[str]) -> dict[str, Counter[str]]:
    sums = {name: Counter[str]() for name in hues}
    for row in network.record.rows:
        totals = total([row])
        name = kind(row)
        sums[name if name in hues else OTHER].update({metric: totals.value(metric) or 0 for metric in metrics})
    return sums


def _view(
    networks: Sequence[NetworkView], by_network: Sequence[Mapping[str, Counter[str]]], names: Sequence[str], metric: str
) -> _View:
    wholes = [sum(part[metric] for part in sums.values()) for sums in by_network]
    pairs = list(zip(by_network, wholes, strict=True))
    shares = {name: [sums[name][metric] / whole if whole else 0.0 for sums, whole in pairs] for name in names}
    texts = {
        name: [
            f"{METRICS[metric].text(sums[name][metric])} {metric_noun(metric)}, {percent(share)}"
            for sums, share in zip(by_network, shares[name], strict=True)
        ]
        for name in names
    }
    largest = []
    for index, network in enumerate(networks[:3]):
        name = max(names, key=lambda name: shares[name][index], default="")
        if name and shares[name][index]:
            largest.append(f"{name} {percent(shares[name][index])} in {network.name}")
    summary = f"Largest share of {metric_noun(metric)}: {', '.join(largest)}." if largest else "No operator has MACs."
    return _View(shares, texts, summary)
