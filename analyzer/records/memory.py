"""Memory of one pass: the peak, what it consists of, and the memory of each module."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.core.frozen import Frozen
from analyzer.records.optimizer_memory import OptimizerMemory
from analyzer.records.training import TrainingSetup


class ModuleMemory(Frozen):
    """Bytes that a module allocates in a pass for outputs and temporaries, and peak memory while it ran."""

    path: str
    allocated: int
    peak: int


class Memory(Frozen):
    """Memory of one pass in bytes. `activations` is the peak of all tensors that operators return, at `peak_path`.

    In training it includes tensors that autograd saved and gradients: `saved` and `gradients` are all of them,
    `saved_at_peak` and `gradients_at_peak` those alive at the peak. Parameters, buffers and inputs, which include
    tensors in other attributes of modules, are counted separately. With sharding all is that of one device; `gathered`
    are the weights and gradients of the largest layer, which are whole for a moment.
    """

    parameters: int
    buffers: int
    inputs: int
    activations: int
    peak_path: str
    saved: int
    gradients: int
    modules: tuple[ModuleMemory, ...] = ()
    saved_at_peak: int = 0
    gradients_at_peak: int = 0
    master_weights: int = 0
    gathered: int = 0
    optimizers: Mapping[str, OptimizerMemory] = {}
    setup: TrainingSetup | None = None

    @property
    def optimizer(self) -> str:
        """The optimizer that was chosen; "" if none was."""
        return self.setup.optimizer if self.setup else ""

    @property
    def peak(self) -> int:
        """Peak memory without an optimizer."""
        return sum(self.terms().values())

    def total(self, optimizer: str) -> int:
        """Peak memory of training steps with an optimizer."""
        return sum(self.terms(optimizer).values())

    def peaks_in_step(self, optimizer: str) -> bool:
        """Whether the peak is in the optimizer's step, where nothing is saved and all gradients exist."""
        return bool(optimizer) and self.gradients + self.optimizers[optimizer].temporary > self.activations

    def terms(self, optimizer: str = "") -> dict[str, int]:
        """What the peak consists of, in training by purpose."""
        constant = {"parameters": self.parameters, "buffers": self.buffers, "inputs": self.inputs}
        if not self.optimizers:
            return {**constant, "activations at the peak": self.activations}
        gradients, saved = self.gradients_at_peak, self.saved_at_peak
        temporary = self.activations - gradients - saved
        if self.peaks_in_step(optimizer):
            gradients, saved, temporary = self.gradients, 0, self.optimizers[optimizer].temporary
        return {
            **constant,
            "master weights": self.master_weights,
            "gathered layer": self.gathered,
            "gradients": gradients,
            "optimizer state": self.optimizers[optimizer].state if optimizer else 0,
            "saved activations": saved,
            "temporary tensors": temporary,
        }
