"""Replies become one measurement: undisturbed samples in order, their quality, and warnings."""

from __future__ import annotations

import re

import pytest

from analyzer.records.timings import Configuration
from analyzer.timing.driver.build_measurement import build_measurement
from analyzer.timing.machine.contention import ON_OTHER_PROCESSORS
from analyzer.timing.request import Request
from analyzer.worker.reply import Reply

REQUEST = Request(Configuration(), variant="googlenet", min_clean=3)
KEYS = [["forward", "conv", "conv2d", 1], ["forward", "", "overhead", 1]]
ENVIRONMENT = {"system": {"os": "Linux"}, "allocator": "the system's"}
CAUSE = "another process was running"


def clean(*seconds):
    return [(sample, None) for sample in seconds]


def reply(passes, /, instrumented=(), device=(), keys=KEYS, note="", **done):
    """A worker that ended well: samples as (seconds, disturbance), instrumented ones as tuples of operator times."""
    samples = [["pass", *sample] for sample in passes] + [["device", *sample] for sample in device]
    samples += [["instrumented", list(times), disturbance] for times, disturbance in instrumented]
    lines = (
        {"event": "ready", "record": None, "environment": ENVIRONMENT},
        {"event": "keys", "keys": keys if instrumented else [], "warm_up_s": [], "note": note},
        {"event": "samples", "samples": samples},
        {"event": "done", "launch_share": None, **done},
    )
    return Reply(lines, "done")


def gpu(wall_s=4e-3, device_s=1e-3, instrumented=(None,) * 5, *, pass_cause=None, device_cause=None, ahead=True):
    """A GPU worker with five passes, five GPU times and, per disturbance, an instrumented pass of 0.6 and 0.4 ms."""
    times = [((0.6e-3, 0.4e-3), cause) for cause in instrumented]
    return reply([(wall_s, pass_cause)] * 5, times, [(device_s, device_cause)] * 5, queued_in_time=ahead)


def test_samples_of_processes_follow_each_other():
    measurement = build_measurement(REQUEST, [reply(clean(1.01, 1.01)), reply(clean(1.02, 1.0, 1.01))])
    assert measurement.pass_timing.samples_s == (1.01, 1.01, 1.02, 1.0, 1.01)
    assert measurement.pass_timing.processes == (2, 3)
    assert (measurement.quality, measurement.status) == ("trusted", "ok")


def test_operators_and_overhead_add_up_to_the_interquartile_passes():
    times = clean((0.6, 0.4), (0.7, 0.4), (0.8, 0.4), (9.0, 9.0))
    measurement = build_measurement(REQUEST, [reply(clean(1.0, 1.0, 1.0, 1.0), times)])
    times_s = {timing.op: seconds for timing, seconds in measurement.operator_times_s.items()}
    assert times_s == pytest.approx({"conv2d": (0.7 + 0.8) / 2, "overhead": 0.4})
    assert [timing.kind for timing in measurement.operator_times_s] == ["operator", "overhead"]


def test_disturbed_samples_are_left_out_except_of_a_void_timing():
    kept = build_measurement(REQUEST, [reply([*clean(*[1.0] * 9), (5.0, CAUSE)])])
    assert (kept.quality, kept.pass_timing.samples_s) == ("trusted", (1.0,) * 9)
    void = build_measurement(REQUEST, [reply([*clean(1.0, 1.0), *[(5.0, CAUSE)] * 4])])
    assert (void.quality, len(void.pass_timing.samples_s)) == ("void", 6)


def test_operators_that_change_between_processes_are_not_reported():
    other = [["forward", "conv", "linear", 1], KEYS[1]]
    replies = [reply(clean(1.0, 1.0), clean((0.6, 0.4)), keys=keys) for keys in (KEYS, other)]
    measurement = build_measurement(REQUEST, replies)
    assert measurement.of("operator") == ()
    assert "change from process to process" in measurement.warnings[0]
    assert build_measurement(REQUEST, [reply(clean(1.0), clean((1.0, 0.0)), note="why")]).warnings == ("why",)


def test_an_operator_on_which_processes_differ_is_noisy_in_a_trusted_pass():
    """Passes of 1 s. The first process has 0.6 s of conv2d and the second 0.4: resampled means of 0.4, 0.5, 0.5 and 0.6
    have a standard deviation of 0.0707; times 17.97 that is 254 % of 0.5."""
    differ = [reply(clean(*[1.0] * 4), clean(*[times] * 4)) for times in ((0.6, 0.4), (0.4, 0.6))]
    measurement = build_measurement(REQUEST, differ)
    assert measurement.quality == measurement.pass_timing.quality == "trusted"
    for timing in measurement.operator_times_s:
        assert timing.quality == "noisy"
        assert re.fullmatch(r"± 2[45]\d\.\d %", timing.reason)
    agree = [reply(clean(*[1.0] * 4), clean(*[times] * 4)) for times in ((0.6, 0.4), (0.601, 0.399))]
    assert {timing.quality for timing in build_measurement(REQUEST, agree).timings} == {"trusted"}


