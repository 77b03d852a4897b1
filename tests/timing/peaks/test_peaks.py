"""Peaks with a clock that a pretended torch turns: every figure is the one that was put in."""

from __future__ import annotations

import json
import re
from contextlib import nullcontext

import pytest

from analyzer.cli.jobs.machine import _chosen
from analyzer.core.errors import AnalyzerError, CannotMeasure
from analyzer.records.store import PEAKS
from analyzer.timing.clock.clocks import EventClock
from analyzer.timing.peaks import gpu as gpu_peaks
from analyzer.timing.peaks.cpu import Lot, Meter, Peak, best, measure, on_host, peak
from tests.timing.simulated import Device, Turned

KIB = 1024
CACHES = [
    {"level": 1, "kind": "data", "bytes": 32 * KIB},
    {"level": 1, "kind": "instruction", "bytes": 32 * KIB},
    {"level": 2, "kind": "unified", "bytes": 1024 * KIB},
    {"level": 3, "kind": "unified", "bytes": 32 * 1024 * KIB},
]
CALL_S = 20e-6  # What any call of an operator costs.
FLOPS_PER_S = {"float32": 100e9, "float64": 50e9, "bfloat16": 200e9, "float16": 2e9}
BYTES_PER_S = {1024 * KIB: 10e9, 32 * 1024 * KIB: 5e9}  # Of what fits a level; then memory's.
MEMORY_PER_S = 1e9


class Tensor:
    def __init__(self, torch, count, dtype="float32"):
        self.torch, self.count, self.dtype = torch, count, dtype

    def to(self, dtype):
        return Tensor(self.torch, self.count, dtype)

    def copy_(self, other):
        self.torch.stream(2, self.count)


class Torch:
    """As much of torch as the peaks ask for; `lacks` are types without a product."""

    float32, float64, bfloat16, float16 = "float32", "float64", "bfloat16", "float16"

    def __init__(self, clock, lacks=()):
        self.clock, self.lacks, self.threads = clock, lacks, 0

    def set_num_threads(self, threads):
        self.threads = threads

    def inference_mode(self):
        return nullcontext()

    def randn(self, side, _):
        return Tensor(self, side)

    def empty(self, side, _, dtype):
        return Tensor(self, side, dtype)

    def zeros(self, count):
        return Tensor(self, count)

    def mm(self, left, right, out):
        if left.dtype in self.lacks:
            raise RuntimeError(f"no product of {left.dtype}")
        self.clock.turn(2 * left.count**3 / (FLOPS_PER_S[left.dtype] * self.threads))

    def add(self, b, c, alpha, out):
        self.stream(3, b.count)

    def stream(self, buffers, count):
        moved = 4 * buffers * count
        fits = [rate for size, rate in BYTES_PER_S.items() if moved <= size * (self.threads if size < 2**23 else 1)]
        self.clock.turn(CALL_S + moved / (fits[0] if fits else MEMORY_PER_S))


class Says:
    """A watch that says of one sample after the other what it was told to, then always `last`."""

    def __init__(self, *reasons, last=None):
        self.reasons, self.last = list(reasons), last

    def look(self):
        return None

    def dirty(self, before, after):
        return self.reasons.pop(0) if self.reasons else self.last


QUIET = Says()
BUSY = "another process was running"


@pytest.fixture
def peaks():
    def of(threads=(1,), caches=CACHES, watch=QUIET, **options):
        clock = Turned()
        found = measure(threads, caches, torch=Torch(clock, **options), now=clock.now, watch=lambda count: watch)
        return {(one.name, one.threads): one for one in found}

    return of


def meter(clock, watch=QUIET, spare_s=1.0):
    return Meter(on_host(clock.now), watch, spare_s)


def test_rates_are_work_per_second_and_the_first_sample_is_dropped():
    clock = Turned()
    times = iter([0.5] + [0.04] * 99)  # The first call sets something up.
    assert meter(clock).lot(8.0, lambda: clock.turn(next(times))).rates == pytest.approx([8.0 / 0.04] * 5)


def test_a_disturbed_sample_is_taken_again():
    clock = Turned()
    times = iter([0.04, 0.04, 0.08, 0.04, 0.04, 0.04, 0.04])
    lot = meter(clock, Says(None, None, BUSY)).lot(8.0, lambda: clock.turn(next(times)))
    assert lot == Lot(lot.rates)
    assert lot.rates == pytest.approx([8.0 / 0.04] * 5)  # The one of 0.08 s is not among them.


