"""Points and lines as plotly figures: branches, widths, memory over a pass, time against MACs, roofline, throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10, sqrt
from typing import Any, TypeAlias

from reports.page.figures.base import BASE, Figure, Points, axis, escape_label, figure, name_axis, shorten
from reports.page.figures.palette import BLUE, MUTED, ORANGE, SLATE, color, dash, symbol
from reports.page.figures.ticks import linear_axis, log_axis

Groups: TypeAlias = Mapping[str, tuple[Points, Points, Sequence[str]]]  # Name to x, y and text.


def _trace(mode: str, x: Points, y: Sequence[object], tint: str, *, hover: str = "", **more: Any) -> dict[str, Any]:
    """Without `hover` the trace does not react to the pointer."""
    marker = {"color": tint} | more.pop("marker", {})
    hovers = {"hovertemplate": f"{hover}<extra></extra>"} if hover else {"hoverinfo": "skip"}
    line = {"color": tint, "width": 2} | more.pop("line", {})
    return {"type": "scatter", "mode": mode, "x": x, "y": y, "line": line, "marker": marker, **hovers, **more}


def dumbbells(
    names: Sequence[str], first: Points, other: Points, titles: tuple[str, str], texts: Sequence[str], *, unit: str
) -> Figure:
    """One row per name: two points on a logarithmic axis and a line between them."""
    rows = list(map(escape_label, names))
    line_x = [value for pair in zip(first, other, strict=True) for value in (*pair, None)]
    line_y = [value for row in rows for value in (row, row, None)]
    data = [_trace("lines", line_x, line_y, SLATE, showlegend=False)]
    for index, (title, values, tint) in enumerate(zip(titles, (first, other), (ORANGE, BLUE), strict=True)):
        hover, name = "%{y}<br>%{text}", escape_label(title)
        marker = {"size": 11, "symbol": symbol(index)}
        data.append(_trace("markers", values, rows, tint, hover=hover, name=name, text=texts, marker=marker))
    x_axis = axis(unit, **log_axis([*first, *other]))
    return figure(data, 70 + 24 * len(names), xaxis=x_axis, yaxis=name_axis(names))


def curves(
    x: Sequence[float], panels: Sequence[tuple[str, Points, float, Sequence[str]]], *, unit: str, mark: float
) -> Figure:
    """One curve per panel; the dashed line is the limit, and the point at `mark` is larger."""
    data: list[dict[str, Any]] = []
    height = 1 / len(panels)
    layout: dict[str, Any] = {"xaxis": axis(unit, anchor="y", rangemode="tozero")}
    marker = {"size": [13 if width == mark else 7 for width in x], "opacity": 1}
    for index, (title, values, limit, texts) in enumerate(panels):
        suffix = "" if index == 0 else str(index + 1)
        axes = {"xaxis": "x", "yaxis": f"y{suffix}"}
        hover = f"%{{x}} channels: %{{text}} {title}"
        data += [
            _trace("lines+markers", x, values, color(index), hover=hover, text=texts, marker=marker, **axes),
            _trace("lines", [0, max(x)], [limit, limit], SLATE, line={"dash": "dash"}, **axes),
        ]
        domain = [height * index + (0.1 if index else 0), height * (index + 1) - 0.02]
        layout[f"yaxis{suffix}"] = axis(title, domain=domain, rangemode="tozero", **linear_axis([*values, limit]))
    return figure(data, 400, **layout)


def steps(lines: Groups, peaks: Mapping[str, int], *, unit: str) -> Figure:
    """One step line per network over a pass; its highest point is marked."""
    data = []
    for index, (label, (x, y, texts)) in enumerate(lines.items()):
        name, tint, peak = escape_label(label), color(index), peaks[label]
        hover = f"{name}<br>%{{text}}: %{{y:.4s}}B in memory"
        data += [
            _trace("lines", x, y, tint, hover=hover, name=name, text=texts, line={"shape": "hvh", "dash": dash(index)}),
            _trace("markers", [x[peak]], [y[peak]], tint, hover=f"peak of {hover}", text=[texts[peak]],
                   showlegend=False, marker={"size": 11}, cliponaxis=False),
        ]  # fmt: skip
    x_axis = axis("progress of the pass", tickformat=".0%", range=[0, 1], tickvals=[0, 0.2, 0.4, 0.6, 0.8, 1])
    y_axis = axis(unit, **linear_axis((value for _, y, _ in lines.values() for value in y), "B"), rangemode="tozero")
    margin = {**BASE["margin"], "r": 28}  # For half of the last tick's text, which plotly leaves out beyond the chart.
    return figure(data, 340, xaxis=x_axis, yaxis=y_axis, margin=margin)


def points(
    groups: Groups, *, x: str, y: str, hover: str, unit_x: str = "", unit_y: str = "",
    lines: Sequence[dict[str, Any]] = (),
) -> Figure:  # fmt: skip
    """Named points on two logarithmic axes, one color and symbol per group; `lines` are ceilings.

    `unit_x` and `unit_y` are written at the ticks.
    """
    data = _traces("markers", groups, f"%{{text}}<br>{hover}", {"size": 9, "opacity": 0.85})
    xs, ys = ([value for trace in (*lines, *data) for value in trace[key]] for key in ("x", "y"))
    x_axis, y_axis = axis(x, **log_axis(xs, unit_x)), axis(y, **log_axis(ys, unit_y))
    return figure([*lines, *data], 400, annotations=_labels(lines), xaxis=x_axis, yaxis=y_axis)


def _traces(mode: str, groups: Groups, hover: str, marker: Mapping[str, Any]) -> list[dict[str, Any]]:
    return [
        _trace(mode, x, y, color(index), hover=hover, name=escape_label(name), text=texts,
               marker={**marker, "symbol": symbol(index)}, line={"dash": dash(index)})
        for index, (name, (x, y, texts)) in enumerate(groups.items())
    ]  # fmt: skip


Bubble: TypeAlias = tuple[float, float, str, float]  # x, y, name, and the area relative to the largest.


def bubbles(own: Sequence[Bubble], others: Sequence[tuple[float, float, str]], *, x: str, y: str) -> Figure:
    """Networks as labeled points on two logarithmic axes, `others` small and muted."""
    spots = [(x, y, name) for x, y, name, _ in own] + [*others]
    x_axis, y_axis = (
        axis(title, **log_axis(values))
        for title, values in ((x, [at for at, *_ in spots]), (y, [at for _, at, _ in spots]))
    )
    sizes = [round(10 + 16 * area**0.5) for *_, area in own] + [6] * len(others)
    places = label_places(spots, sizes, len(own), (x_axis["range"], y_axis["range"]))
    hover = f"%{{customdata}}<br>%{{x:,}} {x}<br>%{{y:,}} {y}"
    data = []
    if others:
        xs, ys, names = transpose(others)
        data.append(_bubble(xs, ys, names, places[len(own) :], MUTED, hover, {"size": 6}))
    for index, ((at_x, at_y, name, _), size, place) in enumerate(zip(own, sizes, places, strict=False)):
        marker = {"size": size, "symbol": symbol(index), "line": {"width": 1, "color": "#ffffff"}}
        data.append(_bubble([at_x], [at_y], [name], [place], color(index), hover, marker))
    return figure(data, 360, xaxis=x_axis, yaxis=y_axis)


def _bubble(
    x: Points, y: Points, names: Sequence[str], places: Sequence[str], tint: str, hover: str, marker: Mapping[str, Any]
) -> dict[str, Any]:
    texts = [escape_label(shorten(name, 22)) if place else "" for name, place in zip(names, places, strict=False)]
    return _trace(
        "markers+text", x, y, tint, hover=hover, marker=marker, text=texts, showlegend=False,
        customdata=list(map(escape_label, names)), textposition=[place or "top center" for place in places],
        textfont={"size": 11}, cliponaxis=False,
    )  # fmt: skip


def label_places(
    spots: Sequence[tuple[float, float, str]], sizes: Sequence[int], always: int, ranges: tuple[Points, Points]
) -> list[str]:
    """Where each label stands, the first spots first; "" where it would cover another label or point.

    The first `always` spots have a label in any case. Pixels are those of a chart in half a page or on a phone,
    290 x 270. `sizes` are the diameters of the points, `ranges` the powers of ten at the ends of both axes.
    """
    width, height = 290, 270

    def pixel(value: float, ends: Points, size: int) -> float:
        low, high = (end or 0 for end in ends)
        return (log10(value) - low) / (high - low) * size

    dots = [(pixel(x, ranges[0], width), pixel(y, ranges[1], height)) for x, y, _ in spots]
    halves = [size / 2 + 1 for size in sizes]
    boxes = [(x - half, y - half, x + half, y + half) for (x, y), half in zip(dots, halves, strict=True)]
    places: list[str] = []
    for (x, y), half, (_, _, name) in zip(dots, halves, spots, strict=True):
        long, near = 6.4 * min(len(name), 22), half + 2
        candidates = {
            "middle right": (x + near, y - 7, x + near + long, y + 7),
            "middle left": (x - near - long, y - 7, x - near, y + 7),
            "top center": (x - long / 2, y + near, x + long / 2, y + near + 14),
            "bottom center": (x - long / 2, y - near - 14, x + long / 2, y - near),
            "top right": (x + half, y + half, x + half + long, y + half + 14),
            "bottom right": (x + half, y - half - 14, x + half + long, y - half),
            "top left": (x - half - long, y + half, x - half, y + half + 14),
            "bottom left": (x - half - long, y - half - 14, x - half, y - half),
        }
        place = next((side for side, box in candidates.items() if not _covered(box, boxes, width)), "")
        if not place and len(places) < always:
            place = min(candidates, key=lambda side: _covered(candidates[side], boxes, width))
        if place:
            boxes.append(candidates[place])
        places.append(place)
    return places


def _covered(box: Sequence[float], others: Sequence[Sequence[float]], width: float) -> int:
    """How many labels and points a label would cover; outside the chart counts as many."""
    left, low, right, high = box
    outside = 0 if left >= 0 and right <= width + 10 else 100
    return outside + sum(not (right < a or c < left or high < b or d < low) for a, b, c, d in others)


def transpose(samples: Sequence[tuple[float, float, str]]) -> tuple[list[float], list[float], list[str]]:
    """Points as one list each of x, y and text."""
    return [x for x, _, _ in samples], [y for _, y, _ in samples], [text for _, _, text in samples]


def ceiling(name: str, x: Points, y: Points) -> dict[str, Any]:
    return _trace("lines", x, y, SLATE, name=escape_label(name), showlegend=False) | {"hoverinfo": "name"}


def _labels(lines: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """The ceilings' names: above the end of a flat roof and the middle of the highest slope, where no points are.

    Those of other slopes are below their start.
    """
    highest = max((line["y"][0] for line in lines if line["y"][0] != line["y"][-1]), default=0)
    labels = []
    for line in lines:
        (x, *_, end_x), (y, *_, end_y) = line["x"], line["y"]
        above = y in (end_y, highest)
        at = (1.2 * x, 1.2 * y)  # On the axis itself the label would not be drawn.
        if above:
            at = (end_x, end_y) if y == end_y else (sqrt(x * end_x), sqrt(y * end_y))
        labels.append(
            {
                "text": line["name"], "x": log10(at[0]), "y": log10(at[1]), "showarrow": False, "font": {"size": 11},
                "xanchor": "right" if above else "left", "yanchor": "bottom" if above else "top",
            }
        )  # fmt: skip
    return labels


def lines(groups: Groups, *, x: str, y: str) -> Figure:
    """One line per group over a few values, such as the batch."""
    ticks = sorted({value for xs, _, _ in groups.values() for value in xs if value})
    x_axis = axis(x, type="log", tickvals=ticks, ticktext=list(map(str, ticks)))
    data = _traces("lines+markers", groups, "%{text}", {"size": 9})
    return figure(data, 340, xaxis=x_axis, yaxis=_from_zero(y, groups))


def _from_zero(title: str, groups: Groups) -> dict[str, Any]:
    return axis(title, rangemode="tozero", **linear_axis(value for _, ys, _ in groups.values() for value in ys))


def two_panels(upper: Groups, lower: Groups, *, x: str, y_upper: str, y_lower: str) -> Figure:
    """`lines` of two quantities of the same groups, one above the other, over one axis of values."""
    drawn = lines(upper, x=x, y=y_upper)
    below = _traces("lines+markers", lower, "%{text}", {"size": 9})
    drawn["data"] += [{**trace, "yaxis": "y2", "showlegend": False} for trace in below]
    layout = drawn["layout"]
    layout["height"] = 480
    layout["yaxis"] = {**layout["yaxis"], "domain": [0.56, 1.0]}
    layout["yaxis2"] = _from_zero(y_lower, lower) | {"domain": [0.0, 0.44]}
    layout["xaxis"] = {**layout["xaxis"], "anchor": "y2"}
    return drawn


def curves_over(groups: Groups, *, x: str, y: str, unit: str = "", shares: bool = False) -> Figure:
    """One line per group over sizes on two logarithmic axes, with a tick at each size; `shares` are in percent."""
    sizes = sorted({value for xs, _, _ in groups.values() for value in xs if value})
    values = [value for _, ys, _ in groups.values() for value in ys if value]
    shown = sizes if len(sizes) <= 8 else sizes[:: -(-len(sizes) // 8)]
    ticks = {"tickmode": "array", "tickvals": shown, "ticktext": [f"{size:,}" for size in shown]}
    x_axis = axis(x, type="log", **ticks)
    y_axis = axis(y, rangemode="tozero", tickformat=".0%", nticks=6) if shares else axis(y, **log_axis(values, unit))
    data = _traces("lines+markers", groups, "%{text}", {"size": 8})
    return figure(data, 360, xaxis=x_axis, yaxis=y_axis)