def test_operators_of_a_noisy_pass_are_noisy_without_a_reason_of_their_own():
    differ = [reply(clean(*[seconds] * 4), clean(*[(0.6, 0.4)] * 4)) for seconds in (1.0, 1.2)]
    measurement = build_measurement(REQUEST, differ)
    assert {timing.quality for timing in measurement.timings} == {"noisy"}
    assert {timing.reason for timing in measurement.operator_times_s} == {""}


@pytest.mark.parametrize(
    ("replies", "status", "reason"),
    [
        ([Reply((), "failed", "out of memory")], "failed", "out of memory"),
        ([Reply((), "lost", "killed by signal 9")], "lost", "killed by signal 9"),
        ([Reply((), "interrupted", "interrupted")], "partial", "interrupted"),
        ([], "lost", "it was not measured"),
    ],
)
def test_a_measurement_without_samples_is_void_and_has_the_reason(replies, status, reason):
    measurement = build_measurement(REQUEST, replies)
    assert (measurement.status, measurement.quality, measurement.reason) == (status, "void", reason)
    assert measurement.timings == ()


def test_samples_of_one_process_are_kept_when_the_next_is_lost():
    measurement = build_measurement(REQUEST, [reply(clean(1.0, 1.0, 1.0)), Reply((), "lost", "killed by signal 9")])
    assert (measurement.status, measurement.pass_timing.samples_s) == ("partial", (1.0, 1.0, 1.0))
    assert "killed by signal 9" in measurement.warnings


@pytest.mark.parametrize(("device_s", "bound"), [(0.94, True), (0.92, True), (0.87, True), (0.96, False)])
def test_a_pass_whose_gpu_is_idle_five_percent_of_the_time_is_launch_bound(device_s, bound):
    measurement = build_measurement(REQUEST, [gpu(wall_s=1.0, device_s=device_s, instrumented=())])
    assert any("launch-bound" in warning for warning in measurement.warnings) == bound


@pytest.mark.parametrize(("launch_share", "bound"), [(0.97, True), (0.93, False), (0.5, False)])
def test_without_gpu_time_launch_overhead_is_judged_by_the_hosts_time(launch_share, bound):
    measurement = build_measurement(REQUEST, [reply(clean(1.0, 1.0, 1.0), launch_share=launch_share)])
    assert any("launch-bound" in warning for warning in measurement.warnings) == bound


def test_gpu_time_can_be_trusted_where_wall_time_is_noisy():
    measurement = build_measurement(REQUEST, [gpu(4e-3), gpu(6e-3), gpu(5e-3)])
    assert measurement.quality == "noisy"
    assert measurement.operator_quality == ("trusted", "")
    assert {timing.quality for timing in measurement.operator_times_s} == {"trusted"}
    assert (measurement.uninstrumented.kind, measurement.uninstrumented.median_s) == ("device", 1e-3)


def test_gpu_time_and_wall_time_are_judged_by_their_own_samples():
    cause = "another process used the GPU"
    wall_only = build_measurement(REQUEST, [gpu(instrumented=(), device_cause=cause)])
    assert (wall_only.quality, wall_only.operator_quality[0]) == ("trusted", "void")
    assert len(wall_only.of("device")[0].samples_s) == 5  # Void samples are shown.
    gpu_only = build_measurement(REQUEST, [gpu(instrumented=(), pass_cause=cause)])
    assert (gpu_only.quality, gpu_only.operator_quality) == ("void", ("trusted", ""))


@pytest.mark.parametrize(("late", "quality", "kept"), [(2, "noisy", 3), (4, "void", 5), (5, "void", 5)])
def test_gpu_operators_are_judged_by_the_instrumented_samples(late, quality, kept):
    cause = "the host did not issue it in time"
    measurement = build_measurement(REQUEST, [gpu(instrumented=[None] * (5 - late) + [cause] * late)])
    assert measurement.operator_quality[0] == quality
    assert f"{late} of 5 samples" in measurement.operator_quality[1]
    assert len(measurement.of("operator")[0].samples_s) == kept
    assert {timing.quality for timing in measurement.operator_times_s} == {quality}


