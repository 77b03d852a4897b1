"""The request to a worker process, as JSON: one model at one configuration."""

from __future__ import annotations

from collections.abc import Mapping

from analyzer.core.frozen import Frozen
from analyzer.records.timings import Configuration
from analyzer.timing.load_options import LatencyLimit

PROFILED_PROCESSES = 3  # Processes that run --kernels, --replay and --load: more would add time and no information.


class Request(Frozen):
    """The model is `variant` with `overrides`, or `reference`, which is the label of a `module` that another process
    wrote to a file with its arguments. `inputs` are as on the command line, without the batch.

    `budget_s` is for one process and starts when its model is ready. Each process takes `min_samples` to `max_samples`
    samples of each thing it times. With fewer than `min_clean` undisturbed samples over all processes, the measurement
    is void. `loads` are requests per second.
    """

    configuration: Configuration
    variant: str | None = None
    overrides: Mapping[str, int] = {}
    reference: str | None = None
    module: str | None = None
    inputs: tuple[str, ...] = ()
    budget_s: float = 10.0
    min_samples: int = 5
    min_clean: int = 5
    max_samples: int = 200
    seed: int = 0
    new_inputs: bool = False
    loads: tuple[float, ...] = ()
    limit: LatencyLimit | None = None
    energy: bool = False
    kernels: bool = False
    replay: bool = False
    trace: str | None = None

    def for_process(self, completed: int, seed: int) -> Request:
        """The request of the process after `completed` processes. Only the first ones run --kernels, --replay, --load
        and --energy; one writes the trace and looks for the highest load."""
        profiled = completed < PROFILED_PROCESSES
        return self.replace(
            seed=seed,
            kernels=self.kernels and profiled,
            replay=self.replay and profiled,
            loads=self.loads if profiled else (),
            energy=self.energy and profiled,
            trace=None if completed else self.trace,
            limit=None if completed else self.limit,
        )

    @property
    def instrumented(self) -> bool:
        """Whether passes are split into operators; compiled code has none."""
        return not self.configuration.compiled

    @property
    def label(self) -> str:
        """The model's name as on the command line, with its overrides."""
        overrides = ",".join(f"{key}={value}" for key, value in self.overrides.items())
        name = self.variant or self.reference or ""
        return f"{name}@{overrides}" if overrides else name
