"""The machine's tables: nothing is cut off at 80 columns, what is not told is said, hostile text is inert."""

from __future__ import annotations

import io

import pytest

from analyzer.timing.peaks.cpu import Peak
from reports.formats.terminal import console, show
from reports.formats.text import markdown, table_csv
from reports.table import Name
from reports.timing.machine import SIGNALS, tables

FLAGS = (
    "avx avx2 fma f16c avx512f avx512bw avx512vl avx512_vnni avx512_bf16 avx512_fp16 amx_tile amx_bf16 amx_int8".split()
)
FOUND = {
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
    Peak("float32", "FLOP", 1, 101e9, 0.133), Peak("float32", "FLOP", 2, 203e9, 0.052),
    Peak("float16", "FLOP", 1, 2e9, 0.0), Peak("copy memory", "B", 1, 32.7e9, 0.042),
]  # fmt: skip


@pytest.fixture
def lines(monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")

    def of(found, peaks=()):
        page = io.StringIO()
        show(tables(found, [vars(peak) for peak in peaks]), console(page))
        return page.getvalue().splitlines()

    return of


def measurements(table):
    """What stands beside each name, lines that follow it joined."""
    found: dict[str, str] = {}
    for name, *rest in table.rows:
        assert isinstance(name, Name)
        key = name.text or list(found)[-1]
        found[key] = " ".join(filter(None, [found.get(key, ""), *rest]))
    return found


def test_nothing_is_cut_off_at_80_columns(lines):
    page = lines(FOUND, PEAKS)
    assert max(map(len, page)) <= 80
    assert "…" not in "".join(page)
    assert measurements(tables(FOUND, [])[0])["instructions"].split() == FLAGS


def test_the_figures_stand_there():
    said = measurements(tables(FOUND, [])[0])
    assert said["processors"] == "64, 2 of them for this process"
    assert said["cores"] == "32 in 2 sockets, in a virtual machine"
    assert said["quota"] == "1.5 processors"
    assert said["governor"] == "not told"
    assert said["neighbours seen"] == ", ".join(SIGNALS[name] for name in ("own_s", "others", "throttled"))
    peaks = tables(FOUND, [vars(peak) for peak in PEAKS])[1]
    assert measurements(peaks)["matrix product float32"] == "101 GFLOP/s 13.3 % 203 GFLOP/s 5.2 %"
    assert measurements(peaks)["copy memory"] == "32.7 GB/s 4.2 % - -"
    # 101 ÷ 2 is 50.5.
    assert peaks.notes[0] == "float16 is emulated here: its products are 50 times slower than float32's"


def test_in_a_file_a_thing_is_one_row():
    for form in (markdown, lambda found: "\n".join(map(table_csv, found))):
        text = form(tables(FOUND, [], wrapped=False))
        assert "a library a library a library a library a library a library a library a library a library" in text
        assert not [line for line in text.splitlines() if line.startswith((",", "|  |"))]


def test_every_gpu_has_a_row():
    gpu = {
        "name": "H100",
        "memory_bytes": 80 * 2**30,
        "capability": "9.0",
        "driver": None,
        "power_cap_w": 700.0,
        "clock_mhz": 1410,
    }
    said = measurements(tables({**FOUND, "gpus": [gpu, {**gpu, "name": "A100"}]}, [])[0])
    assert said["GPU 0"] == "H100, 80.0 GiB, capability 9.0, power cap 700 W, clock 1410 MHz"
    assert said["GPU 1"].startswith("A100, ")


def test_a_record_of_an_older_fingerprint_still_reads():
    older = {
        **FOUND,
        "processor": {k: v for k, v in FOUND["processor"].items() if k not in ("sockets", "cores", "virtual")},
    }
    older.pop("huge_pages"), older.pop("signals")
    said = measurements(tables(older, [])[0])
    assert (said["cores"], said["huge pages"], said["neighbours seen"]) == ("not told", "not told", "not told")


def test_a_variable_cannot_colour_or_turn_the_page(lines):
    page = "".join(lines({**FOUND, "environment": {"OMP_PLACES": "\x1b[31m\u202eevil"}}))
    assert "\x1b" not in page
    assert "\u202e" not in page
