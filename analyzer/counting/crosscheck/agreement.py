"""Three counters held against each other, row by row, to the last unit. No tolerance: a difference is a difference."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from analyzer.records.agreement import Agreement, Difference, Figure
from analyzer.records.record import Count, Row

EVERYTHING = (
    "inputs",
    "outputs",
    "params",
    "weights",
    "biases",
    "macs",
    "flops",
    "activations",
    "bytes_read",
    "bytes_written",
    "backward_macs",
)


class Partial(Protocol):
    """What a counter that sees only multiply-adds can say, by path."""

    @property
    def macs(self) -> Mapping[str, int]: ...
    @property
    def activations(self) -> Mapping[str, int]: ...
    @property
    def other_flops(self) -> Mapping[str, int]: ...
    @property
    def unsupported(self) -> Mapping[str, int]: ...


def agree(first: Count, second: Count, third: Partial) -> Agreement:
    """Holds two whole counts against each other in everything, and both against fvcore in MACs and activations."""
    differences = [*_rows(first, second), *_sums(first, third)]
    broken = {difference.path for difference in differences}
    counters = (first.counter, second.counter, "fvcore")
    theirs = {_key(row): row for row in second.rows}
    figures = []
    for row in first.rows:
        other = theirs.get(_key(row), row)
        figures.append(
            Figure(
                row.path,
                row.op,
                dict(zip(counters, (row.macs, other.macs, third.macs.get(row.path, 0)), strict=True)),
                dict(
                    zip(counters, (row.activations, other.activations, third.activations.get(row.path, 0)), strict=True)
                ),
                row.path not in broken,
            )
        )
    return Agreement(counters, tuple(differences), {"fvcore": _lacks(third)}, tuple(figures))


def _key(row: Row) -> tuple[str, str, int]:
    return row.path, row.op, row.call


def _rows(first: Count, second: Count) -> list[Difference]:
    mine, theirs = ({_key(row): row for row in count.rows} for count in (first, second))
    differences = []
    for key in {**mine, **theirs}:
        a, b = mine.get(key), theirs.get(key)
        if a is None or b is None:
            ops = {first.counter: a and a.op, second.counter: b and b.op}
            differences.append(Difference(key[0], "op", ops))
            continue
        for metric in EVERYTHING:
            values = {first.counter: getattr(a, metric), second.counter: getattr(b, metric)}
            if values[first.counter] != values[second.counter]:
                differences.append(Difference(key[0], metric, values))
    return differences


def _sums(first: Count, third: Partial) -> list[Difference]:
    """fvcore does not tell calls of one module apart, so it is held against sums by path."""
    differences = []
    for metric in ("macs", "activations"):
        mine: Counter[str] = Counter()
        for row in first.rows:
            mine[row.path] += getattr(row, metric)
        theirs = getattr(third, metric)
        for path in {**mine, **theirs}:
            values = {first.counter: mine[path], "fvcore": theirs.get(path, 0)}
            if values[first.counter] != values["fvcore"]:
                differences.append(Difference(path, metric, values))
    return differences


def _lacks(third: Partial) -> str:
    """What fvcore left out or counts by another convention, named."""
    missing = ", ".join(f"{op.removeprefix('aten::')} {n}" for op, n in sorted(third.unsupported.items()))
    apart = ", ".join(f"{op} {n:,}" for op, n in sorted(third.other_flops.items()))
    parts = ["has no params, shapes, FLOPs or bytes"]
    if missing:
        parts.append(f"no formula for these operators (calls): {missing}")
    if apart:
        parts.append(f"counts into its own sum, no multiply-adds by our convention: {apart}")
    return "; ".join(parts)
