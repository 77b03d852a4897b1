"""The machine's tables: nothing is cut off in 80 columns, and what is unknown is marked."""

from __future__ import annotations

import pytest

from analyzer.timing.peaks.cpu import Peak
from reports.formats.text import markdown, table_csv
from reports.table import cell_text
from reports.timing.machine import SIGNALS, UNKNOWN, tables

FLAGS = (
    "avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_bf16 amx_int8".split()
)
ENVIRONMENT = {
    "processor": {
        "model": "AMD EPYC", "family": ["AuthenticAMD", "25"], "flags": FLAGS, "count": 64, "affinity": [0, 1],
        "sockets": 2, "cores": 32, "virtual": True, "quota": 1.5, "governor": None, "mhz": 2596.1,
        "caches": [{"level": level, "kind": "unified", "bytes": 2**20 * level, "shared": "0-7"} for level in (1, 2, 3)],
    },
    "system": {"kernel": "6.1", "os": "Linux", "architecture": "x86_64"}, "memory_bytes": 24 * 2**30,
    "allocator": "jemalloc", "huge_pages": "madvise", "environment": {"OMP_NUM_THREADS": "2"}, "python": "3.11.7",
    "torch": {"version": "2.13.0", "capability": "AVX512", "blas": "mkl", "libraries": ["a library " * 9, "OpenMP"]},
    "signals": ["at_s", "own_s", "switches", "others", "throttled"],
}  # fmt: skip
PEAKS = [
    vars(peak)
    for peak in (
        Peak("float32", "FLOP", 1, 101e9, 0.133),
        Peak("float32", "FLOP", 2, 203e9, 0.052),
        Peak("float16", "FLOP", 1, 2e9, 0.0),
        Peak("copy memory", "B", 1, 32.7e9, 0.042),
    )
]


def values(table):
    """The values by name, continued lines joined."""
    joined: dict[str, str] = {}
    for name, *cells in table.rows:
        key = cell_text(name) or list(joined)[-1]
        joined[key] = " ".join(filter(None, [joined.get(key, ""), *map(cell_text, cells)]))
    return joined


def test_nothing_is_cut_off_at_80_columns(printed):
    lines = printed(tables(ENVIRONMENT, PEAKS))
    assert max(map(len, lines)) <= 80
    assert "…" not in "".join(lines)
    assert values(tables(ENVIRONMENT, [])[0])["instructions"].split() == FLAGS


def test_the_fingerprint_is_complete():
    shown = values(tables(ENVIRONMENT, [])[0])
    assert shown["processors"] == "64, 2 of them for this process"
    assert shown["cores"] == "32 in 2 sockets, in a virtual machine"
    assert shown["quota"] == "1.5 processors"
    assert shown["governor"] == UNKNOWN
    assert shown["contention"] == ", ".join(SIGNALS[name] for name in ("own_s", "others", "throttled"))


def test_peaks_have_a_column_per_thread_count_and_emulation_is_noted():
    table = tables(ENVIRONMENT, PEAKS)[1]
    assert values(table)["matrix product float32"] == "101 GFLOP/s 13.3 % 203 GFLOP/s 5.2 %"
    assert values(table)["copy memory"] == "32.7 GB/s 4.2 % - -"
    assert "float16" in table.notes[0]
    assert "50.5×" in table.notes[0]  # 101 ÷ 2.


def test_a_void_peak_is_marked_and_a_gpu_has_its_own_table():
    void = {**PEAKS[0], "quality": "void", "reason": "another process was running"}
    gpu = {**PEAKS[0], "device": "H100", "threads": 0, "name": "tf32"}
    _, cpu_table, gpu_table = tables(ENVIRONMENT, [void, gpu])
    assert values(cpu_table)["matrix product float32"] == "101 GFLOP/s void"
    assert "another process was running" in cpu_table.notes[0]
    assert "H100" in gpu_table.title
    assert "tf32" in gpu_table.notes[-1]


@pytest.mark.parametrize("render", [markdown, lambda shown: "\n".join(map(table_csv, shown))])
def test_a_file_has_one_row_per_property(render):
    text = render(tables(ENVIRONMENT, [], wrapped=False))
    assert " ".join(["a library"] * 9) in text
    assert not [line for line in text.splitlines() if line.startswith((",", "|  |"))]


def test_every_gpu_has_a_row():
    gpu = {
        "name": "H100", "memory_bytes": 80 * 2**30, "capability": "9.0", "driver": None, "power_cap_w": 700.0,
        "clock_mhz": 1410,
    }  # fmt: skip
    shown = values(tables({**ENVIRONMENT, "gpus": [gpu, {**gpu, "name": "A100"}]}, [])[0])
    assert shown["GPU 0"] == "H100, 80.0 GiB, capability 9.0, power cap 700 W, clock 1410 MHz"
    assert shown["GPU 1"].startswith("A100, ")


def test_a_fingerprint_of_an_older_version_is_readable():
    new = ("sockets", "cores", "virtual")
    processor = {key: value for key, value in ENVIRONMENT["processor"].items() if key not in new}
    older = {key: value for key, value in ENVIRONMENT.items() if key not in ("huge_pages", "signals")}
    shown = values(tables({**older, "processor": processor}, [])[0])
    assert {shown[name] for name in ("cores", "huge pages", "contention")} == {UNKNOWN}


def test_control_characters_in_variables_are_escaped(printed):
    text = "".join(printed(tables({**ENVIRONMENT, "environment": {"OMP_PLACES": "\x1b[31m\u202eevil"}}, [])))
    assert "\x1b" not in text
    assert "\u202e" not in text
