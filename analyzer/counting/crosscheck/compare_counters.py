"""Compares three counters row by row, exactly: a metric that differs by 1 is reported."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from analyzer.records.crosscheck_result import Agreement, Difference, RowAgreement
from analyzer.records.rows import ROW_KEYS, Count, Row

if TYPE_CHECKING:
    from analyzer.counting.crosscheck.fvcore import FvcoreCount

METRICS = [key for key in ROW_KEYS if key not in ("path", "role", "op", "call")]


def compare_counts(first: Count, second: Count, fvcore: FvcoreCount) -> Agreement:
    """Compares two counts in every metric of every row, and the first with fvcore in MACs and activations by path."""
    differences = (*_row_differences(first, second), *_fvcore_differences(first, fvcore))
    different_paths = {difference.path for difference in differences}
    counters = (first.counter, second.counter, "fvcore")
    second_rows = _by_key(second)
    rows = []
    for key, row in _by_key(first).items():
        other = second_rows.get(key, row)
        macs = (row.macs, other.macs, fvcore.macs.get(row.path, 0))
        activations = (row.activations, other.activations, fvcore.activations.get(row.path, 0))
        by_counter = [dict(zip(counters, values, strict=True)) for values in (macs, activations)]
        rows.append(RowAgreement(row.path, row.op, by_counter[0], by_counter[1], row.path not in different_paths))
    return Agreement(counters, differences, {"fvcore": _limits(fvcore)}, tuple(rows))


def _by_key(count: Count) -> dict[tuple[str, str, int], Row]:
    return {(row.path, row.op, row.call): row for row in count.rows}


def _row_differences(first: Count, second: Count) -> list[Difference]:
    first_rows, second_rows = _by_key(first), _by_key(second)
    differences = []
    for key in {**first_rows, **second_rows}:
        a, b = first_rows.get(key), second_rows.get(key)
        if a is None or b is None:
            ops = {first.counter: a.op if a else None, second.counter: b.op if b else None}
            differences.append(Difference(key[0], "op", ops))
            continue
        for metric in METRICS:
            values = {first.counter: getattr(a, metric), second.counter: getattr(b, metric)}
            if values[first.counter] != values[second.counter]:
                differences.append(Difference(key[0], metric, values))
    return differences


def _fvcore_differences(first: Count, fvcore: FvcoreCount) -> list[Difference]:
    """Differences from fvcore by path, because fvcore adds up the calls of a module."""
    differences = []
    for metric in ("macs", "activations"):
        sums: Counter[str] = Counter()
        for row in first.rows:
            sums[row.path] += getattr(row, metric)
        fvcore_sums = getattr(fvcore, metric)
        for path in {**sums, **fvcore_sums}:
            values = {first.counter: sums[path], "fvcore": fvcore_sums.get(path, 0)}
            if values[first.counter] != values["fvcore"]:
                differences.append(Difference(path, metric, values))
    return differences


def _limits(fvcore: FvcoreCount) -> str:
    """The operators and metrics that fvcore leaves out or counts by another convention."""
    unsupported = ", ".join(f"{op.removeprefix('aten::')} {n}" for op, n in sorted(fvcore.unsupported.items()))
    other = ", ".join(f"{op} {n:,}" for op, n in sorted(fvcore.other_flops.items()))
    parts = ["has no params, shapes, FLOPs or bytes"]
    if unsupported:
        parts.append(f"no formula for these operators (calls): {unsupported}")
    if other:
        parts.append(f"includes in its sum operators that have no MACs: {other}")
    return "; ".join(parts)
