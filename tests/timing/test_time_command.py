"""`analyze time` and `analyze machine`: bad input, every form of output, notes on the roofline."""

from __future__ import annotations

import csv
import io
import json
from functools import partial
from pathlib import Path

import pytest

from analyzer.core import lock
from analyzer.records.comparable import incompatibility
from analyzer.records.record_json import dump, load
from analyzer.records.run_files import PEAKS
from analyzer.records.timings import Configuration, Measurement, Timing
from tests.timed_records import MACHINE
from tests.timing.pretended import timed


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def time(analyze):
    return lambda *arguments: analyze("time", "--variant", "googlenet", "--no-keep", *arguments)


@pytest.fixture
def environment(monkeypatch):
    from analyzer.timing.machine.fingerprint import fingerprint

    return fingerprint()


def keep_peaks(environment, *peaks):
    PEAKS.parent.mkdir()
    PEAKS.write_text(json.dumps({"schema_version": 1, "environment": environment, "peaks": peaks}))


def peak(name, unit, threads=1, value=1e11, **fields):
    return {"name": name, "unit": unit, "threads": threads, "value": value, "spread": 0.0, **fields}


def failed(record, batch=512):
    configuration = Configuration(batch=batch)
    return record.replace(measurement=Measurement(configuration, (), "void", "out of memory at batch 512", "failed"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "nothing to time"),
        (["--variant", "googlenett"], "nearest: googlenet"),
        (["--variant", "nin", "--batch", "0"], "whole numbers"),
        (["--variant", "nin", "--batch", "1,,2"], "whole numbers"),
        (["--variant", "nin", "--batch", "²"], "whole numbers"),
        (["--variant", "nin", "--dtype", "float31"], "'float31' is none of float32"),
        (["--variant", "nin", "--layout", "diagonal"], "'diagonal' is none of contiguous"),
        (["--variant", "nin", "--train", "--mode", "inference"], "contradict"),
        (["--variant", "nin", "--input", "3x0x3"], "at least 1"),
        (["--variant", "nin", "--input", "3x4x4"], "nin"),
        (["--variant", "nin", "--trace", "t.json", "--batch", "1,2"], "--trace takes one model"),
        (["--variant", "nin", "--trace", "no/such/folder/t.json"], "name another file with --trace"),
        (["--variant", "nin", "--trace", "-"], "--trace needs a file name"),
        (["--variant", "nin", "-o", "no/such/folder/r.json"], "name another file with -o"),
        (["--variant", "nin", "--against", "abacus"], "no device 'abacus'"),
        (["--variant", "nin", "--device", "gpu"], "unknown device 'gpu'"),
        (["--variant", "nin", "--threads", "9999"], "--threads is at most"),
        (["--variant", "nin", "--device", ""], "--device is empty"),
        (["--variant", "nin", "--device", "cpu:0"], "unknown device 'cpu:0'"),
        (["--variant", "nin", "--compile", "--replay"], "leave out one of the two"),
        (["--variant", "nin", "--budget", "0"], "budget"),
        (["--variant", "nin", "--budget", "nan"], "nan is not a number"),
        (["--variant", "nin", "--load", "50/s,fast"], "'fast'"),
        (["--variant", "nin", "--limit", "p99"], "such as p99=50ms"),
    ],
)
def test_bad_input_is_one_line_and_times_nothing(analyze, arguments, message):
    outcome = analyze("time", *arguments)
    assert outcome.status == 2
    assert message in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert not Path(".analyze").exists()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--variant", "nin", "--device", "cuda:99"], "no device cuda:99"),
        (["--model", "nope.py:X", "--input", "4"], "nope.py"),
    ],
)
def test_bad_input_that_only_a_worker_detects_is_one_line_too(analyze, arguments, message):
    outcome = analyze("time", *arguments)
    assert (outcome.status, outcome.err.count("\n")) == (2, 1)
    assert message in outcome.err


