"""Results of sweeps by hand: counts and times are what a test says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import product
from typing import Any

from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from analyzer.records.sweep_result import Case, Result
from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.sweeps.analysis.analysis import Analysis, analyze_points
from analyzer.sweeps.analysis.points import point

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
    host = environment["processor"]["model"].split()[0].lower()
    if failed:
        return Result(key, case, "failed", reason=failed, host=host, ended=ended)
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
    return Result(key, case, "ok", record=record, host=host, ended=ended)


SIZES = {
    "googlenet": (6_998_552, 1_582_671_872),
    "alexnet": (60_965_224, 724_406_816),
    "nin": (7_595_176, 1_100_299_520),
}


def measured_grid(*, models: Mapping[str, tuple[int, int]] = SIZES) -> list[Result]:
    """Models × 3 batches × 2 thread counts × 2 settings on two machines: 72 results, of which 2 failed and 2 are void.

    A pass takes its MACs at 40 GFLOP/s with one thread and 0.3 ms. channels_last with bfloat16 halves the time, two
    threads take 0.6 of it, and the large machine 0.5 of it.
    """
    results = []
    for environment, machine in ((SMALL, 1.0), (LARGE, 0.5)):
        for model, (params, macs) in models.items():
            for batch, threads, (dtype, layout, setting) in product((1, 2, 4), (2, 4), SETTINGS):
                seconds = (macs * batch / 4e10 * (0.6 if threads == 4 else 1.0) * setting + 3e-4) * machine
                last = (model, threads, setting) == ("nin", 4, 1.0)
                results.append(
                    result(
                        model, seconds, spread=0.01, params=params, macs=macs, environment=environment, batch=batch,
                        threads=threads, dtype=dtype, layout=layout,
                        quality="void" if last and batch == 2 else "trusted",
                        failed="out of memory: 2.1 GB" if last and batch == 4 else "",
                    )
                )  # fmt: skip
    return results


SETTINGS = (("float32", "contiguous", 1.0), ("bfloat16", "channels_last", 0.5))


def analyze_results(results: Iterable[Result], **options: Any) -> Analysis:
    """As `analyze_points`, of whole results."""
    return analyze_points(map(point, results), **options)
