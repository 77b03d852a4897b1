"""Figures: plain data in, a plotly figure out as the JSON that its script reads. No plotly is imported.

Its Python classes check every key, and building one chart by them takes longer than a count. Colours hold on white and
on near-black alike, and under white text; what depends on the theme (text, grid) the page's script adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import unescape
from math import log10
from typing import Any, TypeAlias

Figure: TypeAlias = dict[str, Any]
Points: TypeAlias = Sequence[float | None]

BLUE, ORANGE, GREEN, PURPLE, TEAL, PINK, OLIVE, SLATE = SERIES = (
    "#2f6fb7", "#b3541e", "#2a7f55", "#7b54a8", "#117a86", "#b03a6f", "#76701a", "#5f6b7a",
)  # fmt: skip
FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
LABEL = 12  # Pixels; plotly's own hovers and ticks go no lower than 11.


def series(place: int) -> str:
    return SERIES[place % len(SERIES)]


def safe(text: str) -> str:
    """A name as text: plotly reads a little HTML in its labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# What all figures have in common: a page holds it once.
BASE: Figure = {
    "margin": {"l": 8, "r": 16, "t": 12, "b": 44},
    "font": {"family": FONT, "size": LABEL},
    "showlegend": False,
    "dragmode": False,
    "hoverlabel": {"font": {"family": FONT, "size": LABEL}},
    "uniformtext": {"minsize": 11, "mode": "hide"},
}


def figure(data: list[dict[str, Any]], height: int, **layout: Any) -> Figure:
    """Data and what its layout has beyond BASE."""
    return {"data": data, "layout": {"height": height, **layout}}


def axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title, "standoff": 8}, "automargin": True, "zeroline": False} | more


def key(figure: Figure) -> tuple[tuple[str, str], ...]:
    """The names of what is drawn with their colours: the page writes them below, where they wrap."""
    named = [trace for trace in figure["data"] if trace.get("name") and trace.get("showlegend", True)]
    return tuple((unescape(trace["name"]), trace["marker"]["color"]) for trace in named) if len(named) > 1 else ()


TILE = "%{id}<br>%{value:.4s}<br>%{percentRoot:.1%} of the whole<extra></extra>"


def icicle(
    ids: Sequence[str], labels: Sequence[str], parents: Sequence[str], values: Sequence[float], colours: Sequence[str],
    *, height: int,
) -> Figure:  # fmt: skip
    """Modules as tiles, from the whole at the left to its parts; a tile's height is its share. Click one to go in."""
    trace = {
        "type": "icicle",
        "ids": ids,
        "labels": [safe(label) for label in labels],
        "parents": parents,
        "values": values,
        "branchvalues": "total",
        "sort": False,
        "maxdepth": 3,
        "tiling": {"orientation": "h", "pad": 1},
        "marker": {"colors": colours, "line": {"width": 0}},
        "texttemplate": "%{label}  %{percentRoot:.1%}",
        "leaf": {"opacity": 1},
        "textfont": {"color": "#ffffff", "size": LABEL},
        "hovertemplate": TILE,
        "pathbar": {"visible": True, "textfont": {"size": LABEL, "color": "#ffffff"}},
        "root": {"color": SLATE},
    }
    return figure([trace], height, margin={"l": 0, "r": 0, "t": 26, "b": 4})


def stacked(
    names: Sequence[str], parts: Mapping[str, Sequence[float]], texts: Mapping[str, Sequence[str]], *, unit: str
) -> Figure:
    """A bar a network, cut into its parts."""
    data = [
        {
            "type": "bar",
            "orientation": "h",
            "name": safe(part),
            "y": [safe(name) for name in names],
            "x": list(values),
            "text": list(texts[part]),
            "hovertemplate": f"%{{y}}<br>{safe(part)}: %{{text}}<extra></extra>",
            "textposition": "none",
            "marker": {"color": series(place), "line": {"width": 1, "color": "rgba(255,255,255,.6)"}},
        }
        for place, (part, values) in enumerate(parts.items())
    ]
    return figure(
        data,
        96 + 44 * len(names),
        barmode="stack",
        bargap=0.35,
        xaxis=axis(unit, tickformat="~s", nticks=6),
        yaxis={"automargin": True, "autorange": "reversed", "ticksuffix": "  "},
    )


