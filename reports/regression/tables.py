"""A check as tables (one line per model, and for counts the layers that differ), as CSV and as JSON."""

from __future__ import annotations

from analyzer.records.record_json import envelope
from analyzer.regression.benchmarks.compare_runs import BenchmarksResult
from analyzer.regression.counts.check_all_models import CountsResult
from analyzer.regression.outcome import CheckResult
from analyzer.regression.paired.time_result import TimeCheck, TimeResult
from reports.regression import counts, layers, times
from reports.regression.summary import conclusion
from reports.table import Table, columns

COUNT_KEYS = ("model", "mode", "path", "op", "call", "metric", "before", "after", "budget", "outcome")
JSON_KEYS = ("model", "path", "metric", "before", "after", "ratio", "low", "high", "outcome", "mode", "op", "call",
             "budget")  # fmt: skip
TIME_KEYS = ("model", "metric", "before", "after", "low", "high", "outcome")


def all_tables(result: CheckResult) -> list[Table]:
    return [summary_table(result), *(table for model in result.models for table in detail_tables(result, model))]


def summary_table(result: CheckResult) -> Table:
    if isinstance(result, TimeResult):
        return times.self_test_table(result) if result.self_test else times.time_table(result)
    if isinstance(result, BenchmarksResult):
        return times.benchmark_table(result)
    assert isinstance(result, CountsResult)
    return counts.summary_table(result)


def detail_tables(result: CheckResult, model: str) -> list[Table]:
    """One model's totals and layers that differ; of a slower model also the modules whose own time changed."""
    if isinstance(result, CountsResult):
        return layers.difference_tables(model, result.of(model))
    checks = [check for check in result.of(model) if isinstance(check, TimeCheck)]
    modules = [times.module_table(check) for check in checks if check.modules]
    return [*modules, *layers.difference_tables(model, [check.counts for check in checks if check.counts])]


def changes_sheet(result: CheckResult) -> Table:
    """For CSV: one line per change, with exact values."""
    keys = COUNT_KEYS if isinstance(result, CountsResult) else TIME_KEYS
    rows = tuple(
        tuple("" if getattr(change, key) is None else str(getattr(change, key)) for key in keys)
        for change in result.changes
    )
    return Table("changes", columns(*keys, left=keys), rows)


def to_json(result: CheckResult) -> str:
    """The envelope of every command as text, with a list of changes and a final newline."""
    fields = result.json_fields()
    records = fields.pop("records", [])
    changes = [{key: getattr(change, key) for key in JSON_KEYS} for change in result.changes]
    return envelope(result.status, conclusion=conclusion(result), **fields, changes=changes, records=records)
