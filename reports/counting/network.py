"""Records and agreements as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.shapes import shape_text
from analyzer.core.units import intensity, percent, scaled
from analyzer.records.record import Record, Totals, total
from reports.table import Cell, Column, Name, Share, Table

MISSING = "-"
TOP_LEVEL = "(top level)"
OWN = "(own forward)"

CONVENTIONS = (
    "MACs: multiply-adds of convolutions and linear layers; bias not counted, padding counts as data. "
    "FLOPs: 2 x MACs, plus bias, activations, pools, norms. Activations: output elements of operators with MACs. "
    "FLOP/B: FLOPs per byte of least traffic."
)


def network(record: Record, depth: int = 1) -> Table:
    """One record: a row a module down to `depth`, counted from the module that the record is restricted to."""
    whole = record.totals
    modules = record.modules
    base = base_path(record.module, [(module.path, module.role) for module in modules])
    rows: list[tuple[Cell, ...]] = []
    for module in modules:
        name = tree_name(module.path, base, depth)
        if name is not None:
            output = shape_text(module.outputs[0][1:]) if module.outputs else MISSING
            rows.append((name, output, *_sums(module.totals, whole)))
            own = total([row for row in record.rows if row.path == module.path])
            if is_open(record, module.path, base, depth) and (own.macs or own.params):
                rows.append((Name(OWN, name.depth + 1), MISSING, *_sums(own, whole)))
    # What the model's own forward computes is below no module, and would be seen in the total alone.
    top = () if record.module else tuple(row for row in record.rows if not row.path)
    if top:
        rows.append((Name(TOP_LEVEL), MISSING, *_sums(total(top), whole)))
    rows.append((Name("total"), "", *_sums(whole, whole)))
    columns = (
        Column("module", "left"),
        Column("output"),
        Column("params"),
        Column("MACs"),
        Column("share", "left"),
        Column("FLOPs"),
        Column("activ."),
        Column("FLOP/B"),
    )
    scope = f"{record.module} of {record.label}" if record.module else record.label
    notes = (exact(record), CONVENTIONS, *_unknown(record))
    return Table(f"{scope}: {settings(record)}", columns, tuple(rows), total=True, notes=notes)


def _sums(totals: Totals, whole: Totals) -> tuple[Cell, ...]:
    return (
        scaled(totals.params),
        scaled(totals.macs),
        Share(totals.macs / whole.macs if whole.macs else 0.0),
        scaled(totals.flops),
        scaled(totals.activations),
        intensity(totals.intensity) if totals.traffic else MISSING,
    )


def settings(record: Record) -> str:
    """What the figures hold for: input with the batch, mode, type, counter."""
    shape = ", ".join(shape_text(shape) for shape in record.input)
    counter = record.count.counter.replace("_", " ")
    return f"input {shape}, {record.mode}, {record.dtype}, counted by {counter}"


def exact(record: Record) -> str:
    """The totals to the last unit, and a module's share of the network."""
    totals = record.totals
    text = (
        f"{totals.params:,} params, {totals.macs:,} MACs, {totals.flops:,} FLOPs, "
        f"{totals.activations:,} activations, {totals.traffic:,} bytes moved"
    )
    if record.network_totals and record.network_totals.macs:
        text += f"; {percent(totals.macs / record.network_totals.macs)} of the network's MACs"
    return text


def _unknown(record: Record) -> list[str]:
    return [f"Not counted, no formula for (calls): {record.count.uncounted}"] if record.unknown_ops else []


def base_path(module: str | None, names: Sequence[tuple[str, str]]) -> str:
    """The path that a restriction stands for: the one asked for, or the first whose role it is; "" for the whole."""
    if module is None or any(path == module for path, _ in names):
        return module or ""
    return next((path for path, role in names if role == module), "")


def tree_name(path: str, base: str, depth: int) -> Name | None:
    """A path as a name in the tree below `base`, or None if it is outside or deeper than `depth`.

    Without a base the top level is depth 1 and not indented; with one, the base itself is the root.
    """
    if base and path != base and not path.startswith(f"{base}."):
        return None
    below = path[len(base) :].count(".") if base else path.count(".") + 1
    if below > depth:
        return None
    indent = below if base else below - 1
    return Name(path.rpartition(".")[2] if indent else path, indent)


def is_open(record: Record, path: str, base: str, depth: int) -> bool:
    """Whether a module's children are shown below it: what its own forward computes is then in none of the rows."""
    return tree_name(f"{path}.child", base, depth) is not None and any(
        module.path.startswith(f"{path}.") for module in record.modules
    )


def agreement(record: Record) -> Table:
    """A row an operator: its MACs by every counter, and whether all that the counters share is equal."""
    found = record.agreement
    assert found is not None
    rows: list[tuple[Cell, ...]] = [
        (
            Name(figure.path or TOP_LEVEL),
            *(f"{figure.macs[counter]:,}" for counter in found.counters),
            "agree" if figure.agrees else "DIFFER",
        )
        for figure in found.figures
    ]
    columns = (
        Column("row", "left"),
        *(Column(f"MACs {counter.replace('_', ' ')}") for counter in found.counters),
        Column("all", "left"),
    )
    counters = ", ".join(counter.replace("_", " ") for counter in found.counters)
    notes = [
        f"{len(found.figures)} rows, {len(found.differences)} differences. MACs and activations over {counters}; "
        "shapes, params, FLOPs and bytes over the first two."
    ]
    notes += [f"{counter} {what}" for counter, what in found.lacks.items()]
    notes += [
        f"differs: {difference.path or TOP_LEVEL} {difference.metric}: "
        + ", ".join(f"{counter} {value}" for counter, value in difference.values.items())
        for difference in found.differences
    ]
    return Table(f"{record.label}: {settings(record)}", columns, tuple(rows), notes=tuple(notes))


def listing(records: Mapping[str, Record], titles: Mapping[str, str]) -> Table:
    """Every variant with its totals and a line of what it is."""
    rows: list[tuple[Cell, ...]] = [
        (Name(name), scaled(record.totals.params), scaled(record.totals.macs), titles[name])
        for name, record in records.items()
    ]
    columns = (Column("variant", "left"), Column("params"), Column("MACs"), Column("what it is", "left"))
    notes = ("At each network's own input, batch 1, inference. MACs are multiply-adds.",)
    return Table("Variants", columns, tuple(rows), notes=notes)