def grouped(names: Sequence[str], groups: Mapping[str, tuple[Points, Sequence[str]]], *, unit: str) -> Figure:
    """A bar a name and group, those of a name side by side."""
    data = [
        {"type": "bar", "orientation": "h", "name": safe(group), "y": [safe(name) for name in names], "x": list(values),
         "text": list(texts), "textposition": "none", "marker": {"color": series(place)},
         "hovertemplate": f"%{{y}}<br>{safe(group)}: %{{text}}<extra></extra>"}
        for place, (group, (values, texts)) in enumerate(groups.items())
    ]  # fmt: skip
    return figure(
        data,
        80 + 18 * (len(groups) + 1) * len(names),
        barmode="group",
        bargap=0.3,
        xaxis=axis(unit, tickformat=".0%", nticks=6),
        yaxis={"automargin": True, "autorange": "reversed", "ticksuffix": "  "},
    )


def dumbbells(
    names: Sequence[str], first: Points, other: Points, titles: tuple[str, str], texts: Sequence[str], *, unit: str
) -> Figure:
    """A row a name: two points on a logarithmic axis and the way between them."""
    rows = [safe(name) for name in names]
    way_x = [value for one, two in zip(first, other, strict=True) for value in (one, two, None)]
    way_y = [value for row in rows for value in (row, row, None)]
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines", "x": way_x, "y": way_y, "hoverinfo": "skip", "showlegend": False,
         "line": {"color": SLATE, "width": 2}},
    ]  # fmt: skip
    for title, values, colour in zip(titles, (first, other), (ORANGE, BLUE), strict=True):
        data.append(
            {"type": "scatter", "mode": "markers", "name": safe(title), "x": list(values), "y": rows, "text": texts,
             "marker": {"size": 11, "color": colour}, "hovertemplate": "%{y}<br>%{text}<extra></extra>"}
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
    """One curve a panel, one above the other; a dashed line is the figure without, a filled point the paper's width."""
    data: list[dict[str, Any]] = []
    height = 1 / len(panels)
    layout: dict[str, Any] = {"xaxis": axis(unit, anchor="y", rangemode="tozero")}
    for index, (title, values, limit, texts) in enumerate(panels):
        suffix = "" if index == 0 else str(index + 1)
        sizes = [13 if width == mark else 7 for width in x]
        common = {"xaxis": "x", "yaxis": f"y{suffix}"}
        data.append(
            {"type": "scatter", "mode": "lines+markers", "x": list(x), "y": list(values), "text": list(texts),
             "line": {"color": series(index), "width": 2},
             "marker": {"size": sizes, "color": series(index), "opacity": 1},
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


def bars(
    names: Sequence[str], values: Points, texts: Sequence[str], *, unit: str, colours: Sequence[str] | str,
    spread: tuple[Points, Points] | None = None, suffix: str = "",
) -> Figure:  # fmt: skip
    """A bar a name, from zero to either side; `spread` is how far a figure reaches above and below."""
    trace: dict[str, Any] = {
        "type": "bar",
        "orientation": "h",
        "y": [safe(name) for name in names],
        "x": list(values),
        "text": list(texts),
        "textposition": "none",
        "hovertemplate": "%{y}: %{text}<extra></extra>",
        "marker": {"color": colours if isinstance(colours, str) else list(colours)},
    }
    if spread:
        trace["error_x"] = {"type": "data", "symmetric": False, "array": list(spread[0]), "arrayminus": list(spread[1]),
                            "color": SLATE, "thickness": 1.5, "width": 4}  # fmt: skip
    return figure(
        [trace],
        76 + 24 * len(names),
        bargap=0.3,
        xaxis=axis(unit, tickformat="~s", ticksuffix=suffix, nticks=5, zeroline=True),
        yaxis={"automargin": True, "autorange": "reversed", "ticksuffix": "  "},
    )


def steps(lines: Mapping[str, tuple[Points, Points, Sequence[str]]], peaks: Mapping[str, int], *, unit: str) -> Figure:
    """A level over the course of a pass, a line a network; its highest point is marked."""
    data: list[dict[str, Any]] = []
    for place, (name, (x, y, texts)) in enumerate(lines.items()):
        colour = series(place)
        data.append(
            {"type": "scatter", "mode": "lines", "name": safe(name), "x": list(x), "y": list(y), "text": list(texts),
             "line": {"color": colour, "width": 2, "shape": "hvh"}, "marker": {"color": colour},
             "hovertemplate": f"{safe(name)}<br>%{{text}}: %{{y:.4s}}B alive<extra></extra>"}
        )  # fmt: skip
        peak = peaks[name]
        data.append(
            {"type": "scatter", "mode": "markers", "x": [x[peak]], "y": [y[peak]], "text": [texts[peak]],
             "showlegend": False, "marker": {"size": 11, "color": colour},
             "hovertemplate": f"peak of {safe(name)}<br>%{{text}}: %{{y:.4s}}B alive<extra></extra>"}
        )  # fmt: skip
    return figure(
        data,
        340,
        xaxis=axis("how far the pass is", tickformat=".0%", range=[0, 1]),
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
    """Named points on two logarithmic axes, a colour a group; `lines` are ceilings."""
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "markers", "name": safe(name), "x": list(xs), "y": list(ys), "text": list(texts),
         "marker": {"size": 9, "color": series(place), "opacity": 0.85},
         "hovertemplate": f"%{{text}}<br>{hover}<extra></extra>"}
        for place, (name, (xs, ys, texts)) in enumerate(groups.items())
    ]  # fmt: skip
    return figure(
        [*lines, *data],
        400,
        annotations=[_label(line) for line in lines],
        xaxis=axis(x, type="log", dtick=1, tickformat="~s" if whole_x else "~g"),
        yaxis=axis(y, type="log", tickformat="~s", dtick=1, ticksuffix=suffix),
    )


def ceiling(name: str, x: Sequence[float], y: Sequence[float]) -> dict[str, Any]:
    return {"type": "scatter", "mode": "lines", "name": safe(name), "x": list(x), "y": list(y), "hoverinfo": "name",
            "showlegend": False, "line": {"color": SLATE, "width": 2}}  # fmt: skip


def _label(line: Mapping[str, Any]) -> dict[str, Any]:
    """A ceiling's name at its line: below a slope's foot, above the end of a roof."""
    (x, *_, end_x), (y, *_, end_y) = line["x"], line["y"]
    flat = y == end_y
    at = (end_x, end_y) if flat else (1.2 * x, 1.2 * y)  # On the axis itself it would not be drawn.
    return {
        "text": line["name"], "x": log10(at[0]), "y": log10(at[1]), "showarrow": False, "font": {"size": 11},
        "xanchor": "right" if flat else "left", "yanchor": "bottom" if flat else "top",
    }  # fmt: skip


def lines(groups: Mapping[str, tuple[Points, Points, Sequence[str]]], *, x: str, y: str) -> Figure:
    """A line a group over a few values, such as the batch."""
    data: list[dict[str, Any]] = [
        {"type": "scatter", "mode": "lines+markers", "name": safe(name), "x": list(xs), "y": list(ys),
         "text": list(texts), "line": {"color": series(place), "width": 2},
         "marker": {"size": 9, "color": series(place)},
         "hovertemplate": "%{text}<extra></extra>"}
        for place, (name, (xs, ys, texts)) in enumerate(groups.items())
    ]  # fmt: skip
    return figure(
        data,
        340,
        xaxis=axis(x, type="log", tickvals=sorted({v for xs, _, _ in groups.values() for v in xs if v}),
                   ticktext=[str(v) for v in sorted({v for xs, _, _ in groups.values() for v in xs if v})]),
        yaxis=axis(y, rangemode="tozero", nticks=6),
    )  # fmt: skip
