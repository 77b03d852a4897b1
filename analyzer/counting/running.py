"""Where a model runs to be counted: on meta, where nothing is allocated or computed; else on its real tensors."""

from __future__ import annotations

import copy
import re
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily
from torch.nn.parameter import is_lazy

from analyzer.counting import backward, dispatch, memory
from analyzer.counting.guard import is_fake, untouched
from analyzer.counting.higher_order import as_written
from analyzer.errors import AnalyzerError, one_line
from analyzer.frozen import Frozen
from analyzer.record import Count, Memory, Shapes

Value = TypeVar("Value")


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
        for place in _places(model, args, kwargs, on, real):
            if place == "real" and real is not None and _on_meta(model):
                _check_room(model, train, failures)
                model = real()
            try:
                counted = _at(place, _initialised(model, args, kwargs), args, kwargs, train)
            except (Exception, SystemExit) as error:
                failures.append(error)
            else:
                return counted.replace(notes=(*_said(place, failures), *counted.notes))
        raise _failed(model, args, kwargs, failures[-1]) from failures[-1]


def measure_memory(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], *, train: bool | None
) -> tuple[Memory | None, tuple[str, ...]]:
    """The memory of a pass on meta, or None and a note where the model cannot run there."""
    model = getattr(model, "_orig_mod", model)
    failure = ""
    for place in _places(model, args, kwargs, "meta", None):
        try:
            with unset_fake_temporarily():
                ready = _initialised(model, args, kwargs)
                with _ready(place, ready, args, kwargs, train) as (there, named):
                    return memory.measure(ready, there, named, train=bool(train)), ()
        except (Exception, SystemExit) as error:
            failure = _short(error)
    return None, (f"memory is unknown: it needs a run on meta, which raised {failure}",)


def described(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Shapes, str]:
    """The shapes of all tensors a model is fed, and the type of its first floating parameter or input."""
    fed = dispatch.tensors_of((list(args), dict(kwargs)))
    floating = next((t for t in [*model.parameters(), *fed] if t.is_floating_point()), None)
    return dispatch.shapes_of(fed), "float32" if floating is None else str(floating.dtype).removeprefix("torch.")


def _places(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], on: str, real: Callable[[], nn.Module] | None
) -> list[str]:
    if on == "real":
        return ["real"]
    # A model that makes tensors of its own on the default device, such as torch.arange(n), needs that to be meta too.
    meta = ["meta", "meta, factories too"]
    tensors = [*model.parameters(), *model.buffers(), *dispatch.tensors_of((list(args), dict(kwargs)))]
    nowhere_else = any(map(is_fake, tensors)) or (real is None and _on_meta(model))
    return meta if on == "meta" or nowhere_else else [*meta, "real"]


def _at(place: str, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], train: bool | None) -> Counted:
    notes = []
    try:
        with _ready(place, model, args, kwargs, train) as (there, named):
            found = dispatch.watched(model, there, named)
    except Exception as error:
        if not re.search("grad|inference", str(error), re.IGNORECASE):
            raise
        with _ready(place, model, args, kwargs, train) as (there, named):
            found = dispatch.watched(model, there, named, autograd=True)
        notes.append("counted under autograd, since the forward pass takes gradients: operators appear taken apart")
    count = found.counted
    if train:
        with _ready(place, model, args, kwargs, train) as (there, named):
            count = backward.added(count, model, there, named)
        if count.totals.macs and not count.totals.backward_macs and any(p.requires_grad for p in model.parameters()):
            notes.append("no gradient reaches a product: what the model returns holds no tensor that depends on one")
    for name, paths in found.unknown_in.items():
        places = [path or "the model itself" for path in paths[:3]]
        more = [f"{len(paths) - len(places)} more"] if len(paths) > len(places) else []
        notes.append(f"{name} has no formula; it ran in {', '.join([*places, *more])}")
    return Counted(count, tuple(notes))


