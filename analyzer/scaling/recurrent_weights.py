"""The weights of recurrent layers as a sum of products: of each gate with the input and the hidden state."""

from __future__ import annotations

from math import prod

from analyzer.records.rows import Row
from analyzer.scaling.terms import Term, product

GATES = {"lstm": 4, "gru": 3, "rnn": 1}


def recurrent_weights(row: Row, steps: int | None = None) -> tuple[Term, ...]:
    """The terms of the first layer and of those above it; with `steps` of as many multiply-adds.

    Empty if the row is no recurrent layer, or of another structure, such as with projections.
    """
    gates = next((number for name, number in GATES.items() if row.op.startswith(name)), 0)
    if not gates or not row.inputs or not row.inputs[0] or not row.outputs or not row.outputs[0]:
        return ()
    inputs, outputs = row.inputs[0][-1], row.outputs[0][-1]
    repeated = {} if steps is None else {"batch and steps": steps}
    for directions in (1, 2):
        hidden = outputs // directions
        first = gates * directions * hidden * (inputs + hidden)
        other = gates * directions * hidden * (outputs + hidden)
        if hidden * directions != outputs or (row.weights - first) % other or row.weights < first:
            continue
        sizes = {**repeated, "gates": gates, "directions": directions, "hidden": hidden}
        terms = [product("first layer", **sizes, **{"(inputs + hidden)": inputs + hidden})]
        if further := (row.weights - first) // other:
            above = {**sizes, "layers above": further, "(outputs + hidden)": outputs + hidden}
            terms.append(product("layers above the first", **above))
        return tuple(terms)
    return ()


def steps_of(row: Row) -> int:
    """The positions of all sequences of a recurrent layer."""
    return prod(row.outputs[0][:-1]) if row.outputs and row.outputs[0] else 0
