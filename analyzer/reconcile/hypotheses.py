"""What a peer may have counted for an operator of ours: each hypothesis is a figure to the last unit and its causes.

Figures are in the peer's unit: `per_mac` of them a multiply-add, 1 for any other operation. No torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from math import gcd, prod
from typing import Literal, NamedTuple, TypeAlias

from analyzer.reconcile.families import family
from analyzer.records.record import Row

Kind: TypeAlias = Literal["convention", "skipped", "wrong formula", "counted twice"]
GATES = 10  # Operations a recurrent unit and step that are no products: the peers count 1 to 10.
ONE_BY_ONE = 6  # Rows of one operator of one module of which some may be skipped and others not.


class Term(NamedTuple):
    """A part of a difference: how much the peer counts more, or with a minus less, than we do, and why."""

    cause: Kind
    what: str
    op: str
    amount: int
    rows: int


class Option(NamedTuple):
    """The peer's figure under one hypothesis. Where several fit, the cheapest is taken: it supposes the least."""

    figure: int
    terms: tuple[Term, ...]
    cost: int


class Part(NamedTuple):
    """Our rows of one operator of one module, those that have multiply-adds.

    `places`: how many parents hold the module. `batch`: the samples in the pass, for rows that do not show it.
    """

    op: str
    rows: tuple[Row, ...]
    places: int = 1
    batch: int = 1

    @property
    def macs(self) -> int:
        return sum(row.macs for row in self.rows)


def options(part: Part, per_mac: int, *, named: bool) -> list[Option]:
    """Every hypothesis for one operator. `named`: the peer has a figure of its family, so that it is hardly skipped."""
    exact, rows = part.macs * per_mac, len(part.rows)

    def also(extras: Sequence[tuple[str, int]], base: int = exact, first: tuple[Term, ...] = ()) -> Option:
        terms = tuple(Term("convention", f"counts {what}", part.op, amount, rows) for what, amount in extras)
        cost = len(terms) + 2 * len(first)
        return Option(base + sum(amount for _, amount in extras), (*first, *terms), cost)

    beside = [[], *_beside(part)]
    found = [also(extras) for extras in beside]
    found.append(Option(0, (Term("skipped", "skipped", part.op, -exact, rows),), 2 if named else 1))
    if per_mac == 1 and part.places == 1:
        doubled = Term("convention", "counts a multiply-add as 2", part.op, exact, rows)
        found += [also(extras, 2 * exact, (doubled,)) for extras in beside]
    for what, macs, biases in _wrong_formulas(part):
        wrong = Term("wrong formula", what, part.op, macs * per_mac - exact, rows)
        own = [[("bias", biases)]] if biases else []
        found += [also(extras, macs * per_mac, (wrong,)) for extras in [*beside, *own]]
    # A hook that is set once for every parent of a shared module fires as often at each call.
    for times in range(2, part.places + 1):
        again = Term("counted twice", "counted twice", part.op, (times - 1) * exact, rows)
        found += [also([(what, times * n) for what, n in extras], times * exact, (again,)) for extras in beside]
    if 1 < rows <= ONE_BY_ONE:
        found += _one_by_one(part, per_mac)
    return found


def _beside(part: Part) -> Iterator[list[tuple[str, int]]]:
    """Operations that are no multiply-adds and that a peer may add to those of this operator."""
    kind = family(part.op)
    if kind == "attention":
        scores = sum(prod(row.inputs[0][:-1]) * row.inputs[1][-2] for row in part.rows if len(row.inputs) > 1)
        extras = [("softmax", scores), ("scaling", sum(prod(row.inputs[0]) for row in part.rows if row.inputs))]
        yield from (list(some) for n in (1, 2) for some in combinations(extras, n))
    elif kind == "recurrent cells":
        # Each matrix and each bias is applied once a step: what is no matrix is bias.
        params = sum(row.params for row in part.rows)
        biases = sum(prod(row.outputs[0][:-1]) * params - row.macs for row in part.rows)
        units = sum(map(_units, part.rows))
        bias = [("bias", biases)] if biases > 0 else []
        if bias:
            yield bias  # Who counts gates counts biases too: without them their sums could not be told apart.
        yield from ([*bias, ("gates", each * units)] for each in range(1, GATES + 1))
    else:
        biases = sum(row.flops - 2 * row.macs for row in part.rows)
        once = sum(row.biases for row in part.rows)
        if biases > 0:
            yield [("bias", biases)]
        if once and once != biases:
            yield [("bias once a call", once)]


