"""Renders the page to a single HTML file that loads nothing from outside; its content security policy forbids it.

plotly's script is embedded compressed; the page's own script unpacks and runs it when the first chart comes into view.
Equal input gives an equal file: it depends on neither the date nor the machine, and identifiers are fixed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from collections.abc import Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

from analyzer.core.errors import CannotMeasure
from reports.page.context import Chart, Page
from reports.page.figures import palette
from reports.page.figures.base import BASE
from reports.page.glossary import GLOSSARY
from reports.page.no_break_spaces import finalize, keep_together
from reports.page.row_markup import first_rows, markup_rows, other_rows, table_class

Charts: TypeAlias = Literal["none", "embed", "link"]
HERE = Path(__file__).parent
FOOTER = "Written by analyze report. Everything on this page is in this file; it loads nothing and sends nothing."
LINKED = "Written by analyze report. Its charts load plotly's script from {host}; everything else is in this file."
HOST = "https://cdn.plot.ly"


def html(page: Page, charts: Charts = "embed") -> str:
    """The whole file. `none` omits charts but keeps their sentences and tables; `link` loads plotly from its host."""
    drawn = page.charts if charts != "none" else ()
    script, style = joined_script(), joined_style()
    linked = charts == "link" and bool(drawn)
    text: str = template("page.html").render(
        page=page,
        drawn=bool(drawn),
        policy=policy(script, linked=linked),
        style=style,
        script=script,
        figures=figures_json(drawn) if drawn else "",
        packed=packed() if drawn and charts == "embed" else "",
        linked=_escape_script(json.dumps(link())) if linked else "",
        footer=LINKED.format(host=HOST) if linked else FOOTER,
    )
    return text


def policy(script: str, *, linked: bool = False) -> str:
    """Allows this script by its hash, packed ones as blobs and, if linked, plotly's from its host; nothing else."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    source = f"{HOST} blob:" if linked else "blob:"
    return (
        f"default-src 'none'; script-src 'sha256-{digest}' {source}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def figures_json(charts: tuple[Chart, ...]) -> str:
    """The figures by chart id, and the layout that they share."""
    figures: dict[str, Any] = {
        chart.id: {**chart.figure, "views": list(map(_view, chart.views)), "marks": chart.marks} for chart in charts
    }
    figures |= {"base": BASE, "colors": palette.LIGHT}
    return _escape_script(_compact_json(figures))


def _view(view: tuple[str, Mapping[str, Any]]) -> tuple[str, Mapping[str, Any]]:
    """A view whose sentence breaks where that of the chart does."""
    name, changes = view
    return name, {**changes, "summary": keep_together(changes["summary"])} if "summary" in changes else changes


def _compact_json(data: Any) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _escape_script(text: str) -> str:
    """JSON that cannot end the script element that contains it."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def plotly_script() -> bytes:
    """The script of the installed package, which is not imported. Raises CannotMeasure if it is not installed."""
    package = find_spec("plotly")
    if package is None:
        raise CannotMeasure("the charts need plotly, which is not installed; pip install plotly, or add --charts none")
    assert package.submodule_search_locations
    return (Path(package.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_bytes()


@cache
def packed() -> str:
    """plotly's script."""
    return deflated(plotly_script())


def packed_json(data: Any) -> str:
    return deflated(_compact_json(data).encode())


@cache
def packed_library(name: str) -> str:
    """A script of `vendor` after its license, without the reference to a source map."""
    script, _, _ = (HERE / "vendor" / f"{name}.min.js").read_text(encoding="utf-8").partition("//# sourceMappingURL")
    terms = (HERE / "vendor" / f"{name}.LICENSE.txt").read_text(encoding="utf-8")
    return deflated(f"/*\n{terms}*/\n{script}".encode())


def deflated(data: bytes) -> str:
    """In base64, as `scripts/packed.js` reads it."""
    return base64.b64encode(zlib.compress(data, 9)).decode()


def link() -> dict[str, str]:
    """Where plotly publishes the same script, and the hash that the browser verifies."""
    version = plotly_script()[:200].decode(errors="replace").partition("plotly.js v")[2].split()[0]
    digest = base64.b64encode(hashlib.sha256(plotly_script()).digest()).decode()
    return {"src": f"{HOST}/plotly-{version}.min.js", "integrity": f"sha256-{digest}"}


def joined_script() -> str:
    """All scripts of the page as one function, so that they share names that a page's ids cannot shadow."""
    return f'"use strict";\n(() => {{\n{_joined("scripts", first="base", last="start")}}})();\n'


def joined_style() -> str:
    return _joined("styles", first="base", last="print") + palette.variables()


def _joined(folder: str, *, first: str, last: str) -> str:
    files = sorted((HERE / folder).iterdir(), key=lambda file: (file.stem != first, file.stem == last, file.name))
    return "".join(read(f"{folder}/{file.name}") for file in files)


def read(name: str) -> str:
    """A script or style sheet without indentation and comment lines."""
    lines = map(str.strip, (HERE / name).read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*"))) + "\n"


@cache
def template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(HERE / "templates")
    environment = Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=StrictUndefined,
        finalize=finalize,
    )
    environment.globals |= {
        "position": palette.position,
        "glossary": GLOSSARY,
        "packed_json": packed_json,
        "packed_library": packed_library,
        "packed_text": lambda text: deflated(text.encode()),
        "markup_rows": markup_rows,
        "first_rows": first_rows,
        "other_rows": other_rows,
        "table_class": table_class,
        "kind": lambda block: type(block).__name__.lower(),
    }
    return environment.get_template(name)
