"""The section Diagrams: the networks side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from reports.page.context import Diagrams, Section
from reports.page.figures.diagram import HIDDEN_OPS, SHORT_NAMES, boxes, svg
from reports.page.network_views import NetworkView

LEAD = (
    "Modules from top to bottom, branches side by side, each with its kernel and output channels. An arrow joins a "
    "module to the module above if it reads that output; other inputs are named. The line at the top of a box is its "
    "share of the multiply-adds. A box links to its row in the full table."
)


def section(networks: Sequence[NetworkView], anchors: Mapping[tuple[int, str], str]) -> Section:
    drawings = tuple(
        (network.name, _description(network), _svg(network, anchors))
        for network in networks
        if not network.empty and _has_sources(network)
    )
    return Section("network", "Diagrams", "Diagrams", LEAD, (Diagrams(drawings),) if drawings else ())


def _has_sources(network: NetworkView) -> bool:
    """Without the producer of each input, as in records of earlier versions, a diagram could only guess."""
    return any(row.sources for row in network.record.rows)


def _svg(network: NetworkView, anchors: Mapping[tuple[int, str], str]) -> str:
    targets = {module.path: anchors[network.index, module.path] for module in network.modules}
    return svg(network.record, network.name, targets)


def _description(network: NetworkView) -> str:
    """The diagram in words, for readers who cannot see it."""
    ops = Counter(row.op for row in network.record.rows if row.op not in HIDDEN_OPS)
    top_modules = boxes(network.record)
    branched = [box.path for box in top_modules if box.branches]
    named = ", ".join(f"{count} {SHORT_NAMES.get(op, op)}" for op, count in ops.most_common(5))
    text = f"{len(top_modules)} modules: {named}."
    return f"{text} {len(branched)} have branches, {branched[0]} to {branched[-1]}." if branched else text