@pytest.mark.parametrize("command", ["time", "advise"])
def test_a_timing_waits_for_another_one_of_this_machine(analyze, monkeypatch, tmp_path, command):
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    briefly = partial(lock.timing_lock, max_wait=0)
    monkeypatch.setattr(f"analyzer.cli.jobs.{command}.timing_lock", briefly)
    with lock.timing_lock():
        outcome = analyze(command, "nin")
    assert (outcome.status, outcome.out) == (3, "")
    assert "another timing has held the lock" in outcome.err


def test_one_record_is_shown_with_its_counts_and_kept(analyze, pretend, golden, googlenet):
    pretend(timed(googlenet))
    outcome = analyze("time", "--variant", "googlenet", "--threads", "1")
    assert outcome.status == 0
    golden("time_googlenet.txt", outcome.out)
    (kept,) = Path(".analyze/records").iterdir()
    assert load(kept.read_text())[0] == timed(googlenet)
    assert f"kept in {kept.resolve()}" in outcome.err
    assert "run `analyze machine` once" in outcome.err


def test_configurations_are_compared_and_the_faster_layout_is_named(time, pretend, golden, googlenet):
    pretend(timed(googlenet), timed(googlenet, layout="channels_last", seconds=0.007))
    outcome = time()
    golden("time_layouts.txt", outcome.out)
    assert "layout channels_last was 1.43× [1.42× to 1.44×] faster" in " ".join(outcome.out.split())
    assert not Path(".analyze").exists()


def test_flushed_records_are_not_comparable_with_warm_ones(time, pretend, googlenet):
    warm = timed(googlenet)
    configuration = warm.measurement.configuration.replace(flushed=True)
    flushed = warm.replace(measurement=warm.measurement.replace(configuration=configuration))
    pretend(warm, flushed)
    assert "flushed" in time().out
    assert load(dump([flushed]))[0].measurement.configuration.flushed
    records = (record.replace(environment=MACHINE) for record in (warm, flushed))
    assert incompatibility(*records) == "caches warm against flushed"


def test_a_named_device_gives_two_bounds_with_their_source(time, pretend, googlenet):
    """conv1 has 64 x 112 x 112 outputs; its ReLU's memory traffic takes 19 µs at 336.5 GB/s in both bounds.

    Direct: 2 x 118,013,952 FLOPs and a bias at 6.69 TFLOP/s. At least: the traffic of the convolution, since the
    fewest multiplications, 1.5 per point of the image instead of 49 / 4, take 4 µs.
    """
    pretend(timed(googlenet))
    outcome = time("--against", "maxwell")
    (conv1,) = [line for line in outcome.out.splitlines() if line.startswith("conv1 ")]
    outputs = 64 * 112 * 112
    relu_s = 2 * 4 * outputs / 336.5e9
    direct_s = (2 * 118_013_952 + outputs) / 6.69e12 + relu_s
    least_s = 4 * (3 * 224 * 224 + 64 * (3 * 49 + 1) + outputs) / 336.5e9 + relu_s
    assert conv1.endswith(f"{1e6 * direct_s:.2f} µs {1e6 * least_s:.2f} µs memory")
    text = " ".join(outcome.out.split())
    assert "at least" in text
    assert "GeForce GTX Titan X (Maxwell), quoted (peak 6.69 TFLOP/s in float32)" in text