def test_what_stays_disturbed_says_why_and_ends():
    clock = Turned()
    lot = meter(clock, Says(last=BUSY), spare_s=0.39).lot(8.0, lambda: clock.turn(0.04))
    # The first is dropped and costs 0.04 of the 0.39 s to spare, each further one as much.
    assert (len(lot.rates), lot.disturbed) == (9, BUSY)
    assert clock.now() == pytest.approx(0.4)


def test_three_clean_samples_are_enough_where_there_is_no_time_for_more():
    clock = Turned()
    lot = meter(clock, Says(None, None, BUSY, None, BUSY, None), spare_s=0.0).lot(8.0, lambda: clock.turn(0.04))
    assert (len(lot.rates), lot.disturbed) == (3, "")


def test_a_ceiling_is_the_best_median_of_the_undisturbed():
    low, high, none = Lot((1.0, 9.0, 2.0)), Lot((3.0, 3.0, 4.0)), Lot(())
    assert best([low, high, none]) == high
    assert best([low, Lot((99.0,), BUSY)]) == low
    assert best([Lot((99.0,), BUSY)]) == Lot((99.0,), BUSY)
    assert best([]) == none
    assert peak("float32", "FLOP", 1, high) == Peak("float32", "FLOP", 1, 3.0, pytest.approx(1 / 3))
    assert peak("float32", "FLOP", 1, none).value == 0
    assert peak("float32", "FLOP", 1, Lot((9.0,), BUSY)) == Peak("float32", "FLOP", 1, 9.0, 0.0, "void", BUSY)


def test_beside_a_neighbour_every_peak_is_void_and_it_still_ends():
    clock = Turned()
    found = measure([1], CACHES, torch=Torch(clock), now=clock.now, watch=lambda count: Says(last=BUSY))
    assert {(one.quality, one.reason) for one in found} == {("void", BUSY)}
    assert clock.now() < 20


def run(analyze, monkeypatch, found, *arguments):
    monkeypatch.setattr("analyzer.timing.peaks.cpu.measure", lambda counts, caches, tell: found)
    return analyze("machine", *arguments)


TRUSTED, VOID = Peak("float32", "FLOP", 1, 1e11, 0.01), Peak("copy memory", "B", 1, 1e9, 0.9, "void", BUSY)


def kept(folder):
    return json.loads((folder / PEAKS).read_text())["peaks"]


