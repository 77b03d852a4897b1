"""Counts any model: on meta tensors or, if it cannot run on meta, on real tensors with a note."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from time import process_time
from typing import Any

from torch import Tensor, nn
from torch._subclasses.fake_tensor import unset_fake_temporarily

from analyzer.core.errors import AnalyzerError, full_text
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shapes
from analyzer.counting.dispatch.backward_pass import track_gradients
from analyzer.counting.dispatch.counter import CountedPass, count_pass
from analyzer.counting.dispatch.memory_by_liveness import track_memory
from analyzer.counting.dispatch.tensors import is_fake, shapes_of, storage_id, tensors_inside
from analyzer.counting.execution.devices import DeviceRead
from analyzer.counting.execution.module_state import Attributes
from analyzer.counting.execution.move_to_meta_or_fake import (
    FAKE,
    KNOWN_VALUES,
    META_PLACES,
    REAL,
    WITHOUT_VALUES,
    ZEROS,
)
from analyzer.counting.execution.precision import cast
from analyzer.counting.execution.prepare import any_on_meta, materialize_lazy, prepared_model, tensors_in
from analyzer.counting.execution.randomness import Randomness, random_notes
from analyzer.models.failing_forward_errors import error_summary, is_certain, run_error
from analyzer.records.memory import Memory
from analyzer.records.note import Note
from analyzer.records.rows import Count
from analyzer.records.training import TrainingSetup

HOW = {
    KNOWN_VALUES: "counted on meta with the values of the inputs",
    FAKE: "counted on fake tensors",
    ZEROS: "counted on zeros in place of the values that the model does not have",
    REAL: "counted on real tensors",
}
ASKS = Note("counted with gradients enabled, because the model then runs other operators; operators are decomposed")
MAX_ZEROS = 1 << 30  # Bytes; a model on meta that is larger is not run on zeros.
# Where passes on meta took longer in total, the pass has many operators, which take longest on fake tensors.
MAX_BEFORE_FAKE_S = 1.0


class ModelCount(Frozen):
    """A count, and notes on how it was made that a reader needs to interpret it."""

    count: Count
    notes: tuple[Note, ...]


def count_model(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    train: bool | None = None,
    on: str = "auto",
    real: Callable[[], nn.Module] | None = None,
) -> ModelCount:
    """Counts a forward pass of any module, with `train` a backward pass too, and leaves the module as it was.

    `on` is "meta", "real" or "auto": meta, then meta with the values of the inputs, then fake tensors, and finally real
    tensors, or zeros for a small model that was made on meta. A note says where it was counted if not on meta. `real`
    rebuilds a model that is on meta with storage. Raises AnalyzerError with the model's own message if it runs nowhere.
    """
    model = getattr(model, "_orig_mod", model)  # A compiled model is counted without compilation.
    kwargs = dict(kwargs or {})
    failures: list[BaseException] = []
    started_s = process_time()
    with unset_fake_temporarily():
        tensors = tensors_in(model)
        places = _places(tensors, args, kwargs, on, can_build=real is not None)
        while places:
            place = places.pop(0)
            if place == REAL and real is not None and any_on_meta(tensors):
                _check_free_memory(model, train, failures)
                model = real()
                tensors = tensors_in(model)
            try:
                result = _count_at(place, materialize_lazy(model, tensors, args, kwargs, train), args, kwargs, train)
            except DeviceRead as error:
                failures = failures or [error]
            except (Exception, SystemExit) as error:
                failures = [*(failure for failure in failures if not isinstance(failure, DeviceRead)), error]
                if place == KNOWN_VALUES and len(places) > 1:
                    given = [*tensors, *tensors_inside((list(args), kwargs))]
                    # The first operator of fake tensors imports torch._dynamo, which takes a second.
                    slow = process_time() - started_s > MAX_BEFORE_FAKE_S and REAL in places
                    if slow or is_certain(failures):
                        places = places[_size(given) <= MAX_ZEROS :]  # Fake tensors come first.
            else:
                if failures and place in HOW:
                    note = Note(f"{HOW[place]}: on meta it raised {error_summary(failures[0])}", strict=place == ZEROS)
                    return result.replace(notes=(note, *result.notes))
                return result
        raise run_error(model, args, kwargs, failures[-1]) from failures[-1]


def measure_memory(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    *,
    train: bool | None,
    setup: TrainingSetup | None = None,
) -> tuple[Memory | None, tuple[Note, ...]]:
    """The memory of a pass on meta, or None and a note where the model cannot run there.

    Tensors in containers and objects that modules hold, such as a cache, count to the inputs.
    """
    model = getattr(model, "_orig_mod", model)
    failure = ""
    tensors = tensors_in(model)
    # On meta torch runs recurrent layers by other operators than on a CPU.
    recurrent = any(isinstance(module, nn.RNNBase) for module in model.modules())
    for place in [FAKE, *WITHOUT_VALUES] if recurrent else WITHOUT_VALUES:
        notes: list[Note] = []
        try:
            with unset_fake_temporarily():
                model = materialize_lazy(model, tensors, args, kwargs, train)
                # By position: a container may also hold the parameters, which only then have the same storage.
                owned = {storage_id(tensor) for tensor in (*model.parameters(), *model.buffers())}
                is_owned = [storage_id(tensor) in owned for tensor in _held(model)]
                with prepared_model(place, model, args, kwargs, train) as (moved_args, moved_kwargs):
                    if setup and setup.dtype:
                        moved_args, moved_kwargs = cast(model, moved_args, moved_kwargs, setup.dtype)
                    held = [tensor for tensor, own in zip(_held(model), is_owned, strict=True) if not own]
                    memory = track_memory(
                        model, moved_args, moved_kwargs, train=bool(train), held=held, setup=setup, notes=notes
                    )
                    return memory, tuple(notes)
        except (Exception, SystemExit, DeviceRead) as error:
            failure = error_summary(error)
    return None, (Note(f"memory is unknown: it needs a run on meta, which raised {failure}"),)


def _held(model: nn.Module) -> list[Tensor]:
    """Every tensor in attributes of modules, and in containers and objects there."""
    return Attributes([vars(module) for module in model.modules()]).tensors


def input_shapes_and_dtype(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Shapes, str]:
    """The shapes of all tensors in the arguments, and the type of the first floating parameter or argument."""
    inputs = tensors_inside((list(args), dict(kwargs)))
    floating = next((tensor for tensor in chain(model.parameters(), inputs) if tensor.is_floating_point()), None)
    return shapes_of(inputs), "float32" if floating is None else str(floating.dtype).removeprefix("torch.")


def _places(
    tensors: Sequence[Tensor], args: Sequence[Any], kwargs: Mapping[str, Any], on: str, *, can_build: bool
) -> list[str]:
    """The places to try, in order; `tensors` are the model's. Fake and meta tensors have no values to run on."""
    if on == "real":
        return [REAL]
    if on == "meta":
        return list(META_PLACES)
    given = [*tensors, *tensors_inside((list(args), kwargs))]
    if any(map(is_fake, given)):
        return list(WITHOUT_VALUES)
    if can_build or not any_on_meta(tensors):
        return [*WITHOUT_VALUES, REAL]
    return [*WITHOUT_VALUES, ZEROS] if _size(given) <= MAX_ZEROS else list(WITHOUT_VALUES)


