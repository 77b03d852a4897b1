"""The content of the page: sections of blocks. Templates and Markdown only lay it out; they compute nothing.

Names from outside are sanitized when a record comes in (`network_views`) and escaped where they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeAlias

from analyzer.claims.claim import Claim
from analyzer.core.frozen import Frozen
from reports.page.figures.base import Key
from reports.table import Table

ALL_TOOLS = ("sort", "filter", "csv")


class Chart(Frozen):
    """A figure, a sentence that states its main result, and its numbers as a table.

    `marks` is how many points, bars or tiles must be drawn. `views` are the same figure in other metrics: the name and
    the attributes of its traces that change. `quality` is that of measured times, with the reason. `legend` has by
    default the figure's traces.
    """

    id: str
    title: str
    summary: str
    figure: Mapping[str, Any]
    table: Table
    marks: int
    legend: tuple[Key, ...] = ()
    views: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    quality: str = ""
    reason: str = ""


class Paragraphs(Frozen):
    """`tone` is lead (large), plain, notice or warning."""

    texts: tuple[str, ...]
    tone: str = "plain"
    title: str = ""


class Calculation(Frozen):
    """Arithmetic in full: each step has a description, a product and its value."""

    title: str
    steps: tuple[tuple[str, str, str], ...]
    result: str


class ClaimCard(Frozen):
    """A claim, its verdict's `tone`, and its operands as text."""

    claim: Claim
    tone: str
    operands: tuple[tuple[str, str], ...]


class Claims(Frozen):
    claims: tuple[ClaimCard, ...]


class Diagrams(Frozen):
    """Drawings side by side: title, description and SVG."""

    drawings: tuple[tuple[str, str, str], ...]


class Code(Frozen):
    title: str
    text: str


class Panel(Frozen):
    """Controls and pictures that a script draws from `data`; empty without a script.

    `library` is the script of another project that it needs, one of `vendor`.
    """

    id: str
    title: str
    data: Mapping[str, Any]
    library: str = ""


class Choice(Frozen):
    """Named groups of blocks of which the reader picks one; without a script all are shown."""

    label: str
    options: tuple[tuple[str, tuple[Block, ...]], ...]


class SideBySide(Frozen):
    """Blocks next to each other, on a narrow screen below each other."""

    blocks: tuple[Block, ...]


class Stack(Frozen):
    """Blocks below each other, within blocks that are side by side."""

    blocks: tuple[Block, ...]


Block: TypeAlias = (
    "Table | Chart | Paragraphs | Calculation | Claims | Diagrams | Code | Panel | Choice | SideBySide | Stack"
)


class Section(Frozen):
    """`short` is its name in the table of contents."""

    id: str
    title: str
    short: str
    lead: str
    blocks: tuple[Block, ...]


class Page(Frozen):
    title: str
    subtitle: str
    sections: tuple[Section, ...]

    @property
    def charts(self) -> tuple[Chart, ...]:
        return tuple(block for section in self.sections for block in flat(section.blocks) if isinstance(block, Chart))


def flat(blocks: Iterable[Block]) -> Iterator[Block]:
    """All blocks, including those of every option."""
    for block in blocks:
        yield block
        if isinstance(block, Choice):
            for _, options in block.options:
                yield from flat(options)
        elif isinstance(block, SideBySide | Stack):
            yield from flat(block.blocks)
