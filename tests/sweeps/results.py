"""Results of sweeps by hand: counts and times are what a test says."""

from __future__ import annotations

from typing import Any

from analyzer.records.record import Record
from analyzer.records.result import Case, Result
from analyzer.records.rows import Count, Row
from analyzer.records.timings import Configuration, Measurement, Timing

SMALL: dict[str, Any] = {
    "processor": {"model": "Small CPU", "family": ["6"], "flags": ["avx2"], "count": 4, "affinity": [0, 1, 2, 3]},
    "torch": {"version": "2.13.0", "capability": "AVX2"},
}
LARGE: dict[str, Any] = SMALL | {"processor": SMALL["processor"] | {"model": "Large CPU"}}


def result(
    model: str = "net",
    seconds: float | None = None,
    *,
    spread: float = 0.0,
    params: int = 100,
    macs: int = 1000,
    overrides: dict[str, int] | None = None,
    quality: Any = "trusted",
    environment: dict[str, Any] = SMALL,
    failed: str = "",
    ended: str = "2026-01-01T00:00:00.000Z",
    **configuration: Any,
) -> Result:
    """One configuration. Its three processes have the medians 1 - spread, 1 and 1 + spread times `seconds`."""
    setting = Configuration(**configuration)
    case = Case(model=model, overrides=overrides or {}, configuration=setting, measure=("counts", "time"))
    key = f"{case.label}/{setting.label}/{environment['processor']['model']}/{ended}"
    if failed:
        return Result(key, case, "failed", reason=failed, ended=ended)
    shape = ((setting.batch, 8), (setting.batch, 4))
    row = Row(
        "linear", "linear", "linear", 1, shape[:1], shape[1:], params, params, 0, macs * setting.batch, 0, 0, 0, 0
    )
    record = Record(model, shape[:1], setting.mode, Count("dispatch", (row,)), overrides=overrides or {})
    if seconds is not None:
        samples_s = tuple(seconds * (1 + sign * spread) for sign in (-1, 0, 1) for _ in range(3))
        timing = Timing("", "", 1, "pass", "pass", samples_s, quality, processes=(3, 3, 3))
        reason = "other processes" if quality != "trusted" else ""
        measurement = Measurement(setting, (timing,), quality, reason)
        record = record.replace(measurement=measurement, environment=environment, created=ended)
    return Result(key, case, "ok", record=record, ended=ended)
