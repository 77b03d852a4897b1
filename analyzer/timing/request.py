"""What a fresh process is asked to time: one model at one configuration, as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Configuration

BESIDE = 3  # Processes that look for kernels and replay modules, where that is asked for. One writes a trace.


class Request(Frozen):
    """`variant` with `overrides`, or `reference`: which model. `inputs` as on the command line, without the batch.

    `budget_s` is for one process, from when its model is ready; `floor` and `ceiling` bound the samples that it
    takes of each arm. Of fewer than `fewest` clean samples, all processes together, no figure is made.
    """

    configuration: Configuration
    variant: str | None = None
    overrides: Mapping[str, int] = {}
    reference: str | None = None
    inputs: tuple[str, ...] = ()
    budget_s: float = 10.0
    floor: int = 5
    fewest: int = 5
    ceiling: int = 200
    seed: int = 0
    tiles: bool = True
    kernels: bool = False
    replay: bool = False
    trace: str | None = None

    def turn(self, number: int, seed: int) -> Request:
        """What the process after `number` that ended well is asked: what stands beside the times is soon known."""
        beside = number < BESIDE
        trace = None if number else self.trace
        return self.replace(seed=seed, kernels=self.kernels and beside, replay=self.replay and beside, trace=trace)

    @property
    def cut(self) -> bool:
        """Whether passes are cut into operators: compiled code has none."""
        return self.tiles and not self.configuration.compiled

    @property
    def label(self) -> str:
        """As the command line names it, with its changes."""
        changes = ",".join(f"{key}={value}" for key, value in self.overrides.items())
        name = self.variant or self.reference or ""
        return f"{name}@{changes}" if changes else name

    def to_json(self) -> dict[str, Any]:
        return {**vars(self), "configuration": dict(vars(self.configuration)), "inputs": list(self.inputs)}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Request:
        return cls(**{**data, "configuration": Configuration(**data["configuration"]), "inputs": tuple(data["inputs"])})
