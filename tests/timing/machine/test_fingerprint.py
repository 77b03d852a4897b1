"""The fingerprint from what a system says, the peaks with a turned clock, the roofline with its arithmetic."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.store import PEAKS as FILE
from analyzer.records.store import kept_peaks
from analyzer.records.timings import Configuration
from analyzer.timing.machine.devices import device, devices
from analyzer.timing.machine.fingerprint import (
    allocator,
    caches,
    chosen,
    fingerprint,
    memory_bytes,
    processor,
    quota,
    stable_key,
    variables,
)
from analyzer.timing.machine.roofline import Ceilings, Level, emulated, measured, of_device, place
from analyzer.timing.peaks.cpu import Peak, working_sets

CPUINFO = """processor\t: 0
vendor_id\t: AuthenticAMD
physical id\t: 0
core id\t\t: 0
cpu family\t: 25
model\t\t: 17
model name\t: AMD EPYC
stepping\t: 1
cpu MHz\t\t: 2596.100
flags\t\t: fpu sse avx avx2 fma avx512f avx512_bf16 hypervisor whatever

processor\t: 1
physical id\t: 0
core id\t\t: 0
model name\t: another

processor\t: 2
physical id\t: 1
core id\t\t: 0
"""
BASE = "/sys/devices/system/cpu/cpu0/cache/index"
SYSTEM = {
    "/proc/cpuinfo": CPUINFO,
    "/proc/meminfo": "MemTotal:       24612345 kB\nMemFree: 1 kB",
    "/sys/fs/cgroup/cpu.max": "150000 100000",
    f"{BASE}0/size": "32K", f"{BASE}0/level": "1", f"{BASE}0/type": "Data", f"{BASE}0/shared_cpu_list": "0",
    f"{BASE}1/size": "1024K", f"{BASE}1/level": "2", f"{BASE}1/type": "Unified",
    f"{BASE}2/size": "32M", f"{BASE}2/level": "3", f"{BASE}2/type": "Unified", f"{BASE}2/shared_cpu_list": "0-1",
}  # fmt: skip


def read(path):
    return SYSTEM.get(path, "")


def test_a_processor_is_read_from_its_own_lines():
    found = processor(read)
    assert (found["model"], found["family"]) == ("AMD EPYC", ["AuthenticAMD", "25", "17", "1"])
    assert found["flags"] == ["avx", "avx2", "fma", "avx512f", "avx512_bf16"]
    assert (found["quota"], found["mhz"], found["governor"]) == (1.5, 2596.1, None)
    # Processors 0 and 1 are one core of the first socket; core 0 of the second is another.
    assert (found["sockets"], found["cores"], found["virtual"]) == (2, 2, True)


def test_caches_memory_and_quota():
    assert caches(read) == [
        {"level": 1, "kind": "data", "bytes": 32 * 1024, "shared": "0"},
        {"level": 2, "kind": "unified", "bytes": 1024 * 1024, "shared": None},
        {"level": 3, "kind": "unified", "bytes": 32 * 1024 * 1024, "shared": "0-1"},
    ]
    assert memory_bytes(read) == 24612345 * 1024
    assert (quota("max 100000"), quota(""), quota("1 0"), quota("200000 100000")) == (None, None, None, 2.0)
    older = {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}
    assert processor(lambda path: older.get(path, ""))["quota"] == 0.5
    older["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "-1"
    assert processor(lambda path: older.get(path, ""))["quota"] is None
    assert (chosen("always [madvise] never"), chosen(""), chosen("[]")) == ("madvise", None, None)
    assert allocator("7f00 r-xp /usr/lib/libjemalloc.so.2") == "jemalloc"
    assert allocator("") == "the system's"


@pytest.mark.parametrize("garbage", ["", ":", "\x00\xff", "flags", "cpu MHz : fast", "MemTotal: none", "²", "² ²"])
def test_a_system_that_says_nothing_is_unknown_and_not_guessed(garbage):
    found = fingerprint(read=lambda path: garbage)
    assert found["processor"]["caches"] == []
    assert found["processor"]["mhz"] is None
    assert found["memory_bytes"] is None
    json.dumps(found)


def test_no_name_of_a_host_or_a_person_is_in_it():
    import getpass
    import platform

    text = json.dumps(fingerprint())
    assert platform.node() not in text or len(platform.node()) < 4
    assert f"/{getpass.getuser()}/" not in text


def test_variables_are_kept_without_the_folders_that_they_name():
    found = variables({
        "LD_PRELOAD": "/home/alice/lib/libjemalloc.so.2:/opt/x.so ~/y.so",
        "MALLOC_CONF": "prof_prefix:/home/alice/p,dirty:1",
        "OMP_PLACES": "{0:4}:2", "OPENBLAS_NUM_THREADS": "4", "HOME": "/home/alice", "USER": "alice",
        "SSH_AUTH_SOCK": "/x",
    })  # fmt: skip
    assert found == {
        "LD_PRELOAD": "libjemalloc.so.2:x.so y.so", "MALLOC_CONF": "prof_prefix:p,dirty:1",
        "OMP_PLACES": "{0:4}:2", "OPENBLAS_NUM_THREADS": "4",
    }  # fmt: skip


def test_what_may_be_compared():
    here = fingerprint(read=read)
    key = stable_key(here, Configuration(threads=2))
    assert key == stable_key(here | {"python": "3.99"}, Configuration(threads=2, batch=8))
    slower = {**here, "processor": {**here["processor"], "mhz": 1000.0}}
    assert key == stable_key(slower, Configuration(threads=2))
    for other in (
        Configuration(threads=1),
        Configuration(threads=2, dtype="bfloat16"),
        Configuration(threads=2, layout="channels_last"),
    ):
        assert key != stable_key(here, other)
    newer = {**here, "torch": {**here["torch"], "version": "9.9"}}
    assert key != stable_key(newer, Configuration(threads=2))
    assert stable_key({}, Configuration()) == ()


def test_working_sets_fit_their_level():
    assert working_sets(caches(read)) == {"L1": 16384, "L2": 524288, "L3": 2**24, "memory": 2**28}
    assert working_sets([]) == {"memory": 2**28}


def test_a_type_that_is_emulated_is_named():
    peaks = [Peak("float32", "FLOP", 1, 100e9, 0.0), Peak("float16", "FLOP", 1, 2e9, 0.0),
             Peak("bfloat16", "FLOP", 1, 200e9, 0.0), Peak("float64", "FLOP", 1, 40e9, 0.0)]  # fmt: skip
    assert emulated([vars(peak) for peak in peaks]) == {"float16": pytest.approx(50)}


LIMITS = Ceilings(1e9, (Level("L2", 1000, 4e9), Level("memory", float("inf"), 1e9)), "here")


def test_a_product_is_bound_by_compute():
    # 4000 FLOPs take 4 µs at 1 GFLOP/s; 1000 B read and 1000 written take 0.5 µs in L2.
    found = place([(4000, 1000, 1000)], 8e-6, LIMITS)
    assert (found.bound_by, found.reached, found.intensity) == ("compute", pytest.approx(0.5), 2.0)


def test_what_does_not_fit_a_cache_is_bound_by_memory():
    # 2000 B do not fit L2: 3000 B at 1 GB/s are 3 µs, 1000 FLOPs are 1 µs.
    found = place([(1000, 2000, 1000)], 6e-6, LIMITS)
    assert (found.bound_by, found.reached) == ("memory", pytest.approx(0.5))


def test_operators_have_bounds_of_their_own_and_a_part_their_sum():
    # 4 µs of compute and 3 µs of memory follow each other: 7 of 14 µs, mainly compute.
    found = place([(4000, 1000, 1000), (1000, 2000, 1000)], 14e-6, LIMITS)
    assert (found.bound_by, found.reached) == ("compute", pytest.approx(0.5))


def test_nothing_has_no_place():
    assert place([], 1.0, LIMITS) is None
    assert place([(1, 1, 1)], 0.0, LIMITS) is None
    assert place([(0, 0, 0)], 1.0, LIMITS) is None


HERE = {"processor": {"caches": caches(read)}}


def test_measured_ceilings_are_those_of_the_setting():
    peaks = [
        {"name": "float32", "unit": "FLOP", "threads": 2, "value": 2e11},
        {"name": "copy L2", "unit": "B", "threads": 2, "value": 1e11},
        {"name": "triad L2", "unit": "B", "threads": 2, "value": 2e11},
        {"name": "copy memory", "unit": "B", "threads": 2, "value": 3e10},
    ]
    found = measured(peaks, HERE, Configuration(threads=2))
    # L2 is a core's own: two threads have two of them. L1 was too small to be measured.
    assert found.levels == (Level("L2", 2 * 2**20, 2e11), Level("memory", float("inf"), 3e10))
    assert found.ridge == pytest.approx(2e11 / 3e10)
    assert measured(peaks, HERE, Configuration(threads=1)) is None
    void = [peak | {"quality": "void"} if peak["name"] == "triad L2" else peak for peak in peaks]
    assert measured(void, HERE, Configuration(threads=2)).levels[0].bytes_per_s == 1e11
    assert measured(peaks, HERE, Configuration(threads=2, dtype="bfloat16")) is None
    assert measured(peaks, HERE, Configuration(threads=2, device="cuda:0")) is None  # They are the processor's.


H100 = {"name": "H100", "l2_bytes": 50 * 2**20, "tf32_convolutions": True}


def test_measured_ceilings_of_a_gpu_are_that_gpus():
    rates = {"float32": 50e12, "tf32": 400e12, "bfloat16": 700e12}
    own = {"threads": 0, "device": "H100"}
    peaks = [
        {"name": "float32", "unit": "FLOP", "threads": 2, "value": 2e11},
        *({"name": name, "unit": "FLOP", "value": value, **own} for name, value in rates.items()),
        {"name": "copy L2", "unit": "B", "value": 5e12, **own},
        {"name": "triad memory", "unit": "B", "value": 3e12, **own},
    ]
    configuration = Configuration(threads=2, device="cuda:0")
    found = measured(peaks, {**HERE, "gpu": H100}, configuration)
    assert found.flops_per_s == 400e12  # A convolution of float32 may take tf32, as it may by torch's default.
    assert found.levels == (Level("L2", 50 * 2**20, 5e12), Level("memory", float("inf"), 3e12))
    assert measured(peaks, {**HERE, "gpu": {**H100, "tf32_convolutions": False}}, configuration).flops_per_s == 50e12
    assert measured(peaks, {**HERE, "gpu": H100}, configuration.replace(dtype="bfloat16")).flops_per_s == 700e12
    assert measured(peaks, {**HERE, "gpu": {**H100, "name": "A100"}}, configuration) is None
    assert measured(peaks, HERE, configuration.replace(device="mps")) is None
    assert emulated([*peaks, {"name": "float16", "unit": "FLOP", "value": 1e9, **own}]) == {}


def test_the_shipped_devices_are_the_reference(reference):
    assert list(devices().values()) == reference("devices")["devices"]


def test_a_device_by_name_or_by_a_part_that_only_one_has():
    assert device("Tesla T4")["dram_gb_per_s"] == 320
    assert device("maxwell")["name"] == "GeForce GTX Titan X (Maxwell)"
    with pytest.raises(AnalyzerError, match="may be any of"):
        device("titan")
    with pytest.raises(AnalyzerError, match="no device 'quantum'"):
        device("quantum")


def test_a_device_that_says_nothing_of_a_type_bounds_nothing():
    maxwell = device("maxwell")
    limits = of_device(maxwell, "float32")
    assert limits.flops_per_s == 6.69e12
    assert limits.source == "GeForce GTX Titan X (Maxwell), quoted"
    assert of_device(maxwell, "bfloat16") is None


def test_kept_peaks_are_of_this_machine_only(tmp_path):
    here = fingerprint(read=read)
    (tmp_path / FILE).parent.mkdir()
    peaks = [{"name": "float32", "unit": "FLOP", "threads": 1, "value": 1.0, "spread": 0.0}]
    text = json.dumps({"schema_version": 1, "environment": here, "peaks": peaks})
    (tmp_path / FILE).write_text(text)
    assert kept_peaks(here, tmp_path) == peaks
    other = {**here, "torch": {**here["torch"], "version": "9.9"}}
    assert kept_peaks(other, tmp_path) == []
    for damaged in ("", "{}", text[:40], "[]", text.replace('"schema_version": 1', '"schema_version": 2')):
        (tmp_path / FILE).write_text(damaged)
        assert kept_peaks(here, tmp_path) == []
    assert kept_peaks(here, Path("/nowhere")) == []


PEAK = {"name": "float32", "unit": "FLOP", "threads": 1, "value": 1e11}


@pytest.mark.parametrize(
    "odd",
    ["x", 5, None, [1], {**PEAK, "value": -1}, {**PEAK, "value": float("nan")}, {**PEAK, "value": float("inf")},
     {**PEAK, "value": 10**400}, {**PEAK, "threads": "x"}, {**PEAK, "device": None}, {**PEAK, "name": 5}],
)  # fmt: skip
def test_a_kept_peak_that_cannot_be_reckoned_with_is_left_out(tmp_path, odd):
    here = fingerprint(read=read)
    (tmp_path / FILE).parent.mkdir()
    (tmp_path / FILE).write_text(json.dumps({"schema_version": 1, "environment": here, "peaks": [odd, PEAK]}))
    assert kept_peaks(here, tmp_path) == [PEAK]
