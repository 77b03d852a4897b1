"""The modules of a network as a tree for charts: equal neighbors folded, such as 24 x block, and operators by kind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from math import prod

from analyzer.core.frozen import Frozen
from analyzer.core.units import percent
from analyzer.records.rows import Row
from reports.counting.groups import TOP_LEVEL
from reports.page.network_views import NetworkView

NEARLY_ALL = 0.9  # A module with this share of its parent hides the level at which the compute divides.
NEGLIGIBLE = 0.005  # Parts below this share are not named in sentences.
MIN_REPEATS = 3
PRODUCTS = ("linear", "bilinear", "addmm", "mm", "matmul", "bmm", "baddbmm", "addmv", "einsum")
RECURRENT = ("lstm", "gru", "rnn")
Values = Mapping[str, float]


class Node(Frozen):
    """A module with the sums of its rows, or `repeat` equal modules with theirs; `path` is the first of `paths`.

    `kind` is the kind of operator with the most MACs in it, or without MACs the most parameters, then FLOPs.
    """

    paths: tuple[str, ...]
    label: str
    repeat: int
    kind: str
    values: Values
    children: tuple[Node, ...] = ()

    @property
    def path(self) -> str:
        return self.paths[0]

    def share(self, metric: str, whole: Node) -> float:
        total = whole.values.get(metric, 0)
        return self.values.get(metric, 0) / total if total else 0.0


def kind(row: Row) -> str:
    """The kind of an operator: what its MACs or parameters are for."""
    op = row.op
    if "conv" in op:
        return _convolution(row)
    if op.startswith("embedding"):
        return "embedding"
    if any(op.startswith(name) for name in RECURRENT):
        return "recurrent"
    if "attention" in op:
        return "attention"
    if op.startswith(PRODUCTS):
        return "linear" if row.weights else "matrix product"
    if op.endswith("_norm") or op == "local_response_norm":
        return "normalization"
    return "pooling" if "pool" in op else "other"


def _convolution(row: Row) -> str:
    if (row.groups or 1) > 1:
        return "grouped convolution"
    if not row.kernel:
        return "convolution"
    size = prod(row.kernel)
    return "1x1 convolution" if size == 1 else "3x3 convolution" if row.kernel == (3, 3) else "larger convolution"


def tree(network: NetworkView, metrics: Sequence[str]) -> Node:
    """The whole network. `metrics` are keys of `Totals.value`, or "time" in seconds."""
    times_s = network.module_times_s
    kinds = _kinds(network.record.rows)
    values = {
        module.path: {
            metric: times_s.get(module.path, 0.0) if metric == "time" else module.totals.value(metric) or 0
            for metric in metrics
        }
        for module in network.parts
    }
    children: dict[str, list[str]] = {}
    for path, numbers in values.items():
        if any(numbers.values()):
            children.setdefault("" if path == TOP_LEVEL else path.rpartition(".")[0], []).append(path)

    def node(path: str) -> Node:
        below = _folded([node(child) for child in children.get(path, ())])
        label = path if path == TOP_LEVEL else path.rpartition(".")[2]
        if label.isdigit():
            label = ".".join(path.split(".")[-2:])  # `mlp.0`: a number alone names nothing.
        return Node((path,), label, 1, kinds.get(path, "other"), values[path], below)

    whole = {
        metric: times_s.get("", 0.0) if metric == "time" else network.totals.value(metric) or 0 for metric in metrics
    }
    return Node(("",), network.name, 1, "", whole, _folded([node(path) for path in children.get("", ())]))


def _kinds(rows: Sequence[Row]) -> dict[str, str]:
    """The most important kind of operator of every module."""
    weights: dict[str, Counter[str]] = {}
    for row in rows:
        weight = (row.macs or 0) * 1e12 + row.params * 1e3 + row.flops * 1e-6 + 1e-12
        parts = row.path.split(".") if row.path else [TOP_LEVEL]
        for depth in range(len(parts)):
            weights.setdefault(".".join(parts[: depth + 1]), Counter())[kind(row)] += weight  # type: ignore[assignment]
    return {path: counter.most_common(1)[0][0] for path, counter in weights.items()}


def _folded(siblings: Sequence[Node]) -> tuple[Node, ...]:
    """Neighbors of the same name but for its number, structure and counts as one node with the sums of all."""
    runs: list[list[Node]] = []
    for node in siblings:
        if runs and _stem(runs[-1][0].label) == _stem(node.label) and _signature(runs[-1][0]) == _signature(node):
            runs[-1].append(node)
        else:
            runs.append([node])
    folded: list[Node] = []
    for run in runs:
        folded += [_merged(run, len(run))] if len(run) >= MIN_REPEATS else run
    return tuple(folded)


def _stem(label: str) -> str:
    """A name without its number: `encoder_layer_12` → `encoder_layer`."""
    return label.rstrip("0123456789").rstrip("_.").lstrip("0123456789.")


def _signature(node: Node) -> object:
    counts = tuple(value for metric, value in node.values.items() if metric != "time")
    return (
        node.repeat,
        node.kind,
        counts,
        tuple((child.path.rpartition(".")[2], _signature(child)) for child in node.children),
    )


def _merged(nodes: Sequence[Node], repeat: int) -> Node:
    first = nodes[0]
    sums = {metric: sum(node.values[metric] for node in nodes) for metric in first.values}
    below = tuple(_merged(same, 1) for same in zip(*(node.children for node in nodes), strict=True))
    number = first.repeat * repeat
    label = first.label
    if repeat > 1:
        label = f"{number} × {_stem(label) or 'block'}"
    paths = tuple(path for node in nodes for path in node.paths)
    return first.replace(paths=paths, label=label, repeat=number, values=sums, children=below)


def walk(node: Node, parent: str = "") -> Iterator[tuple[Node, str]]:
    """Every node below `node` with the path of its parent, parents first."""
    for child in node.children:
        yield child, parent
        yield from walk(child, child.path)


def level(whole: Node, metric: str) -> list[Node]:
    """The nodes from the whole down to where the compute divides: each is nearly all of the one before."""
    nodes = [whole]
    while nodes[-1].values.get(metric):
        largest = max(nodes[-1].children, key=lambda child: child.values[metric], default=None)
        if largest is None or largest.share(metric, nodes[-1]) < NEARLY_ALL:
            break
        nodes.append(largest)
    return nodes


def division(whole: Node, metric: str, most: int = 3) -> str:
    """Where a metric is: `51.8 % of them in conv2 and inception_3b`, `99.7 % of them in 24 × block (mlp 66.1 %, …)`."""
    chain = level(whole, metric)
    node = chain[-1]
    parts = sorted(node.children, key=lambda child: -child.values[metric])
    if len(chain) > 1:
        if not parts:
            return f"{percent(node.share(metric, whole))} of them in {node.path}"
        large = [part for part in parts[:most] if part.share(metric, node) >= NEGLIGIBLE]
        shares = ", ".join(f"{part.label} {percent(part.share(metric, node))}" for part in large)
        name = node.label if any(step.repeat > 1 for step in chain) else node.path
        return f"{percent(node.share(metric, whole))} of them in {name} ({shares} of it)"
    if not parts:
        return ""
    total = 0.0
    for count, part in enumerate(parts[:most], 1):
        total += part.share(metric, whole)
        if total >= 0.5:
            names = [part.label for part in parts[:count]]
            return (
                f"{percent(total)} of them in {names[0] if count == 1 else ', '.join(names[:-1]) + ' and ' + names[-1]}"
            )
    return f"the largest part, {percent(parts[0].share(metric, whole))}, in {parts[0].label}"
