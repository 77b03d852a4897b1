"""What torch's profiler says of memory, told apart into tensors that operators hand out and what kernels keep inside.

The profiler reports every allocation, with no word of what it is for. A mark after each operator names the storages
that it handed out; an allocation that no mark ever names never left its kernel.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from torch import Tensor
from torch._C._profiler import _EventType, _RecordFunctionFast
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

MARK = "handed out:"


class Block(NamedTuple):
    """An allocation: from `start` until `end` in the order of events, made under the operators of `path`."""

    size: int
    start: int
    end: int
    path: tuple[str, ...]
    handed_out: bool


def blocks(run: Callable[[], object], *, marked: bool = True) -> list[Block]:
    """Every allocation of a run. Without marks nothing is known to be handed out, and nothing is in the run's way."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as watched:
        if marked:
            with _Marks():  # type: ignore[no-untyped-call]
                run()
        else:
            run()
    events: list[tuple[int, tuple[str, ...], Any]] = []
    _flatten(watched.profiler.kineto_results.experimental_event_tree(), (), events)
    return _paired(sorted(events, key=lambda event: event[0]))


def peak(found: list[Block]) -> int:
    """The most bytes alive at once."""
    changes = [(block.start, block.size) for block in found] + [(block.end, -block.size) for block in found]
    alive = most = 0
    for _, change in sorted(changes):
        alive += change
        most = max(most, alive)
    return most


class _Marks(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Writes into the profile, after each operator, where the tensors lie that it handed out."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        places = [tensor.untyped_storage().data_ptr() for tensor in tree_leaves(result) if isinstance(tensor, Tensor)]
        with _RecordFunctionFast(MARK + ",".join(map(str, places))):
            return result


def _flatten(nodes: Any, path: tuple[str, ...], events: list[tuple[int, tuple[str, ...], Any]]) -> None:
    for node in nodes:
        if node.tag == _EventType.Allocation:
            events.append((node.start_time_ns, path, (node.extra_fields.ptr, node.extra_fields.alloc_size)))
        elif node.name.startswith(MARK):
            events.append(
                (node.start_time_ns, path, [int(place) for place in node.name[len(MARK) :].split(",") if place])
            )
        else:
            _flatten(node.children, (*path, node.name), events)


def _paired(events: list[tuple[int, tuple[str, ...], Any]]) -> list[Block]:
    """Allocations with the releases that end them. What was there before the profile is left out."""
    found: list[Block] = []
    at: dict[int, int] = {}
    for order, (_, path, what) in enumerate(events):
        if isinstance(what, list):
            for place in what:
                if place in at:
                    found[at[place]] = found[at[place]]._replace(handed_out=True)
            continue
        place, size = what
        if size > 0:
            at[place] = len(found)
            found.append(Block(size, order, len(events), path, handed_out=False))
        elif place in at:
            index = at.pop(place)
            found[index] = found[index]._replace(end=order)
    return found
