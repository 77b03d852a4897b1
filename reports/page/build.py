"""Records → the whole page: its sections in the order that a reader asks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.records.record import Record
from reports.page.context import Block, Chart, Choice, Page, Section, Table, Words, flat
from reports.page.sections import (
    about,
    claims,
    compute,
    difference,
    head,
    memory,
    network,
    rows,
    story,
    time,
    verdict,
)
from reports.page.subjects import Subject, subjects


def page(records: Sequence[Record], refused: Sequence[str] = (), command: str = "analyze report") -> Page:
    """`refused`: files that could not be read, each with the reason. `command`: what makes this page again."""
    found = subjects(records)
    return Page(_title(found), _subtitle(found), sections(found, refused, command))


def sections(found: Sequence[Subject], refused: Sequence[str], command: str) -> tuple[Section, ...]:
    first = (
        verdict.section(found, refused),
        compute.section(found),
        story.section(found),
        head.section(found),
        difference.section(found),
        time.section(found),
        memory.section(found),
        claims.section(found),
    )
    last = about.section(found, command)
    places = rows.anchors(found, _ids((*first, last)))
    every = (*first, network.section(found, places), rows.section(found, places), last)
    return tuple(one.replace(blocks=tuple(_drawable(one.blocks))) for one in every)


def _drawable(blocks: Sequence[Block]) -> Iterator[Block]:
    """A chart without a mark is no chart: its sentence and its table stay."""
    for block in blocks:
        if isinstance(block, Choice):
            options = tuple((name, tuple(_drawable(own))) for name, own in block.options)
            yield block.replace(options=options)
        elif isinstance(block, Chart) and not block.marks:
            yield Words((block.summary,), title=block.title)
            if block.table.lines:
                yield block.table
        else:
            yield block


def _ids(sections: Sequence[Section]) -> set[str]:
    """Places that the page has itself: no module may take one."""
    names = {section.id for section in sections} | {"network", "table"}
    tables = {block.id for section in sections for block in flat(section.blocks) if isinstance(block, Table)}
    return names | {f"{name}-title" for name in names} | tables


def _title(found: Sequence[Subject]) -> str:
    first, *others = (one.name for one in found)
    if not others:
        return first
    if len(others) > 3:
        return f"{first} against {len(others)} others"
    return f"{first} against {', '.join(others[:-1])}{' and ' if others[1:] else ''}{others[-1]}"


def _subtitle(found: Sequence[Subject]) -> str:
    modes = " and ".join(dict.fromkeys(one.record.mode for one in found))
    timed = any(one.timed for one in found)
    return f"Parameters, multiply-adds, activations and memory in {modes}, module by module" + (
        ", with measured times." if timed else "."
    )
