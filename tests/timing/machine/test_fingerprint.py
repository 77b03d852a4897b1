"""The fingerprint, from files as Linux has them; kept peaks belong to one fingerprint."""

from __future__ import annotations

import getpass
import json
import platform
from pathlib import Path

import pytest

from analyzer.records.comparable import stable_key
from analyzer.records.run_files import PEAKS, load_peaks
from analyzer.records.timings import Configuration
from analyzer.timing.machine.fingerprint import (
    allocator,
    bracketed,
    fingerprint,
    memory_bytes,
    variables,
)
from analyzer.timing.machine.processor import caches, processor, quota

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


def test_processor():
    cpu = processor(read)
    assert (cpu["model"], cpu["family"]) == ("AMD EPYC", ["AuthenticAMD", "25", "17", "1"])
    assert cpu["flags"] == ["avx", "avx2", "fma", "avx512f", "avx512_bf16"]
    assert (cpu["quota"], cpu["mhz"], cpu["governor"]) == (1.5, 2596.1, None)
    # Processors 0 and 1 are one core of the first socket; core 0 of the second is another.
    assert (cpu["sockets"], cpu["cores"], cpu["virtual"]) == (2, 2, True)


def test_caches_and_memory():
    assert caches(read) == [
        {"level": 1, "kind": "data", "bytes": 32 * 1024, "shared": "0"},
        {"level": 2, "kind": "unified", "bytes": 1024 * 1024, "shared": None},
        {"level": 3, "kind": "unified", "bytes": 32 * 1024 * 1024, "shared": "0-1"},
    ]
    assert memory_bytes(read) == 24612345 * 1024
    assert [bracketed(text) for text in ("always [madvise] never", "", "[]")] == ["madvise", None, None]
    assert allocator("7f00 r-xp /usr/lib/libjemalloc.so.2") == "jemalloc"
    assert allocator("") == "the system's"


def test_quota_of_both_versions_of_control_groups():
    assert [quota(text) for text in ("max 100000", "", "1 0", "200000 100000")] == [None, None, None, 2.0]
    version_1 = {"/sys/fs/cgroup/cpu/cpu.cfs_quota_us": "50000", "/sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000"}
    assert processor(lambda path: version_1.get(path, ""))["quota"] == 0.5
    version_1["/sys/fs/cgroup/cpu/cpu.cfs_quota_us"] = "-1"
    assert processor(lambda path: version_1.get(path, ""))["quota"] is None


@pytest.mark.parametrize("garbage", ["", ":", "\x00\xff", "flags", "cpu MHz : fast", "MemTotal: none", "²", "² ²"])
def test_garbled_files_are_unknown(garbage):
    environment = fingerprint(read=lambda path: garbage)
    assert environment["processor"]["caches"] == []
    assert environment["processor"]["mhz"] is None
    assert environment["memory_bytes"] is None
    json.dumps(environment)


def test_no_name_of_a_host_or_a_person_is_in_it():
    text = json.dumps(fingerprint())
    assert platform.node() not in text or len(platform.node()) < 4
    assert f"/{getpass.getuser()}/" not in text


def test_variables_are_kept_without_folders():
    kept = variables({
        "LD_PRELOAD": "/home/alice/lib/libjemalloc.so.2:/opt/x.so ~/y.so",
        "MALLOC_CONF": "prof_prefix:/home/alice/p,dirty:1",
        "OMP_PLACES": "{0:4}:2", "OPENBLAS_NUM_THREADS": "4", "HOME": "/home/alice", "USER": "alice",
        "SSH_AUTH_SOCK": "/x",
    })  # fmt: skip
    assert kept == {
        "LD_PRELOAD": "libjemalloc.so.2:x.so y.so", "MALLOC_CONF": "prof_prefix:p,dirty:1",
        "OMP_PLACES": "{0:4}:2", "OPENBLAS_NUM_THREADS": "4",
    }  # fmt: skip


def with_torch(environment, version):
    return {**environment, "torch": {**environment["torch"], "version": version}}


def test_comparable_machines_have_one_stable_key():
    here, configuration = fingerprint(read=read), Configuration(threads=2)
    key = stable_key(here, configuration)
    slower = {**here, "processor": {**here["processor"], "mhz": 1000.0}}
    patch = {"python": here["python"].rpartition(".")[0] + ".99", "system": {"kernel": "9.9"}}
    assert key == stable_key(here | patch, configuration.replace(batch=8))
    assert key != stable_key(here | {"python": "3.99.1"}, configuration)
    assert key != stable_key(here | {"allocator": "jemalloc"}, configuration)
    assert key == stable_key(slower, configuration)
    for change in ({"threads": 1}, {"dtype": "bfloat16"}, {"layout": "channels_last"}):
        assert key != stable_key(here, configuration.replace(**change))
    assert key != stable_key(with_torch(here, "9.9"), configuration)
    assert stable_key({}, Configuration()) == ()


PEAK = {"name": "float32", "unit": "FLOP", "threads": 1, "value": 1e11}


def keep(folder, text):
    (folder / PEAKS).parent.mkdir(exist_ok=True)
    (folder / PEAKS).write_text(text)


def test_kept_peaks_belong_to_one_machine(tmp_path):
    here = fingerprint(read=read)
    text = json.dumps({"schema_version": 1, "environment": here, "peaks": [PEAK]})
    keep(tmp_path, text)
    assert load_peaks(here, tmp_path) == [PEAK]
    assert load_peaks(with_torch(here, "9.9"), tmp_path) == []
    for damaged in ("", "{}", text[:40], "[]", text.replace('"schema_version": 1', '"schema_version": 2')):
        keep(tmp_path, damaged)
        assert load_peaks(here, tmp_path) == []
    assert load_peaks(here, Path("/nowhere")) == []


@pytest.mark.parametrize(
    "invalid",
    ["x", 5, None, [1], {**PEAK, "value": -1}, {**PEAK, "value": float("nan")}, {**PEAK, "value": float("inf")},
     {**PEAK, "value": 10**400}, {**PEAK, "threads": "x"}, {**PEAK, "device": None}, {**PEAK, "name": 5}],
)  # fmt: skip
def test_an_invalid_kept_peak_is_left_out(tmp_path, invalid):
    here = fingerprint(read=read)
    keep(tmp_path, json.dumps({"schema_version": 1, "environment": here, "peaks": [invalid, PEAK]}))
    assert load_peaks(here, tmp_path) == [PEAK]
