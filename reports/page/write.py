"""The page as one file: context and templates → HTML that asks for nothing from outside and says so in its policy.

plotly's script stands in it compressed; the page's own script unpacks it and runs it only when a chart comes near.
Equal input gives an equal file: nothing of the time or the machine is in it, and identifiers are fixed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, TypeAlias

from reports.page.context import Chart, Page, to_json
from reports.page.figures.base import BASE

Charts: TypeAlias = Literal["none", "embed", "link"]
HERE = Path(__file__).parent
FOOTER = "Written by analyze report. Everything on this page is in this file; it loads nothing and sends nothing."
LINKED = "Written by analyze report. Its charts load plotly's script from {host}; all else is in this file."
HOST = "https://cdn.plot.ly"


def html(page: Page, charts: Charts = "embed") -> str:
    """The whole file. `none` leaves charts out (their sentences and tables stay), `link` loads plotly from its host."""
    drawn = page.charts if charts != "none" else ()
    script, style = _read("script.js"), _read("style.css")
    linked = charts == "link" and bool(drawn)
    text: str = _template("page.html").render(
        page=page,
        drawn=bool(drawn),
        policy=policy(script, linked=linked),
        style=style,
        script=script,
        figures=figures_json(drawn) if drawn else "",
        packed=packed() if drawn and charts == "embed" else "",
        linked=_inert(json.dumps(link())) if linked else "",
        footer=LINKED.format(host=HOST) if linked else FOOTER,
    )
    return text


def policy(script: str, *, linked: bool = False) -> str:
    """Nothing by default; this one script by its hash, plotly's as a blob (or from its host, held to its hash)."""
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    source = HOST if linked else "blob:"
    return (
        f"default-src 'none'; script-src 'sha256-{digest}' {source}; style-src 'unsafe-inline'; img-src data: blob:; "
        "base-uri 'none'; form-action 'none'"
    )


def figures_json(charts: tuple[Chart, ...]) -> str:
    """What the script draws, by chart."""
    found = {one.id: {**one.figure, "views": to_json(one.views), "marks": one.marks} for one in charts}
    found["base"] = BASE
    return _inert(json.dumps(found, ensure_ascii=False, separators=(",", ":"), allow_nan=False))


def _inert(text: str) -> str:
    """JSON inside a script element: nothing in it can end the element."""
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def plotly_script() -> bytes:
    """As the installed package has it; the package itself is not imported."""
    found = find_spec("plotly")
    assert found
    assert found.submodule_search_locations
    return (Path(found.submodule_search_locations[0]) / "package_data" / "plotly.min.js").read_bytes()


@cache
def packed() -> str:
    """plotly's script, deflated and in letters."""
    return base64.b64encode(zlib.compress(plotly_script(), 9)).decode()


def link() -> dict[str, str]:
    """Where plotly publishes the same script, and the hash that the browser holds it to."""
    version = plotly_script()[:200].decode(errors="replace").partition("plotly.js v")[2].split()[0]
    digest = base64.b64encode(hashlib.sha256(plotly_script()).digest()).decode()
    return {"src": f"{HOST}/plotly-{version}.min.js", "integrity": f"sha256-{digest}"}


def _read(name: str) -> str:
    """A script or a style sheet without its indentation and its lines of comment: they are for who edits it."""
    lines = map(str.strip, (HERE / name).read_text(encoding="utf-8").splitlines())
    return "\n".join(line for line in lines if line and not line.startswith(("//", "/*"))) + "\n"


@cache
def _template(name: str) -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    loader = FileSystemLoader(HERE / "templates")
    return Environment(
        loader=loader, autoescape=True, trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined
    ).get_template(name)
