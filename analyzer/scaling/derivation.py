"""How a number of a row comes about: its formula with symbols and with numbers, from the row's shapes alone.

A derivation is kept only if its product or sum is the row's number. It shares no code with the counters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from math import prod

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape
from analyzer.records.rows import Row, total
from analyzer.scaling.recurrent_weights import recurrent_weights, steps_of
from analyzer.scaling.terms import Factor, Term, product

ELEMENT_BYTES = (4, 2, 8, 1)
MATRIX = re.compile("linear|mm|matmul")  # Operators whose weights are a matrix over the last size of the input.


class Derivation(Frozen):
    """A number of one row as a sum of products; no terms if it cannot be derived from the row's shapes."""

    row: Row
    metric: str
    value: int
    terms: tuple[Term, ...] = ()


def number(row: Row, metric: str) -> int:
    """A metric of a row; 0 without backward pass."""
    return int(total([row]).value(metric) or 0)


def derive(row: Row, metric: str) -> Derivation:
    """The derivation of one of METRICS of a row."""
    value = number(row, metric)
    for terms in METRICS[metric](row):
        if value and sum(term.value for term in terms) == value:
            return Derivation(row, metric, value, terms)
    return Derivation(row, metric, value)


def _params(row: Row) -> Iterator[tuple[Term, ...]]:
    biases = (product("biases", biases=row.biases),) if row.biases else ()
    if row.kernel and row.groups and row.weights:
        channels = row.weights // prod(row.kernel) // (row.inputs[0][1] // row.groups)
        yield (product("weights", out_channels=channels, **_inputs_per_output(row)), *biases)
    if recurrent := recurrent_weights(row):
        yield (*recurrent, *biases)
    if MATRIX.search(row.op) and row.inputs and row.inputs[0] and row.weights % row.inputs[0][-1] == 0:
        inputs = row.inputs[0][-1]
        yield (product("weights", out_features=row.weights // inputs, in_features=inputs), *biases)
    yield (product("weights", elements=row.weights), *biases)


def _macs(row: Row) -> Iterator[tuple[Term, ...]]:
    yield recurrent_weights(row, steps_of(row))
    output = row.outputs[0] if row.outputs else ()
    if row.kernel and row.groups:
        if "transpose" in row.op:
            per_input = {"out channels per group": output[1] // row.groups, **_window(row)}
            yield (product("products", **_sizes(row.inputs[0], "input"), **per_input),)
        yield (product("products", **_sizes(output), **_inputs_per_output(row)),)
    for features in dict.fromkeys(shape[-1] for shape in row.inputs if shape):
        yield (product("products", **_sizes(output), in_features=features),)
    if "attention" in row.op and len(row.inputs) >= 3:
        query, key, value = row.inputs[:3]
        pairs = {"batch and heads": prod(query[:-2]), "queries": query[-2], "keys": key[-2]}
        scores = product("scores", **pairs, head_width=query[-1])
        yield scores, product("weighted values", **pairs, value_width=value[-1])
    yield from _per_element(row, row.macs, "multiply-adds")


def _flops(row: Row) -> Iterator[tuple[Term, ...]]:
    elements = prod(row.outputs[0]) if row.outputs else 0
    if row.macs:
        macs = product("two per MAC", **{"2": 2}, MACs=row.macs)
        yield (macs,)
        yield macs, product("bias, one addition per output", outputs=elements)
        if elements and (row.flops - 2 * row.macs) % elements == 0:
            yield macs, product("other", outputs=elements, each=(row.flops - 2 * row.macs) // elements)
    if row.macs and "attention" in row.op and len(row.inputs) >= 3:
        pairs = prod(row.inputs[0][:-1]) * row.inputs[1][-2]
        if (row.flops - 2 * row.macs) % pairs == 0:
            each = (row.flops - 2 * row.macs) // pairs
            yield macs, product("scaling and softmax", scores=pairs, each=each)
    if row.kernel:
        yield (product("window per output", outputs=elements, **_window(row)),)
    yield from _per_element(row, row.flops, "operations")


def _activations(row: Row) -> Iterator[tuple[Term, ...]]:
    yield tuple(product("output elements", **_sizes(shape)) for shape in row.outputs)


def _bytes_read(row: Row) -> Iterator[tuple[Term, ...]]:
    inputs = sum(map(prod, row.inputs))
    for size in ELEMENT_BYTES:
        read = product("inputs read", input_elements=inputs, bytes=size)
        if row.params:
            yield read, product("parameters read", parameters=row.params, bytes=size)
        yield (read,)
        if "embedding" in row.op:
            rows = product("rows read", row_elements=sum(map(prod, row.outputs)), bytes=size)
            yield product("indices read", indices=inputs, bytes=8), rows
    if len(row.inputs) == 1 and "batch_norm" in row.op:
        # Scale, shift and running statistics: 4 per channel.
        channels = {"per channel": 4, "channels": row.inputs[0][1], "bytes": 4}
        yield product("inputs read", input_elements=inputs, bytes=4), product("statistics read", **channels)


def _bytes_written(row: Row) -> Iterator[tuple[Term, ...]]:
    for size in ELEMENT_BYTES:
        written = product("outputs written", output_elements=sum(map(prod, row.outputs)), bytes=size)
        yield (written,)
        if len(row.inputs) == 1 and "batch_norm" in row.op:
            channels = {"per channel": 2, "channels": row.inputs[0][1], "bytes": 4}
            yield written, product("statistics written", **channels)


def _traffic(row: Row) -> Iterator[tuple[Term, ...]]:
    yield (*derive(row, "bytes_read").terms, *derive(row, "bytes_written").terms)


def _backward_macs(row: Row) -> Iterator[tuple[Term, ...]]:
    """The gradient of the weights and that of the input each cost the products of the forward pass."""
    yield _repeated(row, "gradients", number(row, "backward_macs"))


def _recomputed_macs(row: Row) -> Iterator[tuple[Term, ...]]:
    yield _repeated(row, "forward passes again", number(row, "recomputed_macs"))


def _repeated(row: Row, name: str, value: int) -> tuple[Term, ...]:
    """The products of the forward pass several times; the caller checks the result."""
    times = value // row.macs if row.macs else 0
    return tuple(Term(name, (Factor(name, times), *term.factors)) for term in derive(row, "macs").terms)


def _backward_flops(row: Row) -> Iterator[tuple[Term, ...]]:
    yield (product("two per MAC of the gradients", **{"2": 2}, MACs_of_gradients=number(row, "backward_macs")),)


def _step_macs(row: Row) -> Iterator[tuple[Term, ...]]:
    yield _repeated(row, "forward and gradients", number(row, "step_macs"))


def _step_flops(row: Row) -> Iterator[tuple[Term, ...]]:
    again = number(row, "recomputed_macs") + number(row, "backward_macs")
    forward = product("forward pass", forward_FLOPs=row.flops)
    yield (forward,)
    yield forward, product("two per further MAC", **{"2": 2}, further_MACs=again)


METRICS: dict[str, Callable[[Row], Iterator[tuple[Term, ...]]]] = {
    "params": _params,
    "macs": _macs,
    "flops": _flops,
    "activations": _activations,
    "bytes_read": _bytes_read,
    "bytes_written": _bytes_written,
    "traffic": _traffic,
    "backward_macs": _backward_macs,
    "recomputed_macs": _recomputed_macs,
    "backward_flops": _backward_flops,
    "step_macs": _step_macs,
    "step_flops": _step_flops,
}
IN_TRAINING = ("backward_macs", "recomputed_macs", "backward_flops", "step_macs", "step_flops")


def _per_element(row: Row, value: int, what: str) -> Iterator[tuple[Term, ...]]:
    """A whole number per element of the output, or of the first input."""
    for name, shapes in (("outputs", row.outputs), ("inputs", row.inputs)):
        elements = prod(shapes[0]) if shapes else 0
        if elements and value % elements == 0:
            yield (product(f"{what} per element", **{name: elements, "each": value // elements}),)


def _inputs_per_output(row: Row) -> dict[str, int]:
    assert row.groups is not None
    name = "in channels" if row.groups == 1 else f"in channels / {row.groups} groups"
    return {name: row.inputs[0][1] // row.groups, **_window(row)}


def _window(row: Row) -> dict[str, int]:
    names = ("kernel depth", "kernel height", "kernel width")
    kernel = row.kernel or ()
    return dict(zip(names[-len(kernel) :], kernel, strict=True)) if kernel else {}


def _sizes(shape: Shape, prefix: str = "out") -> dict[str, int]:
    """Names of a shape's sizes: of an image, or of rows of features."""
    names = {
        2: ("batch", "features"),
        3: ("batch", "positions", "features"),
        4: ("batch", "channels", "height", "width"),
        5: ("batch", "channels", "depth", "height", "width"),
    }.get(len(shape), tuple(f"size {number}" for number in range(len(shape))))
    return {name if name == "batch" else f"{prefix} {name}": size for name, size in zip(names, shape, strict=True)}
