"""Compares the paper's Table 1 with counts and explains differences: weights in K = 1024, multiply-adds in M = 10^6.

The printed numbers are data (data/table1.json); all others are counted at call time. The paper's params are weights
without biases: its 112K for conv2 are exactly 114,688 and its 1000K for linear exactly 1,024,000.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from fractions import Fraction
from importlib.resources import files
from typing import Any

from analyzer.claims.claim import Match, Printed
from analyzer.core.frozen import Frozen
from analyzer.core.units import percent, scaled
from analyzer.counting.api import count
from analyzer.networks.spec import Conv
from analyzer.networks.variants import variant
from analyzer.networks.walk import walk
from analyzer.records.record import Record
from analyzer.records.record_json import envelope
from analyzer.records.rows import Row, under

K, M = 1024, 10**6


class TableRow(Frozen):
    """One row of Table 1: the printed numbers, the counted numbers, and an explanation of every difference."""

    row: str
    roles: tuple[str, ...]
    printed_params: Printed
    printed_ops: Printed
    weights: int
    biases: int
    macs: int
    explanation: str

    @property
    def params_match(self) -> Match:
        return self.printed_params.match(self.weights)

    @property
    def ops_match(self) -> Match:
        return self.printed_ops.match(self.macs)


class TableTotals(Frozen):
    """Column sums: printed (params at K = 1024), and counted with the dense and with the separable stem."""

    printed_weights: Fraction
    printed_macs: Fraction
    weights: int
    biases: int
    macs: int
    separable_weights: int
    separable_macs: int


def rows() -> tuple[TableRow, ...]:
    """The twelve rows with numbers, in the paper's order."""
    record = count("googlenet")
    return tuple(_row(printed, record) for printed in _printed())


def totals() -> TableTotals:
    printed = _printed()
    dense, separable = count("googlenet"), count("googlenet-separable-stem")
    return TableTotals(
        printed_weights=sum((_params(row).value for row in printed), Fraction()),
        printed_macs=sum((_ops(row).value for row in printed), Fraction()),
        weights=sum(row.weights for row in dense.rows),
        biases=sum(row.biases for row in dense.rows),
        macs=dense.totals.macs,
        separable_weights=sum(row.weights for row in separable.rows),
        separable_macs=separable.totals.macs,
    )


def dump() -> str:
    """Rows and totals as JSON in the common envelope, with a final newline."""
    summed = totals()
    return envelope(
        "ok",
        table1=list(map(row_to_json, rows())),
        totals={
            "sum_of_paper_params_as_K1024": float(summed.printed_weights),
            "sum_of_paper_ops_column": float(summed.printed_macs),
            "computed_weights": summed.weights,
            "computed_biases": summed.biases,
            "computed_params": summed.weights + summed.biases,
            "computed_macs_dense_conv1": summed.macs,
            "computed_macs_separable_conv1": summed.separable_macs,
            "computed_weights_separable_conv1": summed.separable_weights,
        },
    )


def row_to_json(row: TableRow) -> dict[str, Any]:
    """The printed and the counted numbers of a row, as in JSON and CSV."""
    return {
        "row": row.row,
        "roles": list(row.roles),
        "paper_params": f"{row.printed_params.digits}K",
        "paper_ops": f"{row.printed_ops.digits}M",
        "weights": row.weights,
        "biases": row.biases,
        "weights_over_1024": row.weights / K,
        "macs": row.macs,
        "params_match": row.params_match,
        "ops_match": row.ops_match,
        "explanation": row.explanation,
    }