def _units(row: Row) -> int:
    """Hidden units times steps. A whole layer hands out its last states, (layers and directions, batch, hidden)."""
    output, *states = row.outputs
    return prod(output[:-1]) * states[-1][0] * states[-1][-1] if states and len(states[-1]) == 3 else prod(output)


def _wrong_formulas(part: Part) -> Iterator[tuple[str, int, int]]:
    """Formulas that are known to be wrong: their multiply-adds, and the biases that they would count with them."""
    rows = part.rows
    weights, biases = sum(row.weights for row in rows), sum(row.biases for row in rows)
    if not all(row.inputs and row.outputs and len(row.outputs[0]) > 1 for row in rows):
        return
    if "conv_transpose" in part.op or "transposed" in part.op:
        # Each input element meets one filter; who multiplies by the output's size counts the stride in.
        sides = [(prod(row.outputs[0][2:]), prod(row.inputs[0][2:])) for row in rows]
        turned = [row.macs * out // into for row, (out, into) in zip(rows, sides, strict=True)]
        yield "by the output's side", sum(turned), 0
    if family(part.op) == "convolutions" and len(rows) == 1:
        for groups in _groups(rows[0]):
            yield f"leaves {groups} groups out", part.macs * groups, 0
            if part.macs % groups == 0:
                yield f"divides by {groups} groups twice", part.macs // groups, 0
    if family(part.op) == "matrix products" and weights:
        # Positions stand between batch and features, or are folded into the batch.
        samples = [row.outputs[0][0] if len(row.outputs[0]) > 2 else part.batch for row in rows]
        yield "once a sample", sum(samples) * weights, sum(samples) * biases
        ends = [prod(row.outputs[0][2:]) if len(row.outputs[0]) > 2 else row.outputs[0][-1] for row in rows]
        across = sum(n * end for n, end in zip(samples, ends, strict=True))
        yield "by a convolution's axes", across * weights, across * biases


def _groups(row: Row) -> Iterator[int]:
    """Numbers of groups that a filter's size allows, where it cannot be that of a whole convolution."""
    inputs, outputs = row.inputs[0][1], row.outputs[0][1]
    if row.weights % (inputs * outputs) == 0:
        return
    shared = gcd(inputs, outputs)
    yield from (n for n in range(2, shared + 1) if shared % n == 0 and row.weights * n % (inputs * outputs) == 0)


def _one_by_one(part: Part, per_mac: int) -> Iterator[Option]:
    """Some rows of the operator skipped, the others exact."""
    for n in range(1, len(part.rows)):
        for missed in combinations(part.rows, n):
            gone = sum(row.macs for row in missed) * per_mac
            yield Option(part.macs * per_mac - gone, (Term("skipped", "skipped", part.op, -gone, n),), 2)


def solve(choices: Sequence[Sequence[Option]], figure: int, *, limit: int = 50_000) -> tuple[Option, ...] | None:
    """One option of each, adding up to the figure and supposing the least; None if none does or there are too many."""
    reached: dict[int, tuple[int, tuple[Option, ...]]] = {0: (0, ())}
    for some in choices:
        further: dict[int, tuple[int, tuple[Option, ...]]] = {}
        for total, (cost, chosen) in reached.items():
            for option in some:
                sum_, price = total + option.figure, cost + option.cost
                if sum_ <= figure and (sum_ not in further or price < further[sum_][0]):
                    further[sum_] = (price, (*chosen, option))
        if len(further) > limit:
            return None
        reached = further
    return reached[figure][1] if figure in reached else None
