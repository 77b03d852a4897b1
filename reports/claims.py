"""The claims and the paper's Table 1 as tables: numbers in a grid, explanations in prose. CSV has a wide table each."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from analyzer.core.units import scaled
from reports.table import Row, Table, columns

if TYPE_CHECKING:
    from analyzer.claims import Claim
    from analyzer.claims.table1 import TableRow, TableTotals

MAX_INLINE = 40  # Characters; a longer value is a list, which wraps.
HELP = "analyze claims CLAIM-ID shows the numbers of one claim; --module PATH tests the 21.4× saving of a module."
MATCHES = (
    "Counted: weights without biases / 1024, and multiply-adds / 10^6. exact: the printed number is correctly rounded; "
    "truncated: further digits were cut off; differs: neither."
)
CLAIM_FIELDS = ("id", "verdict", "claim", "source", "condition", "operands", "computed")


def claims(ledger: Sequence[Claim]) -> list[Table]:
    """Every claim: its verdict and result, then the sentence, its source and the condition of the verdict."""
    return [
        _text_table(
            "Claims and their verdicts",
            ("claim", "verdict", "counted"),
            [(claim.id, claim.verdict, claim.summary) for claim in ledger],
        ),
        _text_table(
            "Claims as stated, and conditions of the verdicts",
            ("claim", "as claimed", "counting"),
            [(claim.id, f"{claim.claim} ({claim.source})", claim.condition) for claim in ledger],
        ).replace(prose=True, notes=(HELP,)),
    ]


def claim(claim: Claim) -> list[Table]:
    """One claim in full: its sentence, its verdict and every number behind it."""
    fields = [(name, getattr(claim, name)) for name in ("claim", "source", "verdict", "condition")]
    return [
        _text_table(claim.id, ("entry", "text"), [field for field in fields if field[1]]).replace(prose=True),
        _numbers("Operands", [(name, number(value)) for name, value in claim.operands.items()]),
        _numbers("Results", list(_named_texts(claim.computed))),
    ]


def _text_table(title: str, names: Sequence[str], rows: Sequence[Row]) -> Table:
    return Table(title, columns(*names, left=names), tuple(rows))


def _numbers(title: str, pairs: Sequence[tuple[str, str]]) -> Table:
    """Names and values. Long lists wrap."""
    prose = any(len(text) > MAX_INLINE for _, text in pairs)
    return Table(title, columns("number", "value", left=("value",) if prose else ()), tuple(pairs), prose=prose)


def claims_sheet(ledger: Sequence[Claim]) -> Table:
    """For CSV: one row per claim, its numbers as JSON."""
    rows = [
        tuple(value if isinstance(value := getattr(claim, name), str) else json.dumps(value) for name in CLAIM_FIELDS)
        for claim in ledger
    ]
    return _text_table("Claims", CLAIM_FIELDS, rows)


def table1(rows: Sequence[TableRow], totals: TableTotals) -> list[Table]:
    """The paper's Table 1 row by row against counting, then an explanation per row."""
    numbers: list[Row] = [
        (
            row.row,
            f"{row.printed_params.digits}K",
            f"{row.weights / 1024:.2f}",
            row.params_match,
            f"{row.printed_ops.digits}M",
            f"{row.macs / 1e6:.2f}",
            row.ops_match,
        )
        for row in rows
    ]
    total = (
        "total",
        f"{float(totals.printed_weights / 1024):.1f}K",
        f"{totals.weights / 1024:.2f}",
        "",
        f"{float(totals.printed_macs / 10**6):.0f}M",
        f"{totals.macs / 1e6:.2f}",
        "",
    )
    explanations = [*((row.row, row.explanation) for row in rows), ("total", _total_explanation(totals))]
    return [
        Table(
            "Table 1 of Szegedy et al. 2014 and counts: params (K = 1024), ops (M = 10^6)",
            columns("row", "paper K", "counted", "params", "paper M", "counted", "ops", left=("params", "ops")),
            (*numbers, total),
            total=True,
            notes=(MATCHES,),
        ),
        _text_table("Explanations", ("row", "explanation"), explanations).replace(prose=True),
    ]


def _total_explanation(totals: TableTotals) -> str:
    return (
        f"The printed columns sum to {float(totals.printed_weights):,.1f} weights and "
        f"{scaled(float(totals.printed_macs))} multiply-adds. Counted: {totals.weights:,} weights "
        f"({totals.weights + totals.biases:,} parameters with biases) and {scaled(totals.macs)} multiply-adds; with "
        f"the separable stem {totals.separable_weights:,} weights and {scaled(totals.separable_macs)}."
    )


def table1_sheet(rows: Sequence[TableRow]) -> Table:
    """For CSV: one row per row of Table 1 with exact numbers, and no total."""
    from analyzer.claims.table1 import row_to_json

    lines = [{**row_to_json(row), "roles": " ".join(row.roles)} for row in rows]
    return _text_table("Table 1", list(lines[0]), [tuple(map(str, line.values())) for line in lines])


def number(value: float) -> str:
    """112896000 → `112,896,000`; a fraction has six significant digits."""
    return f"{value:,}" if isinstance(value, int) or value >= 1e6 else f"{value:.6g}"


def _named_texts(computed: Any) -> Iterator[tuple[str, str]]:
    """Names and texts of a result: a number, a mapping, or a list of either."""
    if isinstance(computed, Mapping):
        for name, value in computed.items():
            yield name, _text(value)
    elif isinstance(computed, Sequence) and computed and isinstance(computed[0], Mapping):
        for item in computed:
            yield str(item["name"]), _text({key: value for key, value in item.items() if key != "name"})
    else:
        yield "computed", _text(computed)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(item)}" for name, item in value.items())
    if isinstance(value, Sequence):
        return ("x" if all(isinstance(item, int) for item in value) else ", ").join(map(number, value))
    return number(value)
