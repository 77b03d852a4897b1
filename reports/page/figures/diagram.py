"""The boxes of a network as SVG drawings: modules from top to bottom, branches side by side. Names are escaped."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from urllib.parse import quote

from analyzer.core.units import percent
from analyzer.records.record import Record
from analyzer.records.rows import prefixes
from reports.page.diagram_boxes import Box, Branch
from reports.page.figures.base import shorten
from reports.page.figures.svg import arrow, document, rect, text

WIDTH = 288  # Fits a screen of 320 pixels without scaling.
BOX, STEP, GAP, PAD = 34, 22, 12, 8
PIECE = 150  # Height from which a new drawing begins, so that paper has columns of them.
MAX_BOXES = 80
Anchors = Mapping[str, str]


def svg(record: Record, boxes: Sequence[Box], anchors: Anchors) -> str:
    """The diagram as drawings one below the other; `anchors` maps module paths to link targets on the page."""
    return "".join(document(parts, WIDTH, height) for parts, height in _pieces(record, boxes, anchors))


def _pieces(record: Record, boxes: Sequence[Box], anchors: Anchors) -> Iterator[tuple[list[str], int]]:
    """The elements and the height of each drawing."""
    sources = _sources(record, boxes)
    parts: list[str] = []
    y = 2
    for index, box in enumerate(boxes[:MAX_BOXES]):
        others = [boxes[source].name for source in sorted(sources[index] - {index - 1})]
        if index - 1 in sources[index]:
            parts.append(arrow(WIDTH // 2, y, WIDTH // 2, y + GAP))
        if others:  # Such as the module before a side exit, or the start of a residual connection.
            parts.append(text(PAD, y + GAP + 2, f"from {', '.join(others)}"))
        y += (GAP + 6 if others else GAP) if index else 0
        parts.append(_box(box, y, anchors))
        y += _height(box)
        if y > PIECE:
            yield parts, y
            parts, y = [], 0
    if len(boxes) > MAX_BOXES:
        parts.append(text(WIDTH // 2, y + 18, f"and {len(boxes) - MAX_BOXES} more", kind="m"))
        y += 24
    if parts:
        yield parts, y + 2


def _sources(record: Record, boxes: Sequence[Box]) -> list[set[int]]:
    """The boxes whose outputs each box reads. Rows outside all boxes pass on the boxes that they read."""
    number = {path: index for index, box in enumerate(boxes) for path in box.paths}
    reached: list[set[int]] = []
    read: list[set[int]] = [set() for _ in boxes]
    for row in record.rows:
        sources = {box for i in row.sources or () if 0 <= i < len(reached) for box in reached[i]}
        box = next((number[path] for path in prefixes(row.path) if path in number), None)
        if box is not None:
            read[box] |= sources - {box}
        reached.append(sources if box is None else {box})
    return read


def _height(box: Box) -> int:
    inside = max((len(branch.steps) for branch in box.branches), default=len(box.steps))
    return BOX + (GAP // 2 + STEP * inside if inside else 0)


def _box(box: Box, y: int, anchors: Anchors) -> str:
    share = percent(box.share) if box.share else ""
    body = [rect(1, y, WIDTH - 2, _height(box))]
    if box.share:
        body.append(rect(1, y, max(round(box.share * (WIDTH - 2), 1), 1), 4, "share"))
    inside = f"{len(box.branches)} branches" if box.branches else ", ".join(" ".join(step) for step in box.steps)
    detail = box.shape if box.branches or box.steps else box.description
    label = " · ".join(filter(None, (detail, share)))
    body.append(text(PAD, y + 21, shorten(box.name, 38 - max(len(label), 16)), kind="b"))
    body.append(text(WIDTH - PAD, y + 21, label, kind="e", room=28))
    for number, (name, words) in enumerate(box.steps):
        top = y + BOX + number * STEP
        body.append(rect(PAD, top, WIDTH - 2 * PAD, STEP - 3, "inner"))
        body.append(text(2 * PAD, top + 14, shorten(name or words, 28)))
        body.append(text(WIDTH - 2 * PAD, top + 14, words if name else "", kind="e", room=20))
    title = f"{box.name}: {' '.join(filter(None, (box.description, inside)))}, output {box.shape} {share}"
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
