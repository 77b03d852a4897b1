"""A network as an SVG diagram: modules from top to bottom, branches side by side.

A module has branches if a `cat` in its own forward joins exactly the outputs of its children. Names are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import shape_text
from analyzer.core.units import percent
from analyzer.records.record import Record
from analyzer.records.rows import Module, Row
from reports.page.figures.svg import arrow, document, rect, text

WIDTH = 288  # Fits a screen of 320 pixels without scaling.
BOX, STEP, GAP, PAD = 34, 22, 12, 8
MAX_BOXES = 80
HIDDEN_OPS = {"relu", "dropout", "flatten", "cat"}
SHORT_NAMES = {"max_pool2d": "max pool", "avg_pool2d": "avg pool", "adaptive_avg_pool2d": "global pool",
         "local_response_norm": "LRN", "batch_norm": "norm"}  # fmt: skip
Anchors = Mapping[str, str]


class Branch(Frozen):
    path: str
    steps: tuple[str, ...]


class Box(Frozen):
    """One top-level module; `share` is its share of the network's MACs."""

    path: str
    shape: str
    share: float
    description: str
    branches: tuple[Branch, ...] = ()

    @property
    def height(self) -> int:
        if not self.branches:
            return BOX
        return BOX + GAP // 2 + STEP * max(len(branch.steps) for branch in self.branches)


def boxes(record: Record) -> list[Box]:
    """The top-level modules of the diagram, without those that only reshape or clip."""
    modules = record.modules
    whole = record.totals.macs
    rows_below: dict[str, list[Row]] = {}
    for row in record.rows:
        rows_below.setdefault(row.path.partition(".")[0], []).append(row)
    shown = []
    for module in modules:
        rows = rows_below.get(module.path, ())  # None for a module inside another.
        if all(row.op in {*HIDDEN_OPS, "unused"} for row in rows):
            continue
        branches = _branches(module, modules, rows)
        shape = shape_text(module.outputs[0][1:]) if module.outputs else ""
        share = module.totals.macs / whole if whole else 0.0
        shown.append(Box(module.path, shape, share, _description(rows), branches))
    return shown


def _below(path: str, module: str) -> bool:
    return path == module or path.startswith(f"{module}.")


def _branches(module: Module, modules: Sequence[Module], rows: Sequence[Row]) -> tuple[Branch, ...]:
    joined = next((row.inputs for row in rows if row.path == module.path and row.op == "cat"), None)
    if joined is None:
        return ()
    children = [child for child in modules if child.path.rpartition(".")[0] == module.path]
    if [child.outputs[:1] for child in children] != [(shape,) for shape in joined]:
        return ()
    return tuple(Branch(child.path, _steps(child.path, rows)) for child in children)


def _steps(path: str, rows: Sequence[Row]) -> tuple[str, ...]:
    shown = [row for row in rows if _below(row.path, path) and row.op not in {*HIDDEN_OPS, "batch_norm"}]
    return tuple(map(step, shown)) or ("identity",)


def step(row: Row) -> str:
    """`3x3 → 208` for a convolution's kernel and output channels; the operator's name for all else."""
    if row.op == "conv2d" and row.outputs and row.inputs:
        kernel = _kernel(row)
        return f"{kernel} → {row.outputs[0][1]}" if len(row.outputs[0]) > 1 else kernel
    return SHORT_NAMES.get(row.op, row.op)


def _kernel(row: Row) -> str:
    """`3x3`, or "conv" in records without kernels."""
    return shape_text(row.kernel) if row.kernel else "conv"


def _description(rows: Sequence[Row]) -> str:
    """The operators of a module without branches: their names if there are at most two, else their number."""
    steps = [step(row) for row in rows if row.op not in HIDDEN_OPS]
    return ", ".join(steps) if len(steps) <= 2 else f"{len(steps)} operators"


def svg(record: Record, name: str, anchors: Anchors) -> str:
    """The diagram; `anchors` maps module paths to link targets on the page."""
    all_boxes = boxes(record)
    sources = _sources(record, all_boxes)
    parts: list[str] = []
    y = 2
    for index, box in enumerate(all_boxes[:MAX_BOXES]):
        others = [all_boxes[source].path for source in sorted(sources[index] - {index - 1})]
        if index - 1 in sources[index]:
            parts.append(arrow(WIDTH // 2, y, WIDTH // 2, y + GAP))
        if others:  # Such as the module before a side exit, or the start of a residual connection.
            parts.append(text(PAD, y + GAP + 2, f"from {', '.join(others)}"))
        y += (GAP + 6 if others else GAP) if index else 0
        parts.append(_box(box, y, anchors))
        y += box.height
    if len(all_boxes) > MAX_BOXES:
        parts.append(text(WIDTH // 2, y + 18, f"and {len(all_boxes) - MAX_BOXES} more", kind="m"))
        y += 24
    return document(parts, WIDTH, y + 2, f"Diagram of {name}", links=True)


def _sources(record: Record, shown: Sequence[Box]) -> list[set[int]]:
    """The boxes whose outputs each box reads. Rows outside all boxes pass on the boxes that they read."""
    number = {box.path: index for index, box in enumerate(shown)}
    reached: list[set[int]] = []
    read: list[set[int]] = [set() for _ in shown]
    for row in record.rows:
        sources = {box for i in row.sources or () if 0 <= i < len(reached) for box in reached[i]}
        box = number.get(row.path.partition(".")[0])
        if box is not None:
            read[box] |= sources - {box}
        reached.append(sources if box is None else {box})
    return read


def _box(box: Box, y: int, anchors: Anchors) -> str:
    share = percent(box.share) if box.share else ""
    body = [rect(1, y, WIDTH - 2, box.height)]
    if box.share:
        body.append(rect(1, y, max(round(box.share * (WIDTH - 2), 1), 1), 4, "share"))
    detail, description = box.description, box.description
    if box.branches:
        detail, description = box.shape, f"{len(box.branches)} branches"
    body.append(text(PAD, y + 21, box.path, kind="b", room=20 if box.branches else 16))
    body.append(text(WIDTH - PAD, y + 21, " · ".join(filter(None, (detail, share))), kind="e", room=28))
    title = f"{box.path}: {description}, output {box.shape} {share}"
    columns = (_column(box.branches, index, y + BOX, anchors) for index in range(len(box.branches)))
    return _linked("".join(body), anchors.get(box.path, ""), title) + "".join(columns)


def _column(branches: Sequence[Branch], index: int, y: int, anchors: Anchors) -> str:
    branch = branches[index]
    width = (WIDTH - 2 * PAD - 6 * (len(branches) - 1)) / len(branches)
    x = PAD + index * (width + 6)
    body = []
    for number, words in enumerate(branch.steps):
        top = y + number * STEP
        body.append(rect(x, top, width, STEP - 3, "inner"))
        body.append(text(x + width / 2, top + 14, words, kind="m", room=max(int(width / 5.6), 4)))
    return _linked("".join(body), anchors.get(branch.path, ""), f"{branch.path}: {', '.join(branch.steps)}", tab=False)


def _linked(body: str, anchor: str, title: str, *, tab: bool = True) -> str:
    inside = f"<title>{escape(title)}</title>{body}"
    if not anchor:
        return f"<g>{inside}</g>"
    skip = "" if tab else ' tabindex="-1"'
    return f'<a href="#{escape(quote(anchor))}"{skip}>{inside}</a>'
