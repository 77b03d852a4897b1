"""A sweep's analysis as JSON, and as CSV with a line per number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from math import isfinite
from typing import Any

from analyzer.records.record_json import envelope
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.best_configuration import Best
from analyzer.sweeps.analysis.points import Point
from reports.formats.text import csv_text

SHEET = ("section", "model", "batch", "threads", "dtype", "layout", "mode", "device", "machine", "quantity", "value",
         "low", "high", "outcome")  # fmt: skip
SETTINGS = ("batch", "threads", "dtype", "layout", "mode", "device", "compiled", "flushed")


def dump(analysis: Analysis) -> str:
    """The envelope: exact counts, seconds, ratios with their intervals; an unbounded end is null."""
    return envelope("ok", **_finite(_sections(analysis)), records=[])


def _sections(analysis: Analysis) -> dict[str, Any]:
    def described(point: Point) -> dict[str, Any]:
        return _described(point, analysis)

    return {
        "best": [_best(best, analysis) for best in analysis.best],
        "fronts": [
            {
                "cost": front.cost, "against": front.against, "setting": front.setting, "confidence": front.confidence,
                "models": [
                    {**described(item.point), "cost": item.cost, "low": item.low, "high": item.high,
                     "value": int(item.value) if front.against == "params" else item.value, "on_front": item.on_front}
                    for item in front.candidates
                ],
            }
            for front in analysis.fronts
        ],
        "scaling": [
            {
                "axis": curve.axis,
                "steps": [
                    {**described(step.point), **_rate(step.point), "efficiency": step.efficiency,
                     "efficiency_low": step.low, "efficiency_high": step.high}
                    for step in curve.steps
                ],
            }
            for curve in analysis.curves
        ],
        "machines": [
            {
                "first": analysis.machines[pair.first], "second": analysis.machines[pair.second],
                "comparisons": [
                    {"first": described(item.first), "second": described(item.second), "ratio": item.ratio,
                     "low": item.low, "high": item.high, "outcome": item.outcome}
                    for item in pair.comparisons
                ],
            }
            for pair in analysis.pairs
        ],
        "heat_maps": [
            {
                "metric": heat_map.metric, "x": heat_map.x, "y": heat_map.y or None, "fixed": dict(heat_map.fixed),
                "over": list(heat_map.over), "x_values": list(heat_map.x_values), "y_values": list(heat_map.y_values),
                "cells": [[cell and (cell.state if cell.value is None else cell.value) for cell in row]
                          for row in heat_map.cells],
            }
            for heat_map in analysis.heat_maps
        ],
        "failures": [
            {"reason": failure.reason, "configurations": list(map(described, failure.points))}
            for failure in analysis.failures
        ],
        "results": [{**described(point), **_result(point)} for point in analysis.points],
        "notes": list(analysis.notes),
    }  # fmt: skip


def _described(point: Point, analysis: Analysis) -> dict[str, Any]:
    settings = {name: getattr(point.configuration, name) for name in SETTINGS}
    machine = analysis.machines.get(point.machine) if point.machine else None
    return {"model": point.model, "inputs": list(point.inputs), **settings, "machine": machine}


def _rate(point: Point) -> dict[str, Any]:
    low, high = point.rate_interval
    return {"samples_per_s": point.samples_per_s, "low": low, "high": high}


def _result(point: Point) -> dict[str, Any]:
    macs = "step_macs" if point.step else "macs"
    counts = {"params": point.params, macs: point.macs, "peak_memory": point.peak}
    if point.failed:
        return {"status": "failed", "reason": point.reason}
    if point.time is None:
        return {"status": "ok", **counts}
    low, high = point.median.interval() if point.usable else (None, None)
    times = {"median_s": point.time.shown_s, "low_s": low, "high_s": high, "quality": point.time.quality}
    if point.time.gpu:
        times |= dict(zip(("gpu_low_s", "gpu_high_s"), point.time.gpu.interval(), strict=True))
        times["gpu_median_s"] = point.time.gpu.value
    return {"status": "ok", **counts, **times}


def _best(best: Best, analysis: Analysis) -> dict[str, Any]:
    return {
        "fastest": _described(best.fastest, analysis),
        "default": best.default and _described(best.default, analysis),
        "median_s": best.fastest.median.value,
        "default_s": best.default.median.value if best.default else None,
        "speed": best.speed,
        "low": best.low,
        "high": best.high,
        "outcome": outcome(best),
        "may_be_as_fast": [_described(point, analysis) for point in best.undecided],
        "compared": best.compared,
        "void": best.void,
    }


def outcome(best: Best) -> str:
    if best.default is None:
        return "no default"
    if best.speed is None:
        return "the default is the fastest"
    return "faster" if best.certain else "undecided"


def _finite(value: Any) -> Any:
    """JSON has no infinity."""
    if isinstance(value, float):
        return value if isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: _finite(item) for key, item in value.items()}
    return [_finite(item) for item in value] if isinstance(value, list) else value


def sheet(analysis: Analysis) -> str:
    """CSV: counts and times of each result, then ratios with their intervals; the columns are `SHEET`."""
    lines: Iterator[dict[str, Any]] = _lines(_finite(_sections(analysis)))
    return csv_text([list(SHEET), *([_cell(line.get(key)) for key in SHEET] for line in lines)])


def _cell(value: Any) -> Any:
    return "" if value is None else value


def _lines(sections: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for result in sections["results"]:
        for quantity in ("params", "macs", "step_macs", "peak_memory"):
            if result.get(quantity) is not None:
                yield {**result, "section": "results", "quantity": quantity, "value": result[quantity]}
        if "median_s" in result:
            yield {**result, "section": "results", "quantity": "time_s", "value": result["median_s"],
                   "low": result["low_s"], "high": result["high_s"], "outcome": result["quality"]}  # fmt: skip
        if "gpu_median_s" in result:
            yield {**result, "section": "results", "quantity": "gpu_time_s", "value": result["gpu_median_s"],
                   "low": result["gpu_low_s"], "high": result["gpu_high_s"]}  # fmt: skip
        if result["status"] == "failed":
            yield {**result, "section": "failures", "outcome": result["reason"]}
    yield from _ratios(sections)


def _ratios(sections: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    for best in sections["best"]:
        numbers = {key: best[key] for key in ("low", "high", "outcome")}
        yield {**best["fastest"], **numbers, "section": "best", "quantity": "speed", "value": best["speed"]}
    for front in sections["fronts"]:
        quantity = f"{front['cost']} against {front['against']}"
        for item in front["models"]:
            state = "on the front" if item["on_front"] else "dominated"
            yield {**item, "section": "fronts", "quantity": quantity, "value": item["cost"], "outcome": state}
    for curve in sections["scaling"]:
        for step in curve["steps"]:
            ends = {"low": step["efficiency_low"], "high": step["efficiency_high"]}
            yield {**step, **ends, "section": "scaling", "quantity": f"efficiency over {curve['axis']}",
                   "value": step["efficiency"]}  # fmt: skip
    for pair in sections["machines"]:
        for item in pair["comparisons"]:
            numbers = {key: item[key] for key in ("low", "high", "outcome")}
            yield {**item["second"], **numbers, "section": "machines", "quantity": f"time ÷ that on {pair['first']}",
                   "value": item["ratio"]}  # fmt: skip
