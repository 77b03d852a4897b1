"""The network as a drawing, from its rows: modules from top to bottom, branches side by side where they are joined.

A module has branches where a `cat` of its own joins exactly what its parts put out. SVG as text; names are escaped.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from math import isqrt
from urllib.parse import quote

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import shape_text
from analyzer.core.units import percent
from analyzer.records.record import Module, Record, Row

WIDTH = 288  # What a 320 pixel wide screen leaves: letters keep their size there.
BOX, STEP, GAP, PAD = 34, 22, 12, 8
MOST = 80
SILENT = {"relu", "dropout", "flatten", "cat"}
SHORT = {"max_pool2d": "max pool", "avg_pool2d": "avg pool", "adaptive_avg_pool2d": "global pool",
         "local_response_norm": "LRN", "batch_norm": "norm"}  # fmt: skip
Places = Mapping[str, str]


class Branch(Frozen):
    path: str
    steps: tuple[str, ...]


class Stop(Frozen):
    """One top-level module on the way down."""

    path: str
    shape: str
    share: float
    what: str
    branches: tuple[Branch, ...] = ()

    @property
    def height(self) -> int:
        if not self.branches:
            return BOX
        return BOX + 2 * GAP + STEP * max(len(branch.steps) for branch in self.branches)


def stops(record: Record) -> list[Stop]:
    """The modules of the drawing; operators that only pass on or clip are left out."""
    modules = record.modules
    whole = record.totals.macs
    found = []
    for module in modules:
        own = [row for row in record.rows if row.path == module.path or row.path.startswith(f"{module.path}.")]
        if "." in module.path or all(row.op in SILENT for row in own):
            continue
        branches = _branches(module, modules, own)
        shape = shape_text(module.outputs[0][1:]) if module.outputs else ""
        share = module.totals.macs / whole if whole else 0.0
        found.append(Stop(module.path, shape, share, _what(own), branches))
    return found


def _branches(module: Module, modules: Sequence[Module], own: Sequence[Row]) -> tuple[Branch, ...]:
    joined = next((row.inputs for row in own if row.path == module.path and row.op == "cat"), None)
    depth = module.path.count(".") + 1
    parts = [one for one in modules if one.path.startswith(f"{module.path}.") and one.path.count(".") == depth]
    if joined is None or [part.outputs[:1] for part in parts] != [(shape,) for shape in joined]:
        return ()
    return tuple(Branch(part.path, _steps(part.path, own)) for part in parts)


def _steps(path: str, own: Sequence[Row]) -> tuple[str, ...]:
    rows = [row for row in own if (row.path == path or row.path.startswith(f"{path}.")) and row.op not in SILENT]
    return tuple(step(row) for row in rows if row.op != "batch_norm") or ("as it is",)


def step(row: Row) -> str:
    """`3x3 → 208`: a convolution's kernel and channels; else what the operator is called."""
    if row.op == "conv2d" and row.outputs and row.inputs:
        kernel = _kernel(row)
        return f"{kernel} → {row.outputs[0][1]}" if len(row.outputs[0]) > 1 else kernel
    return SHORT.get(row.op, row.op)


def _kernel(row: Row) -> str:
    """From the weights, as wide as it is high; where channels are in groups it cannot be told."""
    shapes = row.inputs[0], row.outputs[0]
    channels = shapes[0][1] * shapes[1][1] if all(len(shape) == 4 for shape in shapes) else 0
    side = isqrt(row.weights // channels) if channels else 0
    return f"{side}x{side}" if side and side * side * channels == row.weights else "conv"


def _what(own: Sequence[Row]) -> str:
    """What a module without branches is, in a word or two."""
    steps = [step(row) for row in own if row.op not in SILENT]
    return ", ".join(steps) if len(steps) <= 2 else f"{len(steps)} operators"


def svg(record: Record, name: str, places: Places) -> str:
    """The drawing. `places` are those of paths on the page."""
    found = stops(record)
    shown, more = found[:MOST], len(found) - MOST
    parts: list[str] = []
    y = 2
    for place, stop in enumerate(shown):
        if place:
            parts.append(_arrow(WIDTH // 2, y, y + GAP))
            y += GAP
        parts.append(_stop(stop, y, places))
        y += stop.height
    if more > 0:
        parts.append(_text(WIDTH // 2, y + 18, f"and {more} more", kind="m"))
        y += 24
    title = escape(f"Diagram of {name}")
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y + 2}" viewBox="0 0 {WIDTH} {y + 2}" '
        f'role="group" aria-label="{title}">{"".join(parts)}</svg>'
    )


def _stop(stop: Stop, y: int, places: Places) -> str:
    share = percent(stop.share) if stop.share else ""
    body = [_rect(1, y, WIDTH - 2, stop.height)]
    if stop.share:
        body.append(f'<rect class="share" x="1" y="{y}" width="{max(stop.share * (WIDTH - 2), 1):.1f}" height="4"/>')
    body.append(_text(PAD, y + 21, stop.path, kind="b", room=20 if stop.branches else 16))
    if not stop.branches:
        body.append(_text(WIDTH - PAD, y + 21, " · ".join(filter(None, (stop.what, share))), kind="e", room=28))
        return _linked(
            "".join(body), places.get(stop.path, ""), f"{stop.path}: {stop.what}, output {stop.shape} {share}"
        )
    body.append(_text(WIDTH - PAD, y + 21, " · ".join(filter(None, (stop.shape, share))), kind="e"))
    head = _linked(
        "".join(body),
        places.get(stop.path, ""),
        f"{stop.path}: {len(stop.branches)} branches, output {stop.shape} {share}",
    )
    return head + "".join(_column(stop, place, y + BOX, places) for place in range(len(stop.branches)))


def _column(stop: Stop, place: int, y: int, places: Places) -> str:
    branch, count = stop.branches[place], len(stop.branches)
    width = (WIDTH - 2 * PAD - 6 * (count - 1)) / count
    x = PAD + place * (width + 6)
    body = []
    for number, text in enumerate(branch.steps):
        top = y + number * STEP
        body.append(_rect(x, top, width, STEP - 3, inner=True))
        body.append(_text(x + width / 2, top + 14, text, kind="m", room=max(int(width / 5.6), 4)))
    return _linked("".join(body), places.get(branch.path, ""), f"{branch.path}: {', '.join(branch.steps)}", tab=False)


def _linked(body: str, anchor: str, title: str, *, tab: bool = True) -> str:
    inside = f"<title>{escape(title)}</title>{body}"
    if not anchor:
        return f"<g>{inside}</g>"
    skip = "" if tab else ' tabindex="-1"'
    return f'<a href="#{escape(quote(anchor))}"{skip}>{inside}</a>'


def _rect(x: float, y: float, width: float, height: float, *, inner: bool = False) -> str:
    kind = ' class="inner"' if inner else ""
    return f'<rect{kind} x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>'


def _text(x: float, y: float, text: str, *, kind: str = "", room: int = 40) -> str:
    """`kind`: b is a name, m stands in the middle, e ends at x."""
    cut = text if len(text) <= room else f"{text[: room - 1]}…"
    kind = f' class="{kind}"' if kind else ""
    return f'<text{kind} x="{x:g}" y="{y:g}">{escape(cut)}</text>'


def _arrow(x: float, top: float, bottom: float) -> str:
    return f'<path d="M{x:g} {top:g}V{bottom:g}m-3 -4l3 4l3 -4"/>'
