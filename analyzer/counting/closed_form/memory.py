"""Peak memory of a named network at inference, in closed form from the walk. No torch.

The built network holds a tensor as long as a part still needs it: a part's input lives while the part runs, branches'
outputs until they are joined. Each operator's own temporaries are those that torch hands out inside it, such as the
indices of a max pool; a test holds every variant against the run itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod

from analyzer.core.shapes import Shape
from analyzer.networks.spec import (
    LRN,
    AdaptiveAvgPool,
    AvgPool,
    BatchNorm,
    Block,
    Branches,
    Conv,
    DepthwiseConv,
    Dropout,
    Flatten,
    Linear,
    MaxPool,
    Network,
    Node,
    ReLU,
)
from analyzer.networks.spec import Sequence as Chain
from analyzer.networks.walk import Step, join
from analyzer.records.record import Memory, ModuleMemory, prefixes

FLOAT32_BYTES = 4
INT64_BYTES = 8


class Held:
    """A storage: what it takes, and nothing else; told apart by identity."""

    def __init__(self, size: int) -> None:
        self.size = size


def memory(network: Network, steps: Sequence[Step], params: int) -> Memory:
    """The memory of one inference pass of a walked network, in bytes."""
    run = _Run({step.path: step for step in steps})
    run.chain(network.trunk, "", Held(0))
    channels = [step.inputs[0][1] for step in steps if isinstance(step.layer, BatchNorm)]
    # Running mean and variance, and a counter of batches.
    buffers = sum(2 * FLOAT32_BYTES * width + INT64_BYTES for width in channels)
    modules = tuple(ModuleMemory(path, made, run.highest[path]) for path, made in run.made.items())
    fed = FLOAT32_BYTES * prod(steps[0].inputs[0])
    return Memory(FLOAT32_BYTES * params, buffers, fed, run.peak, run.peak_path, 0, 0, modules)


class _Run:
    """The pass under way: bytes alive, and the most that there were, in all and while each module ran."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self.steps = steps
        self.alive = self.peak = 0
        self.peak_path = ""
        self.made: dict[str, int] = {}
        self.highest: dict[str, int] = {}

    def make(self, path: str, size: int) -> Held:
        self.alive += size
        for module in prefixes(path):
            self.made[module] = self.made.get(module, 0) + size
            self.highest[module] = max(self.highest.get(module, 0), self.alive)
        if self.alive > self.peak:
            self.peak, self.peak_path = self.alive, path
        return Held(size)

    def free(self, *gone: Held) -> None:
        self.alive -= sum(held.size for held in gone)

    def node(self, node: Node, path: str, source: Held, *, before: Node | None) -> Held:
        if isinstance(node, Block):
            node = node.tree()
        if isinstance(node, Branches):
            return self.branches(node, path, source)
        if isinstance(node, Chain):
            return self.chain(node, path, source)
        return self.layer(node, self.steps[path], source, before=before)

    def chain(self, node: Chain, path: str, source: Held) -> Held:
        """Whoever called holds `source`; what parts hand on among themselves goes as soon as it is read."""
        current, before = source, None
        for name, part in node.parts.items():
            if _runs(part, join(path, name), self.steps):
                made = self.node(part, join(path, name), current, before=before)
                if made is not current and current is not source:
                    self.free(current)
                current = made
            before = part
        return current

    def branches(self, node: Branches, path: str, source: Held) -> Held:
        outputs = [self.node(part, join(path, name), source, before=None) for name, part in node.parts.items()]
        joined = self.make(path, _bytes(self.steps[path].output))
        self.free(*{id(held): held for held in outputs if held is not source}.values())
        return joined

    def layer(self, node: Node, step: Step, source: Held, *, before: Node | None) -> Held:
        """What an operator hands out, and the temporaries that come and go inside it."""
        size = _bytes(step.output)
        match node:
            case Dropout() | Flatten():
                return source
            case ReLU() if isinstance(before, Conv | DepthwiseConv | Linear | BatchNorm):
                return source  # In place; see builder.
            case LRN():
                return self.lrn(node, step, size)
            case MaxPool():
                output = self.make(step.path, size)
                self.free(self.make(step.path, prod(step.output) * INT64_BYTES))
                return output
            case Conv() | DepthwiseConv() | Linear() | BatchNorm() | ReLU() | AvgPool() | AdaptiveAvgPool():
                return self.make(step.path, size)
        raise TypeError(f"no liveness for {type(node).__name__}")

    def lrn(self, node: LRN, step: Step, size: int) -> Held:
        """Square, pad by n - 1 channels, average; then scale, add, power one after the other; then divide."""
        batch, _, height, width = step.output
        square = self.make(step.path, size)
        padded = self.make(step.path, size + FLOAT32_BYTES * batch * (node.size - 1) * height * width)
        self.free(square)
        mean = self.make(step.path, size)
        self.free(padded)
        scaled = self.make(step.path, size)
        shifted = self.make(step.path, size)
        self.free(scaled)
        power = self.make(step.path, size)
        self.free(shifted, mean)
        output = self.make(step.path, size)
        self.free(power)
        return output


def _bytes(shape: Shape) -> int:
    return FLOAT32_BYTES * prod(shape)


def _runs(node: Node, path: str, steps: Mapping[str, Step]) -> bool:
    """Whether anything at or below a path was walked: auxiliary heads are silent at inference."""
    return any(name == path or name.startswith(f"{path}.") for name in steps)
