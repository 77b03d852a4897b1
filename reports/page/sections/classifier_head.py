"""The section Head: average pooling against a fully connected layer, and the auxiliary classifiers of training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from analyzer.core.units import METRICS, percent, scaled
from analyzer.counting.api import count
from analyzer.records.record import Record
from reports import cells
from reports.page.context import Block, Chart, Section, SideBySide, Stack
from reports.page.figures import base as figures
from reports.page.module_tree import kind
from reports.page.network_views import NetworkView
from reports.page.sections import pictures
from reports.page.sections.reduction import has_inception_modules
from reports.table import Row, Table, columns

POOLED, CONNECTED = "googlenet", "googlenet-fc-head"
LAST_MODULE = "inception_5b"
CLASSIFIERS = ("aux1", "aux2")
LAYERS = {"linear": "fully connected", "embedding": "embeddings"}
MAX_NAMED = 4  # Networks whose shares are in the sentence.


def section(networks: Sequence[NetworkView]) -> Section:
    shown = [network for network in networks if not network.empty]
    blocks: list[Block] = [weights(shown)] if shown else []
    lead = "Where the parameters are: in fully connected layers, or before them."
    title = "The head"
    if has_inception_modules(networks):
        pooled, connected, training = count(POOLED), count(CONNECTED), count(POOLED, train=True)
        drawings = (pictures.heads(pooled, connected), heads(pooled, connected), auxiliary(pooled, training))
        blocks.append(SideBySide((Stack(drawings), pictures.path(pooled, training))))
        title = "The head and the auxiliary classifiers"
        lead += (
            " GoogLeNet averages each channel before its only linear layer, where other networks flatten into a large "
            "one. Its auxiliary classifiers exist in training only."
        )
    return Section("head", title, "Head", lead, tuple(blocks))


def weights(networks: Sequence[NetworkView]) -> Chart:
    """Parameters of fully connected layers and of all other operators, one bar per network."""
    by_network = {network.name: _params_by_kind(network.record) for network in networks}
    layers = [
        layer
        for layer in ("convolutions", "fully connected", "embeddings", "other")
        if any(params[layer] for params in by_network.values())
    ]
    rows: list[Row] = [
        (
            name,
            *(cells.count("params", params[layer]) for layer in layers),
            cells.share(params["fully connected"], params.total()),
        )
        for name, params in by_network.items()
    ]
    shares = {name: params["fully connected"] / params.total() for name, params in by_network.items() if params.total()}
    return Chart(
        id="weights",
        title="Parameters in fully connected layers",
        summary=_shares_text(shares),
        figure=figures.stacked(
            list(by_network),
            {layer: [params[layer] for params in by_network.values()] for layer in layers},
            {layer: [f"{scaled(params[layer])} params" for params in by_network.values()] for layer in layers},
            unit="parameters",
        ),
        table=Table(
            "Parameters by kind of layer",
            columns("network", *layers, "share fully connected", left=("share fully connected",)),
            tuple(rows),
            tools=("csv",),
        ),
        marks=sum(1 for params in by_network.values() for layer in layers if params[layer]),
        legend=tuple(figures.Key(layer, figures.color(index)) for index, layer in enumerate(layers)),
    )


def _shares_text(shares: Mapping[str, float]) -> str:
    """Every share, or of many networks the first one's and both ends."""
    if not shares:
        return "No parameters."
    named = {name: f"{percent(share)} in {name}" for name, share in shares.items()}
    text = ", ".join(named.values())
    if len(shares) > MAX_NAMED:
        least, most = min(shares, key=shares.__getitem__), max(shares, key=shares.__getitem__)
        text = f"{named[next(iter(shares))]}; from {named[least]} to {named[most]}"
    return f"Share of the parameters in fully connected layers: {text}."


def _params_by_kind(record: Record) -> Counter[str]:
    params: Counter[str] = Counter()
    for row in record.rows:
        operator = kind(row)
        name = "convolutions" if operator.endswith("convolution") else LAYERS.get(operator, "other")
        params[name] += row.params
    return params


def heads(pooled: Record, connected: Record) -> Table:
    """Every layer after the last inception module, with pooling and with a fully connected layer in its place."""
    rows: list[Row] = []
    for name, record in ((POOLED, pooled), (CONNECTED, connected)):
        start = max(index for index, row in enumerate(record.rows) if row.path.startswith(LAST_MODULE)) + 1
        rows += [
            (name, row.path, row.op, cells.exact(row.params), cells.exact(row.macs))
            for row in record.rows[start:]
            if row.flops or row.params
        ]
    saved = connected.totals.params - pooled.totals.params
    macs = connected.totals.macs - pooled.totals.macs
    note = (
        f"Average pooling in place of a fully connected layer from 7x7x1024 to 1024 saves {saved:,} parameters, "
        f"{percent(saved / connected.totals.params)} of that network, and {macs:,} multiply-adds. "
        "The paper measured that it also raised top-1 accuracy by 0.6 %; counting cannot check that."
    )
    titles = columns("network", "layer", "op", "params", "MACs", left=("layer", "op"))
    title = "After the last inception module"
    return Table(title, titles, tuple(rows), notes=(note,), id="heads", tools=("csv",))


def auxiliary(inference: Record, training: Record) -> Table:
    """What the auxiliary classifiers cost in training and at inference."""
    rows: list[Row] = []
    for name in (*CLASSIFIERS, ""):
        totals = next((module.totals for module in training.modules if module.path == name), training.totals)
        at_inference = sum(row.params for row in inference.rows if not name or row.path.startswith(f"{name}."))
        numbers = (totals.params, totals.macs, totals.backward_macs, at_inference)
        rows.append((name or "whole network", *map(cells.exact, numbers)))
    added = training.totals.params - inference.totals.params
    note = (
        f"Together they add {added:,} parameters ({percent(added / inference.totals.params)} of the network) and "
        f"{training.totals.macs - inference.totals.macs:,} {METRICS['macs'].unit} forward in training. Each loss has "
        "weight 0.3. At inference they are removed."
    )
    titles = columns("part", "params in training", "MACs forward", "MACs backward", "params at inference")
    title = "Auxiliary classifiers of googlenet"
    return Table(title, titles, tuple(rows), total=True, notes=(note,), id="auxiliary", tools=("csv",))
