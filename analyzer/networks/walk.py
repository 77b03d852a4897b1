"""Shape inference over a network spec: `walk` gives its operators in the order they run, for all consumers."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
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
    Dropout,
    Flatten,
    Layer,
    Linear,
    Network,
    Node,
    Sequential,
    ShapeError,
)

Mode: TypeAlias = Literal["inference", "training"]


class Concat(Frozen):
    """The concatenation at the end of `Branches`. It is in no table."""

    op: ClassVar[str] = "cat"


class Step(Frozen):
    """One operator: its path and role, its layer, its input and output shapes.

    `sources`: positions of the steps that made the inputs.
    `input_requires_grad`: an earlier operator has parameters, so the backward pass also needs the input's gradient.
    """

    path: str
    role: str
    layer: Layer | Concat
    inputs: tuple[Shape, ...]
    output: Shape
    input_requires_grad: bool = False
    sources: tuple[int, ...] = ()

    def __hash__(self) -> int:
        return hash((self.path, self.inputs, self.output))  # Enough to tell steps apart, and fast.


class Activation(NamedTuple):
    """A tensor between operators: its shape, whether it depends on a parameter, and the step that made it."""

    shape: Shape
    requires_grad: bool
    step: int | None = None


def walk(network: Network, input: Shape | None = None, *, batch: int = 1, mode: Mode = "inference") -> tuple[Step, ...]:
    """The network's operators in the order they run, with their shapes, batch first.

    `input` is (channels, height, width); None is the network's default. Auxiliary heads are walked in training only.
    Raises AnalyzerError naming the layer whose input shape does not fit.
    """
    sample = network.input if input is None else input
    if batch < 1 or any(size < 1 for size in sample):
        raise AnalyzerError(f"input {shape_text(sample)} with batch {batch}: every size must be at least 1")
    walker = _Walker(network.name, sample, mode)
    walker.trunk(network.trunk, Activation((batch, *sample), requires_grad=False))
    if not walker.steps:
        raise AnalyzerError(f"{one_line(network.name)} has no layers; give its table at least one")
    return tuple(walker.steps)


class _Walker:
    """Passes an activation through the tree and collects the steps."""

    def __init__(self, name: str, sample: Shape, mode: Mode, first: int = 0) -> None:
        self.name, self.sample, self.mode, self.first = one_line(name), sample, mode, first
        self.steps: list[Step] = []

    @property
    def last(self) -> int:
        """The position of the last step in the network."""
        return self.first + len(self.steps) - 1

    def trunk(self, node: Sequential, activation: Activation) -> None:
        """Auxiliary heads are allowed only here: none, or the two in the `Outputs` of a built network."""
        heads = [name for name, child in node.children.items() if isinstance(child, Auxiliary)]
        if len(heads) not in (0, 2):
            raise AnalyzerError(f"{self.name}: {len(heads)} auxiliary heads ({', '.join(heads)}); wanted none or two")
        for child, path, role in _children(node, "", ""):
            if not isinstance(child, Auxiliary):
                activation = self.node(child, path, role, activation)
            elif self.mode == "training":
                self.sequential(child, path, role, activation)

    def node(self, node: Node, path: str, role: str, activation: Activation) -> Activation:
        if isinstance(node, Block):
            steps, made = _block(node, path, role, activation, self.last + 1, self.name, self.sample, self.mode)
            self.steps += steps
            return made
        if isinstance(node, Auxiliary):
            raise AnalyzerError(f"{self.name}.{path}: an auxiliary head inside a module; move it to the top level")
        if isinstance(node, Branches):
            return self.branches(node, path, role, activation)
        if isinstance(node, Sequential):
            return self.sequential(node, path, role, activation)
        shape, requires_grad, source = activation
        if isinstance(node, DepthwiseConv):
            node = node.as_conv(shape)
        try:
            output = node.output_shape(shape)
            if isinstance(node, BatchNorm) and self.mode == "training" and shape[0] * prod(shape[2:]) < 2:
                raise ShapeError(
                    f"needs more than one value per channel in training, got {shape_text(shape)}; raise the batch"
                )
        except ShapeError as error:
            raise AnalyzerError(f"{self.name}.{path} with input {shape_text(self.sample)}: {error}") from None
        sources = () if source is None else (source,)
        self.steps.append(Step(path, role, node, (shape,), output, requires_grad, sources))
        made_by = source if self._is_identity(node) else self.last
        return Activation(output, requires_grad or isinstance(node, Conv | Linear | BatchNorm), made_by)

    def _is_identity(self, node: Layer) -> bool:
        """Whether the layer computes nothing: its output is its input or a view of it."""
        return isinstance(node, Flatten) or (isinstance(node, Dropout) and (self.mode == "inference" or not node.p))

    def sequential(self, node: Sequential, path: str, role: str, activation: Activation) -> Activation:
        for child, child_path, child_role in _children(node, path, role):
            activation = self.node(child, child_path, child_role, activation)
        return activation

    def branches(self, node: Branches, path: str, role: str, activation: Activation) -> Activation:
        activations = [
            self.node(child, path_, role_, activation) for child, path_, role_ in _children(node, path, role)
        ]
        outputs = tuple(branch.shape for branch in activations)
        batch, _, *size = outputs[0]
        for output in outputs[1:]:
            if [output[0], *output[2:]] != [batch, *size]:
                shapes = ", ".join(map(shape_text, outputs))
                raise AnalyzerError(f"{self.name}.{path}: cannot concatenate {shapes}; all but the channels must match")
        joined = (batch, sum(output[1] for output in outputs), *size)
        requires_grad = any(branch.requires_grad for branch in activations)
        sources = tuple(sorted({branch.step for branch in activations if branch.step is not None}))
        self.steps.append(Step(path, role, Concat(), outputs, joined, requires_grad, sources))
        return Activation(joined, requires_grad, self.last)


@lru_cache(maxsize=512)
def _block(
    block: Block, path: str, role: str, activation: Activation, first: int, name: str, sample: Shape, mode: Mode
) -> tuple[tuple[Step, ...], Activation]:
    """The steps of a block, from the position `first`, and its output. Variants of a network share most blocks."""
    walker = _Walker(name, sample, mode, first)
    output = walker.node(block.expand(), path, role, activation)
    return tuple(walker.steps), output


def _children(node: Sequential, path: str, role: str) -> Iterator[tuple[Node, str, str]]:
    for name, child in node.children.items():
        yield child, join(path, name), join(role, node.roles.get(name, name))


def join(path: str, name: str) -> str:
    """`inception_3a` + `branch_1x1` → `inception_3a.branch_1x1`; an empty path or name adds nothing."""
    return f"{path}.{name}" if path and name else path or name
