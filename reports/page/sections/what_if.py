"""The section What if: built-in networks with other numbers, counted in the browser by `scripts/what_if.js` and
`scripts/closed_form.js`.

Without a script the section has the counts at other resolutions.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from analyzer.core.errors import AnalyzerError
from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS
from analyzer.counting.closed_form.formulas import count_steps
from analyzer.networks import VARIANTS, find
from analyzer.networks.overrides import apply_overrides
from analyzer.networks.spec import Network
from analyzer.networks.walk import walk
from analyzer.records.record import Record
from reports import cells
from reports.page.context import Panel, Section
from reports.page.network_json import network_json
from reports.page.network_views import NetworkView
from reports.table import Row, Table, columns

PRESETS = {"googlenet": "the paper's", "googlenet-no-reduction": "no reduction", "googlenet-naive": "naive"}
NAIVE = "googlenet-naive"
FAMILY = {*PRESETS, "googlenet-separable-stem", "googlenet-fc-head"}  # Their modules have the paper's names.
SIDES = (128, 192, 224, 256, 320, 448)
LEAD = (
    "Change the numbers of a module, the resolution or the batch: module and network are counted at once, to the last "
    "unit, by the closed form in this page. The command counts the same setting again."
)


def section(networks: Sequence[NetworkView]) -> Section:
    """Empty if no network of the page is built in: only built-in networks have numbers to change."""
    shown = [network for network in networks if network.record.model in VARIANTS and not network.empty]
    if not shown:
        return Section("what-if", "What if", "What if", LEAD, ())
    names = list(dict.fromkeys(network.record.model for network in shown))
    if FAMILY & {*names}:
        names += [name for name in PRESETS if name not in names]
    data = {
        "networks": {name: network_json(find(name)) for name in names},
        "start": start(shown[0].record),
        "presets": PRESETS if FAMILY & {*names} else {},
        "family": sorted(FAMILY),
    }
    table = resolutions([find(name) for name in names])
    return Section("what-if", "What if", "What if", LEAD, (Panel("what-if-panel", "What if", data), table))


def start(record: Record) -> dict[str, Any]:
    """The setting that the controls show first: that of the record, or the network's own where a record has another."""
    network = find(record.model)
    try:
        _, settings = apply_overrides(network, record.overrides)
    except AnalyzerError:  # A stored record of another version.
        settings = {}
    shape = record.input[0] if record.input else ()
    images, *sample = shape if len(shape) == 4 else (1, *network.input)
    training = record.mode == "training"
    return {"network": network.name, "settings": settings, "input": sample, "batch": images, "training": training}


def resolutions(networks: Sequence[Network]) -> Table:
    """Parameters and MACs of each network at other resolutions, of those that its layers fit."""
    rows: list[Row] = []
    for network in networks:
        default = network.input[1]
        for side in sorted({*SIDES, default}):
            try:
                count = count_steps(walk(network, (network.input[0], side, side)))
            except AnalyzerError:  # The image is too small for the network's windows.
                continue
            totals = count.totals
            numbers = (totals.params, totals.macs, totals.activations, totals.traffic)
            rows.append((network.name, shape_text((network.input[0], side, side)), *map(cells.exact, numbers)))
    titles = (METRICS[metric].title for metric in ("params", "macs", "activations", "traffic"))
    title = "At other resolutions, batch 1, inference"
    note = "Fully connected layers after a flattened image grow with it, and so do the parameters."
    return Table(
        title, columns("network", "input", *titles, left=("input",)), tuple(rows), notes=(note,),
        id="resolutions", fold=True, tools=("sort", "csv"),
    )  # fmt: skip
