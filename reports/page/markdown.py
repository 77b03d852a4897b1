"""The page as a short summary in Markdown, for a pull request or a CI job: totals, differences, times, claims."""

from __future__ import annotations

from collections.abc import Iterator

from reports.formats.text import escape_markdown, markdown
from reports.page.context import Chart, Choice, Claims, Page, Paragraphs, Section, flat
from reports.table import Row, Table, as_cell, cell_text

MAX_ROWS = 12
PREFIXES = {"warning": "> **Refused.** ", "notice": "> "}


def summary(page: Page) -> str:
    """GitHub's Markdown."""
    sections = {section.id: section for section in page.sections}
    lines = [f"## {escape_markdown(page.title)}", ""]
    for name, write in (("summary", _summary), ("difference", _differences), ("time", _time), ("claims", _claims)):
        lines += write(sections[name]) if name in sections else ()
    return "\n".join([*lines, "`analyze report` writes the whole page.", ""])


def _summary(section: Section) -> Iterator[str]:
    for block in section.blocks:
        if isinstance(block, Paragraphs):
            yield from (f"{PREFIXES.get(block.tone, '')}{escape_markdown(text)}\n" for text in block.texts)
        elif isinstance(block, Table) and block.id == "totals":
            yield _table(block)


def _differences(section: Section) -> Iterator[str]:
    """For each pair: the sentence, and the top-level modules that differ most."""
    for choice in section.blocks:
        for name, blocks in choice.options if isinstance(choice, Choice) else ():
            yield f"### {escape_markdown(name)}\n"
            for block in blocks:
                if isinstance(block, Chart):
                    yield f"{escape_markdown(block.summary)}\n"
                    yield _table(_largest_differences(block.table))
                elif isinstance(block, Paragraphs):
                    yield from (f"{escape_markdown(text)}\n" for text in block.texts)


def _largest_differences(table: Table) -> Table:
    *modules, total = table.rows
    changed = [row for row in modules if as_cell(row[0]).tone != "same" and "." not in cell_text(row[0])]
    largest = sorted(changed, key=_difference, reverse=True)[:MAX_ROWS]
    return table.replace(rows=(*(row for row in changed if row in largest), total))


def _difference(row: Row) -> float:
    """The absolute difference of a module's MACs; for a module of one network all of them."""
    before, after, difference = (as_cell(item).value for item in row[1:4])
    return abs(difference if difference is not None else before or after or 0)


def _time(section: Section) -> Iterator[str]:
    tables = [block for block in section.blocks if isinstance(block, Table)]
    if tables:
        yield "### Time\n"
        yield _table(tables[0])


def _claims(section: Section) -> Iterator[str]:
    for block in flat(section.blocks):
        if isinstance(block, Claims):
            yield "<details><summary>Claims of the paper, counted</summary>\n"
            yield "| claim | verdict | counted |\n|:--|:--|:--|"
            for card in block.claims:
                claim = card.claim
                yield f"| {' | '.join(map(escape_markdown, (claim.claim, claim.verdict, claim.summary)))} |"
            yield "\n</details>\n"


def _table(table: Table) -> str:
    return markdown([table.replace(title="", notes=())])
