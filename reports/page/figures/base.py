"""Bars and tiles as plotly figures: the JSON that plotly's script reads. The Python package is not imported.

Its classes validate every key, and building one chart with them takes longer than a count. Colors are those of the
light theme; the page's script replaces them and adds what depends on the theme (text, grid).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from html import unescape
from operator import add, sub
from typing import Any, TypeAlias

from analyzer.core.frozen import Frozen
from reports.page.figures.palette import (
    BLUE,
    GLYPHS,
    GREEN,
    MUTED,
    ORANGE,
    PURPLE,
    SLATE,
    STROKES,
    TEAL,
    color,
    text_on,
)
from reports.page.figures.ticks import linear_axis

__all__ = ["BLUE", "GREEN", "ORANGE", "PURPLE", "SLATE", "TEAL", "color"]

Figure: TypeAlias = dict[str, Any]
Points: TypeAlias = Sequence[float | None]

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
FONT_SIZE = 12  # Pixels.


def escape_label(text: str) -> str:
    """Escapes a name, because plotly interprets some HTML in its labels."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


# The layout that all figures share; a page contains it once.
BASE: Figure = {
    "margin": {"l": 8, "r": 16, "t": 12, "b": 44},
    "font": {"family": FONT, "size": FONT_SIZE},
    "showlegend": False,
    "dragmode": False,
    "hoverlabel": {"font": {"family": FONT, "size": FONT_SIZE}},
    "uniformtext": {"minsize": 11, "mode": "hide"},
}


def figure(data: list[dict[str, Any]], height: int, **layout: Any) -> Figure:
    """A figure; `layout` extends BASE."""
    return {"data": data, "layout": {"height": height, **layout}}


NAMES = {"automargin": True, "autorange": "reversed", "ticksuffix": "  "}  # The axis of bars, the first at the top.
MAX_NAME = 28  # Characters of a name at an axis.


def shorten(name: str, limit: int = MAX_NAME) -> str:
    """A name with its middle left out: both ends of a path or of a kernel's name tell it apart from others."""
    if len(name) <= limit:
        return name
    end = (limit - 1) // 2
    return f"{name[: limit - 1 - end]}…{name[-end:]}"


def name_axis(names: Sequence[str], limit: int = MAX_NAME) -> dict[str, Any]:
    """The axis of bars. Long names are shortened there, so that they leave room for the bars; hover shows them."""
    if all(len(name) <= limit for name in names):
        return NAMES
    labels = list(map(escape_label, names))
    return {
        **NAMES,
        "tickmode": "array",
        "tickvals": labels,
        "ticktext": [escape_label(shorten(n, limit)) for n in names],
    }


def axis(title: str, **more: Any) -> dict[str, Any]:
    return {"title": {"text": title, "standoff": 8}, "automargin": True, "zeroline": False} | more


class Key(Frozen):
    """An entry of a legend: a name, a color, and a mark: a character, or the dashes of a line as in SVG."""

    name: str
    color: str
    mark: str = "■"
    dashes: str = ""


def legend(figure: Mapping[str, Any]) -> tuple[Key, ...]:
    """The traces, if there are several; muted ones share a key. The page writes them below the chart, to wrap."""
    named = [trace for trace in figure["data"] if trace.get("name") and trace.get("showlegend", True)]
    keys = [_key(trace) for trace in named]
    muted = [key for key in keys if key.color == MUTED]
    if len(muted) > 1:
        names = ", ".join(key.name for key in muted)
        keys = [key for key in keys if key.color != MUTED] + [muted[0].replace(name=names)]
    return tuple(keys) if len(named) > 1 else ()


def _key(trace: Mapping[str, Any]) -> Key:
    marker = trace["marker"]
    dashes = STROKES[trace.get("line", {}).get("dash", "solid")] if "lines" in trace.get("mode", "") else ""
    return Key(unescape(trace["name"]), marker["color"], GLYPHS.get(marker.get("symbol", ""), "■"), dashes)


TILE = "%{{id}}<br>%{{value:,}} {unit}<br>%{{percentRoot:.1%}} of the whole<extra></extra>"


def icicle(
    ids: Sequence[str], labels: Sequence[str], parents: Sequence[str], values: Sequence[float], colors: Sequence[str],
    *, height: int,
) -> Figure:  # fmt: skip
    """Modules as tiles, the network at the left and its parts to the right; a tile's height is its share."""
    trace = {
        "type": "icicle",
        "ids": ids,
        "labels": [escape_label(label) for label in labels],
        "parents": parents,
        "values": values,
        "branchvalues": "total",
        "sort": False,
        "maxdepth": 3,
        "tiling": {"orientation": "h", "pad": 1},
        "marker": {"colors": colors, "line": {"width": 0}},
        "texttemplate": "%{label}  %{percentRoot:.1%}",
        "leaf": {"opacity": 1},
        "textfont": {"color": "#ffffff", "size": FONT_SIZE},
        "hovertemplate": TILE.format(unit=""),
        "pathbar": {"visible": True, "textfont": {"size": FONT_SIZE, "color": "#ffffff"}},
        "root": {"color": SLATE},
    }
    return figure([trace], height, margin={"l": 0, "r": 0, "t": 26, "b": 4})


