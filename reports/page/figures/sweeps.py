"""Results of sweeps as plotly figures: Pareto fronts, scaling with intervals, ratios with intervals, heat maps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite, log10
from typing import Any, TypeAlias

from reports.page.figures import scatter
from reports.page.figures.base import Figure, axis, escape_label, figure, name_axis, shorten
from reports.page.figures.palette import BLUE, GREEN, MUTED, ORANGE, SLATE, color, symbol
from reports.page.figures.ticks import log_axis

# x, y, their intervals' ends (None if unbounded) and the text of each point.
Interval: TypeAlias = tuple[float, float]
Spot: TypeAlias = tuple[float, float, Interval, str, str]  # x, y, interval of x, name, text.
Value: TypeAlias = tuple[float, float, Interval, str]  # x, y, interval of y, text.
SCALE = [[0.0, "#f1f6fd"], [1.0, "#80b0ed"]]  # One hue; dark text has a contrast of at least 7 with all of it.
TEXT = "#1a1f26"
LOG_FROM = 20  # Numbers that differ by a larger factor are colored by their logarithm.
MAX_LABELS = 14
MAX_TEXTS = 400  # Cells of a heat map that have their value as text.
GRID = 90  # Of points in one cell of so many in each direction, one is drawn.


def front(on_front: Sequence[Spot], dominated: Sequence[Spot], *, x: str, unit: str, y: str, log_y: bool) -> Figure:
    """The front as named points and a line of steps, dominated points muted; `unit` is that of the ticks of x."""
    spots = [*on_front, *dominated]
    x_axis = axis(x, **log_axis(_ends([(x, interval) for x, _, interval, *_ in spots]), unit))
    data = []
    if dominated:
        data.append(_spots(thinned(dominated), MUTED, "dominated", {"size": 7, "opacity": 0.7, "symbol": "circle"}))
    steps = _steps(on_front, fewer=log_y)
    data.append({
        "type": "scatter", "mode": "lines", "x": [x for x, *_ in steps], "y": [y for _, y, *_ in steps],
        "hoverinfo": "skip", "showlegend": False,
        "line": {"width": 1.5, "color": BLUE, "shape": "hv", "dash": "dot"},
    })  # fmt: skip
    side = "bottom" if log_y else "top"  # Where no point is.
    labels = {
        "mode": "markers+text", "textfont": {"size": 11}, "cliponaxis": False,
        "text": [escape_label(shorten(name, 22)) if index < MAX_LABELS else ""
                 for index, (*_, name, _) in enumerate(on_front)],
        "textposition": [f"{side} {'left' if 2 * place > len(on_front) else 'right'}"
                         for place in range(len(on_front))],
    }  # fmt: skip
    data.append(_spots(on_front, BLUE, "Pareto front", {"size": 10, "symbol": "circle"}) | labels)
    y_axis = axis(y, **log_axis([spot[1] for spot in spots])) if log_y else axis(escape_label(y), nticks=6)
    return figure(data, 400, xaxis=x_axis, yaxis=y_axis)


def _steps(on_front: Sequence[Spot], *, fewer: bool) -> list[Spot]:
    """The points of the front, by ascending x, at which y improves: with intervals others may be on the front, too."""
    steps: list[Spot] = []
    for spot in on_front:
        if not steps or (spot[1] < steps[-1][1] if fewer else spot[1] > steps[-1][1]):
            steps.append(spot)
    return steps


def _spots(spots: Sequence[Spot], tint: str, name: str, marker: Mapping[str, Any]) -> dict[str, Any]:
    trace: dict[str, Any] = {
        "type": "scatter", "mode": "markers", "name": name, "x": [x for x, *_ in spots], "y": [y for _, y, *_ in spots],
        "customdata": [escape_label(text) for *_, text in spots], "hovertemplate": "%{customdata}<extra></extra>",
        "marker": {"color": tint, **marker},
    }  # fmt: skip
    if any(low != high for _, _, (low, high), *_ in spots):
        trace["error_x"] = _error([x for x, *_ in spots], [interval for _, _, interval, *_ in spots], tint)
    return trace


def thinned(spots: Sequence[Spot]) -> Sequence[Spot]:
    """Without points that others would cover, if there are thousands. Positions are compared by rank."""
    if len(spots) <= 1000:
        return spots
    across, down = _ranks([x for x, *_ in spots]), _ranks([y for _, y, *_ in spots])
    return list(dict(zip(zip(across, down, strict=True), spots, strict=True)).values())


def _ranks(values: Sequence[float]) -> list[int]:
    order = {value: place for place, value in enumerate(sorted(set(values)))}
    return [order[value] * GRID // len(order) for value in values]


def _ends(values: Sequence[tuple[float, Interval]]) -> list[float]:
    """What a logarithmic axis shows: the values, and the ends of their intervals up to a factor of 3 beyond them."""
    low, high = min(value for value, _ in values) / 3, max(value for value, _ in values) * 3
    ends = [min(max(end, low), high) for _, interval in values for end in interval]
    return [*(value for value, _ in values), *ends]


def _error(values: Sequence[float], intervals: Sequence[Interval], tint: str) -> dict[str, Any]:
    """The ends of intervals relative to their values; an unbounded upper end is not drawn."""
    above = [high - value if isfinite(high) else 0.0 for value, (_, high) in zip(values, intervals, strict=True)]
    # A logarithmic axis has no 0.
    below = [value - max(low, value / 1000) for value, (low, _) in zip(values, intervals, strict=True)]
    return {"type": "data", "symmetric": False, "array": above, "arrayminus": below, "color": tint, "thickness": 1.5,
            "width": 3}  # fmt: skip


def scaling(lines: Mapping[str, Sequence[Value]], *, x: str, y: str, percent: bool = False) -> Figure:
    """A line per series over the batch or threads, with intervals; in percent with a line at linear scaling."""
    groups = {name: ([int(x) for x, *_ in values], [y for _, y, *_ in values], [text for *_, text in values])
              for name, values in lines.items()}  # fmt: skip
    drawn = scatter.lines(groups, x=x, y=y)
    for index, (trace, values) in enumerate(zip(drawn["data"], lines.values(), strict=True)):
        trace |= {"text": [escape_label(text) for text in trace["text"]]}
        trace["error_y"] = _error(trace["y"], [interval for _, _, interval, _ in values], color(index))
    # Wide intervals are cut at the border: the lines stay readable.
    highest = max(y for values in lines.values() for _, y, *_ in values)
    ends = [high for values in lines.values() for *_, (_, high), _ in values if isfinite(high)]
    drawn["layout"]["yaxis"] |= {"range": [0, min(max([highest, *ends]), 1.3 * highest) * 1.05]}
    if percent:
        drawn["layout"]["yaxis"] |= {"tickformat": ".0%"}
        ends = sorted(value for values in lines.values() for value, *_ in values)
        linear = {"type": "scatter", "mode": "lines", "x": [ends[0], ends[-1]], "y": [1, 1], "hoverinfo": "skip",
                  "line": {"color": SLATE, "width": 1.5, "dash": "dash"}, "showlegend": False}  # fmt: skip
        drawn["data"].insert(0, linear)
    return drawn


def ratios(rows: Sequence[tuple[str, float, Interval, str, str]], *, unit: str) -> Figure:
    """A point with its interval per name (ratio, interval, outcome, text) on a logarithmic axis with a line at 1."""
    labels = [escape_label(name) for name, *_ in rows]
    ends = _ends([(ratio, interval) for _, ratio, interval, *_ in rows])
    one = {"type": "scatter", "mode": "lines", "x": [1, 1], "y": [labels[0], labels[-1]], "hoverinfo": "skip",
           "line": {"color": SLATE, "width": 1.5, "dash": "dash"}, "showlegend": False}  # fmt: skip
    data: list[dict[str, Any]] = [one] if len(rows) > 1 else []
    for outcome, tint, mark in (("faster", GREEN, 0), ("slower", ORANGE, 1), ("undecided", MUTED, 2)):
        chosen = [(label, row) for label, row in zip(labels, rows, strict=True) if row[3] == outcome]
        if chosen:
            values = [row[1] for _, row in chosen]
            data.append({
                "type": "scatter", "mode": "markers", "name": outcome, "x": values, "y": [label for label, _ in chosen],
                "customdata": [escape_label(row[4]) for _, row in chosen],
                "hovertemplate": "%{customdata}<extra></extra>",
                "marker": {"color": tint, "size": 9, "symbol": symbol(mark)},
                "error_x": _error(values, [row[2] for _, row in chosen], tint),
            })  # fmt: skip
    x_axis = axis(unit, **_ratio_axis([1.0, *ends]))
    order = {"categoryorder": "array", "categoryarray": labels, "autorange": False, "range": [len(rows) - 0.5, -0.5]}
    y_axis = {**name_axis([name for name, *_ in rows]), **order}
    return figure(data, 80 + 22 * len(rows), xaxis=x_axis, yaxis=y_axis)


def _ratio_axis(values: Sequence[float]) -> dict[str, Any]:
    """A logarithmic axis with a tick at 1 and none near to it."""
    found = log_axis(values)
    low, high = found["range"]
    ticks = sorted({1.0, *(tick for tick in found["tickvals"] if abs(log10(tick)) > 0.12 * (high - low))})
    return {**found, "tickvals": ticks, "ticktext": [f"{tick:g}" for tick in ticks]}


def heat_map(
    values: Sequence[Sequence[float | None]], texts: Sequence[Sequence[str]], *, x: str, y: str,
    x_values: Sequence[str], y_values: Sequence[str],
) -> Figure:  # fmt: skip
    """A cell per pair of values with its text; cells without a number have their text alone."""
    columns, rows = list(map(escape_label, x_values)), list(map(escape_label, y_values))
    small = len(columns) * len(rows) <= MAX_TEXTS
    trace = {
        "type": "heatmap", "z": _color_values(values), "x": columns, "y": rows, "text": texts,
        "colorscale": SCALE, "showscale": False,
        "xgap": 1, "ygap": 1, "hoverongaps": False, "hovertemplate": "%{y} · %{x}<br>%{text}<extra></extra>",
        **({"texttemplate": "%{text}", "textfont": {"size": 11, "color": TEXT}} if small else {}),
    }  # fmt: skip
    notes = [
        {"x": column, "y": row, "text": text, "showarrow": False, "font": {"size": 11}}
        for row, line, line_texts in zip(range(len(rows)), values, texts, strict=True)
        for column, value, text in zip(range(len(columns)), line, line_texts, strict=True)
        if value is None and text and small
    ]
    x_axis = axis(escape_label(x), type="category", **_few_ticks(columns))
    y_axis = {
        **name_axis(y_values),
        "type": "category",
        **_few_ticks(rows),
        "title": {"text": escape_label(y), "standoff": 8},
    }
    height = min(96 + (30 if small else 12) * len(rows), 900)
    return figure([trace], max(height, 150), xaxis=x_axis, yaxis=y_axis, annotations=notes)


def _color_values(values: Sequence[Sequence[float | None]]) -> Sequence[Sequence[float | None]]:
    known = [value for line in values for value in line if value is not None]
    if not known or min(known) <= 0 or max(known) < LOG_FROM * min(known):
        return values
    return [[None if value is None else round(log10(value), 4) for value in line] for line in values]


def _few_ticks(names: Sequence[str]) -> dict[str, Any]:
    return {"nticks": 30} if len(names) > 40 else {}
