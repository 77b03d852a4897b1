"""The page in short, for a pull request or a job's summary: sentences, totals, what differs, verdicts on claims."""

from __future__ import annotations

from collections.abc import Iterator

from reports.formats.text import escaped
from reports.page.context import Chart, Choice, Claims, Line, Page, Section, Table, Words, flat

MOST_LINES = 12


def summary(page: Page) -> str:
    """GitHub's Markdown; names from outside are inert in it."""
    found = {section.id: section for section in page.sections}
    lines = [f"## {escaped(page.title)}", ""]
    lines += _verdict(found["verdict"])
    lines += _differences(found["difference"])
    lines += _time(found["time"])
    lines += _claims(found["claims"])
    lines += ["`analyze report` writes the whole page.", ""]
    return "\n".join(lines)


def _verdict(section: Section) -> Iterator[str]:
    for block in section.blocks:
        if isinstance(block, Words):
            mark = {"warning": "> **Refused.** ", "notice": "> "}.get(block.tone, "")
            yield from (f"{mark}{escaped(text)}\n" for text in block.paragraphs)
        elif isinstance(block, Table):
            yield from table(block)


def _differences(section: Section) -> Iterator[str]:
    """Of each pair against the first network: the sentence, and the modules that moved most."""
    for choice in section.blocks:
        if not isinstance(choice, Choice):
            continue
        for name, blocks in choice.options:
            yield f"### {escaped(name)}\n"
            for block in blocks:
                if isinstance(block, Chart):
                    yield f"{escaped(block.summary)}\n"
                    changed = [
                        line for line in block.table.lines if line.kind != "same" and "." not in line.cells[0].text
                    ]
                    kept = sorted(changed[:-1], key=_moved, reverse=True)[:MOST_LINES]
                    ordered = tuple(line for line in changed if line in kept or line.kind == "total")
                    yield from table(block.table.replace(lines=ordered))
                elif isinstance(block, Words):
                    yield from (f"{escaped(text)}\n" for text in block.paragraphs)


def _moved(line: Line) -> float:
    """By how much a module differs; one that only one network has, by all of it."""
    cells = line.cells[3:4] if line.cells[3].value is not None else line.cells[1:3]
    return max(abs(cell.value or 0) for cell in cells)


def _time(section: Section) -> Iterator[str]:
    tables = [block for block in section.blocks if isinstance(block, Table)]
    if tables:
        yield "### Time\n"
        yield from table(tables[0])


def _claims(section: Section) -> Iterator[str]:
    for block in flat(section.blocks):
        if isinstance(block, Claims):
            yield "<details><summary>Claims of the paper, counted</summary>\n"
            yield "| claim | verdict | counted |\n|:--|:--|:--|"
            for one in block.claims:
                yield f"| {escaped(one.claim)} | {escaped(one.verdict)} | {escaped(one.figure)} |"
            yield "\n</details>\n"


def table(one: Table) -> Iterator[str]:
    yield "| " + " | ".join(escaped(column.title) for column in one.columns) + " |"
    yield "|" + "|".join(":--" if column.align == "left" else "--:" for column in one.columns) + "|"
    for line in one.lines:
        yield "| " + " | ".join(escaped(cell.text) for cell in line.cells) + " |"
    yield ""
