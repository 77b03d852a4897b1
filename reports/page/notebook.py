"""Tables as a fragment of HTML for a notebook: sortable, with bars, in the colors of the notebook's theme."""

from __future__ import annotations

from collections.abc import Sequence

from reports.page.network_views import sanitize
from reports.page.write import read, template
from reports.table import Table


def fragment(tables: Sequence[Table]) -> str:
    """Complete in itself. A click on a column sorts by it: the script is an attribute, so that it needs no id."""
    page: str = template("notebook.html").render(
        tables=sanitize(tuple(tables)), style=read("notebook.css"), script=read("notebook.js")
    )
    return page
