"""The numbers in docs/findings.md are those of the kept records."""

from __future__ import annotations

import re
from statistics import median

import pytest

from analyzer.core.units import percent, seconds
from analyzer.records.timings import Timing
from benchmarks.findings_tables import pool_and_lrn, process_medians
from benchmarks.write_findings import PAGE, RESULTS, records
from reports.timing.breakdown import measurement_of

pytestmark = pytest.mark.skipif(not RESULTS.is_dir(), reason="an sdist has no benchmark results")
NETWORKS = ("googlenet", "googlenet-naive", "googlenet-no-reduction", "googlenet-fc-head", "alexnet")


def tables():
    """The page's tables by section: heading to rows of cells."""
    rows, heading = {}, ""
    for line in PAGE.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            heading = line.lstrip("# ")
        elif line.startswith("|"):
            rows.setdefault(heading, []).append([cell.strip() for cell in line.strip("|").split("|")])
    return rows


def cells(heading, record):
    """The cells of the first table below a heading, without network and batch, by column title."""
    titles, _, *rows = tables()[heading]
    configuration = measurement_of(record).configuration
    (row,) = [row for row in rows[:10] if row[:2] == [f"`{record.label}`", str(configuration.batch)]]
    return dict(zip(titles, row, strict=True))


@pytest.mark.parametrize("index", range(10))
def test_times_and_shares_are_recomputed_from_the_samples(index):
    record = records("networks")[index]
    timing, batch = measurement_of(record).pass_timing, measurement_of(record).configuration.batch
    row = cells("Five networks", record)
    assert row["time of a pass"] == seconds(median(timing.samples_s))
    assert row["samples/s"] == f"{batch / median(timing.samples_s):.1f}"
    assert row["MACs per sample"] == f"{record.totals.macs / batch / 1e9:.3f} G"
    assert row["quality"].split()[0] == timing.quality
    flops, time_s = pool_and_lrn(record)
    shares = cells("Pooling and LRN: few FLOPs, much of the time", record)
    assert (shares["share of FLOPs"], shares["share of time"]) == (percent(flops), percent(time_s))


@pytest.mark.parametrize("index", range(10))
def test_gpu_times_are_recomputed_from_the_samples(index):
    record = records("cuda")[index]
    measurement, row = measurement_of(record), cells("On a GPU, measured", record)
    device = median(measurement.of("device")[0].samples_s)
    assert (row["wall time"], row["GPU time"]) == (seconds(measurement.pass_timing.median_s), seconds(device))
    assert row["utilization"] == percent(device / measurement.pass_timing.median_s)


def test_the_records_are_of_five_networks_at_two_batches():
    expected = {(name, batch) for name in NETWORKS for batch in (1, 8)}
    for name in ("networks", "cuda"):
        timed = records(name)
        assert {(record.label, measurement_of(record).configuration.batch) for record in timed} == expected
    for record in records("networks"):
        assert record.measurement.status == "ok"
        assert len(record.measurement.pass_timing.samples_s) >= 5


def test_gpu_operators_add_up_to_gpu_time():
    for record in [*records("cuda"), *records("cuda_layouts")]:
        measurement = record.measurement
        tolerance = 0.03 if measurement.configuration.batch == 1 else 0.015
        ratio = sum(measurement.operator_times_s.values()) / measurement.of("device")[0].interquartile_mean_s
        assert ratio == pytest.approx(1, abs=tolerance)


def test_speedups_lie_in_their_intervals():
    _, _, *rows = tables()["Speedup by channels_last"]
    for *_, ratio, interval, _ in rows:
        low, high = map(float, re.findall(r"[\d.]+", interval))
        assert low < float(ratio.rstrip("×")) < high


def test_a_round_is_one_process_of_each_configuration():
    timing = Timing("", "", 1, "pass", "pass", (1.0, 2.0, 3.0, 6.0, 4.0, 5.0), "trusted", "", (2, 1, 3))
    assert process_medians(timing) == [1.5, 3.0, 5.0]
