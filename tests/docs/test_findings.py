"""docs/findings.md is what the kept records say, to the last character; the records hold samples and are ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.records.envelope import load
from analyzer.records.timings import Timing
from benchmarks.findings import PAGE, RESULTS, _by_process, page


def test_the_page_is_made_from_the_records():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_the_records_are_complete():
    networks = load(Path(RESULTS, "networks.json").read_text(encoding="utf-8"))
    assert {(one.label, one.measurement.configuration.batch) for one in networks} == {
        (name, batch)
        for name in ("googlenet", "googlenet-naive", "googlenet-no-reduction", "googlenet-fc-head", "alexnet")
        for batch in (1, 8)
    }
    assert all(one.measurement.status == "ok" and len(one.measurement.whole.samples_s) >= 5 for one in networks)


def test_the_gpus_records_are_of_the_same_networks_and_their_parts_add_up():
    """Within 1.5 % of the device's own time at batch 8 and more, 3 % at batch 1."""
    cuda = load(Path(RESULTS, "cuda.json").read_text(encoding="utf-8"))
    networks = load(Path(RESULTS, "networks.json").read_text(encoding="utf-8"))
    assert {(one.label, one.measurement.configuration.batch) for one in cuda} == {
        (one.label, one.measurement.configuration.batch) for one in networks
    }
    for one in [*cuda, *load(Path(RESULTS, "cuda_layouts.json").read_text(encoding="utf-8"))]:
        assert one.measurement.uncut.kind == "device"
        within = 0.03 if one.measurement.configuration.batch == 1 else 0.015
        assert sum(one.measurement.parts.values()) / one.measurement.uncut.middle_s == pytest.approx(1, abs=within)


def test_a_round_is_one_process_of_each_cell():
    """Processes of two, one and three samples: their medians are 1.5, 3 and 5."""
    timing = Timing("", "", 1, "whole", "pass", (1.0, 2.0, 3.0, 6.0, 4.0, 5.0), "trusted", "", (2, 1, 3))
    assert _by_process(timing) == [1.5, 3.0, 5.0]