def _printed() -> list[dict[str, Any]]:
    data = json.loads((files("analyzer") / "data" / "table1.json").read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = data["rows"]
    return rows


def _params(printed: dict[str, Any]) -> Printed:
    return Printed(printed["params"].removesuffix("K"), K)


def _ops(printed: dict[str, Any]) -> Printed:
    return Printed(printed["ops"].removesuffix("M"), M)


def _row(printed: dict[str, Any], record: Record) -> TableRow:
    counted = _under(record, printed["roles"])
    row = TableRow(
        row=printed["row"],
        roles=tuple(printed["roles"]),
        printed_params=_params(printed),
        printed_ops=_ops(printed),
        weights=sum(row.weights for row in counted),
        biases=sum(row.biases for row in counted),
        macs=sum(row.macs for row in counted),
        explanation="",
    )
    sentences = list(_sentences(row))
    if "printed_is" in printed:
        sentences += _printed_is(row, printed["printed_is"])
    else:
        sentences += _consistency(row)
    return row.replace(explanation=" ".join(filter(None, [*sentences, printed.get("story")])))


def _under(record: Record, roles: Sequence[str]) -> list[Row]:
    return [row for row in record.rows if any(under(row, role) for role in roles)]


def _sentences(row: TableRow) -> Iterator[str]:
    """How each of the two printed numbers compares with the counted one."""
    params, ops = row.printed_params, row.printed_ops
    match = _match_text(params, row.weights)
    if 2 * abs(row.weights - params.value) == params.step:
        match += f", halfway and as close as {float((2 * row.weights - params.value) / K):g}"
    yield f"{row.weights:,} weights = {row.weights / K:.6g} × 1024, printed {params.digits}: {match}."
    if row.params_match != "exact" and params.is_exact(row.weights + row.biases):
        yield f"With biases it is {(row.weights + row.biases) / K:.1f}, which rounds to {params.digits}."
    yield f"Ops {scaled(row.macs)}, printed {ops.digits}: {_match_text(ops, row.macs)}."


def _match_text(printed: Printed, counted: int) -> str:
    match = printed.match(counted)
    if match != "differs":
        return match
    ratio = printed.value / counted
    return f"{percent(float(abs(1 - ratio)))} {'low' if ratio < 1 else 'high'}"


def _consistency(row: TableRow) -> Iterator[str]:
    """Whether the printed params give the printed ops: every weight of a row is used at each of its output pixels."""
    if row.params_match == "exact":
        return
    pixels, rest = divmod(row.macs, row.weights)
    assert rest == 0, f"{row.row} has more than one resolution"
    implied = row.printed_params.value * pixels
    text = f"{row.printed_params.digits} × 1024 × {pixels} positions = {scaled(float(implied))}"
    if row.printed_ops.is_exact(implied):
        yield f"The two printed numbers agree with each other: {text}."
    else:
        yield f"The printed ops do not follow from the printed params: {text}."


def _printed_is(row: TableRow, name: str) -> Iterator[str]:
    """The arithmetic of the variant whose numbers the row prints: 7×7×3×8 + 24×64."""
    counted = _under(count(name), row.roles)
    weights, macs = sum(layer.weights for layer in counted), sum(layer.macs for layer in counted)
    paths = {layer.path for layer in counted}
    products = " + ".join(
        _product(step.layer, step.inputs[0][1])
        for step in walk(variant(name).network)
        if step.path in paths and isinstance(step.layer, Conv)
    )
    yield (
        f"The printed numbers are those of {name}: {products} = {weights:,} weights ({weights / 1000:.2f} at K = 1000, "
        f"{weights / K:.2f} at 1024) and {scaled(macs)} multiply-adds."
    )
    if Printed(row.printed_params.digits, 1000).is_exact(weights) and row.printed_ops.is_exact(macs):
        yield "Both columns agree, so this is not a misprint."


def _product(conv: Conv, in_channels: int) -> str:
    """A convolution's weights as a product; a depthwise one has out / in filters per channel."""
    kernel = f"{conv.kernel}×{conv.kernel}×" if conv.kernel > 1 else ""
    filters = conv.out // in_channels if conv.groups == in_channels else conv.out
    return f"{kernel}{in_channels}×{filters}"