def test_the_bounds_of_the_table_are_in_every_format(time, pretend, googlenet):
    """The convolution of conv1 and its ReLU, as in the test before; the network's bounds are sums over rows."""
    pretend(timed(googlenet))
    (record,) = json.loads(time("--against", "maxwell", "--format", "json").out)["records"]
    bounds = record["bounds"]
    assert (bounds["peak_flops_per_s"], bounds["peak_type"], bounds["memory_bytes_per_s"]) == (
        6.69e12,
        "float32",
        336.5e9,
    )
    outputs = 64 * 112 * 112
    conv1 = bounds["rows"][0]
    assert (conv1["path"], conv1["bound_by"]) == ("conv1.conv", "memory")
    assert conv1["direct_s"] == pytest.approx((2 * 118_013_952 + outputs) / 6.69e12)
    assert conv1["at_least_s"] == pytest.approx(4 * (3 * 224 * 224 + 64 * (3 * 49 + 1) + outputs) / 336.5e9)
    assert [row["path"] for row in bounds["rows"]] == [row["path"] for row in record["rows"]]
    assert bounds["direct_s"] == pytest.approx(sum(row["direct_s"] for row in bounds["rows"]))
    (module,) = [module for module in bounds["modules"] if module["path"] == "conv1"]
    assert module["at_least_s"] == pytest.approx(sum(row["at_least_s"] for row in bounds["rows"][:2]))
    markdown = time("--against", "maxwell", "--format", "md").out
    assert f"{1e6 * module['direct_s']:.2f} µs | {1e6 * module['at_least_s']:.2f} µs memory |" in markdown
    lines = list(csv.DictReader(time("--against", "maxwell", "--format", "csv").out.splitlines()))
    of_pass = next(line for line in lines if line["kind"] == "pass")
    assert float(of_pass["at_least_s"]) == bounds["at_least_s"]
    assert [float(line["direct_s"]) for line in lines if line["path"] == "conv1.conv"] == [conv1["direct_s"]]
    assert "direct_s" not in time("--format", "csv").out
    assert "bounds" not in json.loads(time("--format", "json").out)["records"][0]


def test_there_are_no_bounds_in_training(time, pretend, googlenet):
    pretend(timed(googlenet).replace(mode="training"))
    outcome = time("--against", "maxwell", "--format", "json")
    assert "No bounds: " in outcome.err
    assert "bounds" not in json.loads(outcome.out)["records"][0]


def test_named_devices_are_listed(analyze):
    outcome = analyze("time", "--against", "?")
    assert outcome.status == 0
    assert "GeForce GTX Titan X (Maxwell) (quoted)" in outcome.out.splitlines()


def test_damaged_peaks_are_ignored(time, pretend, googlenet, environment):
    """tests/timing/machine/test_fingerprint.py has every kind of damage."""
    keep_peaks(environment, peak("x", "B", value="much"))
    pretend(timed(googlenet).replace(environment=environment))
    outcome = time()
    assert outcome.status == 0
    assert "No roofline" in outcome.err


def test_a_failed_record_does_not_hide_the_roofline_of_the_others(time, pretend, googlenet, environment):
    keep_peaks(environment, peak("float32", "FLOP"), peak("copy memory", "B"))
    pretend(failed(googlenet), timed(googlenet).replace(environment=environment))
    outcome = time("--batch", "512,1")
    assert outcome.status == 3
    assert "No roofline" not in outcome.err
    assert "of roofline" in outcome.out
    pretend(failed(googlenet))
    assert "roofline" not in time("--batch", "512").err


@pytest.mark.parametrize(
    ("configuration", "gpu", "words"),
    [
        ({"threads": 7}, None, ("float32 on 7 threads", "--threads 1,7")),
        ({"dtype": "float64"}, None, ("float64 on 1 thread;", "--threads 1`")),
        ({"device": "cuda"}, None, ("run `analyze machine` once",)),
        ({"device": "cuda", "dtype": "float64"}, "H100", ("peaks of H100 lack float64",)),
        ({"device": "cuda"}, "H100", ("peaks of H100 lack memory",)),
        ({"device": "mps"}, None, ("peaks of mps cannot be measured",)),
        ({"mode": "training"}, None, ("backward pass is not counted",)),
    ],
)
def test_without_a_roofline_a_message_says_what_is_missing(
    time, pretend, googlenet, environment, configuration, gpu, words
):
    h100 = peak("float32", "FLOP", threads=0, value=5e13, device="H100")
    keep_peaks(environment, peak("float32", "FLOP"), peak("copy memory", "B"), h100)
    record = timed(googlenet).replace(environment=environment | ({"gpu": {"name": gpu}} if gpu else {}))
    measurement = record.measurement.replace(configuration=Configuration(**configuration))
    pretend(record.replace(measurement=measurement, mode=measurement.configuration.mode))
    err = time().err
    assert "No roofline" in err
    assert all(word in err for word in words)


