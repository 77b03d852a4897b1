"""Builds the page from records: its sections, in reading order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from analyzer.records.record import Record
from reports.page.context import Block, Chart, Choice, Page, Panel, Paragraphs, Section, SideBySide, flat
from reports.page.figures.base import legend
from reports.page.network_views import NetworkView, network_views
from reports.page.sections import (
    about,
    claims,
    classifier_head,
    compute_by_module,
    diagrams,
    difference,
    full_table,
    history,
    memory,
    reduction,
    summary,
    time,
    what_if,
)
from reports.table import Table


def page(
    records: Sequence[Record],
    refused: Sequence[str] = (),
    command: str = "analyze report",
    results: Sequence[Section] = (),
) -> Page:
    """`refused` are messages about files that could not be read; `command` is the command line that writes the page.

    `results` are further sections, of stored results.
    """
    networks = network_views(records)
    return Page(_title(networks), _subtitle(networks), sections(networks, refused, command, results))


def sections(
    networks: Sequence[NetworkView], refused: Sequence[str], command: str, results: Sequence[Section] = ()
) -> tuple[Section, ...]:
    first = (
        summary.section(networks, refused),
        compute_by_module.section(networks),
        reduction.section(networks),
        classifier_head.section(networks),
        what_if.section(networks),
        difference.section(networks),
        time.section(networks),
        history.section(networks),
        memory.section(networks),
        claims.section(networks),
        *results,
    )
    last = about.section(networks, command)
    anchors = full_table.anchors(networks, _ids((*first, last)))
    every = (*first, diagrams.section(networks, anchors), full_table.section(networks, anchors), last)
    return finished(every)


def finished(sections: Sequence[Section]) -> tuple[Section, ...]:
    """The sections that have content, ready to be laid out."""
    filled = [section for section in sections if section.blocks]
    return tuple(section.replace(blocks=tuple(_finished(section.blocks))) for section in filled)


def _finished(blocks: Sequence[Block]) -> Iterator[Block]:
    """Folds the tables of charts, adds legends, and replaces a chart without marks by its sentence and its table."""
    for block in blocks:
        if isinstance(block, Choice):
            yield block.replace(options=tuple((name, tuple(_finished(option))) for name, option in block.options))
        elif isinstance(block, SideBySide):
            yield block.replace(blocks=tuple(_finished(block.blocks)))
        elif isinstance(block, Chart):
            table = block.table.replace(id=f"{block.id}-data", fold="changed" not in block.table.tools)
            if block.marks:
                yield block.replace(table=table, legend=block.legend or legend(block.figure))
                continue
            yield Paragraphs((block.summary,), title=block.title)
            if table.rows:
                yield table
        else:
            yield block


def _ids(sections: Sequence[Section]) -> set[str]:
    """Ids that the page itself uses, so that no module gets one of them."""
    names = {section.id for section in sections} | {"network", "table"}
    blocks = [block for section in sections for block in flat(section.blocks)]
    tables = {block.id for block in blocks if isinstance(block, Table)}
    tables |= {f"{block.id}-data" for block in blocks if isinstance(block, Chart)}
    panels = {block.id for block in blocks if isinstance(block, Panel)}
    return names | {f"{name}-title" for name in names} | tables | panels | {f"{panel}-data" for panel in panels}


def _title(networks: Sequence[NetworkView]) -> str:
    first, *others = (network.name for network in networks)
    if not others:
        return first
    if len(others) > 3:
        return f"{first} against {len(others)} others"
    return f"{first} against {', '.join(others[:-1])}{' and ' if others[1:] else ''}{others[-1]}"


def _subtitle(networks: Sequence[NetworkView]) -> str:
    modes = " and ".join(dict.fromkeys(network.record.mode for network in networks))
    timed = any(network.timed for network in networks)
    counts = f"Parameters, multiply-adds, activations and memory in {modes}, module by module"
    return counts + (", with measured times." if timed else ".")
