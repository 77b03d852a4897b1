"""What a sweep would run, for `--dry-run`: counts and memory of each configuration, and a bound on its pass."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analyzer.core.frozen import Frozen
from analyzer.core.version import torch_build
from analyzer.records.run_files import load_peaks
from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps.keys import identity
from analyzer.sweeps.run_configuration import Limits
from analyzer.sweeps.run_locally import run_local


class Estimate(Frozen):
    """A case with its MACs, its peak memory in bytes and the least seconds of a pass by the roofline; None if unknown.

    Memory is scaled from float32 to the dtype. `reason` says why the model cannot be counted.
    """

    case: Case
    macs: int | None = None
    peak_memory: int | None = None
    at_least_s: float | None = None
    reason: str = ""


def estimates(
    cases: Sequence[Case], *, limits: Limits, processes: int, progress: Callable[[int, int, str], None]
) -> list[Estimate]:
    """Counts every model at every input, batch and mode once, in up to `processes` processes."""
    counted = {identity(without_times(case)): case for case in cases}
    keys = {text: str(number) for number, text in enumerate(counted)}
    rows: dict[str, tuple[Mapping[str, Any], list[list[int]]]] = {}

    def keep(row: Mapping[str, Any]) -> None:
        record = row["record"]
        works = [[item["flops"], item["bytes_read"], item["bytes_written"]] for item in json.loads(record)["rows"]] \
            if record and any("time" in case.measure for case in cases) else []  # fmt: skip
        rows[row["key"]] = ({name: row[name] for name in ("macs", "peak_memory", "reason")}, works)

    jobs = [(key, without_times(counted[text])) for text, key in keys.items()]
    run_local(
        jobs, run="", limits=limits, processes=processes, on_row=keep,
        progress=lambda label: progress(len(rows), len(jobs), label),
    )  # fmt: skip
    peaks, environment = _peaks()
    return [_estimate(case, *rows[keys[identity(without_times(case))]], peaks, environment) for case in cases]


def without_times(case: Case) -> Case:
    configuration = Configuration(batch=case.configuration.batch, mode=case.configuration.mode)
    return Case(case.model, case.overrides, case.inputs, configuration, ("counts", "memory"))


def _peaks() -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The kept peaks of this machine's processor, and what they belong to."""
    from analyzer.timing.machine.processor import processor

    environment = {"processor": processor(), "torch": {"version": torch_build()}}
    return load_peaks(environment), environment


def _estimate(
    case: Case,
    row: Mapping[str, Any],
    works: Sequence[Sequence[int]],
    peaks: Sequence[Mapping[str, Any]],
    environment: Mapping[str, Any],
) -> Estimate:
    from analyzer.timing.driver.time_configurations import ITEM_BYTES
    from analyzer.timing.machine.roofline import bound, measured_ceilings

    configuration = case.configuration
    share = ITEM_BYTES[configuration.dtype] / ITEM_BYTES["float32"]
    peak = row["peak_memory"]
    ceilings = measured_ceilings(peaks, environment, configuration) if works and not configuration.training else None
    at_least_s = None
    if ceilings:
        at_least_s, _ = bound(
            [(flops, int(read * share), int(written * share)) for flops, read, written in works], ceilings
        )
    return Estimate(case, row["macs"], None if peak is None else round(peak * share), at_least_s, row["reason"])
