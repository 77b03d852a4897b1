"""The section Diagrams: the networks side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from reports.page.context import Diagrams, Panel, Section
from reports.page.figures.diagram import HIDDEN_OPS, SHORT_NAMES, boxes, svg
from reports.page.graph_json import graphs_json, has_sources
from reports.page.network_views import NetworkView

LEAD = (
    "What ran, from top to bottom: each box is a module or an operator with its kernel and output, each arrow leads "
    "from the operator that made a tensor to one that read it."
)


def section(networks: Sequence[NetworkView], anchors: Mapping[tuple[int, str], str]) -> Section:
    drawings = tuple(
        (network.name, _description(network), _svg(network, anchors))
        for network in networks
        if has_sources(network.record)
    )
    if not drawings:
        return Section("network", "Diagrams", "Diagrams", LEAD, ())
    panel = Panel("diagram-panel", "Diagram", graphs_json(networks, anchors), "dagre")
    return Section("network", "Diagrams", "Diagrams", LEAD, (panel, Diagrams(drawings)))


def _svg(network: NetworkView, anchors: Mapping[tuple[int, str], str]) -> str:
    targets = {module.path: anchors[network.index, module.path] for module in network.modules}
    return svg(network.record, network.name, targets)


def _description(network: NetworkView) -> str:
    """The diagram in words, for readers who cannot see it."""
    ops = Counter(row.op for row in network.record.rows if row.op not in HIDDEN_OPS)
    top_modules = boxes(network.record)
    branched = [box.path for box in top_modules if box.branches]
    named = ", ".join(f"{count} {SHORT_NAMES.get(op, op)}" for op, count in ops.most_common(5))
    text = f"{len(top_modules)} module{'s' if len(top_modules) > 1 else ''}: {named}."
    if len(branched) < 2:
        return f"{text} {branched[0]} has branches." if branched else text
    return f"{text} {len(branched)} have branches, {branched[0]} to {branched[-1]}."
