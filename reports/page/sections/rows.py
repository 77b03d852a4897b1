"""The full table of each network: every module and operator, to the last unit, each with a place to link to."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS, intensity
from analyzer.records.record import Module, Row, Totals
from reports.page import cells
from reports.page.context import Block, Cell, Choice, Line, Section, Table
from reports.page.sections.compute import module_times
from reports.page.subjects import Subject

COUNTED = ("params", "macs", "flops", "activations", "bytes_read", "bytes_written")
RESERVED = {"content", "table", "figures", "plotly", "plotly-link"}


def anchors(subjects: Sequence[Subject], taken: set[str]) -> dict[tuple[int, str], str]:
    """A place on the page for every module: its path, or where another network has that already, `network/path`."""
    found: dict[tuple[int, str], str] = {}
    used = RESERVED | taken
    for one in subjects:
        for module in one.modules:
            path, name = "_".join(module.path.split()), "_".join(one.name.split())
            tries = [path, f"{name}/{path}", *(f"{name}/{path}/{number}" for number in range(2, 100))]
            anchor = next((text for text in tries if text and text not in used), "")
            used.add(anchor)
            found[one.place, module.path] = anchor
    return found


def section(subjects: Sequence[Subject], places: dict[tuple[int, str], str]) -> Section:
    options: list[tuple[str, tuple[Block, ...]]] = [
        (one.name, (table(one, places),)) for one in subjects if not one.empty
    ]
    lead = (
        "Every module and every operator, exact. A path is a link to its line: put #path behind this page's address. "
        "CSV has the lines that are shown."
    )
    if not options:
        lead = "There are no rows."
    blocks: tuple[Block, ...] = (Choice("Network", tuple(options)),) if options else ()
    return Section("table", "The full table", "Full table", lead, blocks)


def table(one: Subject, places: dict[tuple[int, str], str]) -> Table:
    times = next((found for record in one.timed if (found := module_times(record))), {})
    backward = one.totals.backward_macs is not None
    rows: dict[str, list[Row]] = {}
    for row in one.record.rows:
        rows.setdefault(row.path, []).append(row)
    lines = []
    for row in rows.pop("", []):
        lines.append(_line("(top level)", row.op, row, "", backward, times.get(None)))  # type: ignore[call-overload]
    above = {module.path.rpartition(".")[0] for module in one.modules}
    for module in one.modules:
        own = rows.get(module.path, [])
        anchor = places[one.place, module.path]
        if module.path not in above and len(own) == 1:
            lines.append(_line(module.path, own[0].op, own[0], anchor, backward, times.get(module.path)))
            continue
        lines.append(_line(module.path, "module", module, anchor, backward, times.get(module.path)))
        for row in own:
            name = f"{row.op} (call {row.call})" if row.call > 1 else row.op
            lines.append(_line(module.path, name, row, "", backward, None))
    lines.append(_total(one.totals, backward, times.get("")))
    columns = [cells.left("path"), cells.left("op"), cells.right("output")]
    columns += [cells.right(METRICS[metric].title) for metric in COUNTED]
    columns += [cells.right("FLOP/B")]
    columns += [cells.right("backward MACs")] if backward else []
    columns += [cells.right("time")] if times else []
    if not times:
        lines = [line.replace(cells=line.cells[:-1]) for line in lines]
    return Table(f"rows-{one.place}", f"{one.name}, line by line", tuple(columns), tuple(lines), tools=cells.ALL)


def _line(path: str, op: str, of: Row | Module, anchor: str, backward: bool, time: float | None) -> Line:
    totals = of.totals if isinstance(of, Module) else of
    shape = " ".join(shape_text(one[1:]) for one in of.outputs) or cells.MISSING
    row = [cells.words(path), cells.words(op), cells.words(shape), *_figures(totals)]
    row += [cells.whole(totals.backward_macs)] if backward else []
    return Line((*row, cells.time(time)), anchor, "module" if op == "module" else "")


def _total(totals: Totals, backward: bool, time: float | None) -> Line:
    row = [cells.words("total"), cells.words(""), cells.words(""), *_figures(totals)]
    row += [cells.whole(totals.backward_macs)] if backward else []
    return Line((*row, cells.time(time)), "", "total")


def _figures(totals: Totals | Row) -> list[Cell]:
    moved = totals.bytes_read + totals.bytes_written
    found = [cells.whole(getattr(totals, metric)) for metric in COUNTED]
    return [*found, Cell(intensity(totals.flops / moved)) if moved else cells.NONE]
