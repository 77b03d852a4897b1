"""What it takes to show a result: a table for the terminal, Markdown, JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING

from analyzer import compare, count
from analyzer.comparison import compare_records
from analyzer.envelope import dump, load
from reports import side_by_side, text, views

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


def test_markdown(benchmark: BenchmarkFixture) -> None:
    record = count("googlenet")
    assert "inception_4a" in benchmark(lambda: text.markdown([views.network(record, 2)]))


def test_comparison(benchmark: BenchmarkFixture) -> None:
    records = [count("googlenet"), count("googlenet-naive")]
    assert benchmark(lambda: side_by_side.tables(compare_records(records), "macs", 1))


def test_json(benchmark: BenchmarkFixture) -> None:
    record = count("googlenet", train=True)
    assert benchmark(lambda: load(dump([record]))) == [record]


def test_compare_from_names(benchmark: BenchmarkFixture) -> None:
    assert benchmark(lambda: compare("googlenet", "alexnet")).totals