def _size(tensors: Sequence[Tensor]) -> int:
    return sum(tensor.nbytes for tensor in tensors)


def _count_at(
    place: str, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], train: bool | None
) -> ModelCount:
    prepared = partial(prepared_model, place, model, args, kwargs, train)

    def count_forward(randomness: Randomness, *, autograd: bool = False) -> CountedPass:
        with prepared(randomness) as (moved_args, moved_kwargs):
            return count_pass(
                model,
                moved_args,
                moved_kwargs,
                autograd=autograd,
                grad_enabled=bool(train),
                arrays=randomness.arrays,
            )

    randomness = Randomness()
    autograd = False
    try:
        counted = count_forward(randomness)
    except Exception as error:
        if not re.search("grad|inference", full_text(error), re.IGNORECASE):
            raise
        autograd = True
        counted = count_forward(randomness, autograd=True)
    count, notes = counted.count, list(counted.notes)
    chance: tuple[Note, ...] = ()
    drew_tensors = randomness.drew_tensors or counted.drew_from_generator
    if randomness.drew or (drew_tensors and counted.read_values):
        chance = random_notes(count, randomness.read, lambda other: count_forward(other, autograd=autograd).count)
    if autograd:
        notes.append(Note("counted under autograd, because the forward pass takes gradients: operators are decomposed"))
    if train:
        with prepared() as (moved_args, moved_kwargs):
            gradients = track_gradients(count, model, moved_args, moved_kwargs)
        if not autograd and not gradients.fits(count):
            counted = count_forward(Randomness(), autograd=True)
            count, notes = counted.count, [*counted.notes, ASKS]
        count = gradients.add_to(count)
        if count.totals.macs and not count.totals.backward_macs and any(p.requires_grad for p in model.parameters()):
            notes.append(Note("no gradient reaches a product: no tensor in the model's output depends on one"))
        notes += _hooks_left_out(model, place)
    notes += chance
    if randomness.environment:
        names = ", ".join(sorted(randomness.environment))
        notes.append(Note(f"the model reads environment variables, which may decide what runs: {names}"))
    for name, calls in count.unknown_ops.items():
        notes.append(Note(f"{name} has no formula; {calls} call{'s' * (calls > 1)} in {count.callers(name)}"))
    return ModelCount(count, tuple(notes))


def _hooks_left_out(model: nn.Module, place: str) -> list[Note]:
    """Hooks on gradients of parameters, which stand-ins for the parameters do not have."""
    hooked = [
        name
        for name, parameter in model.named_parameters()
        if parameter._backward_hooks or getattr(parameter, "_post_accumulate_grad_hooks", None)
    ]
    if not hooked or place == REAL:
        return []
    return [Note(f"hooks on gradients of parameters did not run, such as that of {hooked[0]}", strict=True)]


def _check_free_memory(model: nn.Module, train: bool | None, failures: Sequence[BaseException]) -> None:
    """Raises AnalyzerError for a model larger than free memory: the system would kill the process that builds it."""
    size = sum(tensor.nbytes for tensor in [*model.parameters(), *model.buffers()]) * (2 if train else 1)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return
    free = next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), size)
    if size > free:
        why = "".join(f" ({error_summary(error)})" for error in failures[:1])
        needs = f"needs {size / 2**30:,.1f} GiB on real tensors, but only {free / 2**30:,.1f} GiB are free"
        raise AnalyzerError(
            f"{type(model).__name__} cannot run on meta tensors{why} and {needs}; use a smaller input or model"
        )
