"""The section Diagrams: the networks side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from reports.page.context import Diagrams, Panel, Section
from reports.page.diagram_boxes import Box, boxes, is_hidden, operator_name
from reports.page.figures.diagram import svg
from reports.page.graph_json import graphs_json, has_sources
from reports.page.network_views import NetworkView

LEAD = (
    "What ran, from top to bottom: each box is a module or an operator with its kernel and output, each arrow leads "
    "from the operator that made a tensor to one that read it."
)


def section(networks: Sequence[NetworkView], anchors: Mapping[tuple[int, str], str]) -> Section:
    drawings = tuple(_drawing(network, anchors) for network in networks if has_sources(network.record))
    if not drawings:
        return Section("network", "Diagrams", "Diagrams", LEAD, ())
    panel = Panel("diagram-panel", "Diagram", graphs_json(networks, anchors), "dagre")
    return Section("network", "Diagrams", "Diagrams", LEAD, (panel, Diagrams(drawings)))


def _drawing(network: NetworkView, anchors: Mapping[tuple[int, str], str]) -> tuple[str, str, str]:
    targets = {module.path: anchors[network.index, module.path] for module in network.modules}
    drawn = boxes(network)
    return network.name, _description(network, drawn), svg(network.record, drawn, targets)


def _description(network: NetworkView, drawn: Sequence[Box]) -> str:
    """The diagram in words, for readers who cannot see it."""
    names = Counter(operator_name(row) for row in network.record.rows if not is_hidden(row))
    named = ", ".join(f"{count} {name}" for name, count in names.most_common(5))
    branched = [box.path for box in drawn if box.branches]
    if len(branched) < 2:
        return f"{named}. {branched[0]} has branches." if branched else f"{named}."
    return f"{named}. {len(branched)} modules have branches, {branched[0]} to {branched[-1]}."
