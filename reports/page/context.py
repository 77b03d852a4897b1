"""What stands on the page, not how it looks: sections of blocks. Templates and Markdown add no figure and do no sums.

Text is what a reader sees; `value` is the exact figure behind it, for sorting and for CSV. Names from outside are made
harmless when a record comes in (`subjects`), and escaped again where they are written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Literal, TypeAlias

from analyzer.core.frozen import Frozen


class Cell(Frozen):
    """`share` is a bar's length, 0 to 1; `tone` one of good, bad, muted."""

    text: str
    value: int | float | None = None
    share: float | None = None
    depth: int = 0
    tone: str = ""


class Column(Frozen):
    title: str
    align: Literal["left", "right"] = "right"


class Line(Frozen):
    """One row of a table. `anchor`: its place in links; `kind`: total, same (nothing changed) or plain."""

    cells: tuple[Cell, ...]
    anchor: str = ""
    kind: str = ""


class Table(Frozen):
    """`tools`: of sort, filter, csv, changed (hides lines of kind `same`). `fold`: closed until asked for."""

    id: str
    title: str
    columns: tuple[Column, ...]
    lines: tuple[Line, ...]
    notes: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    prose: bool = False
    fold: bool = False
    kind: str = "table"


class Chart(Frozen):
    """A figure with what it says in a sentence, and its figures in a table.

    `marks` is how many points, bars or tiles must be drawn. `views` are other metrics of the same figure: what changes
    in its traces. `trust` is the verdict on measured figures, with the reason.
    """

    id: str
    title: str
    summary: str
    figure: Mapping[str, Any]
    table: Table
    marks: int
    legend: tuple[tuple[str, str], ...] = ()
    views: tuple[tuple[str, Mapping[str, Any]], ...] = ()
    trust: str = ""
    reason: str = ""
    kind: str = "chart"


class Fact(Frozen):
    """One figure on a card: `ratio` in words against the first variant, `tone` whether that is less or more."""

    title: str
    text: str
    exact: str = ""
    ratio: str = ""
    tone: str = ""


class Card(Frozen):
    title: str
    subtitle: str
    facts: tuple[Fact, ...]
    note: str = ""
    series: int = 0


class Cards(Frozen):
    cards: tuple[Card, ...]
    kind: str = "cards"


class Words(Frozen):
    """Paragraphs. `tone`: lead (large), plain, notice or warning."""

    paragraphs: tuple[str, ...]
    tone: str = "plain"
    title: str = ""
    kind: str = "words"


class Sum(Frozen):
    """Arithmetic in full, a step a line: what it is, the product, the result."""

    title: str
    steps: tuple[tuple[str, str, str], ...]
    result: str
    kind: str = "sum"


class ClaimCard(Frozen):
    id: str
    claim: str
    source: str
    verdict: str
    tone: str
    figure: str
    formula: str
    operands: tuple[tuple[str, str], ...]
    condition: str


class Claims(Frozen):
    claims: tuple[ClaimCard, ...]
    kind: str = "claims"


class Picture(Frozen):
    """Drawings side by side, as SVG that `diagram` wrote; each with a title and what it shows in words."""

    drawings: tuple[tuple[str, str, str], ...]
    kind: str = "picture"


class Code(Frozen):
    title: str
    text: str
    kind: str = "code"


class Choice(Frozen):
    """Blocks of which a reader picks one lot by name; without a script all of them stand one under the other."""

    label: str
    options: tuple[tuple[str, tuple[Block, ...]], ...]
    kind: str = "choice"


Block: TypeAlias = "Table | Chart | Cards | Words | Sum | Claims | Picture | Code | Choice"


class Section(Frozen):
    """`short` is its name in the contents."""

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
    """All blocks, those of every option among them."""
    for block in blocks:
        yield block
        if isinstance(block, Choice):
            for _, own in block.options:
                yield from flat(own)


def to_json(value: Any) -> Any:
    """The context as plain data."""
    if isinstance(value, Frozen):
        return {name: to_json(item) for name, item in vars(value).items() if item not in ("", (), None)}
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return value
