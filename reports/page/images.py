"""Writes each chart of the page to files: HTML always, PNG and SVG if kaleido and a Chrome are installed."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import write_text
from reports.page.context import Chart, Page, Section
from reports.page.figures.base import BASE, legend
from reports.page.write import html

WIDTH = 960
KINDS = ("png", "svg")


def write_figures(page: Page, folder: Path) -> list[str]:
    """Writes the files; returns messages on what was written and what could not be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalyzerError(f"cannot make the folder {quoted(folder)}: {error.strerror or error}") from None
    for chart in page.charts:
        section = Section("summary", chart.title, chart.title, "", (chart,))
        write_text(folder / f"{chart.id}.html", html(Page(chart.title, "A figure of analyze report.", (section,))))
    message = f"wrote {len(page.charts)} figures as HTML to {one_line(folder)}"
    if find_spec("kaleido") is None:
        return [message, "no PNG or SVG: kaleido is not installed; pip install '.[images]' from a checkout"]
    return [message, _write_images(page, folder)]


def _write_images(page: Page, folder: Path) -> str:
    """A single Chrome draws all images."""
    import plotly.io

    charts = [chart for chart in page.charts if chart.marks]
    try:
        for kind in KINDS:
            plotly.io.write_images(
                [print_figure(chart) for chart in charts],
                [folder / f"{chart.id}.{kind}" for chart in charts],
                format=kind,
                width=WIDTH,
                height=[chart.figure["layout"]["height"] for chart in charts],
                scale=2 if kind == "png" else 1,
                validate=False,
            )
    except Exception as error:  # kaleido has no common error type for a Chrome that is missing or does not start.
        return f"no PNG or SVG: {type(error).__name__}: {one_line(error)[:160]}"
    return f"wrote {len(charts)} figures as PNG and SVG to {one_line(folder)}"


def print_figure(chart: Chart) -> dict[str, Any]:
    """The figure on white, with the colors that the page's script would add."""
    white = {"paper_bgcolor": "#ffffff", "plot_bgcolor": "#ffffff"}
    layout = {**BASE, **chart.figure["layout"], **white, "title": {"text": ""}}
    layout["showlegend"] = bool(legend(chart.figure))  # The page writes its own legend, below the chart.
    for name, axis in layout.items():
        if name[:5] in ("xaxis", "yaxis"):
            layout[name] = {**axis, "gridcolor": "#dde1e6", "linecolor": "#545d69"}
    return {"data": chart.figure["data"], "layout": layout}
