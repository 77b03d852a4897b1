"""Results of `analyze time` that cannot be written where they were wanted, or not at all, and interrupts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from analyzer.cli.jobs import time as job
from analyzer.core.errors import AnalyzerError
from analyzer.records.envelope import load
from tests.timing.pretended import timed


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_what_cannot_be_written_after_all_is_kept_unasked(analyze, pretend, googlenet, monkeypatch):
    pretend(timed(googlenet))

    def full(text, output):
        raise AnalyzerError("cannot write 'run.json': No space left on device")

    monkeypatch.setattr(job, "write", full)
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--format", "json", "-o", "run.json")
    assert outcome.status == 2
    (kept,) = Path(".analyze/records").iterdir()
    assert load(kept.read_text())[0].measurement == timed(googlenet).measurement
    assert f"kept in {kept.resolve()}" in outcome.err
    assert "No space left on device" in outcome.err


def test_where_nothing_can_be_written_both_places_are_named(analyze, pretend, googlenet, monkeypatch):
    pretend(timed(googlenet))
    Path(".analyze").write_text("in the way")

    def full(text, output):
        raise AnalyzerError("cannot write 'run.json': No space left on device")

    monkeypatch.setattr(job, "write", full)
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--format", "json", "-o", "run.json")
    assert outcome.status == 2
    assert "cannot write 'run.json'" in outcome.err
    assert "cannot keep the run in" in outcome.err


@pytest.mark.parametrize(("error", "kept"), [(OSError(28, "No space left on device"), 1), (BrokenPipeError(), 0)])
def test_a_full_disk_behind_standard_output_keeps_and_a_reader_that_left_does_not(
    analyze, pretend, googlenet, monkeypatch, error, kept
):
    pretend(timed(googlenet))

    def full(text, output):
        raise error

    monkeypatch.setattr(job, "write", full)
    outcome = analyze("time", "--variant", "googlenet", "--no-keep", "--format", "json")
    assert outcome.status == (2 if kept else 0)
    assert len(list(Path().glob(".analyze/records/*"))) == kept


def test_an_interrupt_shows_what_was_measured(analyze, pretend, googlenet):
    pretend(timed(googlenet, status="partial"), complete=False)
    outcome = analyze("time", "--variant", "googlenet", "--format", "json")
    assert outcome.status == 130
    assert json.loads(outcome.out)["status"] == "partial"
    assert "marked partial" in outcome.err


def test_an_impatient_second_interrupt_loses_nothing(analyze, pretend, googlenet, monkeypatch):
    pretend(timed(googlenet, status="partial"), complete=False)

    def impatient(text, output):
        raise KeyboardInterrupt

    monkeypatch.setattr(job, "write", impatient)
    assert analyze("time", "--variant", "googlenet", "--format", "json").status == 130
    (kept,) = Path(".analyze/records").iterdir()
    assert load(kept.read_text())[0].measurement.status == "partial"


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
