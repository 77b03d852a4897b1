"""Builds a measurement from the replies of its worker processes: undisturbed samples in order, and their quality."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Any

from analyzer.core.units import seconds
from analyzer.records.timings import MIN_RESOLVED_S, TRUSTED_HALF_WIDTH, Measurement, Quality, Timing
from analyzer.timing.driver.process_notes import (
    busiest_process,
    embedding_note,
    first_calls,
    pass_energy,
    pass_log,
    passes_per_sample,
    peak_bytes,
    recompilation_note,
)
from analyzer.timing.driver.processes import FAILED
from analyzer.timing.driver.quality import (
    Assessment,
    WatchedSamples,
    assess_quality,
    contention_quality,
    quality_beside_others,
    without_other_processors,
    worst,
)
from analyzer.timing.driver.sample_patterns import find_patterns
from analyzer.timing.machine.page_faults import page_fault_note
from analyzer.timing.request import Request
from analyzer.timing.statistics import interval_half_width
from analyzer.worker.reply import Reply

LAUNCH_BOUND = 0.95  # Largest GPU time over wall time, or smallest queueing time over GPU time, of a launch-bound pass.
SEPARATE = (
    "the pass is that of the exported program, which has no modules; the operators are those of "
    "torch.export.unflatten, which runs longer"
)
NOT_QUEUED = (
    "operator times include waiting for the host: the pass could not be queued ahead of the GPU, because it "
    "synchronizes with the GPU or is longer than its queue"
)


def build_measurement(request: Request, replies: Sequence[Reply]) -> Measurement:
    """The timings of one configuration. Disturbed samples are left out, except from a void timing."""
    sampled = [reply for reply in replies if _samples(reply, "pass")]
    failed = [reply for reply in replies if reply.end in FAILED][:1]
    unfinished = [reply for reply in replies if reply.end not in ("done", *FAILED)]
    if not sampled:
        reply = [*failed, *unfinished, Reply((), "lost", "it was not measured")][0]
        status = {"interrupted": "partial", **dict.fromkeys(FAILED, "failed")}.get(reply.end, "lost")
        return Measurement(request.configuration, (), "void", reply.reason, status)  # type: ignore[arg-type]
    passes, workload = ([_samples(reply, name) for reply in sampled] for name in ("pass", "reference_workload"))
    quality, reason = assess_quality(passes, request.min_clean, workload)
    disturbed = contention_quality(passes, request.min_clean)[0] != "trusted"
    if quality == "void":
        quality, reason = quality_beside_others(passes, request.min_clean, workload)
        if quality != "void":
            sampled = list(map(_without_other_processors, sampled))
            passes, workload = ([_samples(reply, name) for reply in sampled] for name in ("pass", "reference_workload"))
    reason += busiest_process(sampled) if disturbed else ""
    keep = _kept_disturbances(passes, quality)
    logs = [pass_log(reply, samples, keep) for reply, samples in zip(sampled, passes, strict=True)]
    patterns = find_patterns(logs, disturbed=quality == "void")
    if patterns.trend and quality == "trusted":
        quality, reason = "noisy", patterns.trend
    timings = [_timing(("", "", 1, "pass", "pass"), _seconds(passes, keep), quality, reason)]
    operator_quality, operator_keep, instrumented = quality, keep, sampled
    if queued := [reply for reply in sampled if _samples(reply, "device") and not _was_late(reply)]:
        device, operator_keep = _device_timing(request, queued)
        timings.append(device)
        operator_quality, instrumented = device.quality, queued
    operators, note = _operators(instrumented, operator_keep, operator_quality)
    timings += operators
    timings += first_calls(sampled)
    if any(reference := _seconds(workload, keep)):
        timings.append(_timing(("", "reference_workload", 1, "reference_workload", "pass"), reference, quality))
    for event in ("load", "kernels", "replay"):
        timings += _merged(sampled, event, operator_quality)
    reasons = [reply.reason for reply in [*unfinished, *failed]]
    notes = [note] if note else [SEPARATE] if any(reply.last("done").get("separate") for reply in sampled) else []
    notes += dict.fromkeys(str(text) for reply in sampled if (text := reply.last("done").get("note")))
    notes += [*([patterns.trend] if patterns.trend not in ("", reason) else []), *patterns.notes]
    notes += [*recompilation_note(sampled), *_queue_warnings(sampled, timings)]
    notes += [] if patterns.leaks else _page_faults(sampled)  # New memory causes faults, not freed memory.
    energy_j, energy_notes = pass_energy(sampled)
    notes += energy_notes
    status = "partial" if reasons else "ok"
    measurement = Measurement(
        request.configuration, tuple(timings), quality, reason, status,  # type: ignore[arg-type]
        peak_memory_bytes=peak_bytes(sampled), passes_per_sample=passes_per_sample(logs), energy_j=energy_j,
    )  # fmt: skip
    times_s = measurement.operator_times_s
    notes += embedding_note(sampled, _environment(sampled), times_s, new_inputs=request.new_inputs)
    return _assess_operators(measurement.replace(warnings=(*reasons, *notes)))


def _device_timing(request: Request, replies: Sequence[Reply]) -> tuple[Timing, set[bool]]:
    """GPU time of the pass, with the quality that its operators share, and which instrumented samples to keep."""
    device, instrumented = ([_samples(reply, name) for reply in replies] for name in ("device", "instrumented"))
    quality = assess_quality(device, request.min_clean)
    operators: Assessment = contention_quality(instrumented, request.min_clean) if any(instrumented) else quality
    samples = _seconds(device, _kept_disturbances(device, quality[0]))
    timing = _timing(("", "", 1, "device", "pass"), samples, *worst(quality, operators))
    return timing, _kept_disturbances(instrumented, operators[0])


def _operators(replies: Sequence[Reply], keep: set[bool], quality: Quality) -> tuple[list[Timing], str]:
    """Operators and overhead of all processes; none, with the reason, if passes do not all run the same operators."""
    keys = [reply.last("keys") or {"keys": [], "note": ""} for reply in replies]
    note = next((line["note"] for line in keys if line["note"]), "")
    if not note and any(line["keys"] != keys[0]["keys"] for line in keys):
        note = "not instrumented: operators change from process to process"
    if note:
        return [], note
    passes = _seconds([_samples(reply, "instrumented") for reply in replies], keep)
    timings = []
    for index, (phase, path, op, call) in enumerate(keys[0]["keys"]):
        kind = "overhead" if op == "overhead" else "operator"
        if any(passes):
            samples = [[operators[index] for operators in process] for process in passes]
            timings.append(_timing((path, op, call, kind, phase), samples, quality))
    return timings, ""


def _assess_operators(measurement: Measurement) -> Measurement:
    """Operators of a trusted pass are noisy where their own interval is too wide; else they share its quality."""
    if measurement.operator_quality[0] != "trusted":
        return measurement
    times_s, half_width = measurement.operator_times_s, interval_half_width(measurement)

    def assess(timing: Timing) -> Timing:
        time_s = times_s.get(timing, 0.0)
        width = half_width([timing]) if time_s >= MIN_RESOLVED_S else None
        if width is None or width <= TRUSTED_HALF_WIDTH * time_s:
            return timing
        return timing.replace(quality="noisy", reason=f"± {100 * width / time_s:.1f} %")

    return measurement.replace(timings=tuple(map(assess, measurement.timings)))


def _merged(replies: Sequence[Reply], event: str, quality: Quality) -> list[Timing]:
    """Kernels or replays: samples of the same thing from several processes make one timing."""
    samples: dict[tuple[Any, ...], list[list[float]]] = {}
    for reply in replies:
        for *key, values in reply.last(event).get(event, ()):
            samples.setdefault(tuple(key), []).append(values)
    return [_timing(key, processes, quality) for key, processes in samples.items()]


def _timing(key: tuple[Any, ...], processes: Sequence[Sequence[float]], quality: Quality, reason: str = "") -> Timing:
    """`key` is path, op, call, kind and phase."""
    path, op, call, kind, phase = key
    samples_s = tuple(round(max(sample, 0.0), 9) for process in processes for sample in process)
    counts = tuple(len(process) for process in processes if process)
    return Timing(path, op, call, kind, phase, samples_s, quality, reason, counts)


def _samples(reply: Reply, name: str) -> WatchedSamples:
    batches = [line["samples"] for line in reply.lines if line["event"] == "samples"]
    return [(seconds, disturbance) for batch in batches for sampled, seconds, disturbance in batch if sampled == name]


def _without_other_processors(reply: Reply) -> Reply:
    """The reply as if load on other processors were no disturbance."""

    def line_without(line: dict[str, Any]) -> dict[str, Any]:
        if line["event"] != "samples":
            return line
        taken = without_other_processors([(seconds, disturbance) for _, seconds, disturbance in line["samples"]])
        names = (name for name, _, _ in line["samples"])
        return {**line, "samples": [[name, *sample] for name, sample in zip(names, taken, strict=True)]}

    return reply.replace(lines=tuple(map(line_without, reply.lines)))


def _kept_disturbances(processes: Sequence[WatchedSamples], quality: Quality) -> set[bool]:
    """The values of the disturbance flag that are kept: False, and for a void timing both."""
    return {bool(disturbance) for process in processes for _, disturbance in process} if quality == "void" else {False}


def _seconds(processes: Sequence[WatchedSamples], keep: set[bool]) -> list[list[Any]]:
    return [[seconds for seconds, disturbance in process if bool(disturbance) in keep] for process in processes]


def _was_late(reply: Reply) -> bool:
    """Whether a process could not queue its instrumented passes ahead of the GPU."""
    return reply.last("done").get("queued_in_time") is False


def _queue_warnings(replies: Sequence[Reply], timings: Sequence[Timing]) -> list[str]:
    """Whether the pass is launch-bound, and whether passes could be queued ahead of the GPU."""
    median_s = {timing.kind: timing.median_s for timing in timings if timing.kind in ("pass", "device")}
    shares = [share for reply in replies if (share := reply.last("done").get("launch_share")) is not None]
    warnings = []
    if "device" in median_s:
        if median_s["device"] < LAUNCH_BOUND * median_s["pass"]:
            warnings = [f"the GPU is busy for {seconds(median_s['device'])} of {seconds(median_s['pass'])}"]
    elif shares and median(shares) >= LAUNCH_BOUND:
        warnings = [f"queueing the pass takes {100 * median(shares):.0f} % of its GPU time"]
    warnings = [f"launch-bound: {warning}; a larger batch or --compile reduces launches" for warning in warnings]
    if late := sum(map(_was_late, replies)):
        some = (
            f"{late} of {len(replies)} processes could not queue passes ahead of the GPU and are left out of GPU time"
        )
        warnings.append(some if "device" in median_s else NOT_QUEUED)
    return warnings


def _page_faults(replies: Sequence[Reply]) -> list[str]:
    return page_fault_note([line for reply in replies if (line := reply.last("done"))], _environment(replies))


def _environment(replies: Sequence[Reply]) -> dict[str, Any]:
    environment: dict[str, Any] = next((line for reply in replies if (line := reply.last("ready"))), {}).get(
        "environment", {}
    )
    return environment
