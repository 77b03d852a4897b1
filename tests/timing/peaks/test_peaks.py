"""Peaks measured with fakes of torch and of the clock: every figure is the one that was put in."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest

from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.timing.clock.clocks import EventClock
from analyzer.timing.peaks import cpu, gpu
from analyzer.timing.peaks.cpu import Meter, Peak, Samples, best_samples, host_runner, peak
from tests.timing.simulated import Device, FakeWatch, ManualClock

KIB = 1024
CACHES = [
    {"level": 1, "kind": "data", "bytes": 32 * KIB},
    {"level": 1, "kind": "instruction", "bytes": 32 * KIB},
    {"level": 2, "kind": "unified", "bytes": 1024 * KIB},
    {"level": 3, "kind": "unified", "bytes": 32 * 1024 * KIB},
]
CALL_S = 20e-6  # The cost of any call of an operator.
FLOPS_PER_S = {"float32": 100e9, "float64": 50e9, "bfloat16": 200e9, "float16": 2e9}
BYTES_PER_S = {1024 * KIB: 10e9, 32 * 1024 * KIB: 5e9}  # By the size that fits; then memory's.
MEMORY_PER_S = 1e9
BUSY = "another process was running"


class FakeTorch:
    """The functions of torch that the peaks call, on a CPU; `lacks` are types without a product."""

    float32, float64, bfloat16, float16 = "float32", "float64", "bfloat16", "float16"
    inference_mode = staticmethod(nullcontext)

    def __init__(self, clock, lacks=()):
        self.clock, self.lacks, self.threads = clock, lacks, 0

    def set_num_threads(self, threads):
        self.threads = threads

    def randn(self, side, _, device=None):
        return SimpleNamespace(to=lambda dtype: SimpleNamespace(count=side, dtype=dtype))

    def empty(self, side, _, dtype, device=None):
        return None

    def zeros(self, count, device=None):
        return SimpleNamespace(count=count, copy_=lambda other: self.stream(2, count))

    def add(self, b, c, alpha, out):
        self.stream(3, b.count)

    def mm(self, left, right, out):
        if left.dtype in self.lacks:
            raise RuntimeError(f"no product of {left.dtype}")
        self.product(left.dtype, 2 * left.count**3)

    def product(self, dtype, flops):
        self.clock.advance(flops / (FLOPS_PER_S[dtype] * self.threads))

    def stream(self, buffers, count):
        moved = 4 * buffers * count
        fits = [rate for size, rate in BYTES_PER_S.items() if moved <= size * (self.threads if size < 2**23 else 1)]
        self.clock.advance(CALL_S + moved / (fits[0] if fits else MEMORY_PER_S))


def measure(threads=(1,), caches=CACHES, watch=None, progress=lambda done, total, label: None, **options):
    """Peaks by name and thread count, and the seconds that measuring took."""
    clock = ManualClock()
    watch = watch or FakeWatch()
    peaks = cpu.measure(
        threads, caches, progress, torch=FakeTorch(clock, **options), now=clock.now, watch=lambda count: watch
    )
    return {(peak.name, peak.threads): peak for peak in peaks}, clock.now()


def samples(seconds, watch=None, spare_s=1.0):
    """Samples of a call that takes the seconds given, one after the other, and does 8 units of work."""
    clock, seconds = ManualClock(), iter(seconds)
    meter = Meter(host_runner(clock.now), watch or FakeWatch(), spare_s)
    return meter.samples(8.0, lambda: clock.advance(next(seconds))), clock.now()


def test_the_first_sample_is_dropped():
    assert samples([0.5] + [0.04] * 99)[0].rates == pytest.approx([8.0 / 0.04] * 5)


def test_a_disturbed_sample_is_repeated():
    repeated, _ = samples([0.04, 0.04, 0.08, 0.04, 0.04, 0.04, 0.04], FakeWatch(None, None, BUSY))
    assert repeated == Samples(pytest.approx((8.0 / 0.04,) * 5))


def test_repeating_ends_with_the_spare_time():
    disturbed, took_s = samples([0.04] * 99, FakeWatch(last=BUSY), spare_s=0.39)
    # The first is dropped and costs 0.04 of the 0.39 s to spare, each further one as much.
    assert (len(disturbed.rates), disturbed.disturbance) == (9, BUSY)
    assert took_s == pytest.approx(0.4)


def test_three_undisturbed_samples_suffice_without_spare_time():
    clean, _ = samples([0.04] * 99, FakeWatch(None, None, BUSY, None, BUSY, None), spare_s=0.0)
    assert (len(clean.rates), clean.disturbance) == (3, "")


def test_a_ceiling_is_the_best_undisturbed_median():
    low, high, disturbed = Samples((1.0, 9.0, 2.0)), Samples((3.0, 3.0, 4.0)), Samples((99.0,), BUSY)
    assert best_samples([low, high, Samples(())]) == high
    assert best_samples([low, disturbed]) == low
    assert best_samples([disturbed]) == disturbed
    assert best_samples([]) == Samples(())
    assert peak("float32", "FLOP", 1, high) == Peak("float32", "FLOP", 1, 3.0, pytest.approx(1 / 3))
    assert peak("float32", "FLOP", 1, Samples(())).value == 0
    assert peak("float32", "FLOP", 1, disturbed) == Peak("float32", "FLOP", 1, 99.0, 0.0, "void", BUSY)


def test_matrix_products_by_type_and_thread_count():
    peaks, _ = measure(threads=(1, 2), lacks=("float64",))
    for threads in (1, 2):
        assert peaks["float64", threads].value == 0
        for dtype in ("float32", "bfloat16", "float16"):
            assert peaks[dtype, threads].value == pytest.approx(FLOPS_PER_S[dtype] * threads)
            assert peaks[dtype, threads].spread == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("kind", ["copy", "triad"])
def test_bandwidth_is_without_the_cost_of_a_call(kind):
    # Half of L2 is 512 KiB at 10 GB/s: 52 µs, and 20 µs for the call; a call of one element is 20 µs.
    peaks, _ = measure()
    rates = {level: peaks[f"{kind} {level}", 1].value for level in ("L2", "L3", "memory")}
    assert rates == pytest.approx({"L2": 10e9, "L3": 5e9, "memory": 1e9}, rel=0.01)
    assert (f"{kind} L1", 1) not in peaks  # Half of L1 is 16 KiB at 10 GB/s: 1.6 µs, less than the call.


def test_private_caches_grow_with_the_threads():
    # Two threads stream 1 MiB: half of each L2. The fake caches share the rate.
    assert measure(threads=(2,))[0]["copy L2", 2].value == pytest.approx(10e9, rel=0.01)


def test_without_known_caches_only_memory_has_a_bandwidth():
    assert [name for name, _ in measure(caches=[])[0] if " " in name] == ["copy memory", "triad memory"]


def test_progress():
    reports = []
    measure(progress=lambda *report: reports.append(report))
    # Four types, then copy and triad of L1, L2, L3 and memory.
    assert [done for done, _, _ in reports] == [0, 1, 2, 3, 4, 6, 8, 10]
    assert {total for _, total, _ in reports} == {4 + 2 * 4}
    assert reports[0][2] == "matrix product, float32, 1 thread"


def test_measuring_takes_seconds_also_when_every_peak_is_void():
    assert measure(threads=(1, 2))[1] < 18  # Six of them for memory at 1 GB/s.
    peaks, took_s = measure(watch=FakeWatch(last=BUSY))
    assert {(peak.quality, peak.reason) for peak in peaks.values()} == {("void", BUSY)}
    assert took_s < 20


class FakeGpu(FakeTorch):
    """The functions of torch that the peaks call, on a GPU with a queue behind its host."""

    rates = {"highest": 50e12, "high": 400e12, "float64": 60e12, "bfloat16": 700e12, "float16": 700e12}
    precision = "highest"

    def __init__(self, launch_s=5e-6, lacks=()):
        super().__init__(host := ManualClock(), lacks)
        self.cuda, self.device = self, Device(host, launch_s, record_s=10e-6)
        self.event_clock = EventClock(self.device, host.nanoseconds, self.device.sleep)

    def get_device_properties(self, device):
        assert device == "cuda:0"
        return SimpleNamespace(name="H100", L2_cache_size=50 * 2**20, total_memory=80 * 2**30)

    def get_float32_matmul_precision(self):
        return self.precision

    def set_float32_matmul_precision(self, precision):
        self.precision = precision

    def product(self, dtype, flops):
        self.device.launch(flops / self.rates[self.precision if dtype == "float32" else dtype])

    def stream(self, buffers, count):
        moved = 4 * buffers * count
        self.device.launch(1e-6 + moved / (5e12 if moved < 2**26 else 3e12))


def measure_gpu(torch, watch=None):
    peaks = gpu.measure("cuda:0", torch=torch, clock=torch.event_clock, watch=watch or FakeWatch())
    return {peak.name: peak for peak in peaks}


def test_peaks_of_a_gpu_are_without_launch_overhead():
    torch = FakeGpu()
    peaks = measure_gpu(torch)
    assert {(peak.threads, peak.device, peak.quality) for peak in peaks.values()} == {(0, "H100", "trusted")}
    # A copy in the L2 cache takes 5 µs and its launch as long.
    assert {name: peak.value for name, peak in peaks.items()} == pytest.approx({
        "float32": 50e12, "tf32": 400e12, "float64": 60e12, "bfloat16": 700e12, "float16": 700e12,
        "copy L2": 5e12, "triad L2": 5e12, "copy memory": 3e12, "triad memory": 3e12,
    })  # fmt: skip
    assert torch.precision == "highest"


def test_peaks_of_a_shared_gpu_are_void_and_a_missing_type_has_none():
    peaks = measure_gpu(FakeGpu(lacks=("bfloat16",)), FakeWatch(last="another process used the GPU"))
    assert peaks["bfloat16"].value == 0
    assert {peak.quality for peak in peaks.values() if peak.value} == {"void"}


def test_a_failed_peak_is_void_and_the_others_are_measured():
    def out_of_memory(count, device):
        raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB\nmore")

    torch = FakeGpu()
    torch.zeros = out_of_memory
    peaks = measure_gpu(torch)
    assert peaks["copy L2"].quality == "void"
    assert peaks["copy L2"].reason == "CUDA out of memory. Tried to allocate 1 GiB"
    assert peaks["float32"].value == pytest.approx(50e12)


def test_a_gpu_whose_queue_cannot_be_blocked_has_no_peaks():
    torch = FakeGpu(launch_s=2e-3)
    torch.event_clock.blocker.block_s = 1e-9
    with pytest.raises(CannotMeasure, match="could not queue"):
        gpu.queue_runner(torch.event_clock)(torch.device.synchronize, 0.02)
    torch.event_clock.disable_blocking()
    with pytest.raises(AnalyzerError, match="cannot block the GPU's queue"):
        measure_gpu(torch)
