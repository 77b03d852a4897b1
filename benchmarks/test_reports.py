"""Showing a result: tables, Markdown, JSON, the page. `extra_info` has GoogLeNet's MACs and the fingerprint."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from analyzer import compare, count
from analyzer.records.comparison import compare_records
from analyzer.records.envelope import dump, load
from analyzer.timing.machine.fingerprint import fingerprint
from reports.counting.comparison import tables
from reports.counting.network import network
from reports.formats.text import markdown
from reports.page.build import page
from reports.page.write import html

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture


@pytest.fixture(autouse=True)
def extra_info(benchmark: BenchmarkFixture) -> None:
    benchmark.extra_info |= {"macs": count("googlenet").totals.macs, "environment": fingerprint()}


def test_markdown(benchmark: BenchmarkFixture) -> None:
    record = count("googlenet")
    assert r"inception\_4a" in benchmark(lambda: markdown([network(record, 2)]))


def test_comparison(benchmark: BenchmarkFixture) -> None:
    records = [count("googlenet"), count("googlenet-naive")]
    assert benchmark(lambda: tables(compare_records(records), "macs", 1))


def test_page(benchmark: BenchmarkFixture) -> None:
    records = [count("googlenet"), count("googlenet-naive"), count("alexnet")]
    assert benchmark(lambda: html(page(records))).startswith("<!doctype html>")


def test_json(benchmark: BenchmarkFixture) -> None:
    record = count("googlenet", train=True)
    assert benchmark(lambda: load(dump([record]))) == [record]


def test_compare_from_names(benchmark: BenchmarkFixture) -> None:
    assert benchmark(lambda: compare("googlenet", "alexnet")).totals
