"""`analyzer.count`: the Python interface of the main job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from analyzer.core.errors import (
    AnalyzerError,
    CannotMeasure,
    InputError,
    is_positive_int,
    one_line,
    quoted,
    require_positive_int,
)
from analyzer.core.parse_inputs import Input, image_shape, is_reference, parse_inputs
from analyzer.counting.closed_form.formulas import count_steps
from analyzer.networks.variants import Variant, variant
from analyzer.networks.walk import Mode, walk
from analyzer.records.record import Record
from analyzer.records.training import TrainingSetup

if TYPE_CHECKING:
    from torch import Tensor, nn

    from analyzer.core.shapes import Shape
    from analyzer.models.references import Reference
    from analyzer.networks.overrides import Overrides

Counter: TypeAlias = Literal["closed_form", "dispatch"]


def count(
    model: str | nn.Module,
    args: Sequence[Any] | Tensor = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    train: bool | None = None,
    input: Shape | str | Sequence[str] | None = None,
    batch: int = 1,
    overrides: Overrides | None = None,
    counter: Counter = "closed_form",
    verify: bool = False,
    memory: bool | TrainingSetup = False,
) -> Record:
    """Counts an `nn.Module`, a built-in network, or a model by reference such as `net.py:Net`.

    `input` is a shape without the batch, `(3, 224, 224)` or `"3x224x224"`, or for several inputs a list of texts with
    names and types: `["ids=128:int64", "mask=128:bool"]`. `batch` is prepended. A module takes `args` and `kwargs` in
    its place: what its forward takes, a single tensor also without a tuple. It is left unchanged. It runs on meta
    tensors; if it cannot, `notes` say what it ran on instead. Counting a reference runs its code. A built-in network
    takes `overrides`; `counter="dispatch"` counts the operators that run when it is built in torch; `verify`
    cross-checks three counters.

    `train=True` counts in train mode and adds the backward pass (`backward_macs`); None keeps a module's mode and
    counts the forward pass only. `memory` adds the peak memory, in total and by module; with `train=True`, a
    `TrainingSetup` in its place gives the optimizer and the precision. Raises AnalyzerError for an unknown name or an
    input that does not fit, CannotMeasure if a built-in network cannot run on this machine.

    >>> record = count("googlenet")
    >>> record.totals.params, record.totals.macs
    (6998552, 1582671872)
    >>> count("googlenet", overrides={"inception_4a.reduce_5x5": 32}).totals.macs - record.totals.macs
    5268480
    >>> from torch import nn
    >>> count(nn.Conv2d(3, 8, 3), input="3x34x34", batch=2).totals.macs == 2 * (8 * 32 * 32) * (3 * 3 * 3)
    True
    """
    try:
        return _count(
            model, args, kwargs, train=train, input=input, batch=batch, overrides=overrides, counter=counter,
            verify=verify, memory=memory,
        )  # fmt: skip
    except InputError as error:
        args_too = "" if isinstance(model, str) else "args, or "
        example = error.example or "3x224x224"
        if isinstance(args, list | tuple) and len(args) > 1 and all(map(is_positive_int, args)):  # A shape.
            args_too, example = "", "x".join(map(str, args))
        advice = f"give {args_too}input='{example}' (without the batch dimension)"
        # The message has the model's exception, and the other frames of its traceback are torch's and ours.
        advised = error.with_advice(advice) if error.example else error.with_keywords(advice)
        for frame in error.details:
            advised.add_note(frame)
        raise advised.with_traceback(None) from None


def _count(
    model: str | nn.Module,
    args: Sequence[Any] | Tensor,
    kwargs: Mapping[str, Any] | None,
    *,
    train: bool | None,
    input: Shape | str | Sequence[str] | None,
    batch: int,
    overrides: Overrides | None,
    counter: Counter,
    verify: bool,
    memory: bool | TrainingSetup,
) -> Record:
    require_positive_int("batch", batch)
    if not isinstance(memory, bool | TrainingSetup):
        raise AnalyzerError(f"memory is {one_line(repr(memory))[:80]}; wanted True, False or a TrainingSetup")
    if isinstance(memory, TrainingSetup) and not train:
        raise AnalyzerError("memory=TrainingSetup(…) needs train=True")
    if counter not in get_args(Counter):
        raise AnalyzerError(f"unknown counter {quoted(counter)}; wanted one of: {', '.join(get_args(Counter))}")
    if isinstance(model, str):
        if not isinstance(args, tuple) or args or kwargs:
            raise AnalyzerError(f"{one_line(model)} is a name: give input (args and kwargs are for an nn.Module)")
        options: dict[str, Any] = {"batch": batch, "train": bool(train), "memory": memory}
        if not is_reference(model):
            size = image_shape(parse_inputs(input), batch)
            return count_variant(variant(model, overrides), input=size, counter=counter, verify=verify, **options)
        if overrides or verify:
            raise AnalyzerError(f"{one_line(model)} is a reference; overrides and verify are for built-in networks")
        return count_reference(model, inputs=parse_inputs(input), **options)
    if isinstance(model, type):
        raise AnalyzerError(f"cannot count the class {model.__name__}; wanted an instance, {model.__name__}(…)")
    if not hasattr(model, "named_modules"):  # Without importing torch.
        raise AnalyzerError(
            f"cannot count an object of type {type(model).__name__}; wanted a name, a reference or an nn.Module"
        )
    if overrides or verify:
        raise AnalyzerError(f"overrides and verify are for built-in networks, not for a {type(model).__name__}")
    if not isinstance(kwargs, Mapping | None):
        raise AnalyzerError(f"kwargs is a {type(kwargs).__name__}; wanted a dict of the arguments by name")
    notes: tuple[str, ...] = ()
    given = bool(kwargs) or not isinstance(args, list | tuple) or bool(args)
    if input is not None:
        if given:
            raise AnalyzerError("input makes the arguments of a module; leave out args and kwargs, or input")
        from analyzer.counting.execution.batch_in_input import read_inputs
        from analyzer.models.zero_inputs import input_zeros

        parameter = next(model.parameters(), None)
        device = None if parameter is None or parameter.is_meta else parameter.device
        inputs, notes = read_inputs(model, parse_inputs(input), batch, device)
        args, kwargs = input_zeros(inputs, batch, device)
    elif batch != 1:
        raise AnalyzerError("batch is for input; args and kwargs have a batch already")
    # A single input need not be in a list. A tensor also supports len(), so only list and tuple mean several inputs.
    args = args if isinstance(args, list | tuple) else (args,)
    return count_module(model, args, kwargs or {}, train=train, memory=memory, notes=notes)


def _setup(memory: bool | TrainingSetup) -> TrainingSetup | None:
    return None if isinstance(memory, bool) else memory.check()


def count_variant(
    chosen: Variant,
    *,
    input: Shape | None = None,
    batch: int = 1,
    train: bool = False,
    counter: Counter = "closed_form",
    verify: bool = False,
    memory: bool | TrainingSetup = False,
) -> Record:
    """The record of one variant; see `count`. Memory at inference is closed form, in training a run on meta."""
    mode: Mode = "training" if train else "inference"
    steps = walk(chosen.network, input, batch=batch, mode=mode)
    counted = count_steps(steps, mode)
    agreement, measured = None, None
    if counter == "dispatch" or verify or (memory and train):
        from analyzer.counting.execution.built_in_network import BuiltNetwork

        try:
            built = BuiltNetwork(chosen.network, steps, train=train)
            dispatch = built.count() if counter == "dispatch" and not verify else counted
            if verify:
                from analyzer.counting.crosscheck.verify import cross_check

                agreement, dispatch = cross_check(built, counted)
            measured = built.memory(_setup(memory)) if memory and train else None
        except (RuntimeError, MemoryError) as error:
            raise CannotMeasure(f"{chosen.network.name} does not run here: {one_line(error)[:200]}") from error
        counted = dispatch if counter == "dispatch" else counted
    if memory and not train:
        from analyzer.counting.closed_form.peak_memory import peak_memory

        measured = peak_memory(chosen.network, steps, counted.totals.params)
    return Record(
        model=chosen.network.name,
        input=(steps[0].inputs[0],),
        mode=mode,
        count=counted,
        overrides=chosen.overrides,
        agreement=agreement,
        memory=measured,
    )


def count_module(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    train: bool | None = None,
    label: str | None = None,
    real: Callable[[], nn.Module] | None = None,
    memory: bool | TrainingSetup = False,
    notes: Sequence[str] = (),
) -> Record:
    """The record of any module; see `count`. `real` rebuilds a meta module with storage, to run it on data.

    `notes` come before those of the count.
    """
    from analyzer.counting.execution.copy_arguments import with_items
    from analyzer.counting.execution.count_any_model import count_model, input_shapes_and_dtype, measure_memory
    from analyzer.counting.execution.module_classes import classes

    args, kwargs = with_items((args, kwargs))
    counted = count_model(model, args, kwargs, train=train, real=real)
    setup = _setup(memory)
    measured, memory_notes = measure_memory(model, args, kwargs, train=train, setup=setup) if memory else (None, ())
    shapes, dtype = input_shapes_and_dtype(model, args, kwargs)
    # A frozen TorchScript module has no mode, and runs as in inference.
    training = getattr(model, "training", False) if train is None else train
    return Record(
        model=label or type(model).__name__,
        input=shapes,
        mode="training" if training else "inference",
        count=counted.count.replace(types=classes(model, counted.count)),
        dtype=dtype,
        memory=measured,
        notes=(*notes, *counted.notes, *memory_notes),
    )


def count_reference(
    reference: str,
    *,
    inputs: Sequence[Input] = (),
    batch: int = 1,
    train: bool = False,
    memory: bool | TrainingSetup = False,
) -> Record:
    """The record of a model by reference, such as `net.py:Net` or `torchvision:resnet50`. Runs the code it names."""
    from analyzer.counting.execution.batch_in_input import load
    from analyzer.counting.execution.torch_settings import restore_settings

    with restore_settings():
        return reference_counter(load(reference, inputs, batch))(train=train, memory=memory)


def reference_counter(loaded: Reference) -> Callable[..., Record]:
    """A function `(train=…, memory=…)` → record of a loaded reference that can be called repeatedly."""
    return partial(
        count_module, loaded.model, loaded.args, loaded.kwargs, label=loaded.label, real=loaded.real, notes=loaded.notes
    )
