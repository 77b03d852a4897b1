"""The charts of the first screen: networks among well-known ones, and as bars of their parts."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.core.units import METRICS, percent
from analyzer.records.comparable import batch
from analyzer.records.rows import total
from reports import cells
from reports.counting.groups import TOP_LEVEL
from reports.page.context import Chart
from reports.page.figures import base as figures
from reports.page.figures import scatter
from reports.page.figures.ticks import linear_axis
from reports.page.module_tree import NEARLY_ALL, level, tree
from reports.page.network_views import NetworkView, compute_metric, metric_noun, metric_title
from reports.page.sections.compute_by_module import TITLES
from reports.page.well_known_networks import WELL_KNOWN
from reports.table import Row, Table, columns

MAX_PARTS, MAX_PARTS_ALONE = 7, 12  # Of several networks, and of one.
MIN_SHARE = 0.01  # Of any metric in any network; smaller parts are in the rest.
REST = "(the rest)"  # In brackets, because a module may have any name.
Sums = defaultdict[str, Counter[str]]


def bubbles(networks: Sequence[NetworkView]) -> Chart | None:
    """Parameters against multiply-adds; well-known networks if all are image classifiers counted as these were."""
    metric = compute_metric(networks)
    known: Sequence[tuple[str, int, int, int]] = (
        WELL_KNOWN if all(_is_like_well_known(network) for network in networks) else ()
    )
    shown = [network for network in networks if network.totals.value(metric) and network.totals.params]
    if not shown or len(shown) + len(known) < 2:
        return None
    largest = max(network.totals.activations for network in shown) or 1
    own = [
        (network.totals.value(metric) or 0, network.totals.params, network.name, network.totals.activations / largest)
        for network in shown
    ]
    known = tuple(spot for spot in known if not any(_is_close(spot[3], macs) and _is_close(spot[2], params)
                                                    for macs, params, *_ in own))  # fmt: skip
    others = [(macs, params, name) for name, _, params, macs in known]
    rows: list[Row] = [
        (name, cells.count("params", params), cells.count(metric, macs), f"1x3x{size}x{size}")
        for name, size, params, macs in known
    ]
    rows = [
        (network.name, cells.count("params", network.totals.params), cells.count(metric, macs), network.input_text)
        for network, (macs, *_) in zip(shown, own, strict=True)
    ] + rows
    summary = f"{_smallest(own)}Down is smaller, left is less compute; a larger point has more activations."
    return Chart(
        id="bubbles",
        title="Size and compute" + (", among well-known networks" if known else ""),
        summary=summary,
        figure=scatter.bubbles(own, others, x=metric_noun(metric), y="parameters"),
        table=Table("Size and compute of each network", columns("network", "params", metric_title(metric), "input"),
                    tuple(rows), tools=("sort", "csv")),
        marks=len(own) + len(others),
    )  # fmt: skip


def _smallest(own: Sequence[scatter.Bubble]) -> str:
    """Which of several networks is the smallest, and which computes the least; nothing of quantities that all share."""
    texts = []
    sizes, costs = [point[1] for point in own], [point[0] for point in own]
    for values, phrase in ((sizes, "is the smallest"), (costs, "computes the least")):
        if len(own) > 1 and values.count(min(values)) == 1:
            texts.append((own[values.index(min(values))][2], phrase))
    if len({name for name, _ in texts}) == 1 < len(texts):
        return f"{texts[0][0]} is the smallest and computes the least. "
    return f"{', '.join(map(' '.join, texts))}. " if texts else ""


def _is_close(number: float, other: float) -> bool:
    """Whether two networks are about the same, such as variants of AlexNet: their points would cover each other."""
    return 0.95 < number / other < 1.05


def _is_like_well_known(network: NetworkView) -> bool:
    record = network.record
    images = len(record.input) == 1 and len(record.input[0]) == 4 and record.input[0][1] == 3
    return images and record.mode == "inference" and batch(record) == "1" and not record.module


def stage(role: str) -> str:
    """Modules of one resolution share a part of the bar: inception_4a to inception_4e are inception_4."""
    match = re.fullmatch(r"(inception_?\d)[a-z]", role) or re.fullmatch(r"(conv\d+)_\d+", role)
    return match[1] if match else role


def parts(networks: Sequence[NetworkView]) -> Chart:
    """All networks as bars of the same parts, aligned by role; small parts are summed up as the rest."""
    compute = compute_metric(networks)
    pickable = (compute, "params", "activations")
    metrics = [metric for metric in pickable if any(network.totals.value(metric) for network in networks)]
    names, sums = _largest_parts(networks, pickable)
    values = {metric: {part: [stages[part][metric] for stages in sums] for part in names} for metric in metrics}
    single = len(networks) == 1
    texts = {
        metric: {part: [_text(networks[0], metric, value, single=single) for value in row]
                 for part, row in values[metric].items()}
        for metric in metrics
    }  # fmt: skip
    first = metrics[0] if metrics else compute
    rows = tuple(
        (
            network.name,
            part,
            *(cells.count(metric, stages[part][metric]) for metric in metrics),
            cells.share(stages[part][compute], network.totals.value(compute) or 0),
        )
        for network, stages in zip(networks, sums, strict=True)
        for part in names
        if any(stages[part].values())
    )
    share_title = f"share of {metric_title(compute)}"
    titles = ("network", "part", *map(metric_title, metrics), share_title)
    return Chart(
        id="parts",
        title="By part",
        summary=_extremes(networks, first),
        figure=_bars([network.name for network in networks], values.get(first, {}), texts.get(first, {}), first),
        table=Table("Networks by part", columns(*titles, left=("part", share_title)), rows, tools=("csv",)),
        marks=sum(1 for row in values.get(first, {}).values() for value in row if value),
        legend=() if single else tuple(figures.Key(part, figures.color(index)) for index, part in enumerate(names)),
        views=tuple(
            (
                TITLES[metric],
                {
                    "x": list(values[metric].values()),
                    "text": list(texts[metric].values()),
                    "axis": metric_noun(metric),
                    "ticks": _ticks(values[metric], single=single),
                    "summary": _extremes(networks, metric),
                },
            )
            for metric in metrics
        ),
    )


def _text(network: NetworkView, metric: str, value: int, *, single: bool) -> str:
    text = METRICS[metric].text(value)
    if single:  # Beside its bar, above the axis with the unit; on a phone there is no room for more.
        return f"{text} ({percent(value / (network.totals.value(metric) or 1))})"
    return f"{text} {metric_noun(metric)}"


def _bars(
    names: Sequence[str], values: Mapping[str, Sequence[int]], texts: Mapping[str, Sequence[str]], metric: str
) -> figures.Figure:
    """A bar per network, divided into its parts; of a single network a bar per part."""
    if len(names) > 1:
        return figures.stacked(names, values, texts, unit=metric_noun(metric))
    parts = {part: row[0] for part, row in values.items()}
    return figures.apart(parts, {part: row[0] for part, row in texts.items()}, unit=metric_noun(metric))


def _ticks(values: Mapping[str, Sequence[int]], *, single: bool) -> dict[str, Any]:
    if single:
        return figures.apart_axis([row[0] for row in values.values()])
    return linear_axis(map(sum, zip(*values.values(), strict=True)))


def _extremes(networks: Sequence[NetworkView], metric: str) -> str:
    sizes = {network.name: network.totals.value(metric) or 0 for network in networks}
    most, least = max(sizes, key=sizes.__getitem__), min(sizes, key=sizes.__getitem__)
    noun, text = metric_noun(metric), METRICS[metric].text
    if len(sizes) == 1:
        return f"{most}: {text(sizes[most])} {noun}, by part."
    if sizes[most] == sizes[least]:
        return f"All have {text(sizes[most])} {noun}."
    return f"{most} has the most {noun}, {text(sizes[most])}; {least} has the fewest, {text(sizes[least])}."


def _largest_parts(networks: Sequence[NetworkView], metrics: Sequence[str]) -> tuple[list[str], list[Sums]]:
    """The parts with the largest share of MACs in any network, and each network's sums by part and metric."""
    by_network = [_stages(network, metrics) for network in networks]
    names = list(dict.fromkeys(name for stages in by_network for name in stages if name != REST))

    def largest_share(name: str, metrics: Sequence[str]) -> float:
        return max(
            stages[name][metric] / max(network.totals.value(metric) or 0, 1)
            for network, stages in zip(networks, by_network, strict=True)
            for metric in metrics
        )

    large = [name for name in names if largest_share(name, metrics) >= MIN_SHARE]
    largest = sorted(large, key=lambda name: largest_share(name, metrics[:1]), reverse=True)
    largest = largest[: MAX_PARTS if len(networks) > 1 else MAX_PARTS_ALONE]
    for stages in by_network:
        for name in set(stages) - {*largest, REST}:
            stages[REST] += stages[name]
    rest = [REST] if any(stages[REST].total() for stages in by_network) else []
    return [*(name for name in names if name in largest), *rest], by_network


def _stages(network: NetworkView, metrics: Sequence[str]) -> Sums:
    """Sums by top-level role or, where one has nearly all MACs, by the parts that it divides into."""
    stages: Sums = defaultdict(Counter)
    for row in network.record.rows:
        name = stage((row.role or row.path).partition(".")[0]) or TOP_LEVEL
        totals = total([row])
        stages[name].update({metric: totals.value(metric) or 0 for metric in metrics})
    whole = tree(network, metrics)
    divided = level(whole, metrics[0])[-1].children
    largest = max((stages[name][metrics[0]] for name in stages), default=0)
    if not divided or largest < NEARLY_ALL * whole.values[metrics[0]]:
        return stages
    parts: Sums = defaultdict(Counter)
    for node in divided:
        parts[node.label].update({metric: int(node.values[metric]) for metric in metrics})
    inside = {metric: sum(part[metric] for part in parts.values()) for metric in metrics}
    parts[REST].update({metric: int(whole.values[metric]) - inside[metric] for metric in metrics})
    return parts
