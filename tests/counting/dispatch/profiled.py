"""Allocations as torch's profiler reports them, separated into tensors that operators return and scratch space.

The profiler does not say what an allocation is for. Scratch space of a kernel is freed before its operator ends. A
composite operator has no kernel: what it allocates are the results of its parts. Outside of operators torch allocates
numbers and the state of its generator. No dispatch mode marks the results, because torch adds gradients in place only
without one.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from math import inf
from typing import Any, NamedTuple

import torch
from torch._C._profiler import _EventType
from torch.profiler import ProfilerActivity, profile


class Operator(NamedTuple):
    """An operator that ran, or a function of the profiler's that called operators."""

    name: str
    end_ns: int


class Block(NamedTuple):
    """An allocation from event `start` to event `end`, within the operators of `path`."""

    size: int
    start: int
    end: int
    path: tuple[str, ...]
    returned: bool


def blocks(run: Callable[[], object]) -> list[Block]:
    """Every allocation of a run."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events: list[tuple[int, tuple[Operator, ...], Any]] = []
    _flatten(profiler.profiler.kineto_results.experimental_event_tree(), (), events)
    return _paired(sorted(events, key=lambda event: event[0]))


def peak(allocations: list[Block]) -> int:
    """The most bytes alive at once."""
    changes = [(block.start, block.size) for block in allocations] + [(block.end, -block.size) for block in allocations]
    alive = highest = 0
    for _, change in sorted(changes):
        alive += change
        highest = max(highest, alive)
    return highest


def _flatten(nodes: Any, path: tuple[Operator, ...], events: list[tuple[int, tuple[Operator, ...], Any]]) -> None:
    for node in nodes:
        if node.tag == _EventType.Allocation:
            events.append((node.start_time_ns, path, (node.extra_fields.ptr, node.extra_fields.alloc_size)))
        else:
            _flatten(node.children, (*path, Operator(node.name, node.end_time_ns)), events)


def _paired(events: list[tuple[int, tuple[Operator, ...], Any]]) -> list[Block]:
    """Allocations with their releases. Memory allocated before the profile is left out."""
    allocations: list[Block] = []
    index_at: dict[int, int] = {}
    ends: dict[int, float] = {}  # When the operator of an allocation ends.
    for order, (time_ns, path, (address, size)) in enumerate(events):
        if size > 0:
            index_at[address] = len(allocations)
            ends[address] = next((operator.end_ns for operator in path if _has_kernel(operator.name)), inf)
            names = tuple(operator.name for operator in path)
            allocations.append(Block(size, order, len(events), names, returned=ends[address] < inf))
        elif address in index_at:
            index = index_at.pop(address)
            allocations[index] = allocations[index]._replace(end=order, returned=time_ns > ends[address])
    return allocations


@cache
def _has_kernel(name: str) -> bool:
    """Whether it is an operator other than a composite of other operators."""
    namespace, _, operator = name.partition("::")
    packet = getattr(getattr(torch.ops, namespace, None), operator, None) if operator else None
    if not isinstance(packet, torch._ops.OpOverloadPacket):
        return False
    overloads = [getattr(packet, overload).name() for overload in packet.overloads() if not overload.endswith("out")]
    # Asked of C++: in Python some kernels have a decomposition too.
    composite = torch._C.DispatchKey.CompositeImplicitAutograd
    of_eager = list(filter(torch._C._dispatch_has_kernel, overloads))  # Others are of TorchScript.
    has_kernel = torch._C._dispatch_has_kernel_for_dispatch_key
    if any(has_kernel(overload, torch._C.DispatchKey.CPU) for overload in of_eager):
        return True
    return not all(has_kernel(overload, composite) for overload in of_eager)
