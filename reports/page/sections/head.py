"""The head: average pooling against a fully connected layer, and the side exits that exist in training only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from analyzer.core.units import METRICS, percent, scaled
from analyzer.counting.api import count
from analyzer.records.record import Record
from reports.page import cells
from reports.page.context import Block, Chart, Section, Table
from reports.page.figures import base as figures
from reports.page.sections.story import told
from reports.page.subjects import Subject

POOLED, CONNECTED = "googlenet", "googlenet-fc-head"
LAST = "inception_5b"
HEADS = ("aux1", "aux2")


def section(subjects: Sequence[Subject]) -> Section:
    shown = [one for one in subjects if not one.empty]
    blocks: list[Block] = [weights(shown)] if shown else []
    lead = "Where the weights are: in fully connected layers, or before them."
    if told(subjects):
        blocks += [heads(), auxiliary()]
        lead += (
            " GoogLeNet averages each channel before its one linear layer, where others flatten into a large one; its "
            "auxiliary classifiers cost something in training and nothing at inference."
        )
    return Section("head", "The head and the side exits", "Head", lead, tuple(blocks))


def weights(subjects: Sequence[Subject]) -> Chart:
    """Parameters of fully connected layers and of all else, a bar a network."""
    found = {one.name: _by_kind(one.record) for one in subjects}
    parts = [kind for kind in ("convolutions", "fully connected", "other") if any(own[kind] for own in found.values())]
    rows = [
        [
            cells.words(name),
            *(cells.figure("params", own[kind]) for kind in parts),
            cells.part(own["fully connected"], own.total()),
        ]
        for name, own in found.items()
    ]
    shares = {name: own["fully connected"] / own.total() for name, own in found.items() if own.total()}
    said = ", ".join(f"{percent(share)} in {name}" for name, share in shares.items())
    return Chart(
        id="weights",
        title="Parameters in fully connected layers",
        summary=f"Of all parameters, fully connected layers hold {said}." if said else "There are no parameters.",
        figure=figures.stacked(
            list(found),
            {kind: [own[kind] for own in found.values()] for kind in parts},
            {kind: [f"{scaled(own[kind])} params" for own in found.values()] for kind in parts},
            unit="parameters",
        ),
        table=Table(
            "weights-data",
            "Parameters by kind of layer",
            (cells.left("network"), *map(cells.right, parts), cells.left("share fully connected")),
            cells.lines(rows),
            tools=("csv",),
            fold=True,
        ),
        marks=sum(1 for own in found.values() for kind in parts if own[kind]),
        legend=tuple((kind, figures.series(place)) for place, kind in enumerate(parts)),
    )


def _by_kind(record: Record) -> Counter[str]:
    found: Counter[str] = Counter()
    for row in record.rows:
        kind = "convolutions" if row.op.startswith("conv") else "fully connected" if row.op == "linear" else "other"
        found[kind] += row.params
    return found


def heads() -> Table:
    """Everything after the last inception module, with pooling and with a fully connected layer in its place."""
    pooled, connected = count(POOLED), count(CONNECTED)
    rows = []
    for name, record in ((POOLED, pooled), (CONNECTED, connected)):
        after = max(index for index, row in enumerate(record.rows) if row.path.startswith(LAST)) + 1
        for row in record.rows[after:]:
            if row.flops or row.params:
                rows.append(
                    [
                        cells.words(name),
                        cells.words(row.path),
                        cells.words(row.op),
                        cells.whole(row.params),
                        cells.whole(row.macs),
                    ]
                )
    saved = connected.totals.params - pooled.totals.params
    macs = connected.totals.macs - pooled.totals.macs
    note = (
        f"Averaging in place of a fully connected layer 7x7x1024 to 1024 saves {saved:,} parameters, "
        f"{percent(saved / connected.totals.params)} of that network, and {macs:,} multiply-adds. "
        "That it raised top-1 accuracy by 0.6 % is the paper's measurement; counting cannot decide it."
    )
    columns = (cells.left("network"), cells.left("layer"), cells.left("op"), cells.right("params"), cells.right("MACs"))
    return Table("heads", "After the last inception module", columns, cells.lines(rows), (note,), ("csv",))


def auxiliary() -> Table:
    """The auxiliary classifiers: what they add in training, and at inference."""
    training, inference = count(POOLED, train=True), count(POOLED)
    rows = []
    for name in HEADS:
        own = next(module.totals for module in training.modules if module.path == name)
        at_inference = sum(row.params for row in inference.rows if row.path.startswith(f"{name}."))
        rows.append(
            [
                cells.words(name),
                cells.whole(own.params),
                cells.whole(own.macs),
                cells.whole(own.backward_macs),
                cells.whole(at_inference),
            ]
        )
    whole = training.totals
    added = whole.params - inference.totals.params
    rows.append(
        [
            cells.words("whole network"),
            cells.whole(whole.params),
            cells.whole(whole.macs),
            cells.whole(whole.backward_macs),
            cells.whole(inference.totals.params),
        ]
    )
    table = Table(
        "auxiliary",
        "Auxiliary classifiers of googlenet",
        (
            cells.left("part"),
            cells.right("params in training"),
            cells.right("MACs forward"),
            cells.right("MACs backward"),
            cells.right("params at inference"),
        ),
        cells.lines(rows),
        (
            f"Together they add {added:,} parameters ({percent(added / inference.totals.params)} of the network) and "
            f"{whole.macs - inference.totals.macs:,} {METRICS['macs'].unit} forward in training. Their losses weigh "
            "0.3 each. At inference they are gone.",
        ),
        ("csv",),
    )
    return table.replace(lines=(*table.lines[:-1], table.lines[-1].replace(kind="total")))
