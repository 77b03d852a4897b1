"""A table before it is rendered: what stands in it, not how it looks. Every renderer takes this one type."""

from __future__ import annotations

from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen


class Column(Frozen):
    """`cut`: what gives way in a first column whose names are too long; of a layer's path the end tells more."""

    title: str
    align: Literal["left", "right"] = "right"
    cut: Literal["start", "end"] = "end"


class Name(Frozen):
    """A name at its depth in a tree; a terminal indents it, and cuts it first where the line is too short."""

    text: str
    depth: int = 0


class Share(Frozen):
    """A part of the whole, 0 to 1; a terminal draws it as a bar."""

    value: float


Cell: TypeAlias = str | Name | Share


class Table(Frozen):
    """`total`: whether the last row is a sum. `prose`: whether cells are sentences that wrap.

    `notes`: what a reader must know to quote a figure.
    """

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    total: bool = False
    prose: bool = False
    notes: tuple[str, ...] = ()
