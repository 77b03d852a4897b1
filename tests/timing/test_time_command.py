"""`analyze time` and `analyze machine`: bad input in a line, faults that lose nothing, every form of output."""

from __future__ import annotations

import csv
import io
import json
import os
from pathlib import Path

import pytest

from analyzer.envelope import load
from analyzer.errors import AnalyzerError
from analyzer.timing import job
from analyzer.timing.measure import Measured
from analyzer.timings import Cell, Setting, Timing


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
        (["--variant", "nin", "--trace", "t.json", "--batch", "1,2"], "--trace takes one model at one setting"),
        (["--variant", "nin", "--trace", "no/such/folder/t.json"], "name another file with --trace"),
        (["--variant", "nin", "-o", "no/such/folder/r.json"], "No such file or directory; name another file with -o"),
        (["--variant", "nin", "--against", "abacus"], "no device 'abacus'"),
        (["--variant", "nin", "--budget", "0"], "budget"),
    ],
)
def test_bad_input_is_one_line_and_times_nothing(analyze, arguments, said):
    outcome = analyze("time", *arguments)
    assert outcome.status == 2
    assert said in outcome.err
    assert outcome.err.count("\n") == 1
    assert outcome.out == ""
    assert not Path(".analyze").exists()


def timed(record, *, batch=1, layout="contiguous", seconds=0.010, verdict="trusted", status="ok", reason=""):
    """A record as if its rows had taken what its FLOPs say, and 1 % for what lies between."""
    whole = Timing("", "", 1, "whole", "pass", (seconds, seconds * 1.01, seconds * 0.99), verdict, reason, (3,))
    flops = record.totals.flops
    tiles = [
        Timing(row.path, row.op, row.call, "tile", "forward", (0.99 * seconds * row.flops / flops,) * 3, verdict)
        for row in record.rows
    ]
    gap = Timing("", "gap", 1, "gap", "forward", (0.01 * seconds,) * 3, verdict)
    setting = Setting(batch=batch, layout=layout)
    return record.replace(
        cell=Cell(setting, (whole, *tiles, gap), verdict, reason, status), created="2026-11-24T10:00:00Z"
    )


@pytest.fixture
def pretend(monkeypatch):
    """`pretend(records)` – what was measured, without measuring."""

    def pretend(*records, complete=True):
        monkeypatch.setattr(job, "measured", lambda wanted, **how: Measured(tuple(records), complete))

    return pretend


@pytest.fixture
def googlenet():
    import analyzer

    return analyzer.count("googlenet")


def test_a_cell_is_shown_with_counts_beside_times_and_kept(analyze, pretend, golden, googlenet):
    pretend(timed(googlenet))
    outcome = analyze("time", "--variant", "googlenet", "--threads", "1")
    assert outcome.status == 0
    golden("time_googlenet.txt", outcome.out)
    (kept,) = Path(".analyze/records").iterdir()
    assert load(kept.read_text())[0] == timed(googlenet)
    assert f"kept in {kept.resolve()}" in outcome.err
    assert "no bounds: analyze machine measures this machine's peaks" in outcome.err


def test_cells_are_compared_and_the_slower_setting_is_told(analyze, pretend, golden, googlenet):
    pretend(timed(googlenet), timed(googlenet, layout="channels_last", seconds=0.007))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep")
    golden("time_layouts.txt", outcome.out)
    assert "layout channels_last was measured 1.43x faster than contiguous" in outcome.err
    assert not Path(".analyze").exists()


def test_a_named_device_bounds_and_its_confidence_is_said(analyze, pretend, googlenet):
    pretend(timed(googlenet))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--against", "maxwell")
    # 3.195 GFLOP in 10 ms are 319.5 GFLOP/s; the device is far above that.
    assert "of bound" in outcome.out
    assert "GeForce GTX Titan X (Maxwell), quoted" in outcome.err


def test_what_cannot_be_written_after_all_is_kept_unasked(analyze, pretend, googlenet, monkeypatch):
    pretend(timed(googlenet))

    def full(text, output):
        raise AnalyzerError("cannot write 'run.json': No space left on device")

    monkeypatch.setattr(job, "write", full)
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--format", "json", "-o", "run.json")
    assert outcome.status == 2
    (kept,) = Path(".analyze/records").iterdir()
    assert load(kept.read_text())[0].cell == timed(googlenet).cell
    assert f"kept in {kept.resolve()}" in outcome.err
    assert "No space left on device" in outcome.err


def test_a_void_cell_is_shown_as_such_and_exits_3(analyze, pretend, googlenet):
    pretend(timed(googlenet, verdict="void", reason="9 of 9 samples were disturbed: another process was running"))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep")
    assert outcome.status == 3
    assert "void" in outcome.out
    assert "9 of 9 samples were disturbed" in outcome.out


def test_a_failed_cell_stands_beside_one_that_was_measured(analyze, pretend, googlenet):
    failed = googlenet.replace(cell=Cell(Setting(batch=512), (), "void", "out of memory at batch 512", "failed"))
    pretend(timed(googlenet), failed)
    outcome = analyze("time", "--variant", "googlenet", "--batch", "1,512", "--no-keep")
    assert outcome.status == 3
    assert "out of memory at batch 512" in outcome.out
    assert "trusted" in outcome.out


def test_an_interrupt_shows_what_was_measured(analyze, pretend, googlenet):
    pretend(timed(googlenet, status="partial"), complete=False)
    outcome = analyze("time", "--variant", "googlenet", "--format", "json")
    assert outcome.status == 130
    assert json.loads(outcome.out)["status"] == "partial"
    assert "marked partial" in outcome.err


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


@pytest.mark.parametrize("form", ["md", "latex"])
def test_the_other_forms(analyze, pretend, form, googlenet):
    pretend(timed(googlenet))
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--format", form)
    assert outcome.status == 0
    assert "inception" in outcome.out


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permission bits do not bind root")
def test_a_folder_that_cannot_be_written_to(analyze, pretend, googlenet, tmp_path):
    pretend(timed(googlenet))
    tmp_path.chmod(0o500)
    outcome = analyze("time", "--variant", "googlenet")
    assert outcome.status == 2
    assert "--no-keep" in outcome.err


def test_a_file_in_the_way_of_the_folder(analyze, pretend, googlenet):
    pretend(timed(googlenet))
    Path(".analyze").write_text("in the way")
    outcome = analyze("time", "--variant", "googlenet")
    assert outcome.status == 2
    assert "cannot keep the run in" in outcome.err
    assert "inception_4a" in outcome.out  # What was measured is shown all the same.
    assert Path(".analyze").read_text() == "in the way"


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
