"""How a model is trained, as far as memory depends on it: optimizer, precision, accumulation and sharding.

Sources: torch.optim; bitsandbytes' `Adam8bit`; Rajbhandari et al. 2020, ZeRO (stages 1 to 3); Micikevicius et al. 2018,
Mixed precision training (float32 master weights).
"""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.errors import AnalyzerError, quoted, require_positive_int
from analyzer.core.frozen import Frozen

FLOAT32_BYTES = 4
# Adam's states of 8 bits: a float32 scale per block of each state, and one table of 256 float32 values for each state.
BLOCK, TABLES_BYTES = 256, 2 * 256 * FLOAT32_BYTES
MIN_8BIT_ELEMENTS = 4096  # Smaller tensors keep float32 states.

OPTIMIZERS = ("sgd", "momentum", "adam", "adamw", "adam8bit")
# The type to which a model is cast, and whether there are float32 master weights.
PRECISIONS = {
    "float32": ("float32", False),
    "bf16": ("bfloat16", False),
    "bf16-mixed": ("bfloat16", True),
    "fp16-mixed": ("float16", True),
}
STAGES = (1, 2, 3)


class TrainingSetup(Frozen):
    """`optimizer`: one of `OPTIMIZERS`, or "" for all. `precision`: one of `PRECISIONS`, or "" for the model's types.

    The optimizer state is split over `devices` (`stage` 1), gradients too (2), and weights too (3). `accumulate`: the
    number of passes whose gradients are added up before a step. Raises AnalyzerError for other values.
    """

    optimizer: str = ""
    precision: str = ""
    devices: int = 1
    stage: int = 3
    accumulate: int = 1

    def check(self) -> TrainingSetup:
        for name, value, known in (
            ("optimizer", self.optimizer, ("", *OPTIMIZERS)),
            ("precision", self.precision, ("", *PRECISIONS)),
            ("stage", self.stage, STAGES),
        ):
            if value not in known:
                wanted = ", ".join(str(choice) for choice in known if choice)
                raise AnalyzerError(f"unknown {name} {quoted(str(value))}; wanted one of: {wanted}")
        require_positive_int("devices", self.devices)
        require_positive_int("accumulate", self.accumulate)
        return self

    @property
    def dtype(self) -> str | None:
        """The name of the type of weights, gradients and activations; None for the model's own."""
        return PRECISIONS[self.precision][0] if self.precision else None

    @property
    def master_weights(self) -> bool:
        return bool(self.precision) and PRECISIONS[self.precision][1]

    def share(self, size: int, stage: int) -> int:
        """The bytes on one device of what is sharded from a stage on."""
        return -(-size // self.devices) if self.stage >= stage else size


class OptimizerMemory(Frozen):
    """Bytes that an optimizer keeps between steps, and those of temporary tensors during a step."""

    state: int
    temporary: int


def optimizer_memory(name: str, tensors: Sequence[tuple[int, int]]) -> OptimizerMemory:
    """Of trained tensors, given as elements and bytes per element: those of the master weights if there are any.

    torch's Adam also counts the steps of each tensor, in a float32. It updates the tensors one after the other: two
    temporary tensors of the largest.
    """
    size = sum(elements * width for elements, width in tensors)
    if name == "adam8bit":
        return OptimizerMemory(_eight_bit_state([elements for elements, _ in tensors]), 0)
    if name in ("adam", "adamw"):
        largest = max((elements * width for elements, width in tensors), default=0)
        return OptimizerMemory(2 * size + FLOAT32_BYTES * len(tensors), 2 * largest)
    return OptimizerMemory(size if name == "momentum" else 0, 0)


def _eight_bit_state(tensors: Sequence[int]) -> int:
    large = [elements for elements in tensors if elements >= MIN_8BIT_ELEMENTS]
    small = sum(tensors) - sum(large)
    scales = sum(-(-elements // BLOCK) for elements in large) * FLOAT32_BYTES
    return 2 * (small * FLOAT32_BYTES + sum(large) + scales) + (TABLES_BYTES if large else 0)