@contextmanager
def _ready(
    place: str, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], train: bool | None
) -> Iterator[tuple[list[Any], dict[str, Any]]]:
    """The model and copies of its arguments where a pass runs, for one pass: what one leaves behind, such as a cached
    tensor of inference mode, the next must not find."""
    real = place == "real"
    with ExitStack() as stack:
        stack.enter_context(untouched(model, parameters=real))
        stack.enter_context(_plain_kernels(model, train=bool(train)))
        stack.enter_context(as_written())
        stack.enter_context(warnings.catch_warnings())
        warnings.simplefilter("ignore")  # What torch warns of while it runs is about speed, and nothing here is timed.
        if train is not None:
            model.train(train)
        if not real:
            _move_to_meta(model)
            stack.enter_context(_no_autocast())
        if place == "meta, factories too":
            stack.enter_context(torch.device("meta"))
        yield _mapped((list(args), dict(kwargs)), _copied if real else _to_meta)


@contextmanager
def _no_autocast() -> Iterator[None]:
    """Autocast changes no type on meta, where other bytes would be read and written than on a device."""
    autocast: Any = torch.autocast
    enter = autocast.__enter__

    def refuse(context: Any) -> Any:
        if context._enabled:
            raise RuntimeError("autocast has no effect on meta")
        return enter(context)

    if torch._C._is_any_autocast_enabled():
        raise RuntimeError("autocast has no effect on meta")
    autocast.__enter__ = refuse
    try:
        yield
    finally:
        autocast.__enter__ = enter


def _check_room(model: nn.Module, train: bool | None, failures: Sequence[BaseException]) -> None:
    """Raises AnalyzerError rather than build a model that memory does not hold; a system kills what tries."""
    size = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()]) * (2 if train else 1)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), size)
    if size > free:
        why = "".join(f" ({_short(error)})" for error in failures[:1])
        needs = f"on real tensors it would take {size / 2**30:,.1f} GiB, where {free / 2**30:,.1f} are free"
        raise AnalyzerError(
            f"{type(model).__name__} does not run on meta{why}, and {needs}; give another input or size"
        )


def _initialised(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> nn.Module:
    """A lazy model learns its sizes from its first input: a copy of it does."""
    if not any(is_lazy(tensor) for tensor in [*model.parameters(), *model.buffers()]):
        return model
    model = copy.deepcopy(model)
    there, named = _mapped((list(args), dict(kwargs)), _to_meta if _on_meta(model) else _copied)
    with torch.no_grad():
        model(*there, **named)
    return model


@contextmanager
def _plain_kernels(model: nn.Module, *, train: bool) -> Iterator[None]:
    """Fused transformer layers, and recurrent layers of oneDNN and cuDNN in training, exist on some devices only and
    hide what they do; the same work runs without them."""
    fast, onednn, cudnn = (
        torch.backends.mha.get_fastpath_enabled(),
        torch._C._get_mkldnn_enabled(),
        torch._C._get_cudnn_enabled(),
    )
    recurrent = train and any(isinstance(module, nn.RNNBase) for module in model.modules())
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        torch._C._set_mkldnn_enabled(onednn and not recurrent)
        torch._C._set_cudnn_enabled(cudnn and not recurrent)
        yield
    finally:
        torch._C._set_cudnn_enabled(cudnn)
        torch._C._set_mkldnn_enabled(onednn)
        torch.backends.mha.set_fastpath_enabled(fast)


def _move_to_meta(model: nn.Module) -> None:
    """Puts meta tensors of the same shapes in the places of parameters, buffers and plain tensors; ties stay ties."""
    moved: dict[int, Tensor] = {}

    def meta(tensor: Tensor) -> Tensor:
        if id(tensor) not in moved:
            shape = tensor if tensor.is_meta and not is_fake(tensor) else _on_no_device(tensor)
            is_parameter = isinstance(tensor, nn.Parameter)
            moved[id(tensor)] = (
                nn.Parameter(shape, tensor.requires_grad) if is_parameter and shape is not tensor else shape
            )
        return moved[id(tensor)]

    for module in model.modules():
        places: tuple[dict[str, Any], ...] = (module._parameters, module._buffers, vars(module))
        for place in places:
            for name, value in place.items():
                if isinstance(value, Tensor):
                    place[name] = meta(value)


def _to_meta(tensor: Tensor) -> Tensor:
    """A leaf of its own, so that no gradient is copied back to where the data is."""
    return _on_no_device(tensor).requires_grad_(tensor.requires_grad)


def _on_no_device(tensor: Tensor) -> Tensor:
    """The same shape and layout on meta; a fake tensor moved there would stay a fake one."""
    if is_fake(tensor):
        shape, strides = tuple(map(int, tensor.shape)), tuple(map(int, tensor.stride()))
        return torch.empty_strided(shape, strides, dtype=tensor.dtype, device="meta")
    if tensor.layout not in (torch.strided, torch.jagged):
        raise RuntimeError("a sparse tensor does not say on meta how many values it holds")
    return tensor.detach().to("meta")


def _copied(tensor: Tensor) -> Tensor:
    """An input of its own for each pass, which may write to it."""
    return tensor.detach().clone().requires_grad_(tensor.requires_grad)


def _on_meta(model: nn.Module) -> bool:
    return any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])


