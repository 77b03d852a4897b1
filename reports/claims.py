"""The claims ledger and the paper's Table 1 as tables: figures in a grid, then what is to be said of them in prose.

A CSV takes one sheet with everything; the other forms take the grid and the prose.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from analyzer.core.units import scaled
from reports.table import Cell, Column, Name, Table

if TYPE_CHECKING:
    from analyzer.claims import Claim
    from analyzer.claims.table1 import TableRow, TableTotals

LEFT: Final = "left"
LIST = 40  # Characters; a value longer than that is a list, which wraps instead of being cut.
ONE = "analyze claims CLAIM-ID shows the numbers behind one; analyze claims --module PATH asks the 21.4x of a module."
MATCHES = (
    "Ours: weights without biases / 1024, and multiply-adds / 10^6. exact: no figure of the printed precision is "
    "nearer; truncated: ours with the rest cut off; differs: neither."
)


def claims(ledger: Sequence[Claim]) -> list[Table]:
    """Every claim: its verdict at a glance, then the sentence, its source and what the verdict hangs on."""
    verdicts: list[tuple[Cell, ...]] = [(Name(claim.id), claim.verdict, claim.figure) for claim in ledger]
    sentences: list[tuple[Cell, ...]] = [
        (Name(claim.id), f"{claim.claim} ({claim.source})", claim.condition) for claim in ledger
    ]
    return [
        Table(
            "Claims, and what counting says",
            (Column("claim", LEFT), Column("verdict", LEFT), Column("counted", LEFT)),
            tuple(verdicts),
        ),
        Table(
            "What was claimed, and what the verdict hangs on",
            (Column("claim", LEFT), Column("as claimed", LEFT), Column("counting", LEFT)),
            tuple(sentences),
            prose=True,
            notes=(ONE,),
        ),
    ]


def claim(one: Claim) -> list[Table]:
    """One claim in full: its sentence, its verdict, and every number behind it."""
    said = [(name, getattr(one, name)) for name in ("claim", "source", "verdict", "condition")]
    words: list[tuple[Cell, ...]] = [(Name(name), text) for name, text in said if text]
    return [
        Table(one.id, (Column("entry", LEFT), Column("in words", LEFT)), tuple(words), prose=True),
        _numbers("Numbers that go in", [(name, number(value)) for name, value in one.operands.items()]),
        _numbers("Numbers that come out", list(_figures(one.computed))),
    ]


def _numbers(title: str, pairs: Sequence[tuple[str, str]]) -> Table:
    """Names and values: figures in line, or lists that wrap."""
    rows: tuple[tuple[Cell, ...], ...] = tuple((Name(name), text) for name, text in pairs)
    prose = any(len(text) > LIST for _, text in pairs)
    return Table(title, (Column("number", LEFT), Column("value", LEFT if prose else "right")), rows, prose=prose)


def claims_sheet(ledger: Sequence[Claim]) -> Table:
    """A line a claim, with its exact numbers as JSON."""
    names = ("id", "verdict", "claim", "source", "condition", "operands", "computed")
    rows: list[tuple[Cell, ...]] = [
        (
            one.id,
            one.verdict,
            one.claim,
            one.source,
            one.condition,
            json.dumps(one.operands),
            json.dumps(one.computed),
        )
        for one in ledger
    ]
    return Table("Claims", tuple(Column(name, LEFT) for name in names), tuple(rows))


def table1(rows: Sequence[TableRow], totals: TableTotals) -> list[Table]:
    """The paper's Table 1 row by row beside ours, then a sentence or more a row."""
    figures: list[tuple[Cell, ...]] = [
        (
            Name(row.row),
            f"{row.printed_params.digits}K",
            f"{row.weights / 1024:.2f}",
            row.params_match,
            f"{row.printed_ops.digits}M",
            f"{row.macs / 1e6:.2f}",
            row.ops_match,
        )
        for row in rows
    ]
    figures.append((Name("total"), *_sums(totals)))
    sentences: list[tuple[Cell, ...]] = [(Name(row.row), row.explanation) for row in rows]
    sentences.append((Name("total"), _total_sentence(totals)))
    return [
        Table(
            "Table 1 of Szegedy et al. 2014 beside ours: params (K = 1024), ops (M = 10^6)",
            (
                Column("row", LEFT),
                Column("paper K"),
                Column("ours"),
                Column("params", LEFT),
                Column("paper M"),
                Column("ours"),
                Column("ops", LEFT),
            ),
            tuple(figures),
            total=True,
            notes=(MATCHES,),
        ),
        Table("Row by row", (Column("row", LEFT), Column("explanation", LEFT)), tuple(sentences), prose=True),
    ]


def _sums(totals: TableTotals) -> tuple[str, ...]:
    return (
        f"{float(totals.printed_weights / 1024):.1f}K",
        f"{totals.weights / 1024:.2f}",
        "",
        f"{float(totals.printed_macs / 10**6):.0f}M",
        f"{totals.macs / 1e6:.2f}",
        "",
    )


def _total_sentence(totals: TableTotals) -> str:
    return (
        f"The printed columns sum to {float(totals.printed_weights):,.1f} weights and "
        f"{scaled(float(totals.printed_macs))} multiply-adds. Counted: {totals.weights:,} weights "
        f"({totals.weights + totals.biases:,} parameters with biases) and {scaled(totals.macs)} multiply-adds; with "
        f"the separable stem {totals.separable_weights:,} weights and {scaled(totals.separable_macs)}."
    )


def table1_sheet(rows: Sequence[TableRow]) -> Table:
    """A line a row with exact figures; what a spreadsheet can sum it sums itself, so no total."""
    names = ("row", "roles", "paper_params", "paper_ops", "weights", "biases", "weights_over_1024", "macs",
             "params_match", "ops_match", "explanation")  # fmt: skip
    lines: list[tuple[Cell, ...]] = [
        (
            row.row,
            " ".join(row.roles),
            f"{row.printed_params.digits}K",
            f"{row.printed_ops.digits}M",
            str(row.weights),
            str(row.biases),
            str(row.weights / 1024),
            str(row.macs),
            row.params_match,
            row.ops_match,
            row.explanation,
        )
        for row in rows
    ]
    return Table("Table 1", tuple(Column(name, LEFT) for name in names), tuple(lines))


def number(value: float) -> str:
    """112896000 → `112,896,000`; a fraction keeps six digits."""
    return f"{value:,}" if isinstance(value, int) or value >= 1e6 else f"{value:.6g}"


def _figures(computed: Any) -> Iterator[tuple[str, str]]:
    """What came out as names and texts, whatever its shape: a number, a mapping, a list of either."""
    if isinstance(computed, Mapping):
        for name, value in computed.items():
            yield name, _text(value)
    elif isinstance(computed, Sequence) and computed and isinstance(computed[0], Mapping):
        for part in computed:
            yield str(part["name"]), _text({key: value for key, value in part.items() if key != "name"})
    else:
        yield "computed", _text(computed)


def _text(value: Any) -> str:
    if value is None:
        return "none"
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_text(own)}" for name, own in value.items())
    if isinstance(value, str):
        return value
    if isinstance(value, Sequence):
        return (
            "x".join(map(number, value))
            if all(isinstance(one, int) for one in value)
            else ", ".join(map(number, value))
        )
    return number(value)
