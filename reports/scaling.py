"""Tables and JSON of `analyze scale`: formulas, where they hold, and values at chosen sizes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.units import METRICS, percent
from analyzer.records.metric_values import macs_of
from analyzer.records.record_json import envelope
from analyzer.scaling.api import Scaling
from analyzer.scaling.axes import Axis
from analyzer.scaling.fit import Domain, Fit, Values
from analyzer.scaling.largest_sizes import Capacity, dominates_from, largest_operators, largest_within
from reports.cells import count
from reports.formats.text import csv_text
from reports.table import MISSING, Cell, Row, Table, columns

SCHEMA_VERSION = 1
MAX_KINDS = 5  # Columns of operators.
Point = tuple[dict[str, int], Values | AnalyzerError]


def tables(
    scaling: Scaling, metrics: Sequence[str], points: Sequence[Point], memory: Capacity | None = None
) -> list[Table]:
    """The formulas of each range; the values and shares if any are asked for. With `memory`, what fits it."""
    shown = [_formulas(scaling, metrics, fit) for fit in scaling.fits]
    shown[-1] = shown[-1].replace(notes=(*_notes(scaling), *(_within(scaling, memory) if memory else ())))
    return [*shown, _values(scaling, metrics, points, memory), *_shares(scaling, points)] if points else shown


def _formulas(scaling: Scaling, metrics: Sequence[str], fit: Fit) -> Table:
    where = "; ".join(f"{_name(axis)} {_domain(fit.axes[axis.name].domain)}" for axis in scaling.axes if fit.axes)
    rows = [
        (METRICS[metric].title, fit.formulas[metric].text() if metric in fit.formulas else fit.reasons[metric])
        for metric in metrics
    ]
    title = f"{scaling.label}{f', {scaling.module}' if scaling.module else ''}: {scaling.base.mode}"
    return Table(f"{title}; {where}" if where else title, columns("metric", "formula", left={"formula"}), tuple(rows),
                 prose=True)  # fmt: skip


def _name(axis: Axis) -> str:
    return " = ".join(axis.sizes)


def _domain(domain: Domain) -> str:
    """`32, 64, 96, …, 1,792`."""
    first = [size for size in (domain.low + domain.step * number for number in range(3)) if size < domain.high]
    dots = ["…"] if domain.low + 3 * domain.step < domain.high else []
    return ", ".join([*(f"{size:,}" for size in first), *dots, f"{domain.high:,}"])


def _notes(scaling: Scaling) -> list[str]:
    notes = ["No formula was found; --at counts the model at each size."]
    if scaling.verified:
        notes = [
            f"The formulas equal {scaling.verified} counts at these sizes to the last unit; other sizes are counted."
        ]
    for axis in scaling.axes:
        if scaling.smallest(axis) > 1:
            notes.append(f"{_sentence(scaling.taken(axis))}.")
        (_, first), *later = largest_operators(scaling, axis) or [(0, "")]
        if later:
            text = ", ".join(f"{one_line(name)} from {size:,}" for size, name in later)
            notes.append(f"Most MACs along {_name(axis)}: {one_line(first)}, then {text}.")
        if (dominating := dominates_from(scaling, axis)) is not None:
            size, name = dominating
            notes.append(f"{one_line(name)} has more MACs than all other operators from {_name(axis)} {size:,} on.")
    notes += [f"{_sentence(scaling.taken(axis))}." for axis in scaling.fixed]
    return [*notes, *scaling.base.notes]


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:]


def _within(scaling: Scaling, memory: Capacity) -> Iterator[str]:
    """A sentence per axis on the largest size that fits a memory."""
    whose = one_line(memory.name)
    for axis in scaling.axes:
        limit = largest_within(scaling, axis, memory.size)
        others = ", ".join(f"{_name(other)} {other.base:,}" for other in scaling.axes if other is not axis)
        at = f" at {others}" if others else ""
        if limit.size is None:
            yield f"No {_name(axis)} with a formula fits the memory of {whose}{at}."
        elif limit.more:
            yield f"{_name(axis)} {limit.size:,} fits the memory of {whose}{at}; larger ones were not tried."
        else:
            yield f"The largest {_name(axis)} whose peak memory fits {whose} is {limit.size:,}{at}."


def _values(scaling: Scaling, metrics: Sequence[str], points: Sequence[Point], memory: Capacity | None = None) -> Table:
    rows: list[Row] = []
    for sizes, values in points:
        at = tuple(Cell(f"{size:,}", size) for size in sizes.values())
        if isinstance(values, AnalyzerError):
            rows.append((*at, *(MISSING for _ in metrics), *([MISSING] if memory else []), one_line(values)))
        else:
            fits = ["yes" if values["peak_memory"] <= memory.size else "no"] if memory else []
            rows.append((*at, *(count(metric, values[metric]) for metric in metrics), *fits, _largest(values)))
    first, *others = (_name(axis) for axis in scaling.axes)
    titles = [*others, *(METRICS[metric].title for metric in metrics), *(["fits"] if memory else []), "most MACs"]
    return Table(f"{scaling.label} at these sizes", columns(first, *titles, left={"most MACs"}), tuple(rows))


def _shares(scaling: Scaling, points: Sequence[Point]) -> Iterator[Table]:
    """The share of each kind of operator in the MACs, those with the largest first; none if there is one kind only."""
    counted = [(sizes, row) for sizes, row in points if not isinstance(row, AnalyzerError) and row["macs"]]
    totals: Counter[str] = Counter()
    for _, row in counted:
        totals.update(by_operator(row))
    kinds = [kind for kind, _ in totals.most_common(MAX_KINDS)]
    if len(totals) < 2:
        return
    rows: list[Row] = [
        (
            *(Cell(f"{size:,}", size) for size in sizes.values()),
            *(Cell(percent(share), share) for share in (by_operator(row).get(kind, 0) / row["macs"] for kind in kinds)),
        )
        for sizes, row in counted
    ]
    first, *others = (_name(axis) for axis in scaling.axes)
    titles = columns(first, *others, *map(one_line, kinds))
    notes = (f"{len(totals) - MAX_KINDS} more kinds have fewer MACs.",) if len(totals) > MAX_KINDS else ()
    yield Table(f"{scaling.label}: MACs by kind of operator", titles, tuple(rows), notes=notes)


def _largest(values: Values) -> str:
    """The operator with the most MACs and its share."""
    operators = by_operator(values)
    name = max(operators, key=lambda key: operators[key], default="")
    return f"{name} {percent(operators[name] / values['macs'])}" if name else MISSING


def by_operator(values: Values) -> dict[str, int]:
    """The MACs of each kind of operator."""
    return {name.removeprefix(macs_of("")): value for name, value in values.items() if name not in METRICS}


def dump(scaling: Scaling, metrics: Sequence[str], points: Sequence[Point], memory: Capacity | None = None) -> str:
    """JSON: the axes, a formula per metric and range, and the values. Coefficients are exact, as texts `n` or `n/d`."""
    ranges = [
        {
            "axes": {
                axis.name: {"low": along.domain.low, "high": along.domain.high, "step": along.domain.step}
                for axis in scaling.axes
                if (along := fit.axes.get(axis.name))
            },
            "formulas": {metric: _formula(fit, metric) for metric in metrics if metric in fit.formulas},
            "without_formula": {metric: fit.reasons[metric] for metric in metrics if metric in fit.reasons},
        }
        for fit in scaling.fits
    ]
    values = [
        {**sizes, "error": one_line(row)} if isinstance(row, AnalyzerError)
        else {**sizes, **{metric: row[metric] for metric in metrics}, "macs_by_operator": by_operator(row)}
        for sizes, row in points
    ]  # fmt: skip
    data: dict[str, Any] = {
        "model": scaling.label,
        "module": scaling.module,
        "mode": scaling.base.mode,
        "axes": [{"name": axis.name, "sizes": axis.sizes, "present": axis.base} for axis in scaling.axes],
        "verified_counts": scaling.verified,
        "ranges": ranges,
        "values": values,
        "smallest": {axis.name: scaling.smallest(axis) for axis in scaling.axes},
        "fixed": [axis.name for axis in scaling.fixed],
        "notes": scaling.base.notes,
    }
    if memory:
        limits = {axis.name: largest_within(scaling, axis, memory.size) for axis in scaling.axes}
        data["memory"] = {
            "name": memory.name,
            "bytes": memory.size,
            "largest": {name: {"size": limit.size, "may_be_larger": limit.more} for name, limit in limits.items()},
        }
    status = "partial" if any("error" in row for row in values) else "ok"
    return envelope(status, version=SCHEMA_VERSION, **data)


def _formula(fit: Fit, metric: str) -> dict[str, Any]:
    polynomial = fit.formulas[metric]
    return {
        "text": polynomial.text(),
        "python": polynomial.python(),
        "latex": polynomial.latex(),
        "terms": [
            {"powers": dict(zip(polynomial.variables, powers, strict=True)), "coefficient": str(value)}
            for powers, value in polynomial.terms.items()
        ],
    }


def sheet(scaling: Scaling, metrics: Sequence[str], points: Sequence[Point]) -> str:
    """CSV: the values in plain integers, or the formulas as Python if no sizes are asked for."""
    if not points:
        lines = [
            [metric, fit.formulas[metric].python()]
            for fit in scaling.fits
            for metric in metrics
            if metric in fit.formulas
        ]
        return csv_text([["metric", "formula"], *lines])
    names = [axis.name for axis in scaling.axes]
    values = [
        [*sizes.values(), *(row[metric] for metric in metrics)]
        for sizes, row in points
        if not isinstance(row, AnalyzerError)
    ]
    return csv_text([[*names, *metrics], *values])


def latex(scaling: Scaling, metrics: Sequence[str]) -> str:
    """The formulas of the first range as equations."""
    fit = scaling.fits[0]
    lines = [
        rf"\mathrm{{{METRICS[metric].title.replace(' ', '~')}}} &= {fit.formulas[metric].latex()} \\"
        for metric in metrics
        if metric in fit.formulas
    ]
    return "\n".join([f"% {one_line(scaling.label)}", r"\begin{align*}", *lines, r"\end{align*}"]) + "\n"
