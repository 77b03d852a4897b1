"""Records → the whole page: its sections in the order that a reader asks."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.record import Record
from reports.page import compute, verdict
from reports.page.context import Page, Section
from reports.page.subjects import Subject, subjects


def page(records: Sequence[Record], refused: Sequence[str] = (), command: str = "analyze report") -> Page:
    """`refused`: files that could not be read, each with the reason. `command`: what makes this page again."""
    found = subjects(records)
    return Page(_title(found), _subtitle(found), sections(found, refused, command))


def sections(found: Sequence[Subject], refused: Sequence[str], command: str) -> tuple[Section, ...]:
    return (verdict.section(found, refused), compute.section(found))


def _title(found: Sequence[Subject]) -> str:
    first, *others = (one.name for one in found)
    if not others:
        return first
    return f"{first} against {', '.join(others[:-1])}{' and ' if others[1:] else ''}{others[-1]}"


def _subtitle(found: Sequence[Subject]) -> str:
    modes = " and ".join(dict.fromkeys(one.record.mode for one in found))
    timed = sum(1 for one in found if one.timed)
    return f"Parameters, multiply-adds, activations and memory in {modes}, module by module" + (
        ", with measured times." if timed else "."
    )
