"""`analyzer.count` and `analyzer.compare`: the Python interface of the main job."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, get_args

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line, quoted, require_positive_int
from analyzer.core.inputs import Input, image_shape, parse_inputs
from analyzer.counting.closed_form.formulas import count_steps
from analyzer.networks.variants import Variant, is_reference, variant
from analyzer.networks.walk import Mode, walk
from analyzer.records.record import Record
from analyzer.records.training import TrainingSetup

if TYPE_CHECKING:
    from torch import nn

    from analyzer.core.shapes import Shape
    from analyzer.networks.overrides import Overrides
    from analyzer.records.comparison import Comparison

Counter: TypeAlias = Literal["closed_form", "dispatch"]


def count(
    model: str | nn.Module,
    args: Sequence[Any] = (),
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
    """Counts a built-in network, a model by reference such as `net.py:Net`, or an `nn.Module` with its arguments.

    Names and references take `batch` and `input`: a shape without the batch, or texts as on the command line
    (`"ids=128:int64"`). A built-in network takes `overrides`; `counter="dispatch"` counts the operators that run when
    it is built in torch; `verify` cross-checks three counters. Counting a reference runs its code. A module takes
    `args` and `kwargs` and is left unchanged. It runs on meta tensors; if it cannot, `notes` say what it ran on
    instead.

    `train=True` counts in train mode and adds the backward pass (`backward_macs`); None keeps a module's mode and
    counts the forward pass only. `memory` adds the peak memory, in total and by module; a `TrainingSetup` in its place
    gives the optimizer and the precision of training. Raises AnalyzerError for an unknown name or an input that does
    not fit, CannotMeasure if a built-in network cannot run on this machine.

    >>> record = count("googlenet")
    >>> record.totals.params, record.totals.macs
    (6998552, 1582671872)
    >>> count("googlenet", overrides={"inception_4a.reduce_5x5": 32}).totals.macs - record.totals.macs
    5268480
    """
    require_positive_int("batch", batch)
    if counter not in get_args(Counter):
        raise AnalyzerError(f"unknown counter {quoted(counter)}; wanted one of: {', '.join(get_args(Counter))}")
    if isinstance(model, str):
        if not isinstance(args, tuple) or args or kwargs:
            raise AnalyzerError(f"{one_line(model)} is a name: give input (args and kwargs are for an nn.Module)")
        options: dict[str, Any] = {"batch": batch, "train": bool(train), "memory": memory}
        if not is_reference(model):
            size = image_shape(parse_inputs(input))
            return count_variant(variant(model, overrides), input=size, counter=counter, verify=verify, **options)
        if overrides or verify:
            raise AnalyzerError(f"{one_line(model)} is a reference; overrides and verify are for built-in networks")
        return count_reference(model, inputs=parse_inputs(input), **options)
    if isinstance(model, type) or not hasattr(model, "named_modules"):  # Without importing torch.
        kind = f"the class {model.__name__}" if isinstance(model, type) else f"a {type(model).__name__}"
        raise AnalyzerError(f"cannot count {kind}; wanted a name, a reference or an nn.Module")
    if input is not None:
        raise AnalyzerError("input is for names; give an nn.Module args, such as torch.zeros(1, 3, 224, 224)")
    if not isinstance(kwargs, Mapping | None):
        raise AnalyzerError(f"kwargs is a {type(kwargs).__name__}; wanted a dict of the arguments by name")
    # A single input need not be in a list. A tensor also supports len(), so only list and tuple mean several inputs.
    args = args if isinstance(args, list | tuple) else (args,)
    return count_module(model, args, kwargs or {}, train=train, memory=memory)


def compare(*names: str, input: Shape | str | None = None, batch: int = 1, train: bool = False) -> Comparison:
    """Counts built-in networks or models by reference and compares each with the first.

    >>> totals = compare("googlenet", "alexnet").totals
    >>> f"{totals['params'].ratio:.2f} {totals['macs'].ratio:.3f}"
    '8.71 0.458'
    """
    from analyzer.records.comparison import compare_records

    return compare_records([count(name, input=input, batch=batch, train=train) for name in names])


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
        from analyzer.counting.execution.built import BuiltNetwork

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
        from analyzer.counting.closed_form.memory import peak_memory

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
) -> Record:
    """The record of any module; see `count`. `real` rebuilds a meta module with storage, to run it on data."""
    from analyzer.counting.execution.arguments import with_items
    from analyzer.counting.execution.run import count_model, input_shapes_and_dtype, measure_memory

    args, kwargs = with_items((args, kwargs))
    counted = count_model(model, args, kwargs, train=train, real=real)
    setup = _setup(memory)
    measured, notes = measure_memory(model, args, kwargs, train=train, setup=setup) if memory else (None, ())
    shapes, dtype = input_shapes_and_dtype(model, args, kwargs)
    # A frozen TorchScript module has no mode, and runs as in inference.
    training = getattr(model, "training", False) if train is None else train
    return Record(
        model=label or type(model).__name__,
        input=shapes,
        mode="training" if training else "inference",
        count=counted.count,
        dtype=dtype,
        memory=measured,
        notes=(*counted.notes, *notes),
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
    from analyzer.counting.execution.restore import restore_settings

    with restore_settings():
        return reference_counter(reference, inputs=inputs, batch=batch)(train=train, memory=memory)


def reference_counter(reference: str, *, inputs: Sequence[Input] = (), batch: int = 1) -> Callable[..., Record]:
    """Loads a reference once. Returns a function `(train=…, memory=…)` → record that can be called repeatedly.

    The model and its inputs are made under a fixed seed, so that chance in a constructor counts the same every time.
    """
    from analyzer.counting.execution.randomness import seeded
    from analyzer.models.references import resolve

    with seeded():
        loaded = resolve(reference, inputs, batch)
    real = loaded.real and seeded()(loaded.real)
    return partial(count_module, loaded.model, loaded.args, loaded.kwargs, label=loaded.label, real=real)
