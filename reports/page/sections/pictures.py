"""Drawings of the paper's ideas for the sections 1x1 reduction and Head, all from counted rows."""

from __future__ import annotations

from analyzer.core.units import relative_change_phrase, scaled
from analyzer.records.record import Record
from analyzer.records.rows import is_below, total
from reports.page.context import Diagrams
from reports.page.figures import pictures

MODULE, BRANCH = "inception_4a", "branch_5x5"
LAST_MODULE = "inception_5b"


def reduction(reduced: Record, unreduced: Record) -> Diagrams:
    """One inception module without and with 1x1 reductions."""
    drawings = []
    for title, record in (("Without reduction", unreduced), ("With 1x1 reductions", reduced)):
        macs = sum(row.macs for row in record.rows if is_below(row.path, f"{MODULE}.{BRANCH}"))
        summary = f"The 5x5 branch of {MODULE} in {record.model}: {scaled(macs)} multiply-adds."
        drawings.append((title, summary, pictures.module(record, MODULE, BRANCH)))
    return Diagrams(tuple(drawings))


def heads(pooled: Record, connected: Record) -> Diagrams:
    """What follows the last module, with average pooling and with a fully connected layer in its place."""
    saved = relative_change_phrase(connected.totals.params, pooled.totals.params, "parameters in the whole network")
    average = f"A mean per channel has no weights: {saved}. Bars are shares of all parameters."
    weights = max(row.weights for row in connected.rows)
    full = f"The layer that average pooling replaces has {scaled(weights)} weights, most of the network's parameters."
    return Diagrams(
        (
            ("Average pooling", average, pictures.head(pooled, LAST_MODULE)),
            ("A fully connected layer", full, pictures.head(connected, LAST_MODULE)),
        )
    )


def path(inference: Record, training: Record) -> Diagrams:
    """The longest path, its layers with parameters numbered, and the auxiliary heads where they hang."""
    names = dict.fromkeys(row.path.partition(".")[0] for row in training.rows)
    added = [name for name in names if not any(is_below(row.path, name) for row in inference.rows)]
    exits = {}
    for name in added:
        rows = [row for row in training.rows if is_below(row.path, name)]
        source = training.rows[(rows[0].sources or (0,))[0]].path.partition(".")[0]
        exits[name] = (source, total(rows))
    drawing, depth = pictures.longest_path(inference, exits)
    places = " and ".join(f"{name} reads {source}" for name, (source, _) in exits.items())
    text = f"Layers with parameters on the longest path are numbered. In training {places}; neither runs at inference."
    return Diagrams(((f"{depth} layers, and two heads in training", text, drawing),))