def stacked(
    names: Sequence[str], parts: Mapping[str, Sequence[float]], texts: Mapping[str, Sequence[str]], *, unit: str,
    colors: Sequence[str] = (), shares: bool = False,
) -> Figure:  # fmt: skip
    """One bar per network, divided into its parts, whose names stand in the bars where they fit."""
    outline = {"width": 1, "color": "rgba(255,255,255,.6)"}
    data = []
    for (part, values), tint in zip(parts.items(), colors or map(color, range(len(parts))), strict=False):
        label = {"textposition": "inside", "insidetextanchor": "middle", "texttemplate": escape_label(part),
                 "textangle": 0, "insidetextfont": {"color": text_on(tint)}}  # fmt: skip
        data.append(_bars(names, values, texts[part], {"color": tint, "line": outline}, part) | label)
    ticks = (
        {"tickformat": ".0%", "tickvals": [0, 0.25, 0.5, 0.75, 1]}
        if shares
        else linear_axis(map(sum, zip(*parts.values(), strict=True)))
    )
    x_axis = axis(unit, **ticks)
    return figure(data, 76 + 36 * len(names), barmode="stack", bargap=0.3, xaxis=x_axis, yaxis=name_axis(names))


def apart(parts: Mapping[str, float], texts: Mapping[str, str], *, unit: str) -> Figure:
    """One bar per part of a single network, with its text; a trace each, as in `stacked`."""
    data = [
        _bars([part], [value], [texts[part]], {"color": BLUE})
        | {
            "textposition": "auto",
            "hovertemplate": "%{y}: %{text} %{xaxis.title.text}<extra></extra>",
            "insidetextfont": {"color": text_on(BLUE)},
            "showlegend": False,
            "cliponaxis": False,
            "name": escape_label(part),
        }
        for part, value in parts.items()
    ]
    x_axis = axis(unit, **apart_axis(parts.values()))
    return figure(data, 76 + 30 * len(parts), barmode="stack", bargap=0.3, xaxis=x_axis, yaxis=name_axis([*parts], 18))


def apart_axis(values: Collection[float]) -> dict[str, Any]:
    """With room for the texts behind the bars."""
    return {**linear_axis(values), "range": [0, 1.5 * (max(values, default=0) or 1)]}


def grouped(names: Sequence[str], groups: Mapping[str, tuple[Points, Sequence[str]]], *, unit: str) -> Figure:
    """One bar per name and group; the bars of a name stand side by side."""
    data = [
        _bars(names, values, texts, {"color": color(index)}, group)
        for index, (group, (values, texts)) in enumerate(groups.items())
    ]
    height = 80 + 18 * (len(groups) + 1) * len(names)
    x_axis = axis(unit, tickformat=".0%", nticks=6)
    return figure(data, height, barmode="group", bargap=0.3, xaxis=x_axis, yaxis=name_axis(names))


def bars(
    names: Sequence[str], values: Points, texts: Sequence[str], *, unit: str, colors: Sequence[str] | str,
    spread: tuple[Points, Points] | None = None, suffix: str = "",
) -> Figure:  # fmt: skip
    """One bar per name; `spread` is the length of its error bar above and below the value."""
    trace = _bars(names, values, texts, {"color": colors})
    if spread:
        trace["error_x"] = {"type": "data", "symmetric": False, "array": spread[0], "arrayminus": spread[1],
                            "color": SLATE, "thickness": 1.5, "width": 4}  # fmt: skip
    above, below = spread or ([0.0] * len(values), [0.0] * len(values))
    ends = [*map(add, values, above), *map(sub, values, below)]
    x_axis = axis(unit, **linear_axis(ends, suffix), zeroline=True)
    return figure([trace], 76 + 24 * len(names), bargap=0.3, xaxis=x_axis, yaxis=name_axis(names))


def _bars(
    names: Sequence[str], values: Points, texts: Sequence[str], marker: Mapping[str, Any], group: str = ""
) -> dict[str, Any]:
    group = escape_label(group)
    hover = f"%{{y}}<br>{group}: %{{text}}" if group else "%{y}: %{text}"
    labels = list(map(escape_label, names))
    return {"type": "bar", "orientation": "h", "name": group, "x": values, "y": labels, "text": texts, "marker": marker,
            "textposition": "none", "hovertemplate": f"{hover}<extra></extra>"}  # fmt: skip
