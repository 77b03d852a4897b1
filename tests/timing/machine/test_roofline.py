"""The roofline with its arithmetic, and ceilings measured here or published."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.timings import Configuration
from analyzer.timing.machine.roofline import (
    Ceilings,
    Level,
    emulated_types,
    measured_ceilings,
    published_ceilings,
    roofline_point,
)
from analyzer.timing.peaks.published import device, devices

CEILINGS = Ceilings(1e9, (Level("L2", 1000, 4e9), Level("memory", float("inf"), 1e9)), "here")
# 4000 FLOPs take 4 µs at 1 GFLOP/s; 1000 B read and 1000 written take 0.5 µs in L2.
COMPUTE_BOUND = (4000, 1000, 1000)
# 2000 B do not fit L2: 3000 B at 1 GB/s are 3 µs, 1000 FLOPs are 1 µs.
MEMORY_BOUND = (1000, 2000, 1000)


@pytest.mark.parametrize(
    ("works", "seconds", "bound_by"),
    [
        ([COMPUTE_BOUND], 8e-6, "compute"),
        ([MEMORY_BOUND], 6e-6, "memory"),
        ([COMPUTE_BOUND, MEMORY_BOUND], 14e-6, "compute"),  # 4 µs of compute, then 3 µs of memory.
    ],
)
def test_a_point_at_half_of_its_bound(works, seconds, bound_by):
    point = roofline_point(works, seconds, CEILINGS)
    assert (point.bound_by, point.share_of_bound) == (bound_by, pytest.approx(0.5))


def test_intensity_is_flops_per_byte():
    assert roofline_point([COMPUTE_BOUND], 8e-6, CEILINGS).intensity == 2.0


@pytest.mark.parametrize(("works", "seconds"), [([], 1.0), ([(1, 1, 1)], 0.0), ([(0, 0, 0)], 1.0)])
def test_without_work_or_time_there_is_no_point(works, seconds):
    assert roofline_point(works, seconds, CEILINGS) is None


KIB = 1024
CACHES = [
    {"level": 1, "kind": "data", "bytes": 32 * KIB},
    {"level": 2, "kind": "unified", "bytes": 1024 * KIB},
    {"level": 3, "kind": "unified", "bytes": 32 * 1024 * KIB},
]
HERE = {"processor": {"caches": CACHES}}


def peak(name, value, unit="B", threads=2, **more):
    return {"name": name, "unit": unit, "threads": threads, "value": value, **more}


def test_measured_ceilings_are_those_of_the_configuration():
    peaks = [peak("float32", 2e11, "FLOP"), peak("copy L2", 1e11), peak("triad L2", 2e11), peak("copy memory", 3e10)]
    two_threads = Configuration(threads=2)
    ceilings = measured_ceilings(peaks, HERE, two_threads)
    # L2 belongs to a core: two threads have two of them. L1 was too small to be measured.
    assert ceilings.levels == (Level("L2", 2 * 2**20, 2e11), Level("memory", float("inf"), 3e10))
    assert ceilings.ridge == pytest.approx(2e11 / 3e10)
    void = [row | {"quality": "void"} if row["name"] == "triad L2" else row for row in peaks]
    assert measured_ceilings(void, HERE, two_threads).levels[0].bytes_per_s == 1e11
    for change in ({"threads": 1}, {"dtype": "bfloat16"}, {"device": "cuda:0"}):
        assert measured_ceilings(peaks, HERE, two_threads.replace(**change)) is None


H100 = {"name": "H100", "l2_bytes": 50 * 2**20, "tf32_convolutions": True}


def test_measured_ceilings_of_a_gpu():
    rates = {"float32": 50e12, "tf32": 400e12, "bfloat16": 700e12}
    gpu = {"threads": 0, "device": "H100"}
    peaks = [
        peak("float32", 2e11, "FLOP"),
        *(peak(name, value, "FLOP", **gpu) for name, value in rates.items()),
        peak("copy L2", 5e12, **gpu),
        peak("triad memory", 3e12, **gpu),
    ]
    configuration = Configuration(threads=2, device="cuda:0")
    ceilings = measured_ceilings(peaks, {**HERE, "gpu": H100}, configuration)
    assert ceilings.peak_type == "tf32"
    assert ceilings.flops_per_s == 400e12  # Convolutions of float32 may use tf32, as they may by torch's default.
    assert ceilings.levels == (Level("L2", 50 * 2**20, 5e12), Level("memory", float("inf"), 3e12))
    without_tf32 = {**HERE, "gpu": {**H100, "tf32_convolutions": False}}
    assert measured_ceilings(peaks, without_tf32, configuration).flops_per_s == 50e12
    bfloat16 = measured_ceilings(peaks, {**HERE, "gpu": H100}, configuration.replace(dtype="bfloat16"))
    assert bfloat16.flops_per_s == 700e12
    assert measured_ceilings(peaks, {**HERE, "gpu": {**H100, "name": "A100"}}, configuration) is None
    assert measured_ceilings(peaks, HERE, configuration.replace(device="mps")) is None


def test_emulated_types_of_the_cpu():
    rates = {"float32": 100e9, "float16": 2e9, "bfloat16": 200e9, "float64": 40e9}
    peaks = [peak(name, value, "FLOP", threads=1) for name, value in rates.items()]
    gpu = [peak("float32", 5e13, "FLOP", 0, device="H100"), peak("float16", 1e9, "FLOP", 0, device="H100")]
    assert emulated_types([*peaks, *gpu]) == {"float16": pytest.approx(50)}


def test_shipped_devices_equal_the_reference(reference):
    shared = reference("devices")["devices"]
    assert list(devices().values())[: len(shared)] == shared
    assert len(devices()) >= 40


def test_every_device_has_a_rate_a_bandwidth_or_a_note_and_a_source():
    for name, known in devices().items():
        assert known["sources"], name
        assert known["confidence"], name
        rates = [known.get(f"{kind}_tflops") for kind in ("fp32", "tf32", "fp16", "bf16")]
        assert any(rates) or known["dram_gb_per_s"], name
        assert all(rate is None or rate > 0 for rate in rates), name


def test_a_device_of_a_file(tmp_path):
    file = tmp_path / "board.toml"
    file.write_text('name = "Board"\nfp16_tflops = 4\ndram_gb_per_s = 50\n', encoding="utf-8")
    assert device(str(file))["name"] == "Board"
    ceilings = published_ceilings(device(str(file)), "float16")
    assert (ceilings.flops_per_s, ceilings.source) == (4e12, "Board, given in a file")


@pytest.mark.parametrize(
    "text",
    ["", "name = 3", "fp16_tflops = 4", 'fp16_tflops = "4"\ndram_gb_per_s = 1', "fp16_tflops = 0\ndram_gb_per_s = 1",
     "fp16_tflops = 1\ndram_gb_per_s = true", "speed = 1\nfp16_tflops = 1\ndram_gb_per_s = 1", "= =",
     "name = 3\nfp16_tflops = 1\ndram_gb_per_s = 1", 'name = " "\nfp16_tflops = 1\ndram_gb_per_s = 1'],
)  # fmt: skip
def test_a_file_that_is_no_device_is_an_error(tmp_path, text):
    file = tmp_path / "board.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(AnalyzerError, match=r"board\.toml"):
        device(str(file))
    with pytest.raises(AnalyzerError, match="cannot read"):
        device(str(tmp_path / "none.toml"))


def test_a_device_is_found_by_its_name_or_a_unique_part():
    assert device("Tesla T4")["dram_gb_per_s"] == 320
    assert device("maxwell")["name"] == "GeForce GTX Titan X (Maxwell)"
    with pytest.raises(AnalyzerError, match="give a longer name"):
        device("titan")
    with pytest.raises(AnalyzerError, match="no device 'quantum'"):
        device("quantum")


def test_published_ceilings_exist_for_published_types():
    maxwell = device("maxwell")
    ceilings = published_ceilings(maxwell, "float32")
    assert ceilings.flops_per_s == 6.69e12
    assert ceilings.source == "GeForce GTX Titan X (Maxwell), quoted"
    assert published_ceilings(maxwell, "bfloat16") is None
    # Libraries may run float32 on TF32 where the device has it.
    a100 = published_ceilings(device("A100 SXM4 80GB"), "float32")
    assert (a100.flops_per_s, a100.peak_type) == (156e12, "tf32")
