"""`analyze time` loses no result: interrupts, and results that cannot be written where they were wanted."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from analyzer.cli import app
from analyzer.cli.jobs import time as job
from analyzer.core.errors import AnalyzerError
from analyzer.records.record_json import load
from analyzer.timing.driver import time_settings
from analyzer.timing.driver.time_configurations import TimedRun
from tests.timing.pretended import timed

FULL = AnalyzerError("cannot write 'run.json': No space left on device")


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def write_error(monkeypatch):
    """`write_error(error)`: writing the result raises it."""

    def fail(error):
        def write(text, output):
            raise error

        monkeypatch.setattr(job, "write", write)

    return fail


def test_a_result_that_cannot_be_written_is_kept_despite_no_keep(analyze, pretend, googlenet, write_error):
    pretend(timed(googlenet))
    write_error(FULL)
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--format", "json", "-o", "run.json")
    assert outcome.status == 2
    (kept,) = Path(".analyze/records").iterdir()
    assert load(kept.read_text())[0].measurement == timed(googlenet).measurement
    assert f"kept in {kept.resolve()}" in outcome.err
    assert "No space left" in outcome.err


def test_a_result_that_cannot_be_kept_either_names_both_places(analyze, pretend, googlenet, write_error):
    pretend(timed(googlenet))
    write_error(FULL)
    Path(".analyze").write_text("in the way")
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--format", "json", "-o", "run.json")
    assert outcome.status == 2
    assert "run.json" in outcome.err
    assert "cannot save the run" in outcome.err


@pytest.mark.parametrize(
    ("error", "status", "kept"), [(OSError(28, "No space left on device"), 2, 1), (BrokenPipeError(), 0, 0)]
)
def test_a_full_disk_keeps_the_run_and_a_closed_pipe_does_not(
    analyze, pretend, googlenet, write_error, monkeypatch, error, status, kept
):
    monkeypatch.setattr(app, "is_broken_pipe", lambda stream: isinstance(error, BrokenPipeError))
    pretend(timed(googlenet))
    write_error(error)
    assert analyze("time", "--variant", "googlenet", "--no-keep", "--format", "json").status == status
    assert len(list(Path().glob(".analyze/records/*"))) == kept


def test_an_interrupt_shows_what_was_measured(analyze, pretend, googlenet):
    pretend(timed(googlenet, status="partial"), complete=False)
    outcome = analyze("time", "--variant", "googlenet", "--format", "json")
    assert outcome.status == 130
    assert json.loads(outcome.out)["status"] == "partial"
    assert "partial" in outcome.err


def test_an_interrupt_before_the_first_measurement_leaves_an_older_file(analyze, pretend, googlenet):
    record = timed(googlenet, status="partial")
    pretend(record.replace(measurement=record.measurement.replace(timings=())), complete=False)
    Path("times.json").write_text("an older run")
    outcome = analyze("time", "--variant", "googlenet", "-o", "times.json")
    assert (outcome.status, outcome.out) == (130, "")
    assert "interrupted" in outcome.err
    assert Path("times.json").read_text() == "an older run"


def test_advice_interrupted_before_the_first_measurement(analyze, googlenet, monkeypatch):
    record = timed(googlenet, status="partial")
    untimed = record.replace(measurement=record.measurement.replace(timings=()))
    monkeypatch.setattr(
        time_settings, "time_requests", lambda requests, **options: TimedRun((untimed,) * len(requests), False)
    )
    outcome = analyze("advise", "googlenet")
    assert (outcome.status, outcome.out) == (130, "")
    assert "analyze: interrupted" in outcome.err


def test_a_second_interrupt_loses_nothing(analyze, pretend, googlenet, write_error):
    pretend(timed(googlenet, status="partial"), complete=False)
    write_error(KeyboardInterrupt())
    assert analyze("time", "--variant", "googlenet", "--format", "json").status == 130
    (kept,) = Path(".analyze/records").iterdir()
    assert load(kept.read_text())[0].measurement.status == "partial"


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="permission bits do not bind root")
def test_a_folder_without_write_permission_is_an_error(analyze, pretend, googlenet, tmp_path):
    pretend(timed(googlenet))
    tmp_path.chmod(0o500)
    outcome = analyze("time", "--variant", "googlenet")
    assert outcome.status == 2
    assert "--no-keep" in outcome.err


def test_a_result_is_shown_although_its_folder_cannot_be_made(analyze, pretend, googlenet):
    pretend(timed(googlenet))
    Path(".analyze").write_text("in the way")
    outcome = analyze("time", "--variant", "googlenet")
    assert outcome.status == 2
    assert "cannot save the run" in outcome.err
    assert "inception_4a" in outcome.out
    assert Path(".analyze").read_text() == "in the way"
