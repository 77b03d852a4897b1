"""Allocations as torch's profiler reports them, separated into tensors that operators return and scratch space.

The profiler does not say what an allocation is for. A mark after each operator lists the storages that it returned; an
allocation that no mark lists is scratch space of a kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor
from torch._C._profiler import _EventType, _RecordFunctionFast
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MARK = "returned:"


class Block(NamedTuple):
    """An allocation from event `start` to event `end`, within the operators of `path`."""

    size: int
    start: int
    end: int
    path: tuple[str, ...]
    returned: bool


def blocks(run: Callable[[], object], *, marked: bool = True) -> list[Block]:
    """Every allocation of a run. Without marks no block is known to be returned."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        if marked:
            with _Marks():  # type: ignore[no-untyped-call]
                run()
        else:
            run()
    events: list[tuple[int, tuple[str, ...], Any]] = []
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


class _Marks(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes the addresses of the returned storages into the profile after each operator."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        addresses = [
            tensor.untyped_storage().data_ptr() for tensor in tree_leaves(result) if isinstance(tensor, Tensor)
        ]
        with _RecordFunctionFast(MARK + ",".join(map(str, addresses))):
            return result


def _flatten(nodes: Any, path: tuple[str, ...], events: list[tuple[int, tuple[str, ...], Any]]) -> None:
    for node in nodes:
        if node.tag == _EventType.Allocation:
            events.append((node.start_time_ns, path, (node.extra_fields.ptr, node.extra_fields.alloc_size)))
        elif node.name.startswith(MARK):
            events.append(
                (node.start_time_ns, path, [int(address) for address in node.name[len(MARK) :].split(",") if address])
            )
        else:
            _flatten(node.children, (*path, node.name), events)


def _paired(events: list[tuple[int, tuple[str, ...], Any]]) -> list[Block]:
    """Allocations with their releases. Memory allocated before the profile is left out."""
    allocations: list[Block] = []
    index_at: dict[int, int] = {}
    for order, (_, path, event) in enumerate(events):
        if isinstance(event, list):
            for index in (index_at[address] for address in event if address in index_at):
                allocations[index] = allocations[index]._replace(returned=True)
            continue
        address, size = event
        if size > 0:
            index_at[address] = len(allocations)
            allocations.append(Block(size, order, len(events), path, returned=False))
        elif address in index_at:
            index = index_at.pop(address)
            allocations[index] = allocations[index]._replace(end=order)
    return allocations
