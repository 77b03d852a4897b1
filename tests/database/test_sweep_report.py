"""A report reads the same points from each database."""

from __future__ import annotations

from analyzer.cli.jobs.sweep_report import Source, read_analysis
from analyzer.database.result_rows import encode
from analyzer.database.store import open_store
from tests.sweeps.results import measured_grid


def test_a_report_reads_the_points_of_a_store(url):
    with open_store(url) as store:
        store.insert(map(encode, measured_grid()))
    analysis = read_analysis(Source("history", 'model == "nin"', url, None, None, ()))
    assert (len(analysis.points), len(analysis.machines), len(analysis.failures[0].points)) == (24, 2, 2)
    assert {point.params for point in analysis.points if not point.failed} == {7_595_176}
