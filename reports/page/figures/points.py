"""Points and lines as plotly figures: branches, widths, memory over a pass, time against MACs, roofline, throughput."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import log10
from typing import Any

from reports.page.figures.base import BLUE, ORANGE, SLATE, Figure, Points, axis, colour, escape_label, figure


def dumbbells(
    names: Sequence[str], first: Points, other: Points, titles: tuple[str, str], texts: Sequence[str], *, unit: str
) -> Figure:
    """One row per name: two points on a logarithmic axis and a line between them."""
    rows = [escape_label(name) for name in names]
    line_x = [value for pair in zip(first, other, strict=True) for value in (*pair, None)]
    line_y = [value for row in rows for value in (row, row, None)]
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "x": line_x, "y": line_y, "hoverinfo": "skip", "showlegend": False,
         "line": {"color": SLATE, "width": 2}},
    ]  # fmt: skip
    for title, values, tint in zip(titles, (first, other), (ORANGE, BLUE), strict=True):
        data.append(
            {"type": "scatter", "mode": "markers", "name": escape_label(title), "x": list(values),
             "y": rows, "text": texts, "marker": {"size": 11, "color": tint},
             "hovertemplate": "%{y}<br>%{text}<extra></extra>"}
        )  # fmt: skip
    return figure(
        data,
        70 + 24 * len(names),
        xaxis=axis(unit, type="log", tickformat="~s", dtick=1),
        yaxis={"automargin": True, "autorange": "reversed", "ticksuffix": "  "},
    )


def curves(
    x: Sequence[float], panels: Sequence[tuple[str, Points, float, Sequence[str]]], *, unit: str, mark: float
) -> Figure:
    """One curve per panel; the dashed line is the limit, and the point at `mark` is larger."""
    data: list[dict[str, Any]] = []
    height = 1 / len(panels)
    layout: dict[str, Any] = {"xaxis": axis(unit, anchor="y", rangemode="tozero")}
    for index, (title, values, limit, texts) in enumerate(panels):
        suffix = "" if index == 0 else str(index + 1)
        sizes = [13 if width == mark else 7 for width in x]
        common = {"xaxis": "x", "yaxis": f"y{suffix}"}
        data.append(
            {"type": "scatter", "mode": "lines+markers", "x": list(x), "y": list(values), "text": list(texts),
             "line": {"color": colour(index), "width": 2},
             "marker": {"size": sizes, "color": colour(index), "opacity": 1},
             "hovertemplate": f"%{{x}} channels: %{{text}} {title}<extra></extra>", **common}
        )  # fmt: skip
        data.append(
            {"type": "scatter", "mode": "lines", "x": [0, max(x)], "y": [limit, limit], "hoverinfo": "skip",
             "line": {"color": SLATE, "width": 2, "dash": "dash"}, **common}
        )  # fmt: skip
        low = height * index
        layout[f"yaxis{suffix}"] = axis(
            title, domain=[low + (0.1 if index else 0), low + height - 0.02], rangemode="tozero", tickformat="~s",
            nticks=5,
        )  # fmt: skip
    return figure(data, 400, **layout)


def steps(lines: Mapping[str, tuple[Points, Points, Sequence[str]]], peaks: Mapping[str, int], *, unit: str) -> Figure:
    """One step line per network over a pass; its highest point is marked."""
    data: list[dict[str, Any]] = []
    for index, (name, (x, y, texts)) in enumerate(lines.items()):
        tint = colour(index)
        data.append(
            {"type": "scatter", "mode": "lines", "name": escape_label(name), "x": list(x), "y": list(y),
             "text": list(texts), "line": {"color": tint, "width": 2, "shape": "hvh"}, "marker": {"color": tint},
             "hovertemplate": f"{escape_label(name)}<br>%{{text}}: %{{y:.4s}}B in memory<extra></extra>"}
        )  # fmt: skip
        peak = peaks[name]
        data.append(
            {"type": "scatter", "mode": "markers", "x": [x[peak]], "y": [y[peak]], "text": [texts[peak]],
             "showlegend": False, "marker": {"size": 11, "color": tint},
             "hovertemplate": f"peak of {escape_label(name)}<br>%{{text}}: %{{y:.4s}}B in memory<extra></extra>"}
        )  # fmt: skip
    return figure(
        data,
        340,
        xaxis=axis("progress of the pass", tickformat=".0%", range=[0, 1]),
        yaxis=axis(unit, tickformat="~s", ticksuffix="B", rangemode="tozero", nticks=6),
    )


def scatter(
    groups: Mapping[str, tuple[Points, Points, Sequence[str]]],
    *,
    x: str,
    y: str,
    hover: str,
    suffix: str = "",
    whole_x: bool = True,
    lines: Sequence[dict[str, Any]] = (),
) -> Figure:
    """Named points on two logarithmic axes, one colour per group; `lines` are ceilings."""
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "markers", "name": escape_label(name), "x": list(xs), "y": list(ys),
         "text": list(texts), "marker": {"size": 9, "color": colour(index), "opacity": 0.85},
         "hovertemplate": f"%{{text}}<br>{hover}<extra></extra>"}
        for index, (name, (xs, ys, texts)) in enumerate(groups.items())
    ]  # fmt: skip
    return figure(
        [*lines, *data],
        400,
        annotations=[_label(line) for line in lines],
        xaxis=axis(x, type="log", dtick=1, tickformat="~s" if whole_x else "~g"),
        yaxis=axis(y, type="log", tickformat="~s", dtick=1, ticksuffix=suffix),
    )


def transpose(points: Sequence[tuple[float, float, str]]) -> tuple[list[float], list[float], list[str]]:
    """Points as one list each of x, y and text."""
    return [x for x, _, _ in points], [y for _, y, _ in points], [text for _, _, text in points]


def ceiling(name: str, x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": escape_label(name), "x": list(x), "y": list(y),
            "hoverinfo": "name", "showlegend": False, "line": {"color": SLATE, "width": 2}}  # fmt: skip


def _label(line: Mapping[str, Any]) -> dict[str, Any]:
    """A ceiling's name at its line: below the start of a slope, above the end of a flat roof."""
    (x, *_, end_x), (y, *_, end_y) = line["x"], line["y"]
    flat = y == end_y
    at = (end_x, end_y) if flat else (1.2 * x, 1.2 * y)  # On the axis itself the label would not be drawn.
    return {
        "text": line["name"], "x": log10(at[0]), "y": log10(at[1]), "showarrow": False, "font": {"size": 11},
        "xanchor": "right" if flat else "left", "yanchor": "bottom" if flat else "top",
    }  # fmt: skip


def lines(groups: Mapping[str, tuple[Points, Points, Sequence[str]]], *, x: str, y: str) -> Figure:
    """One line per group over a few values, such as the batch."""
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines+markers", "name": escape_label(name), "x": list(xs), "y": list(ys),
         "text": list(texts), "line": {"color": colour(index), "width": 2},
         "marker": {"size": 9, "color": colour(index)},
         "hovertemplate": "%{text}<extra></extra>"}
        for index, (name, (xs, ys, texts)) in enumerate(groups.items())
    ]  # fmt: skip
    return figure(
        data,
        340,
        xaxis=axis(x, type="log", tickvals=sorted({v for xs, _, _ in groups.values() for v in xs if v}),
                   ticktext=[str(v) for v in sorted({v for xs, _, _ in groups.values() for v in xs if v})]),
        yaxis=axis(y, rangemode="tozero", nticks=6),
    )  # fmt: skip
