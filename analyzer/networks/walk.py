"""Shapes are inferred once, here: every consumer iterates the steps of `walk`."""

from __future__ import annotations

from collections.abc import Iterator
from math import prod
from typing import ClassVar, Literal, NamedTuple, TypeAlias

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape, shape_text
from analyzer.networks.spec import (
    Auxiliary,
    BatchNorm,
    Block,
    Branches,
    Conv,
    DepthwiseConv,
    Layer,
    Linear,
    Misfit,
    Network,
    Node,
    Sequence,
)

Mode: TypeAlias = Literal["inference", "training"]


class Concat(Frozen):
    """What `Branches` do at their end; no layer of any table, so it lives with the walk."""

    op: ClassVar[str] = "cat"


class Step(Frozen):
    """One operator of the network as it runs: where it is, what it is, the shapes it reads and makes.

    `learned`: whether its input depends on a parameter, so that a backward pass needs the input's gradient too.
    """

    path: str
    role: str
    layer: Layer | Concat
    inputs: tuple[Shape, ...]
    output: Shape
    learned: bool = False


class Signal(NamedTuple):
    """What flows from operator to operator: a shape, and whether a parameter had a part in it."""

    shape: Shape
    learned: bool


def walk(network: Network, input: Shape | None = None, *, batch: int = 1, mode: Mode = "inference") -> tuple[Step, ...]:
    """The network's operators in the order they run, with their shapes, batch first.

    `input` is (channels, height, width); None takes the network's own. Auxiliary heads are walked in training only.
    Raises AnalyzerError naming the layer that a shape does not fit.
    """
    sample = network.input if input is None else input
    if batch < 1 or any(size < 1 for size in sample):
        raise AnalyzerError(f"input {shape_text(sample)} with batch {batch}: every size must be at least 1")
    trail = _Trail(network.name, sample, mode)
    trail.trunk(network.trunk, Signal((batch, *sample), learned=False))
    if not trail.steps:
        raise AnalyzerError(f"{one_line(network.name)} has no layers; give its table at least one")
    return tuple(trail.steps)


class _Trail:
    """The walk under way: collects steps while it threads a signal through the tree."""

    def __init__(self, name: str, sample: Shape, mode: Mode) -> None:
        self.name, self.sample, self.mode = one_line(name), sample, mode
        self.steps: list[Step] = []

    def trunk(self, node: Sequence, signal: Signal) -> None:
        """The only place where side exits may stand: none, or the two that a built network returns."""
        exits = [name for name, part in node.parts.items() if isinstance(part, Auxiliary)]
        if len(exits) not in (0, 2):
            raise AnalyzerError(f"{self.name}: {len(exits)} auxiliary exits ({', '.join(exits)}); wanted none or two")
        for part, path, role in _children(node, "", ""):
            if not isinstance(part, Auxiliary):
                signal = self.node(part, path, role, signal)
            elif self.mode == "training":
                self.sequence(part, path, role, signal)

    def node(self, node: Node, path: str, role: str, signal: Signal) -> Signal:
        if isinstance(node, Block):
            node = node.tree()
        if isinstance(node, Auxiliary):
            raise AnalyzerError(f"{self.name}.{path}: an auxiliary exit inside a part; move it to a row of its own")
        if isinstance(node, Branches):
            return self.branches(node, path, role, signal)
        if isinstance(node, Sequence):
            return self.sequence(node, path, role, signal)
        shape, learned = signal
        if isinstance(node, DepthwiseConv):
            node = node.over(shape)
        try:
            output = node.output_shape(shape)
            if isinstance(node, BatchNorm) and self.mode == "training" and shape[0] * prod(shape[2:]) < 2:
                raise Misfit(
                    f"needs more than one value a channel in training, got {shape_text(shape)}; raise the batch"
                )
        except Misfit as misfit:
            raise AnalyzerError(f"{self.name}.{path} with input {shape_text(self.sample)}: {misfit}") from None
        self.steps.append(Step(path, role, node, (shape,), output, learned))
        return Signal(output, learned or isinstance(node, Conv | Linear | BatchNorm))

    def sequence(self, node: Sequence, path: str, role: str, signal: Signal) -> Signal:
        for part, child_path, child_role in _children(node, path, role):
            signal = self.node(part, child_path, child_role, signal)
        return signal

    def branches(self, node: Branches, path: str, role: str, signal: Signal) -> Signal:
        signals = [self.node(part, path_, role_, signal) for part, path_, role_ in _children(node, path, role)]
        outputs = tuple(made.shape for made in signals)
        batch, _, *size = outputs[0]
        for output in outputs[1:]:
            if [output[0], *output[2:]] != [batch, *size]:
                shapes = ", ".join(map(shape_text, outputs))
                raise AnalyzerError(f"{self.name}.{path}: cannot concatenate {shapes}; all but the channels must match")
        joined = (batch, sum(output[1] for output in outputs), *size)
        learned = any(made.learned for made in signals)
        self.steps.append(Step(path, role, Concat(), outputs, joined, learned))
        return Signal(joined, learned)


def _children(node: Sequence, path: str, role: str) -> Iterator[tuple[Node, str, str]]:
    for name, part in node.parts.items():
        yield part, join(path, name), join(role, node.roles.get(name, name))


def join(path: str, name: str) -> str:
    """`inception_3a` + `branch_1x1` → `inception_3a.branch_1x1`; an empty side adds nothing."""
    return f"{path}.{name}" if path and name else path or name
