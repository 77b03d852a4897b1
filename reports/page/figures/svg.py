"""Elements of SVG drawings as text. Names are escaped; colors are the page's style sheet's."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape


def document(parts: Iterable[str], width: float, height: float, title: str = "") -> str:
    """A drawing. A screen reader reads its title or, without one, its parts."""
    described = f' role="img" aria-label="{escape(title)}"' if title else ""
    size = f'width="{width:g}" height="{height:g}" viewBox="0 0 {width:g} {height:g}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {size}{described}>{"".join(parts)}</svg>'


def rect(x: float, y: float, width: float, height: float, kind: str = "") -> str:
    return f'<rect{_class(kind)} x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}"/>'


def text(x: float, y: float, content: str, *, kind: str = "", room: int = 40) -> str:
    """`kind`: b is a name, m is centered at x, e ends at x. Longer than `room` characters it is cut."""
    cut = content if len(content) <= room else f"{content[: room - 1]}…"
    return f'<text{_class(kind)} x="{x:g}" y="{y:g}">{escape(cut)}</text>'


def arrow(x: float, y: float, end_x: float, end_y: float) -> str:
    """From a point down to another, with a bend halfway if they are not above each other."""
    bend = "" if x == end_x else f"V{(y + end_y) / 2:g}H{end_x:g}"
    return f'<path d="M{x:g} {y:g}{bend}V{end_y:g}m-3 -4l3 4l3 -4"/>'


def _class(kind: str) -> str:
    return f' class="{kind}"' if kind else ""
