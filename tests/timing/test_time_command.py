"""`analyze time` and `analyze machine`: bad input in a line, faults that lose nothing, every form of output."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from analyzer.records.comparable import why_not
from analyzer.records.envelope import dump, load
from analyzer.records.record import Count, Record
from analyzer.records.timings import Configuration, Measurement
from analyzer.timing.driver.measure import _batched, configurations
from tests.timed_records import MACHINE
from tests.timing.pretended import timed


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "nothing to time: give --variant NAME or --model REF"),
        (["--variant", "googlenett"], "nearest: googlenet"),
        (["--variant", "nin", "--batch", "0"], "no list of whole numbers"),
        (["--variant", "nin", "--batch", "1,,2"], "no list of whole numbers"),
        (["--variant", "nin", "--batch", "²"], "no list of whole numbers"),
        (["--variant", "nin", "--dtype", "float31"], "'float31' is none of float32"),
        (["--variant", "nin", "--layout", "diagonal"], "'diagonal' is none of contiguous, channels_last"),
        (["--variant", "nin", "--train", "--mode", "inference"], "contradict each other"),
        (["--variant", "nin", "--input", "3x0x3"], "every size must be at least 1"),
        (["--variant", "nin", "--input", "3x4x4"], "nin"),
        (["--variant", "nin", "--trace", "t.json", "--batch", "1,2"], "--trace takes one model at one configuration"),
        (["--variant", "nin", "--trace", "no/such/folder/t.json"], "name another file with --trace"),
        (["--variant", "nin", "-o", "no/such/folder/r.json"], "No such file or directory; name another file with -o"),
        (["--variant", "nin", "--against", "abacus"], "no device 'abacus'"),
        (["--variant", "nin", "--device", "gpu"], "unknown device 'gpu'; wanted cpu, cuda, cuda:1 or mps"),
        (["--variant", "nin", "--device", ""], "unknown device ''"),
        (["--variant", "nin", "--device", "cpu:0"], "unknown device 'cpu:0'"),
        (["--variant", "nin", "--compile", "--replay"], "replay times modules alone, and compiled code has none"),
        (["--variant", "nin", "--budget", "0"], "budget"),
        (["--variant", "nin", "--budget", "nan"], "--budget nan is no number of seconds"),
        (["--variant", "nin", "--trace", "-"], "--trace writes a file"),
        (["--variant", "nin", "--device", "cuda:99"], "no device cuda:99 here; there are: cpu"),
        (["--model", "nope.py:X", "--input", "4"], "no file nope.py"),
    ],
)
def test_bad_input_is_one_line_and_times_nothing(analyze, arguments, said):
    outcome = analyze("time", *arguments)
    assert outcome.status == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert not Path(".analyze").exists()


def test_a_cell_is_shown_with_counts_beside_times_and_kept(analyze, pretend, golden, googlenet):
    pretend(timed(googlenet))
    outcome = analyze("time", "--variant", "googlenet", "--threads", "1")
    assert outcome.status == 0
    golden("time_googlenet.txt", outcome.out)
    (kept,) = Path(".analyze/records").iterdir()
    assert load(kept.read_text())[0] == timed(googlenet)
    assert f"kept in {kept.resolve()}" in outcome.err
    assert "no bounds: analyze machine measures this machine's peaks" in outcome.err


def test_flushed_caches_are_part_of_the_setting(analyze, pretend, googlenet):
    """In the record too: a flushed time is not held against a warm one."""
    warm = timed(googlenet)
    flushed = warm.replace(
        measurement=warm.measurement.replace(configuration=warm.measurement.configuration.replace(flushed=True))
    )
    assert configurations([1], [1], flushed=True) == [flushed.measurement.configuration]
    pretend(warm, flushed)
    assert "flushed" in analyze("time", "--variant", "googlenet", "--no-keep").out
    assert load(dump([flushed]))[0].measurement.configuration.flushed
    known = {"environment": MACHINE}
    assert why_not(warm.replace(**known), flushed.replace(**known)) == "caches warm against flushed"


def test_an_input_of_another_batch_is_said():
    """What a function beside the model made: samples a second would be of a batch that never ran."""
    made = Record("net.py:Net", ((4, 64),), "inference", Count("dispatch", ()))
    assert _batched(made, Configuration(batch=4)) == ()
    assert _batched(made.replace(input=((), (3, 4, 5))), Configuration(batch=3)) == ()
    (said,) = _batched(made, Configuration(batch=1))
    assert said == "its input is 4x64, not of batch 1: its speed is in passes, not samples, a second"


def test_cells_are_compared_and_the_slower_setting_is_told(analyze, pretend, golden, googlenet):
    pretend(timed(googlenet), timed(googlenet, layout="channels_last", seconds=0.007))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep")
    golden("time_layouts.txt", outcome.out)
    assert "layout channels_last was measured 1.43x faster than contiguous" in " ".join(outcome.out.split())
    assert not Path(".analyze").exists()


def test_a_named_device_bounds_and_its_confidence_is_said(analyze, pretend, googlenet):
    pretend(timed(googlenet))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--against", "maxwell")
    # conv1's 64 x 112 x 112 outputs: 2 x 118,013,952 FLOPs and a bias at 6.69 TFLOP/s are 35.4 us; its ReLU reads and
    # writes them at 336.5 GB/s, 19.1 us.
    (conv1,) = [line for line in outcome.out.splitlines() if line.startswith("conv1 ")]
    outputs = 64 * 112 * 112
    least = (2 * 118_013_952 + outputs) / 6.69e12 + 2 * 4 * outputs / 336.5e9
    assert conv1.endswith(f"{1e6 * least:.2f} µs compute")
    assert "at least" in outcome.out
    assert "by published figures of GeForce GTX Titan X (Maxwell), quoted, with" in " ".join(outcome.out.split())


def test_named_devices_are_listed(analyze):
    outcome = analyze("time", "--against", "?")
    assert outcome.status == 0
    assert "GeForce GTX Titan X (Maxwell) (quoted)" in outcome.out.splitlines()


@pytest.mark.parametrize("peak", [{}, {"name": 5, "unit": "B", "threads": 1, "value": 1.0}, {"name": "x", "unit": "B",
                                  "threads": 1, "value": "much"}])  # fmt: skip
def test_kept_peaks_that_somebody_edited_are_none(analyze, pretend, googlenet, peak):
    from analyzer.records.store import PEAKS
    from analyzer.timing.machine.fingerprint import fingerprint

    here = fingerprint()
    PEAKS.parent.mkdir()
    PEAKS.write_text(json.dumps({"schema_version": 1, "environment": here, "peaks": [peak]}))
    pretend(timed(googlenet).replace(environment=here))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep")
    assert outcome.status == 0
    assert "no bounds" in outcome.err


def test_a_failed_cell_that_comes_first_does_not_hide_the_bounds_of_the_others(analyze, pretend, googlenet):
    """Its machine is unknown: it never ran."""
    from analyzer.records.store import PEAKS
    from analyzer.timing.machine.fingerprint import fingerprint

    here = fingerprint()
    peaks = [{"name": name, "unit": unit, "threads": 1, "value": 1e11, "spread": 0.0, "quality": "trusted"}
             for name, unit in (("float32", "FLOP"), ("copy memory", "B"))]  # fmt: skip
    peaks.append({"name": "float32", "unit": "FLOP", "threads": 0, "value": 5e13, "spread": 0.0, "device": "H100"})
    PEAKS.parent.mkdir()
    PEAKS.write_text(json.dumps({"schema_version": 1, "environment": here, "peaks": peaks}))
    failed = googlenet.replace(
        measurement=Measurement(Configuration(batch=512), (), "void", "out of memory at batch 512", "failed")
    )
    pretend(failed, timed(googlenet).replace(environment=here))
    outcome = analyze("time", "--variant", "googlenet", "--batch", "512,1", "--no-keep")
    assert outcome.status == 3
    assert "no bounds" not in outcome.err
    for configuration, lack in (
        (
            Configuration(threads=7),
            "the peaks kept have none of float32 on 7 threads; analyze machine --threads 1,7 measures",
        ),
        (Configuration(dtype="float64"), "the peaks kept have none of float64 on 1 thread"),
        (Configuration(device="cuda"), "analyze machine measures this machine's peaks"),
        (Configuration(device="cuda", dtype="float64"), "the peaks kept of H100 have none of float64; analyze machine"),
        (Configuration(device="mps"), "the peaks of mps cannot be measured"),
    ):
        gpu = {"gpu": {"name": "H100"}} if configuration.dtype == "float64" and configuration.device == "cuda" else {}
        one = timed(googlenet).replace(environment={**here, **gpu})
        pretend(one.replace(measurement=one.measurement.replace(configuration=configuration)))
        assert f"no bounds: {lack}" in analyze("time", "--variant", "googlenet", "--no-keep").err
    pretend(failed)
    assert "bounds" not in analyze("time", "--variant", "googlenet", "--batch", "512", "--no-keep").err


def test_a_void_cell_is_shown_as_such_and_exits_3(analyze, pretend, googlenet):
    pretend(timed(googlenet, quality="void", reason="9 of 9 samples were disturbed: another process was running"))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep")
    assert outcome.status == 3
    assert "void" in outcome.out
    assert "9 of 9 samples were disturbed" in outcome.out


def test_a_failed_cell_stands_beside_one_that_was_measured(analyze, pretend, googlenet):
    failed = googlenet.replace(
        measurement=Measurement(Configuration(batch=512), (), "void", "out of memory at batch 512", "failed")
    )
    pretend(timed(googlenet), failed)
    outcome = analyze("time", "--variant", "googlenet", "--batch", "1,512", "--no-keep")
    assert outcome.status == 3
    assert "out of memory at batch 512" in outcome.out
    assert "trusted" in outcome.out


def test_json_is_the_envelope_and_csv_a_line_a_timing(analyze, pretend, googlenet):
    pretend(timed(googlenet))
    (record,) = load(analyze("time", "--variant", "googlenet", "--no-keep", "--format", "json").out)
    assert record == timed(googlenet)
    lines = list(
        csv.DictReader(io.StringIO(analyze("time", "--variant", "googlenet", "--no-keep", "--format", "csv").out))
    )
    assert len(lines) == 1 + len(googlenet.rows) + 1
    assert float(lines[0]["median_s"]) == 0.010
    assert (lines[1]["path"], lines[1]["kind"], lines[1]["samples"]) == ("conv1.conv", "tile", "3")
    assert (lines[1]["macs"], lines[1]["flops"]) == ("118013952", str(2 * 118_013_952 + 64 * 112 * 112))  # A bias too.
    assert lines[0]["macs"] == str(googlenet.totals.macs)
    assert (lines[-1]["kind"], lines[-1]["macs"]) == ("gap", "")
    assert sum(float(line["part_s"]) for line in lines[1:]) == pytest.approx(0.010, rel=0.02)


@pytest.mark.parametrize("form", ["md", "latex"])
def test_the_other_forms(analyze, pretend, form, googlenet):
    pretend(timed(googlenet))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--format", form)
    assert outcome.status == 0
    assert "inception" in outcome.out


def test_hostile_names_are_shown_inert(analyze, pretend, googlenet):
    name = "a\x1b[31m|<script>\u202e\n=cmd()"
    pretend(timed(googlenet.replace(model=name)))
    for form in ("table", "md", "csv", "latex"):
        out = analyze("time", "--variant", "googlenet", "--no-keep", "--format", form).out
        assert "\x1b[31m" not in out
        assert "\u202e" not in out


def test_the_machine_is_described_without_measuring(analyze):
    outcome = analyze("machine", "--no-peaks")
    assert outcome.status == 0
    assert "torch" in outcome.out
    data = json.loads(analyze("machine", "--no-peaks", "--format", "json").out)
    assert data["environment"]["torch"]["version"]
    assert data["peaks"] == []
    assert not Path(".analyze").exists()
