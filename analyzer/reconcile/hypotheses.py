"""Hypotheses about a peer's count of one operator: each is an exact figure with its causes.

Figures are in the peer's unit: a MAC is `per_mac` units, any other operation 1. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import gcd, prod
from typing import Literal, NamedTuple, TypeAlias

from analyzer.reconcile.families import family
from analyzer.records.rows import Row

CauseKind: TypeAlias = Literal["convention", "skipped", "wrong formula", "counted twice"]
MAX_GATE_OPERATIONS = 10  # Per unit and step of a recurrent cell; the peers count 1 to 10.
MAX_PARTLY_SKIPPED = 6  # Rows of one operator of one module; beyond it, 2^n subsets are too many to try.


class Term(NamedTuple):
    """A part of the difference: how much more (negative: less) the peer counts than macscope, and the cause."""

    cause: CauseKind
    what: str
    op: str
    amount: int
    rows: int


class Hypothesis(NamedTuple):
    """The peer's figure under a set of assumptions; `cost` grows with their number, and the cheapest wins."""

    figure: int
    terms: tuple[Term, ...]
    cost: int


class OperatorRows(NamedTuple):
    """macscope's rows with MACs of one operator of one module.

    `parents`: how many parents contain the module. `batch`: the batch size, for rows whose shapes do not show it.
    """

    op: str
    rows: tuple[Row, ...]
    parents: int = 1
    batch: int = 1

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)


def hypotheses(operator: OperatorRows, per_mac: int, *, named: bool) -> list[Hypothesis]:
    """Every hypothesis for an operator. `named`: the peer has a figure of its family, so skipping is less likely."""
    exact, rows = operator.macs * per_mac, len(operator.rows)

    def variants(base: int, assumption: Term | None = None, *, times: int = 1, biases: int = 0) -> Iterator[Hypothesis]:
        for extra in [[], *extras, *([[("bias", biases)]] if biases else [])]:
            terms = [Term("convention", f"counts {what}", operator.op, times * n, rows) for what, n in extra]
            assumptions = (assumption,) if assumption else ()
            figure = base + sum(term.amount for term in terms)
            yield Hypothesis(figure, (*assumptions, *terms), len(terms) + 2 * len(assumptions))

    extras = list(_extra_operations(operator))
    candidates = list(variants(exact))
    candidates.append(Hypothesis(0, (Term("skipped", "skipped", operator.op, -exact, rows),), 2 if named else 1))
    if per_mac == 1 and operator.parents == 1:
        candidates += variants(2 * exact, Term("convention", "counts a multiply-add as 2", operator.op, exact, rows))
    for what, macs, biases in _wrong_formulas(operator):
        wrong = Term("wrong formula", what, operator.op, macs * per_mac - exact, rows)
        candidates += variants(macs * per_mac, wrong, biases=biases)
    # A peer that sets its hook once per parent of a shared module counts each call that many times.
    for times in range(2, operator.parents + 1):
        repeated = Term("counted twice", "counted twice", operator.op, (times - 1) * exact, rows)
        candidates += variants(times * exact, repeated, times=times)
    if 1 < rows <= MAX_PARTLY_SKIPPED:
        candidates += _partly_skipped(operator, per_mac)
    return candidates


def _extra_operations(operator: OperatorRows) -> Iterator[list[tuple[str, int]]]:
    """Operations other than MACs that a peer may add to this operator: combinations of (name, amount)."""
    kind = family(operator.op)
    if kind == "attention":
        scores = sum(prod(row.inputs[0][:-1]) * row.inputs[1][-2] for row in operator.rows if len(row.inputs) > 1)
        extras = [("softmax", scores), ("scaling", sum(prod(row.inputs[0]) for row in operator.rows if row.inputs))]
        yield from (list(some) for n in (1, 2) for some in combinations(extras, n))
    elif kind == "recurrent cells":
        # Each weight and each bias is applied once per step: all applications that are not MACs are biases.
        params = sum(row.params for row in operator.rows)
        biases = sum(prod(row.outputs[0][:-1]) * params - row.macs for row in operator.rows)
        units = sum(map(_hidden_units, operator.rows))
        bias = [("bias", biases)] if biases > 0 else []
        if bias:
            yield bias  # Gates come with biases only: their sums would otherwise be ambiguous.
        yield from ([*bias, ("gates", n * units)] for n in range(1, MAX_GATE_OPERATIONS + 1))
    else:
        biases = sum(row.flops - 2 * row.macs for row in operator.rows)
        bias_parameters = sum(row.biases for row in operator.rows)
        if biases > 0:
            yield [("bias", biases)]
        if bias_parameters and bias_parameters != biases:
            yield [("bias once a call", bias_parameters)]


