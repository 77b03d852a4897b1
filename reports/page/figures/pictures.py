"""The paper's ideas as drawings from counted rows: branches of a module, what follows the last, the longest path.

Each fits a screen of 360 pixels without scaling.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise

from analyzer.core.shapes import shape_text
from analyzer.core.units import scaled
from analyzer.records.record import Record
from analyzer.records.rows import Row, Totals, is_below
from reports.page.diagram_boxes import SHORT_NAMES, step
from reports.page.figures.svg import arrow, document, rect, text

WIDTH = 330
BOX, GAP = 38, 26
COLUMN = WIDTH / 4
SHOWN = ("conv2d", "linear", "max_pool2d", "avg_pool2d", "adaptive_avg_pool2d")


def module(record: Record, path: str, marked: str) -> str:
    """The four branches of an inception module with the MACs of each layer; `marked` is the branch to look at."""
    rows = [row for row in record.rows if is_below(row.path, path)]
    names = list(dict.fromkeys(row.path.split(".")[1] for row in rows if row.path != path))
    branches = {name: [row for row in rows if row.path.split(".")[1:2] == [name] and row.op in SHOWN] for name in names}
    deepest = max(map(len, branches.values()))
    top = BOX + GAP + 8
    bottom = top + deepest * (BOX + GAP)
    parts = [_box(WIDTH / 2, 2, 150, ["input", shape_text(rows[0].inputs[0][1:])])]
    for index, (name, layers) in enumerate(branches.items()):
        x = COLUMN * (index + 0.5)
        marks = "strong" if name == marked else ""
        parts.append(arrow(WIDTH / 2, 2 + BOX, x, top))
        for place, row in enumerate(layers):
            y = top + place * (BOX + GAP)
            parts.append(_box(x, y, COLUMN - 6, [step(row), _macs(row)], marks))
            if place:
                parts.append(arrow(x, y - GAP, x, y))
        parts.append(arrow(x, top + len(layers) * (BOX + GAP) - GAP, x, bottom))
        total = sum(row.macs for row in layers)
        parts.append(text(x, bottom + 14, scaled(total), kind="m b" if marks else "m"))
    parts.append(rect(1, bottom + 22, WIDTH - 2, 36))
    joined = next(row for row in rows if row.path == path and row.op == "cat")
    whole = sum(row.macs for row in rows)
    parts.append(text(WIDTH / 2, bottom + 37, f"concat to {shape_text(joined.outputs[0][1:])}", kind="m"))
    parts.append(text(WIDTH / 2, bottom + 52, f"{scaled(whole)} multiply-adds", kind="m b"))
    marked_macs = sum(row.macs for row in branches[marked])
    title = f"{path} of {record.model}: {marked} takes {marked_macs:,} multiply-adds, the module {whole:,}"
    return document(parts, WIDTH, bottom + 60, title)


def _macs(row: Row) -> str:
    return f"{scaled(row.macs)}" if row.macs else "no MACs"


def head(record: Record, after: str) -> str:
    """The layers after a module, with their weights; the bar at the left of a box is its share of the weights."""
    start = max(index for index, row in enumerate(record.rows) if is_below(row.path, after))
    layers = [row for row in record.rows[start + 1 :] if row.op in SHOWN]
    whole = record.totals.params
    parts = [_box(WIDTH / 2, 2, 200, [after, shape_text(record.rows[start].outputs[0][1:])])]
    y = 2.0 + BOX
    for row in layers:
        parts.append(arrow(WIDTH / 2, y, WIDTH / 2, y + GAP))
        y += GAP
        sizes = f"{_elements(row.inputs[0]):,} → {_elements(row.outputs[0]):,}"
        weights = f"{row.weights:,} weights" if row.weights else "no weights"
        parts.append(_box(WIDTH / 2, y, 200, [f"{SHORT_NAMES.get(row.op, row.op)}: {sizes}", weights]))
        if row.weights:
            width = max(round(200 * row.params / whole, 1), 1)
            parts.append(rect(WIDTH / 2 - 100, y, width, 5, "share"))
        y += BOX
    total = sum(row.weights for row in layers)
    parts.append(text(WIDTH / 2, y + 22, f"{scaled(total)} weights", kind="m b"))
    return document(parts, WIDTH, y + 30, f"{record.model} after {after}: {total:,} weights")


def _elements(shape: Sequence[int]) -> int:
    size = 1
    for length in shape[1:]:
        size *= length
    return size


def longest_path(record: Record, exits: Mapping[str, tuple[str, Totals]]) -> tuple[str, int]:
    """Top-level modules with the numbers of their layers on the path with most parameters, and that path's length.

    `exits` are the heads of training: name → the module that they read, and their costs.
    """
    layers = layer_numbers(record)
    names = [name for name in layers if any(row.op in SHOWN for row in record.rows if is_below(row.path, name))]
    parts: list[str] = []
    x, y = 86.0, 2.0
    for name, after in [*pairwise(names), (names[-1], "")]:
        numbers = layers[name]
        parts.append(rect(x - 62, y, 150, 24, "" if numbers else "inner"))
        parts.append(text(x - 54, y + 16, name, kind="b" if numbers else "", room=18))
        for place, number in enumerate(numbers):
            parts.append(text(x + 82 - 24 * (len(numbers) - 1 - place), y + 16, str(number), kind="e n"))
        for head_name, (source, totals) in exits.items():
            if source == name:
                parts.append(f'<path d="M{x + 88:g} {y + 12:g}H{x + 108:g}m-4 -3l4 3l-4 3"/>')
                parts.append(rect(x + 108, y - 4, WIDTH - x - 109, 58, "dashed"))
                lines = [f"{head_name}, in training", f"{scaled(totals.params)} params",
                         f"{scaled(totals.macs)} MACs", "at inference: none"]  # fmt: skip
                parts += [text(x + 114, y + 9 + 13 * line, words, room=24) for line, words in enumerate(lines)]
        y += 24
        if after:
            parts.append(arrow(x, y, x, y + 12))
            y += 12
    depth = max(number for numbers in layers.values() for number in numbers)
    title = f"{record.model}: {depth} layers with parameters on the longest path; heads: {', '.join(exits) or 'none'}"
    return document(parts, WIDTH, y + 4, title), depth


def layer_numbers(record: Record) -> dict[str, list[int]]:
    """Top-level modules in order, each with the numbers of its layers on the path with the most parameters."""
    depth: list[int] = []
    for row in record.rows:
        before = max((depth[source] for source in row.sources or ()), default=0)
        depth.append(before + bool(row.weights))
    numbers: dict[str, list[int]] = {}
    reached = 0
    for row, layer in zip(record.rows, depth, strict=True):
        listed = numbers.setdefault(row.path.partition(".")[0], [])
        if layer > reached:
            listed.append(layer)
            reached = layer
    return numbers


def _box(x: float, y: float, width: float, lines: Sequence[str], kind: str = "") -> str:
    """A box centered at x with two lines of text, the first as its name."""
    texts = (
        text(x, y + 16 + 14 * index, line, kind="m" if index else "m b", room=max(int(width / 5.8), 8))
        for index, line in enumerate(lines)
    )
    return rect(x - width / 2, y, width, BOX, kind) + "".join(texts)
