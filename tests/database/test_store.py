"""Stores in both dialects: inserts are idempotent, searches exact, and nothing is lost between processes."""

from __future__ import annotations

import json
import multiprocessing
import os

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.database.columns import DOCUMENTS, NAMES
from analyzer.database.result_rows import encode
from analyzer.database.store import VARIABLE, open_store
from tests.database.results import NIN, result
from tests.timed_records import timed


@pytest.fixture(autouse=True)
def no_variable(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)


@pytest.fixture
def store(url):
    with open_store(url) as opened:
        yield opened


def test_a_key_is_stored_once(store):
    first, second = encode(result("a")), encode(result("b", None))
    assert store.insert([first, second, first]) == 2
    assert store.insert([encode(result("a", None)), encode(result("c"))]) == 1
    assert store.insert([]) == 0
    assert store.keys("sweep") == {"a", "b", "c"}
    assert store.keys("another") == set()
    assert store.get("a") == first, "the first one stays"


def test_results_are_read_whole(store):
    stored = [result("a", timed("nin")), result("b", None), result("c", NIN.replace(overrides={"z": 1, "a": 2}))]
    store.insert(map(encode, stored))
    read = {found.key: found for found in store.results()}
    assert read == {each.key: each for each in stored}
    assert list(read["c"].record.overrides) == ["z", "a"], "the order is kept, which is that of the label"


def test_text_is_kept_to_the_last_character(store):
    name = "'; DROP TABLE macscope_results; --\x00\n\x1b[31m é 💾 \ud800"
    stored = result("a", NIN.replace(model=name, environment={"name": name}), model=name)
    store.insert([encode(stored)])
    assert next(store.results()) == stored
    (row,) = store.select('model ~ "\'; DROP*"')
    assert row["model"].isprintable()


def test_integers_are_exact(store):
    largest = 2**63 - 1
    store.insert([{**encode(result(str(macs))), "macs": macs} for macs in (largest, largest - 1, 10**20, None)])
    column = store.frame()["macs"]
    assert {value for value in column.tolist() if isinstance(value, int)} >= {largest, largest - 1}
    assert store.count(f"macs == {largest}") == 1
    assert [row["key"] for row in store.select("macs > 10000P")] == [str(10**20)]
    assert store.frame(f"macs <= {largest}")["macs"].dtype == "Int64"


def test_a_search_orders_limits_and_reads_columns_only(store):
    store.insert(encode(result(f"k{day}", None, ended=f"2026-01-0{day}", batch=10 - day)) for day in (2, 3, 1))
    assert [row["key"] for row in store.select()] == ["k3", "k2", "k1"]
    assert [row["key"] for row in store.select(order="batch", descending=False, limit=2)] == ["k3", "k2"]
    assert [row["key"] for row in store.select(order="macs")] == ["k3", "k2", "k1"], "all unknown: by key"
    store.insert([encode(result("k0"))])
    for descending in (True, False):
        assert next(store.select(order="macs", descending=descending))["key"] == "k0", "the unknown come last"
    (row,) = store.select("batch == 9", columns=("key", "batch"))
    assert row == {"key": "k1", "batch": 9}
    assert set(next(store.select())) == set(NAMES)
    whole = next(store.select("macs == none", whole=True))
    assert whole["record"] is None
    assert json.loads(whole["case"])["model"] == "nin"
    assert set(whole) == {*NAMES, *DOCUMENTS}


@pytest.mark.parametrize("options", [{"columns": ("macs", "mac")}, {"order": "speed"}, {"where": "mac > 1"}])
def test_an_unknown_column_is_an_error_with_the_nearest(store, options):
    with pytest.raises(AnalyzerError, match=r"no column '(mac|speed)'; nearest: "):
        store.select(**options)


def test_runs(store):
    store.insert([encode(result("a")), encode(result("b", None)), encode(result("c", run="other", ended="2027-01-01"))])
    other, sweep = store.runs()
    assert other["run"] == "other"
    assert sweep == {
        "run": "sweep", "results": 2, "failed": 1, "started": "2026-01-02T03:04:05.000Z",
        "ended": "2026-01-02T03:04:06.500Z",
    }  # fmt: skip


def test_deleting_and_finding_keys(store):
    store.insert(encode(result(key)) for key in ("ab1", "ab2", "a%2", "b"))
    assert store.find("ab") == ["ab1", "ab2"]
    assert store.find("a%") == ["a%2"], "no pattern"
    assert store.find("A") == []
    assert store.delete('key ~ "ab?"') == 2
    assert store.delete('key ~ "ab?"') == 0
    assert (store.count(), store.count('key == "b"')) == (2, 1)
    with pytest.raises(AnalyzerError, match="no result 'ab1'"):
        store.get("ab1")
    assert store.insert([encode(result("ab1"))]) == 1, "its document was deleted too"


def test_an_error_keeps_the_batches_before_it(store):
    def rows():
        yield from (encode(result(f"k{number}", None)) for number in range(700))
        raise AnalyzerError("stop")

    with pytest.raises(AnalyzerError, match="stop"):
        store.insert(rows())
    assert store.count() == 500


def test_the_variable_names_the_store(url, tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, url)
    with open_store(root=tmp_path) as opened:
        opened.insert([encode(result("a"))])
    with open_store(root=tmp_path) as opened, open_store(url, create=False) as named:
        assert opened.keys("sweep") == named.keys("sweep") == {"a"}
    assert not (tmp_path / ".analyze").exists()


def test_reading_creates_nothing(tmp_path):
    with open_store(root=tmp_path, create=False) as opened:
        assert list(opened.select()) == opened.runs() == []
    assert list(tmp_path.iterdir()) == []
    with (
        pytest.raises(AnalyzerError, match=r"no database .*none\.sqlite"),
        open_store(str(tmp_path / "none.sqlite"), create=False),
    ):
        pass


def write(url, first, barrier):
    """A process: results of its own and, in the same order backwards, those that the other process has too."""
    barrier.wait()
    with open_store(url) as store:
        numbers = list(range(first, first + 400)) + (list(range(800, 1000))[:: 1 if first else -1])
        new = sum(store.insert(encode(result(f"k{n}", None)) for n in numbers[i : i + 7]) for i in range(0, 600, 7))
    os._exit(0 if 400 <= new <= 600 else 1)


@pytest.mark.slow
def test_two_processes_lose_nothing_and_store_nothing_twice(url):
    """Both create the tables at once."""
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(2)
    workers = [context.Process(target=write, args=(url, first, barrier)) for first in (0, 400)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    with open_store(url) as store:
        assert store.count() == 1000
        assert store.keys("sweep") == {f"k{number}" for number in range(1000)}
