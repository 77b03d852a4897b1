"""Counts as tables: one network by module, the cross-check of counters, and the list of variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.shapes import shape_text
from analyzer.core.units import METRICS, percent
from analyzer.records.record import By, Record
from analyzer.records.rows import Totals
from reports import cells
from reports.counting.groups import TOP_LEVEL, Group, groups
from reports.table import MISSING, Cell, Cut, Table, columns
from reports.table import Row as TableRow

SEE_CONVENTIONS = "see analyze conventions"
# Columns that a narrow terminal leaves out, the first one first; their totals are below the table.
DROPPED = ("FLOP/B", "activations", "FLOPs", "output")


def network(
    record: Record,
    depth: int | None = 1,
    times_s: Mapping[str, float] | None = None,
    *,
    by: By = "module",
    sort: str | None = None,
    top: int | None = None,
    fold: bool = False,
    types: bool = False,
) -> Table:
    """One row per module down to `depth` below the module that the record is restricted to, and the total.

    Without a depth, modules that have nearly everything are divided.

    `by`, `sort`, `top` and `fold` choose other rows; see `groups`. `types` adds a column to modules. `times_s` maps
    module paths to seconds, the whole pass under "", and adds two columns to modules.
    """
    training = bool(record.totals.step)
    passes = ["macs", *passes_of_step([record.totals])]

    def row(group: Group) -> TableRow:
        second = group.output if by == "module" else f"{group.calls:,}" if group.calls else ""
        counts = _step_counts(group.totals, record.totals, passes) if training else _counts(group.totals, record.totals)
        kind = (group.type,) if types else ()
        return (group.name, *kind, second, *counts, *(() if times_s is None else _time(times_s, group.path)))

    shown = groups(record, depth, by=by, sort=sort, top=top, fold=fold)
    types = types and any(group.type for group in shown)
    whole = Group(Cell("total"), record.totals, output="", path="")
    counted = (
        ("forward", *(METRICS[name].title for name in passes[1:]), "share", "FLOPs")
        if training
        else ("MACs", "share", "FLOPs", "activations", "FLOP/B")
    )
    times = () if times_s is None else ("time", "share of time")
    scope = f"{record.module} of {record.label}" if record.module else record.label
    titles = (by, *(["type"] if types else []), "output" if by == "module" else "calls", "params", *counted, *times)
    cut: Cut = "start" if top and by == "module" else "end"
    return Table(
        f"{scope}: {conditions(record)}",
        columns(*titles, left=("type", "share", "share of time"), cut=cut, drop=DROPPED, shrink=("type",)),
        tuple(map(row, [*shown, whole])),
        total=True,
        notes=(f"{exact_totals(record)}; {SEE_CONVENTIONS}", *_unknown(record)),
    )


def passes_of_step(totals: Sequence[Totals]) -> list[str]:
    """The metrics in MACs that a backward pass adds; empty at inference. Recomputed MACs if there are any."""
    if not any(known.step for known in totals):
        return []
    recomputed = any(known.recomputed_macs for known in totals)
    return ["backward_macs", *(["recomputed_macs"] if recomputed else []), "step_macs"]


def _counts(totals: Totals, whole: Totals) -> TableRow:
    return (
        cells.count("params", totals.params),
        cells.count("macs", totals.macs),
        cells.share(totals.macs, whole.macs),
        cells.count("flops", totals.flops),
        cells.count("activations", totals.activations),
        cells.intensity(totals),
    )


def _step_counts(totals: Totals, whole: Totals, passes: Sequence[str]) -> TableRow:
    return (
        cells.count("params", totals.params),
        *(cells.count(metric, totals.value(metric)) for metric in passes),
        cells.share(totals.value("step_macs") or 0, whole.step["step_macs"]),
        cells.count("flops", totals.value("step_flops")),
    )


def _time(times_s: Mapping[str, float], path: str | None) -> TableRow:
    time_s = None if path is None else times_s.get(path, 0.0)
    return (MISSING, MISSING) if time_s is None else (cells.duration(time_s), cells.share(time_s, times_s[""]))


def conditions(record: Record) -> str:
    """The conditions of the counts: the input with its batch, mode, dtype and counter."""
    return ", ".join(condition_parts(record))


def condition_parts(record: Record) -> tuple[str, str, str, str]:
    shape = ", ".join(shape_text(shape) for shape in record.input)
    return f"input {shape}", record.mode_text, record.dtype, f"counted by {counter_name(record.count.counter)}"


def counter_name(counter: str) -> str:
    return counter.replace("_", " ")


def exact_totals(record: Record, *, short: bool = False) -> str:
    """The totals to the last unit, and a module's share of the network's MACs; with `short` without bytes."""
    totals = record.totals
    text = f"{totals.params:,} params, {totals.macs:,} MACs, {totals.flops:,} FLOPs"
    if not short:
        text += f", {totals.activations:,} activations, {totals.traffic:,} bytes of traffic"
    if step := totals.step:
        text += (
            f"; backward {totals.backward_macs:,} MACs, {step['backward_flops']:,} FLOPs; "
            + (f"recomputed {totals.recomputed_macs:,} MACs; " if totals.recomputed_macs else "")
            + f"step {step['step_macs']:,} MACs, {step['step_flops']:,} FLOPs"
        )
    if record.network_totals and record.network_totals.macs:
        text += f"; {percent(totals.macs / record.network_totals.macs)} of the network's MACs"
    return text


def _unknown(record: Record) -> list[str]:
    return [f"No formula for operators (calls): {record.count.uncounted}"] if record.unknown_ops else []


def agreement(record: Record) -> Table:
    """One row per operator: its MACs by every counter, and whether all counts that the counters share are equal."""
    agreement = record.agreement
    assert agreement is not None
    rows: list[TableRow] = [
        (
            Cell(figure.path or TOP_LEVEL),
            *(f"{figure.macs[counter]:,}" for counter in agreement.counters),
            "agree" if figure.agrees else "DIFFER",
        )
        for figure in agreement.rows
    ]
    names = [counter_name(counter) for counter in agreement.counters]
    notes = [
        f"{len(agreement.rows)} rows, {len(agreement.differences)} differences. "
        f"Compared: MACs and activations in {', '.join(names)}; shapes, params, FLOPs and bytes in the first two."
    ]
    notes += [f"{counter} {lack}" for counter, lack in agreement.lacks.items()]
    notes += [
        f"differs: {difference.path or TOP_LEVEL} {difference.metric}: "
        + ", ".join(f"{counter} {value}" for counter, value in difference.values.items())
        for difference in agreement.differences
    ]
    titles = columns("row", *(f"MACs {name}" for name in names), "all", left=("all",))
    return Table(f"{record.label}: {conditions(record)}", titles, tuple(rows), notes=tuple(notes))


def listing(records: Mapping[str, Record], titles: Mapping[str, str]) -> Table:
    """Every variant with its totals and its title."""
    rows: list[TableRow] = [
        (
            Cell(name),
            cells.count("params", record.totals.params),
            cells.count("macs", record.totals.macs),
            titles[name],
        )
        for name, record in records.items()
    ]
    notes = ("At each network's default input, batch 1, inference. MACs are multiply-adds.",)
    return Table(
        "Variants", columns("variant", "params", "MACs", "description", left=("description",)), tuple(rows), notes=notes
    )
