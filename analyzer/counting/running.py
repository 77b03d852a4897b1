"""Where a model runs to be counted: on meta, where nothing is allocated or computed; else on its real tensors."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from analyzer.counting import backward, dispatch, memory
from analyzer.counting.guard import untouched
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
    failures: list[str] = []
    for place in _places(model, on):
        if place == "real" and real is not None and _on_meta(model):
            model = real()
        try:
            return Counted(_at(place, model, args, kwargs, train), _said(place, failures))
        except Exception as error:
            failures.append(_short(error))
            last = error
    raise _failed(model, args, kwargs, last) from last


def measure_memory(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], *, train: bool | None
) -> tuple[Memory | None, tuple[str, ...]]:
    """The memory of a pass on meta, or None and a note where the model cannot run there."""
    model = getattr(model, "_orig_mod", model)
    failure = ""
    for place in _places(model, "meta"):
        try:
            with untouched(model), _plain_kernels(model, train=bool(train)), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                if train is not None:
                    model.train(train)
                _move_to_meta(model)
                there, named = _mapped((list(args), dict(kwargs)), _to_meta)
                with torch.device("meta") if place == "meta, factories too" else nullcontext():
                    return memory.measure(model, there, named, train=bool(train)), ()
        except Exception as error:
            failure = _short(error)
    return None, (f"memory is unknown: it needs a run on meta, which raised {failure}",)


def described(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Shapes, str]:
    """The shapes of all tensors a model is fed, and the type of its first floating parameter or input."""
    fed = dispatch.tensors_of((list(args), dict(kwargs)))
    floating = next((t for t in [*model.parameters(), *fed] if t.is_floating_point()), None)
    return dispatch.shapes_of(fed), "float32" if floating is None else str(floating.dtype).removeprefix("torch.")


def _places(model: nn.Module, on: str) -> list[str]:
    if on == "real":
        return ["real"]
    # A model that makes tensors of its own on the default device, such as torch.arange(n), needs that to be meta too.
    meta = ["meta", "meta, factories too"]
    return meta if on == "meta" else [*meta, "real"]


def _at(place: str, model: nn.Module, args: Sequence[Any], kwargs: dict[str, Any], train: bool | None) -> Count:
    with untouched(model), _plain_kernels(model, train=bool(train)), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # What torch warns of while it runs is about speed, and nothing here is timed.
        if train is not None:
            model.train(train)
        if place != "real":
            _move_to_meta(model)
            args, kwargs = _mapped((list(args), kwargs), _to_meta)
        with torch.device("meta") if place == "meta, factories too" else nullcontext():
            counted = dispatch.count(model, args, kwargs)
            return backward.added(counted, model, args, kwargs) if train else counted


@contextmanager
def _plain_kernels(model: nn.Module, *, train: bool) -> Iterator[None]:
    """Fused transformer layers, and oneDNN's recurrent layers in training, exist on some devices only and hide what
    they do; the same work runs without them."""
    fast, onednn = torch.backends.mha.get_fastpath_enabled(), torch._C._get_mkldnn_enabled()
    recurrent = train and any(isinstance(module, nn.RNNBase) for module in model.modules())
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        torch._C._set_mkldnn_enabled(onednn and not recurrent)
        yield
    finally:
        torch._C._set_mkldnn_enabled(onednn)
        torch.backends.mha.set_fastpath_enabled(fast)


def _move_to_meta(model: nn.Module) -> None:
    """Puts meta tensors of the same shapes in the places of parameters, buffers and plain tensors; ties stay ties."""
    moved: dict[int, Tensor] = {}

    def meta(tensor: Tensor) -> Tensor:
        if id(tensor) not in moved:
            shape = tensor.detach().to("meta") if not tensor.is_meta else tensor
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
    return tensor.detach().to("meta").requires_grad_(tensor.requires_grad)


def _on_meta(model: nn.Module) -> bool:
    return any(tensor.is_meta for tensor in [*model.parameters(), *model.buffers()])


def _mapped(value: Value, change: Callable[[Tensor], Tensor]) -> Value:
    """The same structure with every tensor changed, the same one where it stood twice."""
    seen: dict[int, Tensor] = {}

    def walk(item: Any) -> Any:
        if isinstance(item, Tensor):
            return seen.setdefault(id(item), change(item))
        if isinstance(item, nn.utils.rnn.PackedSequence):
            return item._replace(data=walk(item.data))  # torch wants the batch's sizes on the CPU, wherever it is.
        if isinstance(item, tuple) and hasattr(item, "_fields"):
            return type(item)(*map(walk, item))
        if isinstance(item, list | tuple):
            return type(item)(map(walk, item))
        if isinstance(item, dict):
            return {key: walk(part) for key, part in item.items()}
        return item

    result: Value = walk(value)
    return result


def _said(place: str, failures: list[str]) -> tuple[str, ...]:
    return (f"counted on real tensors: on meta it raised {failures[0]}",) if place == "real" and failures else ()


def _short(error: BaseException) -> str:
    return one_line(f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}")[:200]


def _failed(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], error: BaseException) -> AnalyzerError:
    """The model's own words, and what it was fed."""
    fed = [_fed(value) for value in args] + [f"{name}={_fed(value)}" for name, value in kwargs.items()]
    what = f"{type(model).__name__} does not run on {', '.join(fed) or 'no input'}"
    return AnalyzerError(f"{what}: {_short(error)}; give its input with --input")


def _fed(value: Any) -> str:
    return (
        f"{'x'.join(map(str, value.shape))} {str(value.dtype)[6:]}"
        if isinstance(value, Tensor)
        else type(value).__name__
    )
