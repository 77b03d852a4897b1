"""Where a model runs to be counted: on meta, where nothing is allocated or computed; else on its real tensors."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.counting.dispatch import backward, memory
from analyzer.counting.dispatch import counter as dispatch
from analyzer.counting.dispatch.tensors import is_fake, shapes_of, tensors_of
from analyzer.counting.execution.prepare import initialised, on_meta, ready, tensors_in
from analyzer.models.failures import failed, short
from analyzer.records.record import Count, Memory, Shapes


class Counted(Frozen):
    """A count, and what a reader must know of how it was made."""

    count: Count
    notes: tuple[str, ...]


def count_model(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    train: bool | None = None,
    on: str = "auto",
    real: Callable[[], nn.Module] | None = None,
) -> Counted:
    """Counts a forward pass of any module, with `train` a backward pass too, and leaves the module as it was.

    `on` is "meta", "real" or "auto": meta first, and where the model cannot run there, real tensors, which a note says.
    `real` builds the model again with storage, for one that was built on meta. Raises AnalyzerError with the
    model's own words where it runs nowhere.
    """
    model = getattr(model, "_orig_mod", model)  # A compiled model counts as its eager self.
    kwargs = dict(kwargs or {})
    failures: list[BaseException] = []
    with unset_fake_temporarily():
        own = tensors_in(model)
        for place in _places(own, args, kwargs, on, real):
            if place == "real" and real is not None and on_meta(own):
                _check_room(model, train, failures)
                model = real()
                own = tensors_in(model)
            try:
                counted = _at(place, initialised(model, own, args, kwargs), args, kwargs, train)
            except (Exception, SystemExit) as error:
                failures.append(error)
            else:
                return counted.replace(notes=(*_said(place, failures), *counted.notes))
        raise failed(model, args, kwargs, failures[-1]) from failures[-1]


def measure_memory(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], *, train: bool | None
) -> tuple[Memory | None, tuple[str, ...]]:
    """The memory of a pass on meta, or None and a note where the model cannot run there."""
    model = getattr(model, "_orig_mod", model)
    failure = ""
    own = tensors_in(model)
    for place in _places(own, args, kwargs, "meta", None):
        try:
            with unset_fake_temporarily():
                model = initialised(model, own, args, kwargs)
                with ready(place, model, args, kwargs, train) as (there, named):
                    return memory.measure(model, there, named, train=bool(train)), ()
        except (Exception, SystemExit) as error:
            failure = short(error)
    return None, (f"memory is unknown: it needs a run on meta, which raised {failure}",)


def described(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Shapes, str]:
    """The shapes of all tensors a model is fed, and the type of its first floating parameter or input."""
    fed = tensors_of((list(args), dict(kwargs)))
    floating = next((t for t in [*model.parameters(), *fed] if t.is_floating_point()), None)
    return shapes_of(fed), "float32" if floating is None else str(floating.dtype).removeprefix("torch.")


def _places(
    own: Sequence[Tensor],
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    on: str,
    real: Callable[[], nn.Module] | None,
) -> list[str]:
    """Where to try, in order; `own` are the model's tensors."""
    if on == "real":
        return ["real"]
    # A model that makes tensors of its own on the default device, such as torch.arange(n), needs that to be meta too.
    meta = ["meta", "meta, factories too"]
    fake = any(map(is_fake, [*own, *tensors_of((list(args), dict(kwargs)))]))
    nowhere_else = fake or (real is None and on_meta(own))
    return meta if on == "meta" or nowhere_else else [*meta, "real"]


def _at(place: str, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], train: bool | None) -> Counted:
    notes = []
    try:
        with ready(place, model, args, kwargs, train) as (there, named):
            count = dispatch.count(model, there, named)
    except Exception as error:
        if not re.search("grad|inference", str(error), re.IGNORECASE):
            raise
        with ready(place, model, args, kwargs, train) as (there, named):
            count = dispatch.count(model, there, named, autograd=True)
        notes.append("counted under autograd, since the forward pass takes gradients: operators appear taken apart")
    if train:
        with ready(place, model, args, kwargs, train) as (there, named):
            count = backward.added(count, model, there, named)
        if count.totals.macs and not count.totals.backward_macs and any(p.requires_grad for p in model.parameters()):
            notes.append("no gradient reaches a product: what the model returns holds no tensor that depends on one")
    for name, calls in count.unknown_ops.items():
        notes.append(f"{name} has no formula; {calls} call{'s' * (calls > 1)} in {count.callers(name)}")
    return Counted(count, tuple(notes))


def _said(place: str, failures: Sequence[BaseException]) -> tuple[str, ...]:
    return tuple(f"counted on real tensors: on meta it raised {short(one)}" for one in failures[:1] if place == "real")


def _check_room(model: nn.Module, train: bool | None, failures: Sequence[BaseException]) -> None:
    """Raises AnalyzerError rather than build a model that memory does not hold; a system kills what tries."""
    size = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()]) * (2 if train else 1)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), size)
    if size > free:
        why = "".join(f" ({short(error)})" for error in failures[:1])
        needs = f"on real tensors it would take {size / 2**30:,.1f} GiB, where {free / 2**30:,.1f} are free"
        raise AnalyzerError(
            f"{type(model).__name__} does not run on meta{why}, and {needs}; give another input or size"
        )