def test_void_peaks_are_shown_and_not_kept(analyze, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    outcome = run(analyze, monkeypatch, [TRUSTED, VOID])
    assert outcome.status == 3
    assert f"1 of 2 peaks are void, and not kept: {BUSY}; run it again alone" in outcome.err
    assert "1.00 GB/s   void" in outcome.out
    assert kept(tmp_path) == [vars(TRUSTED)]
    data = json.loads(run(analyze, monkeypatch, [VOID], "--format", "json").out)
    assert (data["status"], data["peaks"][0]["quality"]) == ("failed", "void")


def test_trusted_peaks_are_kept_until_they_are_measured_anew(analyze, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    assert run(analyze, monkeypatch, [VOID]).status == 3
    assert not (tmp_path / PEAKS).exists()
    assert run(analyze, monkeypatch, [TRUSTED]).status == 0
    assert run(analyze, monkeypatch, [VOID]).status == 3
    assert kept(tmp_path) == [vars(TRUSTED)]
    faster, memory = TRUSTED.replace(value=2e11), VOID.replace(quality="trusted", reason="")
    assert run(analyze, monkeypatch, [faster, memory]).status == 0
    assert kept(tmp_path) == [vars(faster), vars(memory)]
    assert run(analyze, monkeypatch, [TRUSTED], "--no-keep").err.count("kept") == 0
    assert kept(tmp_path) == [vars(faster), vars(memory)]


def test_peaks_of_another_machine_do_not_stay(analyze, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    run(analyze, monkeypatch, [TRUSTED])
    data = json.loads((tmp_path / PEAKS).read_text())
    data["environment"]["processor"]["model"] = "another"
    (tmp_path / PEAKS).write_text(json.dumps(data))
    memory = VOID.replace(quality="trusted", reason="")
    run(analyze, monkeypatch, [memory])
    assert kept(tmp_path) == [vars(memory)]


def test_products_are_what_the_processor_does(peaks):
    found = peaks(threads=(1, 2))
    for threads in (1, 2):
        for dtype in FLOPS_PER_S:
            assert found[dtype, threads].value == pytest.approx(FLOPS_PER_S[dtype] * threads)
            assert found[dtype, threads].spread == pytest.approx(0, abs=1e-6)


def test_a_type_without_a_product_has_no_rate_and_the_rest_stand(peaks):
    found = peaks(lacks=("float16",))
    assert found["float16", 1].value == 0
    assert found["float32", 1].value == pytest.approx(100e9)


def test_bandwidth_is_what_the_level_gives_without_the_cost_of_a_call(peaks):
    # Half of L2 is 512 KiB at 10 GB/s: 52 µs beside the 20 µs of a call; a call of one element is 20 µs.
    found = peaks()
    for kind in ("copy", "triad"):
        assert found[f"{kind} L2", 1].value == pytest.approx(10e9, rel=0.01)
        assert found[f"{kind} L3", 1].value == pytest.approx(5e9, rel=0.01)
        assert found[f"{kind} memory", 1].value == pytest.approx(1e9, rel=0.01)


def test_a_level_that_hides_behind_the_cost_of_a_call_is_left_out(peaks):
    # Half of L1 is 16 KiB at 10 GB/s: 1.6 µs beside 20 µs.
    assert ("copy L1", 1) not in peaks()


def test_each_thread_has_an_own_cache_of_the_small_ones(peaks):
    # Two threads stream 1 MiB: half of each L2. The pretended caches share the rate.
    assert peaks(threads=(2,))["copy L2", 2].value == pytest.approx(10e9, rel=0.01)


def test_without_caches_memory_is_measured(peaks):
    found = peaks(caches=[])
    assert [name for name, _ in found if " " in name] == ["copy memory", "triad memory"]


def test_what_is_under_way_is_told():
    clock, told = Turned(), []
    measure([1], CACHES, lambda done, of, label: told.append((done, of, label)), torch=Torch(clock), now=clock.now,
            watch=lambda count: QUIET)  # fmt: skip
    # Four types, and copy and triad of L1, L2, L3 and memory.
    assert [done for done, _, _ in told] == [0, 1, 2, 3, 4, 6, 8, 10]
    assert {of for _, of, _ in told} == {4 + 2 * 4}
    assert told[0][2] == "matrix product, float32, 1 thread"


def test_it_takes_some_seconds_and_no_more():
    clock = Turned()
    measure([1, 2], CACHES, torch=Torch(clock), now=clock.now, watch=lambda count: QUIET)
    assert clock.now() < 18  # Six of them for memory that moves 1 GB/s.


class Gpu:
    """A queue of its own behind `host`: as much of torch as the peaks of a GPU ask for."""

    float32, float64, bfloat16, float16 = "float32", "float64", "bfloat16", "float16"
    rates = {"highest": 50e12, "high": 400e12, "float64": 60e12, "bfloat16": 700e12, "float16": 700e12}
    precision = "highest"

    class Field:
        def __init__(self, count, dtype="float32"):
            self.count, self.dtype = count, dtype

        def to(self, dtype):
            return Gpu.Field(self.count, dtype)

    def __init__(self, launch_s=5e-6, lacks=()):
        self.device, self.lacks, self.host = Device(host := Turned(), launch_s, record_s=10e-6), lacks, host
        self.inference_mode = nullcontext
        self.cuda = self
        self.clock = EventClock(self.device, host.nanoseconds, self.device.sleep)

    def get_device_properties(self, device):
        assert device == "cuda:0"
        return type("P", (), {"name": "H100", "L2_cache_size": 50 * 2**20, "total_memory": 80 * 2**30})

    def get_float32_matmul_precision(self):
        return self.precision

    def set_float32_matmul_precision(self, wanted):
        self.precision = wanted

    def randn(self, side, _, device):
        return Gpu.Field(side)

    def empty(self, side, _, dtype, device):
        return Gpu.Field(side, dtype)

    def zeros(self, count, device):
        field = Gpu.Field(count)
        field.copy_ = lambda other: self.stream(2, count)
        return field

    def mm(self, left, right, out):
        if left.dtype in self.lacks:
            raise RuntimeError(f"no product of {left.dtype}")
        rate = self.rates[self.precision if left.dtype == "float32" else left.dtype]
        self.device.launch(2 * left.count**3 / rate)

    def add(self, b, c, alpha, out):
        self.stream(3, b.count)

    def stream(self, buffers, count):
        moved = 4 * buffers * count
        self.device.launch(1e-6 + moved / (5e12 if moved < 2**26 else 3e12))


def test_a_gpus_peaks_are_its_own_time_and_not_its_launches():
    gpu = Gpu()
    found = {one.name: one for one in gpu_peaks.measure("cuda:0", torch=gpu, clock=gpu.clock, watch=QUIET)}
    assert {(one.threads, one.device, one.quality) for one in found.values()} == {(0, "H100", "trusted")}
    products = {name: one.value for name, one in found.items() if one.unit == "FLOP"}
    assert products == pytest.approx(
        {"float32": 50e12, "tf32": 400e12, "float64": 60e12, "bfloat16": 700e12, "float16": 700e12}
    )
    assert gpu.precision == "highest"
    # A copy in the L2 cache takes 5 µs and its launch as long: the launches are not in it, nor what a call costs.
    rates = {name: one.value for name, one in found.items() if one.unit == "B"}
    assert rates == pytest.approx({"copy L2": 5e12, "triad L2": 5e12, "copy memory": 3e12, "triad memory": 3e12})


def test_a_gpu_without_a_type_or_beside_a_neighbour_says_so():
    gpu = Gpu(lacks=("bfloat16",))
    busy = Says(last="another process used the GPU")
    found = {one.name: one for one in gpu_peaks.measure("cuda:0", torch=gpu, clock=gpu.clock, watch=busy)}
    assert found["bfloat16"].value == 0
    assert {one.quality for one in found.values() if one.value} == {"void"}


def test_peaks_of_a_gpu_stand_in_a_table_of_their_own_and_are_kept_beside(analyze, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    own = Peak("tf32", "FLOP", 0, 4e14, 0.01, device="H100")
    outcome = run(analyze, monkeypatch, [TRUSTED, own])
    assert "What H100 reaches, measured now" in outcome.out
    assert re.search(r"matrix product tf32 +400 TFLOP/s", outcome.out)
    assert kept(tmp_path) == [vars(TRUSTED), vars(own)]
    assert analyze("machine", "--device", "cuda:7").err.startswith("analyze: no device cuda:7 here; there are: cpu")
    assert "unknown device 'tpu'" in analyze("machine", "--device", "tpu").err


def test_one_gpu_stands_for_all_of_its_name():
    h100, a100 = {"name": "H100"}, {"name": "A100"}
    assert _chosen(None, None, [h100, h100, a100]) == ["cpu", "cuda:0", "cuda:2"]
    assert _chosen(None, [1, 2], []) == ["cpu"]
    assert _chosen("cpu", [1], [h100]) == ["cpu"]
    with pytest.raises(AnalyzerError, match="--threads is for the processor"):
        _chosen("cuda:0", [1], [h100])


def test_a_gpu_that_cannot_be_measured_takes_nothing_from_the_processor(analyze, monkeypatch, tmp_path):
    def refused(device, tell):
        raise CannotMeasure(f"the peaks of {device} cannot be measured")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("analyzer.timing.machine.gpu.gpus", lambda: [{"name": "H100", "memory_bytes": 80 * 2**30}])
    monkeypatch.setattr("analyzer.timing.peaks.gpu.measure", refused)
    outcome = run(analyze, monkeypatch, [TRUSTED], "--format", "json")
    assert outcome.status == 3
    assert "the peaks of cuda:0 cannot be measured" in outcome.err
    assert json.loads(outcome.out)["status"] == "failed"
    assert kept(tmp_path) == [vars(TRUSTED)]


def test_one_peak_that_cannot_be_had_is_void_and_the_others_stand():
    gpu = Gpu()

    def full(count, device):
        raise RuntimeError("CUDA out of memory. Tried to allocate 1 GiB\nmore")

    gpu.zeros = full
    found = {one.name: one for one in gpu_peaks.measure("cuda:0", torch=gpu, clock=gpu.clock, watch=QUIET)}
    assert (found["copy L2"].quality, found["copy L2"].reason) == (
        "void",
        "CUDA out of memory. Tried to allocate 1 GiB",
    )
    assert found["float32"].value == pytest.approx(50e12)


def test_a_gpu_whose_queue_is_never_filled_in_time_or_cannot_be_held_has_no_peaks():
    gpu = Gpu(launch_s=2e-3)  # A launch takes longer than all of the products' work that it is for.
    gpu.clock.held.seconds = 1e-9
    late = gpu_peaks.runs(gpu.clock)
    with pytest.raises(CannotMeasure, match="not issued before the device came to them"):
        late(gpu.device.synchronize, 0.02)
    gpu.clock.let_go()
    with pytest.raises(AnalyzerError, match="cannot hold its queue"):
        gpu_peaks.measure("cuda:0", torch=gpu, clock=gpu.clock, watch=QUIET)