def _mapped(value: Value, change: Callable[[Tensor], Tensor]) -> Value:
    """The same structure with every tensor changed, the same one where it stood twice."""
    seen: dict[int, Tensor] = {}

    def walk(item: Any) -> Any:
        if isinstance(item, Tensor):
            if id(item) not in seen:
                seen[id(item)] = change(item)
            return seen[id(item)]
        if isinstance(item, nn.utils.rnn.PackedSequence):
            return item._replace(data=walk(item.data))  # torch wants the batch's sizes on the CPU, wherever it is.
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            return type(item)(*map(walk, item))
        if isinstance(item, list | tuple):
            return type(item)(map(walk, item))
        if isinstance(item, dict):
            changed = copy.copy(item)  # Of its own class, as a library's output classes are.
            changed.update((key, walk(part)) for key, part in item.items())
            return changed
        return item

    result: Value = walk(value)
    return result


def _said(place: str, failures: Sequence[BaseException]) -> tuple[str, ...]:
    return tuple(f"counted on real tensors: on meta it raised {_short(one)}" for one in failures[:1] if place == "real")


def _short(error: BaseException) -> str:
    words = str(error).strip().splitlines()
    return one_line(": ".join([type(error).__name__, *words[:1]]))[:200]


def _failed(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], error: BaseException) -> AnalyzerError:
    """The model's own words, what it was fed, and where in its code it failed."""
    fed = [_fed(value) for value in args] + [f"{name}={_fed(value)}" for name, value in kwargs.items()]
    what = f"{type(model).__name__} does not run on {', '.join(fed) or 'no input'}"
    failed = AnalyzerError(f"{what}: {_short(error)}; give its input with --input")
    failed.details = own_frames(error)
    return failed


def _fed(value: Any) -> str:
    if not isinstance(value, Tensor):
        return type(value).__name__
    try:
        return f"{'x'.join(map(str, value.shape))} {str(value.dtype)[6:]}"
    except RuntimeError:  # A nested tensor has no one shape.
        return f"nested {str(value.dtype)[6:]}"


def own_frames(error: BaseException) -> tuple[str, ...]:
    """Where an error came from in the user's own code: its last frames outside of this package and of torch."""
    ours, theirs = Path(__file__).parents[1], Path(torch.__file__).parent
    frames = [
        f"  {frame.filename}:{frame.lineno} in {frame.name}: {frame.line}"
        for frame in traceback.extract_tb(error.__traceback__)
        if not any(folder in Path(frame.filename).parents for folder in (ours, theirs))
        and "importlib" not in frame.filename
    ]
    return tuple(map(one_line, frames[-4:]))
