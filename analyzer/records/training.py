"""How a model is trained, as far as memory depends on it: optimizer, precision, accumulation and sharding.

Sources: Rajbhandari et al. 2020, ZeRO (stages 1 to 3); Micikevicius et al. 2018, Mixed precision training (float32
master weights).
"""

from __future__ import annotations

from analyzer.core.errors import AnalyzerError, quoted, require_positive_int
from analyzer.core.frozen import Frozen
from analyzer.records.optimizer_memory import OPTIMIZERS

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