def test_processes_that_queue_too_late_are_left_out_of_gpu_times():
    measurement = build_measurement(REQUEST, [gpu(), gpu(instrumented=[None] * 40, ahead=False)])
    assert len(measurement.of("device")[0].samples_s) == len(measurement.of("operator")[0].samples_s) == 5
    assert len(measurement.pass_timing.samples_s) == 10
    assert "1 of 2 processes" in measurement.warnings[-1]
    only_late = build_measurement(REQUEST, [gpu(ahead=False)])
    assert only_late.of("device") == ()
    assert "could not be queued" in only_late.warnings[-1]


def test_page_faults_are_a_warning():
    replies = [reply(clean(1.0, 1.0, 1.0), faults=faults, system_share=0.08) for faults in (31000, 33000, 35000)]
    warning, remedy = build_measurement(REQUEST, replies).warnings
    assert "33,000" in warning
    assert "MALLOC_MMAP_MAX_=0" in remedy


def test_kernels_of_several_processes_are_merged():
    kernel = ["conv", "aten::conv2d", 1, "kernel", "forward"]
    replies = [
        Reply((*reply(clean(1.0, 1.0)).lines, {"event": "kernels", "kernels": [[*kernel, samples]]}), "done")
        for samples in ([1e-3, 2e-3], [3e-3])
    ]
    (timing,) = build_measurement(REQUEST, replies).of("kernel")
    assert (timing.path, timing.samples_s, timing.processes) == ("conv", (1e-3, 2e-3, 3e-3), (2, 1))


def test_a_run_beside_another_process_is_noisy_with_its_name():
    busiest = {"name": "stress\x1b[31m", "process": 42, "share": 0.987}
    samples = [(1.0, ON_OTHER_PROCESSORS[0])] * 5
    times = [((0.6, 0.4), ON_OTHER_PROCESSORS[1])] * 5
    measurement = build_measurement(REQUEST, [reply(samples, times, busiest=busiest)] * 3)
    assert measurement.quality == "noisy"
    assert measurement.pass_timing.samples_s == (1.0,) * 15
    assert len(measurement.of("operator")[0].samples_s) == 15
    assert "(process 42, 99 % of a processor)" in measurement.reason
    assert "\x1b" not in measurement.reason
    undisturbed = build_measurement(REQUEST, [reply(clean(1.0, 1.0, 1.0), busiest=busiest)])
    assert (undisturbed.quality, undisturbed.reason) == ("trusted", "")


def test_growth_of_time_and_memory():
    """The number of a pass, its seconds, and the memory after it: a leak of 1 MB a pass, and passes that get longer."""
    numbers = list(range(1, 61))
    growing = [(1.0 + number / 60, None) for number in numbers]
    passes = {"numbers": numbers, "memory": [number * 10**6 for number in numbers], "repeats": 1}
    summary = {"passes": passes, "peak_bytes": 7 * 10**7, "faults": 5000, "system_share": 0.5}
    measurement = build_measurement(REQUEST, [reply(growing, **summary)] * 3)
    assert measurement.quality == "noisy"
    assert "passes get longer" in measurement.reason
    assert any("memory grows by 1.00 MB per pass" in warning for warning in measurement.warnings)
    assert not any("page faults" in warning for warning in measurement.warnings)
    assert (measurement.peak_memory_bytes, measurement.passes_per_sample) == (7 * 10**7, 1)


def test_first_calls_and_compilation():
    replies = [reply(clean(1.0, 1.0), first_call=0.3, compile=first, recompilations=2) for first in (4.0, 5.0)]
    measurement = build_measurement(REQUEST, replies)
    assert [timing.samples_s for kind in ("first_call", "compile") for timing in measurement.of(kind)] == [
        (0.3, 0.3), (4.0, 5.0),
    ]  # fmt: skip
    assert any("2 graphs again" in warning and "2 of 2 processes" in warning for warning in measurement.warnings)


@pytest.mark.parametrize(
    ("table", "read", "new_inputs", "note"),
    [
        (10**8, 10**5, False, "--new-inputs"), (10**8, 10**5, True, ""), (10**6, 10**5, True, "stay in"),
        (10**9, 10**8, False, ""),
    ],
)  # fmt: skip
def test_rows_of_an_embedding_that_stay_in_the_caches(table, read, new_inputs, note):
    keys = [["forward", "words", "embedding", 1], KEYS[1]]
    done = reply(
        clean(1.0), clean((0.6, 0.4)), keys=keys, tables=[{"table_bytes": table, "read_bytes": read}],
    )  # fmt: skip
    caches = {"processor": {"caches": [{"level": 3, "kind": "unified", "bytes": 32 * 2**20}]}}
    ready = {**done.lines[0], "environment": {**ENVIRONMENT, **caches}}
    request = REQUEST.replace(new_inputs=new_inputs)
    warnings = build_measurement(request, [done.replace(lines=(ready, *done.lines[1:]))]).warnings
    assert [note in warning for warning in warnings if "embeddings" in warning] == ([True] if note else [])
