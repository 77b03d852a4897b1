"""The boxes of a network's drawing: modules, unfolded until each runs few operators; equal blocks are one box."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from analyzer.core.frozen import Frozen
from analyzer.core.shapes import shape_text
from analyzer.core.units import percent
from analyzer.records.rows import Module, Row, is_below, prefixes
from reports.counting.groups import TOP_LEVEL
from reports.page.module_tree import Node, kind, tree
from reports.page.network_views import NetworkView

MAX_STEPS = 12  # Operators in a box; a module that runs more may be unfolded.
MAX_PRODUCTS = 24  # Operators with MACs in a box that shows these alone.
MIN_OPERATORS = 3  # Of a module that is worth a box; unfolding a module into smaller ones would hide what they form.
METRICS = ("macs", "params", "traffic")  # A module without any of them is not drawn.
HIDDEN_OPS = {"relu", "relu6", "dropout", "flatten", "cat", "contiguous", "clone", "reshape", "view", "permute",
              "transpose", "identity", "unused"}  # fmt: skip
SHORT_NAMES = {"max_pool2d": "max pool", "avg_pool2d": "avg pool", "adaptive_avg_pool2d": "global pool",
               "local_response_norm": "LRN", "batch_norm": "norm", "layer_norm": "layer norm",
               "scaled_dot_product_attention": "attention"}  # fmt: skip
RowsBelow = Mapping[str, Sequence[Row]]


class Branch(Frozen):
    path: str
    steps: tuple[str, ...]


class Box(Frozen):
    """A module, or equal ones, of which `path` is the first and `paths` are all. `share` is that of the MACs.

    It shows its branches, or its `steps`, each a name and a text; `description` has two or fewer steps in one line.
    """

    name: str
    path: str
    paths: tuple[str, ...]
    shape: str
    share: float
    description: str = ""
    branches: tuple[Branch, ...] = ()
    steps: tuple[tuple[str, str], ...] = ()


def boxes(network: NetworkView) -> list[Box]:
    """The modules of the drawing in the order they run, without those that only reshape or clip."""
    below: dict[str, list[Row]] = {}
    for row in network.record.rows:
        for path in prefixes(row.path):
            below.setdefault(path, []).append(row)
    modules = {module.path: module for module in network.modules}
    whole = tree(network, METRICS)
    return [_box(node, whole, modules, below) for node in _unfolded(whole, modules, below)]


def _unfolded(parent: Node, modules: Mapping[str, Module], below: RowsBelow) -> Iterator[Node]:
    """The modules below `parent` that are boxes. One with products in its own forward, or with branches, is a box."""
    for node in parent.children:
        rows = below.get(node.path, ())
        if node.path == TOP_LEVEL or all(map(is_hidden, rows)):
            continue
        if _divides(node, below) and not _branches(node.path, modules, rows):
            yield from _unfolded(node, modules, below)
        else:
            yield node


def _divides(node: Node, below: RowsBelow) -> bool:
    """Whether a module has too many operators for a box, and modules inside that are worth boxes."""
    operators = _operators(node.path, below.get(node.path, ()))
    if node.repeat > 1 or len(operators) <= MAX_STEPS or any(row.path == node.path and row.macs for row in operators):
        return False
    inside = (_operators(child.path, below.get(child.path, ())) for child in node.children)
    return (
        any(len(parts) >= MIN_OPERATORS for parts in inside) or sum(bool(row.macs) for row in operators) > MAX_PRODUCTS
    )


def _box(node: Node, whole: Node, modules: Mapping[str, Module], below: RowsBelow) -> Box:
    rows = below[node.path]
    outputs = modules[node.path].outputs
    box = Box(
        name=node.label if node.repeat > 1 else node.path,
        path=node.path,
        paths=node.paths,
        shape=shape_text(outputs[0][1:]) if outputs else "",
        share=node.share("macs", whole),
    )
    if branches := _branches(node.path, modules, rows):
        return box.replace(branches=branches)
    operators = _operators(node.path, rows) or [row for row in rows if not is_hidden(row)]
    if len(operators) <= 2:
        return box.replace(description=", ".join(map(step, operators)))
    if len(operators) > MAX_STEPS:
        operators = [row for row in operators if row.macs]
    if len(operators) <= MAX_PRODUCTS:
        return box.replace(steps=tuple((row.path[len(node.path) + 1 :], step(row)) for row in operators))
    parts = [
        (part.label, f"{percent(part.share('macs', node))} of it") for part in node.children if part.values["macs"]
    ]
    return box.replace(steps=tuple(parts[:MAX_PRODUCTS]))


def _branches(path: str, modules: Mapping[str, Module], rows: Sequence[Row]) -> tuple[Branch, ...]:
    """A module has branches if a `cat` in its own forward joins exactly the outputs of its children."""
    joined = next((row.inputs for row in rows if row.path == path and row.op == "cat"), None)
    if joined is None:
        return ()
    children = [module for module in modules.values() if module.path.rpartition(".")[0] == path]
    if [child.outputs[:1] for child in children] != [(shape,) for shape in joined]:
        return ()
    return tuple(Branch(child.path, _steps(child.path, rows)) for child in children)


def _steps(path: str, rows: Sequence[Row]) -> tuple[str, ...]:
    return tuple(map(step, _operators(path, rows))) or ("identity",)


def _operators(path: str, rows: Sequence[Row]) -> list[Row]:
    """The operators of a module that are drawn."""
    return [row for row in rows if is_below(row.path, path) and not is_hidden(row) and row.op != "batch_norm"]


def is_hidden(row: Row) -> bool:
    return row.op.removesuffix("_") in HIDDEN_OPS


def step(row: Row) -> str:
    """`3x3 → 208` for a convolution's kernel and output channels, `linear → 1000`; the operator's name for all else."""
    if row.op == "conv2d" and row.outputs and row.inputs:
        kernel = _kernel(row)
        return f"{kernel} → {row.outputs[0][1]}" if len(row.outputs[0]) > 1 else kernel
    name = operator_name(row)
    return f"{name} → {row.outputs[0][-1]}" if name == "linear" and row.outputs and row.outputs[0] else name


def operator_name(row: Row) -> str:
    """A short name: that of the product for linear layers, and for operators that write in place that of the others."""
    if kind(row) == "linear":
        return "linear"
    name = row.op if row.op.startswith("_") else row.op.removesuffix("_")
    return SHORT_NAMES.get(name, name)


def _kernel(row: Row) -> str:
    """`3x3`, or "conv" in records without kernels."""
    return shape_text(row.kernel) if row.kernel else "conv"
