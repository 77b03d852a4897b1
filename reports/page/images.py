"""Each figure of the page as a file: HTML always, PNG and SVG where kaleido and a Chrome are there to draw them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.files import write_text
from reports.page.context import Chart, Page, Section, Words
from reports.page.figures import base as figures
from reports.page.write import html

WIDTH = 960
KINDS = ("png", "svg")


def write_figures(page: Page, folder: Path) -> list[str]:
    """Writes them, and says what was written and what could not be."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise AnalyzerError(f"cannot make the folder {quoted(folder)}: {error.strerror or error}") from None
    for chart in page.charts:
        write_text(folder / f"{chart.id}.html", html(_alone(chart)))
    said = [f"wrote {len(page.charts)} figures as HTML to {one_line(folder)}"]
    if find_spec("kaleido") is None:
        return [*said, "no PNG or SVG: kaleido is not installed; pip install 'macscope[images]'"]
    return [*said, _images(page, folder)]


def _alone(chart: Chart) -> Page:
    """A page with one figure, its sentence and its table."""
    section = Section("verdict", chart.title, chart.title, "", (chart.replace(title=chart.title), Words(())))
    return Page(chart.title, "A figure of analyze report.", (section,))


def _images(page: Page, folder: Path) -> str:
    """One Chrome draws all of them."""
    import plotly.io

    charts = [chart for chart in page.charts if chart.marks]
    try:
        for kind in KINDS:
            plotly.io.write_images(
                [paper(chart) for chart in charts],
                [folder / f"{chart.id}.{kind}" for chart in charts],
                format=kind,
                width=WIDTH,
                height=[chart.figure["layout"]["height"] for chart in charts],
                scale=2 if kind == "png" else 1,
                validate=False,
            )
    except Exception as error:  # kaleido has no error of its own for a Chrome that is not there or does not start.
        return f"no PNG or SVG: {type(error).__name__}: {one_line(error)[:160]}"
    return f"wrote {len(charts)} figures as PNG and SVG to {one_line(folder)}"


def paper(chart: Chart) -> dict[str, Any]:
    """The figure as it looks on white, where no script adds a theme."""
    layout = {
        **figures.BASE,
        **chart.figure["layout"],
        "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff",
        "title": {"text": ""},
    }
    layout["showlegend"] = bool(figures.key({"data": chart.figure["data"]}))  # The page writes its own, below.
    for name, axis in layout.items():
        if name[:5] in ("xaxis", "yaxis"):
            layout[name] = {**axis, "gridcolor": "#dde1e6", "linecolor": "#545d69"}
    return {"data": chart.figure["data"], "layout": layout}
