"""The difference of any two networks: modules aligned by role, what changed, what only one of them has."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.units import METRICS
from analyzer.records.comparison import TOTAL, compare_records
from analyzer.records.record import Totals
from reports.page import cells
from reports.page.context import Block, Chart, Choice, Line, Section, Table, Words
from reports.page.figures import base as figures
from reports.page.subjects import Subject, pairs

METRICS_SHOWN = ("macs", "params")
MOST_BARS = 16
Sums = tuple["Totals | None", "Totals | None"]


def section(subjects: Sequence[Subject]) -> Section:
    options: list[tuple[str, tuple[Block, ...]]] = []
    for first, other, apart in pairs(subjects):
        name = f"{first.name} → {other.name}"
        options.append((name, _blocks(first, other, apart)))
    lead = "Modules are aligned by role. Differences and ratios are those of the second against the first."
    if not options:
        lead = "There is one network on this page; give a second one to see what differs."
    blocks: tuple[Block, ...] = (Choice("Compare", tuple(options)),) if options else ()
    return Section("difference", "What differs", "Difference", lead, blocks)


def _blocks(first: Subject, other: Subject, apart: str | None) -> tuple[Block, ...]:
    name = f"{first.name} → {other.name}"
    if apart:
        return (
            Words((f"Not subtracted: {apart}. Both are in the tables above and below, side by side.",), "notice", name),
        )
    if first.empty or other.empty:
        empty = first.name if first.empty else other.name
        return (Words((f"{empty} is empty: there is nothing to subtract.",), "notice", name),)
    modules = _aligned(first, other)
    chart = bars(first, other, modules)
    return (chart, *_only(first, other, modules))


def _aligned(first: Subject, other: Subject) -> dict[str, Sums]:
    """Roles to the sums of both, the whole under `total`."""
    named = [one.record.replace(model=one.name, overrides={}) for one in (first, other)]
    return {role: (sums[0], sums[1]) for role, sums in compare_records(named).modules.items()}


def bars(first: Subject, other: Subject, modules: Mapping[str, Sums]) -> Chart:
    """Differences of top-level modules as bars, in the order of the pass; all of them, and branches, as a table."""
    pair = f"{first.place}-{other.place}"
    tops = {role: sums for role, sums in modules.items() if "." not in role and role != TOTAL}
    views = []
    for metric in METRICS_SHOWN:
        gaps = {role: _gap(metric, sums) for role, sums in tops.items()}
        changed = sorted((role for role, gap in gaps.items() if gap), key=lambda role: -abs(gaps[role]))[:MOST_BARS]
        views.append((metric, {role: gaps[role] for role in tops if role in changed}))
    metric, shown = next(((metric, gaps) for metric, gaps in views if gaps), views[0])
    whole = _gap(metric, modules[TOTAL])
    word = METRICS[metric].unit
    if not shown:
        summary = f"{other.name} has the same multiply-adds and parameters as {first.name} in every module."
    else:
        most = max(shown, key=lambda role: abs(shown[role]))
        summary = (
            f"{other.name} takes {METRICS[metric].text(abs(whole))} {word} {'more' if whole > 0 else 'fewer'} than "
            f"{first.name}; the largest difference is in {most}, {_signed(metric, shown[most])}."
            if whole
            else f"{other.name} takes as many {word} as {first.name}, elsewhere."
        )
    return Chart(
        id=f"difference-{pair}",
        title=f"{first.name} → {other.name}: difference in {METRICS[metric].title} by module",
        summary=summary,
        figure=figures.bars(
            list(shown),
            list(shown.values()),
            [_signed(metric, gap) for gap in shown.values()],
            unit=word,
            colours=[figures.ORANGE if gap > 0 else figures.GREEN for gap in shown.values()],
        ),
        table=table(first, other, modules),
        marks=len(shown),
        legend=(("more", figures.ORANGE), ("less", figures.GREEN)) if shown else (),
    )


def _gap(metric: str, sums: Sums) -> int:
    before, after = (getattr(one, metric) if one else 0 for one in sums)
    gap: int = after - before
    return gap


def _signed(metric: str, gap: int) -> str:
    return f"{'+' if gap > 0 else '−'}{METRICS[metric].text(abs(gap))}"


def table(first: Subject, other: Subject, modules: Mapping[str, Sums]) -> Table:
    """Two levels of modules, MACs and params of both; lines where nothing changed can be hidden."""
    lines = [
        _line(role, *sums)
        for role, sums in modules.items()
        if role != TOTAL and role.count(".") < 2 and any(one and (one.macs or one.params) for one in sums)
    ]
    lines.append(_line(TOTAL, *modules[TOTAL]).replace(kind="total"))
    columns = [cells.left("module")]
    for metric in METRICS_SHOWN:
        title = METRICS[metric].title
        columns += [cells.right(f"{title} 1st"), cells.right("2nd"), cells.right("difference"), cells.right("ratio")]
    return Table(
        f"difference-{first.place}-{other.place}-data",
        f"{first.name} (1st) and {other.name} (2nd), module by module",
        tuple(columns),
        tuple(lines),
        tools=("sort", "filter", "changed", "csv"),
    )


def _line(role: str, before: Totals | None, after: Totals | None) -> Line:
    row = [cells.words(role)]
    same = True
    for metric in METRICS_SHOWN:
        one, two = (None if side is None else getattr(side, metric) for side in (before, after))
        same = same and one == two
        row += [
            cells.figure(metric, one),
            cells.figure(metric, two),
            cells.difference(metric, one, two),
            cells.times(metric, one, two),
        ]
    return Line(tuple(row), kind="same" if same else "")


def _only(first: Subject, other: Subject, modules: Mapping[str, Sums]) -> list[Block]:
    """What one of them has and the other has not: the topmost modules of each."""
    said = []
    for word, side, name in (("Removed", 0, first.name), ("Added", 1, other.name)):
        own = [role for role, sums in modules.items() if sums[side] and not sums[1 - side] and role != TOTAL]
        tops = [role for role in own if role.rpartition(".")[0] not in own]
        if tops:
            shown = tops if len(tops) <= 40 else [*tops[:40], f"and {len(tops) - 40} more"]
            said.append(f"{word} (only in {name}): {', '.join(shown)}.")
    return [Words(tuple(said))] if said else []
