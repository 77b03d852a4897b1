"""Results that print as tables and that notebooks show as HTML.

Records are below the folder that renders tables, so `analyzer` connects the two. The renderer is imported when the
first result is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol


class Renderer(Protocol):
    """The functions of `reports.display`. A table is a `reports.table.Table`."""

    def tables(self, result: Any, **options: Any) -> Sequence[Any]: ...

    def text(self, tables: Sequence[Any]) -> str: ...

    def html(self, tables: Sequence[Any]) -> str: ...

    def figure(self, result: Any, name: str) -> Any: ...


_load: list[Callable[[], Renderer]] = []


def connect(load: Callable[[], Renderer]) -> None:
    """Sets the function that imports the renderer."""
    _load[:] = [load]


def renderer() -> Renderer:
    return _load[0]()


class View:
    """Tables to print, or to show in a notebook: sortable, with bars."""

    def __init__(self, tables: Sequence[Any]) -> None:
        self.tables = tuple(tables)

    def __str__(self) -> str:
        return renderer().text(self.tables)

    def __repr__(self) -> str:
        return str(self)

    def _repr_html_(self) -> str:
        return renderer().html(self.tables)


class Displayed:
    """Base class of results: `print` shows their tables, `repr` is one line.

    A class whose tables have options has a method `table` with them.
    """

    def table(self) -> View:
        """The tables that `print` and notebooks show."""
        return self._view()

    def _view(self, **options: Any) -> View:
        return View(renderer().tables(self, **options))

    def _summary(self) -> str:
        """What `repr` shows after the type."""
        return ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._summary()}>"

    def __str__(self) -> str:
        return str(self.table())

    def _repr_html_(self) -> str:
        return self.table()._repr_html_()
