"""Figures: plain data in, a plotly figure out as the JSON that its script reads. No plotly is imported.

Its Python classes check every key, and building one chart by them takes longer than a count. Colours hold on white and
on near-black alike, and under white text; what depends on the theme (text, grid) the page's script adds.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import unescape
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
