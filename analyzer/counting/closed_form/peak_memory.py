"""Peak memory of a built-in network at inference, in closed form from its steps. No torch.

A module's input stays allocated while the module runs, and branches' outputs until they are concatenated. Temporaries
inside an operator are those that torch allocates, such as the indices of a max pool. A test compares every variant with
the dispatch counter.
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
    Sequential,
)
from analyzer.networks.walk import Step, join
from analyzer.records.memory import Memory, ModuleMemory
from analyzer.records.rows import prefixes

FLOAT32_BYTES = 4
INT64_BYTES = 8


class Storage:
    """The memory of a tensor in bytes, compared by identity."""

    def __init__(self, size: int) -> None:
        self.size = size


def peak_memory(network: Network, steps: Sequence[Step], params: int) -> Memory:
    """The memory of one inference pass of a walked network, in bytes."""
    tracker = _MemoryTracker({step.path: step for step in steps})
    tracker.sequential(network.trunk, "", Storage(0))
    channels = [step.inputs[0][1] for step in steps if isinstance(step.layer, BatchNorm)]
    # Running mean and variance, and the number of batches tracked.
    buffers = sum(2 * FLOAT32_BYTES * width + INT64_BYTES for width in channels)
    modules = tuple(ModuleMemory(path, size, tracker.peaks[path]) for path, size in tracker.allocated.items())
    inputs = FLOAT32_BYTES * prod(steps[0].inputs[0])
    return Memory(FLOAT32_BYTES * params, buffers, inputs, tracker.peak, tracker.peak_path, 0, 0, modules)


class _MemoryTracker:
    """Runs the pass symbolically: bytes alive now, and their peak in total and while each module ran."""

    def __init__(self, steps: Mapping[str, Step]) -> None:
        self.steps = steps
        self.walked = {module for path in steps for module in prefixes(path)}  # Without auxiliary heads at inference.
        self.alive = self.peak = 0
        self.peak_path = ""
        self.allocated: dict[str, int] = {}
        self.peaks: dict[str, int] = {}

    def allocate(self, path: str, size: int) -> Storage:
        self.alive += size
        for module in prefixes(path):
            self.allocated[module] = self.allocated.get(module, 0) + size
            self.peaks[module] = max(self.peaks.get(module, 0), self.alive)
        if self.alive > self.peak:
            self.peak, self.peak_path = self.alive, path
        return Storage(size)

    def free(self, *storages: Storage) -> None:
        self.alive -= sum(storage.size for storage in storages)

    def node(self, node: Node, path: str, source: Storage, *, previous: Node | None) -> Storage:
        if isinstance(node, Block):
            node = node.expand()
        if isinstance(node, Branches):
            return self.branches(node, path, source)
        if isinstance(node, Sequential):
            return self.sequential(node, path, source)
        return self.layer(node, self.steps[path], source, previous=previous)

    def sequential(self, node: Sequential, path: str, source: Storage) -> Storage:
        """The caller frees `source`; an output inside the chain is freed after the next child has read it."""
        current, previous = source, None
        for name, child in node.children.items():
            if join(path, name) in self.walked:
                output = self.node(child, join(path, name), current, previous=previous)
                if output is not current and current is not source:
                    self.free(current)
                current = output
            previous = child
        return current

    def branches(self, node: Branches, path: str, source: Storage) -> Storage:
        outputs = [self.node(child, join(path, name), source, previous=None) for name, child in node.children.items()]
        joined = self.allocate(path, _bytes(self.steps[path].output))
        self.free(*{id(output): output for output in outputs if output is not source}.values())
        return joined

    def layer(self, node: Node, step: Step, source: Storage, *, previous: Node | None) -> Storage:
        """An operator's output; temporaries inside it are allocated and freed."""
        size = _bytes(step.output)
        match node:
            case Dropout() | Flatten():
                return source
            case ReLU() if isinstance(previous, Conv | DepthwiseConv | Linear | BatchNorm):
                return source  # In place, as the builder makes it.
            case LRN():
                return self.local_response_norm(node, step, size)
            case MaxPool():
                output = self.allocate(step.path, size)
                self.free(self.allocate(step.path, prod(step.output) * INT64_BYTES))
                return output
            case Conv() | DepthwiseConv() | Linear() | BatchNorm() | ReLU() | AvgPool() | AdaptiveAvgPool():
                return self.allocate(step.path, size)
        raise TypeError(f"no memory formula for {type(node).__name__}")

    def local_response_norm(self, node: LRN, step: Step, size: int) -> Storage:
        """Square, pad by n - 1 channels, average; then scale, add and power in turn; then divide."""
        batch, _, height, width = step.output
        square = self.allocate(step.path, size)
        padded = self.allocate(step.path, size + FLOAT32_BYTES * batch * (node.size - 1) * height * width)
        self.free(square)
        mean = self.allocate(step.path, size)
        self.free(padded)
        scaled = self.allocate(step.path, size)
        shifted = self.allocate(step.path, size)
        self.free(scaled)
        power = self.allocate(step.path, size)
        self.free(shifted, mean)
        output = self.allocate(step.path, size)
        self.free(power)
        return output


def _bytes(shape: Shape) -> int:
    return FLOAT32_BYTES * prod(shape)
