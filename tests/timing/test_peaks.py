"""Peaks with a clock that a pretended torch turns: every figure is the one that was put in."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from analyzer.timing.peaks import measure
from tests.timing.simulated import Turned

KIB = 1024
CACHES = [
    {"level": 1, "kind": "data", "bytes": 32 * KIB},
    {"level": 1, "kind": "instruction", "bytes": 32 * KIB},
    {"level": 2, "kind": "unified", "bytes": 1024 * KIB},
    {"level": 3, "kind": "unified", "bytes": 32 * 1024 * KIB},
]
CALL_S = 20e-6  # What any call of an operator costs.
FLOPS_PER_S = {"float32": 100e9, "bfloat16": 200e9, "float16": 2e9}
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

    float32, bfloat16, float16 = "float32", "bfloat16", "float16"

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


@pytest.fixture
def peaks():
    def of(threads=(1,), caches=CACHES, **options):
        clock = Turned()
        return {
            (peak.name, peak.threads): peak
            for peak in measure(threads, caches, torch=Torch(clock, **options), now=clock.now)
        }

    return of


def test_products_are_what_the_processor_does(peaks):
    found = peaks(threads=(1, 2))
    for threads in (1, 2):
        for dtype in ("float32", "bfloat16", "float16"):
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
    measure([1], CACHES, lambda done, of, label: told.append((done, of, label)), torch=Torch(clock), now=clock.now)
    # Three types, and copy and triad of L1, L2, L3 and memory.
    assert [done for done, _, _ in told] == [0, 1, 2, 3, 5, 7, 9]
    assert {of for _, of, _ in told} == {3 + 2 * 4}
    assert told[0][2] == "matrix product, float32, 1 threads"


def test_it_takes_some_seconds_and_no_more():
    clock = Turned()
    measure([1, 2], CACHES, torch=Torch(clock), now=clock.now)
    assert clock.now() < 15  # Six of them for memory that moves 1 GB/s.