def test_a_void_run_is_one_sentence_unless_its_tables_are_wanted(time, pretend, googlenet):
    pretend(timed(googlenet, quality="void", reason="9 of 9 samples were disturbed"))
    outcome = time()
    assert (outcome.status, outcome.out) == (3, "")
    assert "9 of 9 samples were disturbed" in outcome.err
    assert "--show-void" in outcome.err
    assert outcome.err.count("\n") == 1
    shown = time("--show-void")
    assert shown.status == 3
    assert "void" in shown.out
    assert "--show-void" not in shown.err


def test_a_failed_record_is_shown_with_a_timed_one(time, pretend, googlenet):
    pretend(timed(googlenet), failed(googlenet))
    outcome = time("--batch", "1,512")
    assert outcome.status == 3
    assert "out of memory at batch 512" in outcome.out
    assert "trusted" in outcome.out


def test_json_is_the_envelope_and_csv_has_a_line_per_timing(time, pretend, googlenet):
    pretend(timed(googlenet))
    (record,) = load(time("--format", "json").out)
    assert record == timed(googlenet)
    lines = list(csv.DictReader(io.StringIO(time("--format", "csv").out)))
    assert len(lines) == 1 + len(googlenet.rows) + 1
    whole, conv1, overhead = lines[0], lines[1], lines[-1]
    assert (float(whole["median_s"]), whole["macs"]) == (0.010, str(googlenet.totals.macs))
    assert (conv1["path"], conv1["kind"], conv1["samples"]) == ("conv1.conv", "operator", "3")
    assert (conv1["macs"], conv1["flops"]) == ("118013952", str(2 * 118_013_952 + 64 * 112 * 112))  # With the bias.
    assert (overhead["kind"], overhead["macs"]) == ("overhead", "")
    assert sum(float(line["operator_time_s"]) for line in lines[1:]) == pytest.approx(0.010, rel=0.02)


@pytest.mark.parametrize("form", ["md", "latex"])
def test_markdown_and_latex(time, pretend, form, googlenet):
    pretend(timed(googlenet))
    outcome = time("--format", form)
    assert outcome.status == 0
    assert "inception" in outcome.out


@pytest.mark.parametrize("form", ["table", "md", "csv", "latex"])
def test_control_characters_in_names_are_escaped(time, pretend, googlenet, form):
    pretend(timed(googlenet.replace(model="a\x1b[31m|<script>\u202e\n=cmd()")))
    out = time("--format", form).out
    assert "\x1b[31m" not in out
    assert "\u202e" not in out


def test_the_machine_is_described_without_measuring(analyze):
    outcome = analyze("machine", "--no-peaks")
    assert outcome.status == 0
    assert "torch" in outcome.out
    envelope = json.loads(analyze("machine", "--no-peaks", "--format", "json").out)
    assert envelope["environment"]["torch"]["version"]
    assert envelope["peaks"] == []
    assert not Path(".analyze").exists()


def test_threads_are_refused_for_a_gpu(analyze):
    outcome = analyze("machine", "--device", "cuda", "--threads", "2")
    assert outcome.status == 2
    assert "--threads" in outcome.err


def test_latency_under_load_is_a_table_and_the_limit_a_note(time, pretend, googlenet):
    record = timed(googlenet)
    load = Timing("", "20/s", 1, "latency", "pass", (0.02,) * 100, "trusted")
    measurement = record.measurement.replace(timings=(*record.measurement.timings, load))
    pretend(record.replace(measurement=measurement))
    done = time("--load", "20/s", "--limit", "p99=50ms")
    assert done.status == 0
    assert "latency under load" in done.out
    assert "Highest load within p99 of 50.00 ms: 20/s" in " ".join(done.out.split())
