"""Memory by liveness: the bytes of tensors alive over a forward pass, and with `train` a backward pass, on meta.

A storage is alive from the operator that returns it until the last reference to it goes. Scratch space inside a kernel
or a library is not seen. Attention is taken as its fused kernel, which keeps no scores.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from analyzer.counting.dispatch import checkpoints
from analyzer.counting.dispatch.cpu_attention import attention_as_on_a_cpu
from analyzer.counting.dispatch.cpu_embedding_bag import EMBEDDING_BAG_RESULTS
from analyzer.counting.dispatch.cpu_folds import FOLD_RESULTS
from analyzer.counting.dispatch.cpu_gradients import gradients_as_on_a_cpu
from analyzer.counting.dispatch.cpu_losses import LOSS_RESULTS
from analyzer.counting.dispatch.cpu_recurrent import (
    ONEDNN_RESULTS,
    LayersAsOnACpu,
    add_bias_in_place,
    scripted_recurrent_layers,
)
from analyzer.counting.dispatch.in_place_gradients import ADDITION, may_write, references_if_unique, writes_into_new
from analyzer.counting.dispatch.operator_tracker import OperatorTracker
from analyzer.counting.dispatch.run_to_the_end import run_model
from analyzer.counting.dispatch.tensors import (
    current_node_number,
    output_tensors,
    run_backward,
    storage_id,
    storages_of,
    tensors_inside,
    tensors_of,
)
from analyzer.counting.operators.classify import Operator
from analyzer.records.memory import Memory, ModuleMemory
from analyzer.records.note import Note
from analyzer.records.optimizer_memory import FLOAT32_BYTES, OPTIMIZERS, OptimizerMemory, Trained
from analyzer.records.rows import prefixes
from analyzer.records.training import TrainingSetup

CPU_RESULTS: dict[Any, Callable[..., Any]] = {
    **ONEDNN_RESULTS,
    **EMBEDDING_BAG_RESULTS,
    **LOSS_RESULTS,
    **FOLD_RESULTS,
}


def track_memory(
    model: nn.Module,
    args: Sequence[Any] = (),
    kwargs: Mapping[str, Any] | None = None,
    *,
    train: bool = False,
    held: Sequence[Tensor] = (),
    setup: TrainingSetup | None = None,
    notes: list[Note] | None = None,
) -> Memory:
    """The memory of one pass of a model that, like its arguments, is on meta, in the model's own mode.

    `held` are tensors of the model that are neither parameters nor buffers: they count to the inputs. With a `setup`
    that accumulates gradients two passes run, of which the second finds the gradients of the first. Adds to `notes`
    where memory is estimated.
    """
    kwargs = dict(kwargs or {})
    setup = setup or TrainingSetup()
    parameters, buffers = list(model.parameters()), list(model.buffers())
    owned = {storage_id(tensor) for tensor in (*parameters, *buffers)}
    inputs = [tensor for tensor in (*tensors_inside((list(args), kwargs)), *held) if storage_id(tensor) not in owned]
    passes = 0 if not train else min(setup.accumulate, 2)
    try:
        tracker = MemoryTracker(model, inputs)
        with torch.autograd.graph.saved_tensors_hooks(tracker.save_for_backward, lambda tensor: tensor):
            _run_passes(tracker, model, args, kwargs, passes)
    except RuntimeError as error:
        if "saved tensor hooks" not in str(error):
            raise
        tracker = MemoryTracker(model, inputs)
        _run_passes(tracker, model, args, kwargs, passes)
        tracker.note("", " uses torch.func: saved activations do not include outputs of the model", strict=False)
    for path in scripted_recurrent_layers(model):
        tracker.note(path, ": memory of its recurrent layers is estimated, by the steps that TorchScript runs on meta")
    if notes is not None:
        notes += tracker.notes
    modules = tuple(ModuleMemory(path, size, tracker.highest[path]) for path, size in tracker.allocated.items())
    memory = Memory(
        parameters=_bytes(parameters),
        buffers=_bytes(buffers),
        inputs=_bytes(inputs),
        activations=tracker.peak,
        peak_path=tracker.peak_path,
        saved=0,
        gradients=0,
        modules=modules,
    )
    return memory.replace(**_training_memory(model, tracker, setup)) if train else memory


def _run_passes(
    tracker: MemoryTracker, model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], passes: int
) -> None:
    """Runs forward and backward passes; with 0 one forward pass without gradients."""
    gradients = torch.set_grad_enabled(passes > 0)
    with (
        gradients,
        checkpoints.any_device(),
        LayersAsOnACpu(tracker),
        gradients_as_on_a_cpu(),
        attention_as_on_a_cpu(),
        tracker,
    ):
        for _ in range(max(passes, 1)):
            tracker.saved.clear()
            tracker.in_backward = False
            outputs = run_model(model, args, kwargs)
            if passes:
                tensors = output_tensors(outputs)
                # A checkpoint keeps its inputs without saving them: what is alive now, except outputs, is for backward.
                tracker.saved = tracker.present - (tracker.allocations(tensors) - tracker.saved)
                tracker.in_backward = True
                run_backward([tensor for tensor in tensors if tensor.requires_grad])
                del tensors
            del outputs


class MemoryTracker(OperatorTracker):
    """Bytes alive, their peak and the module that ran at the peak; per module, bytes allocated and highest alive.

    Operators are decomposed as far as they go. Parameters, buffers and inputs are not included.
    """

    def __init__(self, model: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__(model)
        self.alive = self.peak = 0
        self.peak_path = ""
        self.allocated: dict[str, int] = {}
        self.highest: dict[str, int] = {}
        tensors = (*model.parameters(), *model.buffers(), *inputs)
        storages = [storage for tensor in tensors for storage in storages_of(tensor)]
        self.known: dict[int, weakref.ref[Any]] = {storage._cdata: weakref.ref(storage) for storage in storages}
        self.numbers: dict[int, int] = dict.fromkeys(self.known, -1)  # Of the allocation of each storage.
        self.sizes: list[int] = []  # By number of the allocation.
        self.nodes: list[int] = []  # The node of the backward pass that made each allocation; -1 in a forward pass.
        self.events: list[tuple[int, str]] = []  # Number and module of an allocation; ~number where it is freed.
        self.present: set[int] = set()  # Numbers of the allocations alive now.
        self.saved: set[int] = set()  # Those that the last forward pass keeps for its backward pass.
        self.in_backward = False
        self.adds_bias = False  # While a linear layer runs.
        references_if_unique()

    def run_operator(self, func: Any, known: Operator, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        if func is ADDITION and self.adds_bias and (result := add_bias_in_place(args)) is not None:
            return result
        if self.in_backward and may_write(func, args, kwargs) and self._writes_into_new(func, args):
            return args[0]
        result = super().run_operator(func, known, args, kwargs)
        if func in CPU_RESULTS:
            result = CPU_RESULTS[func](result, args)
        if known.kind == "view":
            return result
        for tensor in tensors_of(result):
            if tensor.is_meta and tensor.is_sparse:
                self.note(self.path, " makes a sparse tensor, whose size is not known on meta: memory is larger")
            for storage in storages_of(tensor):
                self._allocate(storage)
        return result

    def _writes_into_new(self, func: Any, args: tuple[Any, ...]) -> bool:
        number = self.numbers.get(storage_id(args[0]), -1)
        return number >= 0 and writes_into_new(func, args, current_node_number(), self.nodes[number])

    def _allocate(self, storage: torch.UntypedStorage) -> None:
        """A storage not seen before is a new allocation."""
        known = self.known.get(storage._cdata)
        if known is not None and known() is not None:
            return
        size, number = storage.nbytes(), len(self.sizes)
        self.known[storage._cdata] = weakref.ref(storage, partial(self._free, number))
        self.numbers[storage._cdata] = number
        self.sizes.append(size)
        self.nodes.append(current_node_number() if self.in_backward else -1)
        self.events.append((number, self.path))
        self.present.add(number)
        self.alive += size
        for path in prefixes(self.path):
            self.allocated[path] = self.allocated.get(path, 0) + size
            self.highest[path] = max(self.highest.get(path, 0), self.alive)
        if self.alive > self.peak:
            self.peak, self.peak_path = self.alive, self.path

    def _free(self, number: int, storage: object) -> None:
        self.alive -= self.sizes[number]
        self.present.discard(number)
        self.events.append((~number, ""))

    def allocations(self, tensors: Iterable[Tensor]) -> set[int]:
        """The numbers of the allocations in which tensors are, without parameters, buffers and inputs."""
        storages = [storage for tensor in tensors for storage in storages_of(tensor)]
        for storage in storages:
            self._allocate(storage)
        return {self.numbers[storage._cdata] for storage in storages} - {-1}

    def save_for_backward(self, tensor: Tensor) -> Tensor:
        if not self.in_backward:  # A checkpoint with reentry saves tensors of its second forward pass.
            self.saved |= self.allocations([tensor])
        # With its graph, an output that its own node saves would keep the node, and the node the output.
        return tensor if tensor.grad_fn is None else tensor.detach()


def _training_memory(model: nn.Module, tracker: MemoryTracker, setup: TrainingSetup) -> dict[str, Any]:
    """The fields of `Memory` that training changes."""
    trained = [parameter for parameter in model.parameters() if parameter.grad is not None]
    numbers = tracker.allocations(parameter.grad for parameter in trained if parameter.grad is not None)
    # Sharded gradients are smaller than their allocations.
    sizes = [setup.share(size, 2) if number in numbers else size for number, size in enumerate(tracker.sizes)]
    total, peak, path, last = 0, 0, "", 0
    for index, (number, place) in enumerate(tracker.events):
        total += sizes[number] if number >= 0 else -sizes[~number]
        if total > peak:
            peak, path, last = total, place, index
    numbers_until_peak = [number for number, _ in tracker.events[: last + 1]]
    present = set(numbers_until_peak).difference(~number for number in numbers_until_peak)
    width = FLOAT32_BYTES if setup.master_weights else 0
    tensors = [Trained(parameter.numel(), width or parameter.element_size()) for parameter in trained]
    optimizers = {name: memory(tensors) for name, memory in OPTIMIZERS.items() if setup.optimizer in ("", name)}
    shared = {
        name: OptimizerMemory(setup.share(memory.state, 1), setup.share(memory.temporary, 1))
        for name, memory in optimizers.items()
    }
    return {
        "parameters": setup.share(_bytes(model.parameters()), 3),
        "activations": peak,
        "peak_path": path,
        "saved": sum(sizes[number] for number in tracker.saved - numbers),
        "gradients": sum(sizes[number] for number in numbers),
        "saved_at_peak": sum(sizes[number] for number in present & (tracker.saved - numbers)),
        "gradients_at_peak": sum(sizes[number] for number in present & numbers),
        "master_weights": setup.share(width * sum(tensor.elements for tensor in tensors), 1),
        "gathered": _largest_layer(model, setup),
        "optimizers": shared,
        "setup": None if setup == TrainingSetup() else setup,
    }


def _largest_layer(model: nn.Module, setup: TrainingSetup) -> int:
    """Bytes of the weights (stage 3) and gradients (from stage 2) of the layer that has most of them.

    Where gradients are added up, a whole gradient that is to be added is a temporary tensor already.
    """
    if setup.devices == 1 or setup.stage < 2:
        return 0
    layers = [list(module.parameters(recurse=False)) for module in model.modules()]
    weights = max(map(_bytes, layers)) if setup.stage == 3 else 0
    gradients = max(_bytes(p.grad for p in layer if p.grad is not None) for layer in layers)
    return weights + (gradients if setup.accumulate == 1 else 0)


def _bytes(tensors: Iterable[Tensor]) -> int:
    """Bytes of distinct storages."""
    storages = [storage for tensor in tensors for storage in storages_of(tensor)]
    return sum({storage._cdata: storage.nbytes() for storage in storages}.values())