def _hidden_units(row: Row) -> int:
    """Hidden units times steps. A whole layer also returns its last states, (layers x directions, batch, hidden)."""
    output, *states = row.outputs
    return prod(output[:-1]) * states[-1][0] * states[-1][-1] if states and len(states[-1]) == 3 else prod(output)


def _wrong_formulas(operator: OperatorRows) -> Iterator[tuple[str, int, int]]:
    """Known wrong formulas: (name, the MACs they give, the biases that they would count with them)."""
    rows = operator.rows
    weights, biases = sum(row.weights for row in rows), sum(row.biases for row in rows)
    if not all(row.inputs and row.outputs and len(row.outputs[0]) > 1 for row in rows):
        return
    if "conv_transpose" in operator.op or "transposed" in operator.op:
        # Each input element is multiplied by one filter; multiplying by the output's size instead includes the stride.
        sizes = [(prod(row.outputs[0][2:]), prod(row.inputs[0][2:])) for row in rows]
        by_output = [row.macs * output // input for row, (output, input) in zip(rows, sizes, strict=True)]
        yield "by the output's side", sum(by_output), 0
    if family(operator.op) == "convolutions" and len(rows) == 1:
        for groups in _possible_groups(rows[0]):
            yield f"leaves {groups} groups out", operator.macs * groups, 0
            if operator.macs % groups == 0:
                yield f"divides by {groups} groups twice", operator.macs // groups, 0
    if family(operator.op) == "matrix products" and weights:
        # Positions are between the batch and the features, or folded into the batch.
        samples = [row.outputs[0][0] if len(row.outputs[0]) > 2 else operator.batch for row in rows]
        yield "once a sample", sum(samples) * weights, sum(samples) * biases
        trailing = [prod(row.outputs[0][2:]) if len(row.outputs[0]) > 2 else row.outputs[0][-1] for row in rows]
        positions = sum(n * size for n, size in zip(samples, trailing, strict=True))
        yield "by a convolution's axes", positions * weights, positions * biases


def _possible_groups(row: Row) -> Iterator[int]:
    """Numbers of groups that fit the filter's size; none if the convolution has a single group."""
    inputs, outputs = row.inputs[0][1], row.outputs[0][1]
    if row.weights % (inputs * outputs) == 0:
        return
    shared = gcd(inputs, outputs)
    yield from (n for n in range(2, shared + 1) if shared % n == 0 and row.weights * n % (inputs * outputs) == 0)


def _partly_skipped(operator: OperatorRows, per_mac: int) -> Iterator[Hypothesis]:
    """Some rows of the operator skipped, the others exact."""
    for n in range(1, len(operator.rows)):
        for skipped in combinations(operator.rows, n):
            missing = sum(row.macs for row in skipped) * per_mac
            term = Term("skipped", "skipped", operator.op, -missing, n)
            yield Hypothesis(operator.macs * per_mac - missing, (term,), 2)


def solve(
    choices: Sequence[Sequence[Hypothesis]], figure: int, *, limit: int = 50_000
) -> tuple[Hypothesis, ...] | None:
    """One hypothesis from each choice with the given sum and the least cost: subset sum by dynamic programming.

    None if there is no solution, or if more than `limit` partial sums are reachable.
    """
    reached: dict[int, tuple[int, tuple[Hypothesis, ...]]] = {0: (0, ())}
    for choice in choices:
        extended: dict[int, tuple[int, tuple[Hypothesis, ...]]] = {}
        for total, (cost, chosen) in reached.items():
            for hypothesis in choice:
                next_total, next_cost = total + hypothesis.figure, cost + hypothesis.cost
                if next_total <= figure and (next_total not in extended or next_cost < extended[next_total][0]):
                    extended[next_total] = (next_cost, (*chosen, hypothesis))
        if len(extended) > limit:
            return None
        reached = extended
    return reached[figure][1] if figure in reached else None
