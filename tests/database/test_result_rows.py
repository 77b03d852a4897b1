"""A result as a row and back: nothing is lost, and the columns are those of the record."""

from __future__ import annotations

import json

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count
from analyzer.database.columns import COLUMNS, DOCUMENTS, NAMES
from analyzer.database.result_rows import decode, encode
from analyzer.records.note import Note
from analyzer.records.record_json import record_from_json, record_to_json
from analyzer.records.sweep_result import Case, Result
from analyzer.records.timings import Configuration, Measurement
from tests.database.results import NIN, result
from tests.timed_records import MACHINE, timed

HOSTILE = "'; DROP TABLE x; --\x00\n\x1b[31m\ud800é"
GPU = {**MACHINE, "gpu": {"name": "NVIDIA H100", "driver": "550.54"}}
CASE = Case(
    model="googlenet",
    overrides={"inception_4a.reduce_5x5": 32, "conv1.out": 8},
    inputs=("3x96x96",),
    configuration=Configuration("cuda", "bfloat16", 8, 4, "channels_last", "training", compiled=True, flushed=True),
    measure=("counts", "time"),
    budget_s=7.5,
    processes=5,
    needs={"gpu": "H100"},
)


@pytest.mark.parametrize(
    "stored",
    [
        result("counts"),
        result("failed", None),
        result("time", timed("nin", batch=8, quality="noisy", reason="± 5 %"), batch=8, attempts=3),
        result("gpu", timed("nin", environment=GPU)),
        result("notes", NIN.replace(notes=(Note("strict", strict=True), Note("plain")), commit="0123abc")),
        result("verified", count("nin", verify=True)),
        result("changed", count("googlenet", overrides=CASE.overrides, input="3x96x96", train=True), case=CASE),
        result("lost", timed("nin").replace(measurement=Measurement(Configuration(), status="lost", reason="killed"))),
        result("names", NIN.replace(model=HOSTILE, environment={"host": HOSTILE}), model=HOSTILE, run=HOSTILE),
    ],
    ids=lambda stored: stored.key,
)
def test_decode_returns_what_encode_took(stored: Result):
    row = encode(stored)
    assert set(row) == {*NAMES, *DOCUMENTS}
    expected = stored
    if stored.record and stored.record.agreement:  # The JSON of a record leaves these rows out.
        expected = stored.replace(record=record_from_json(record_to_json(stored.record)))
    if stored.key == "names":
        assert row["run"].isprintable()
        expected = expected.replace(run=row["run"])
    assert decode(row) == expected
    for column in COLUMNS:
        kinds = {"text": str, "integer": int, "number": float, "boolean": bool}
        assert type(row[column.name]) in (kinds[column.kind], type(None))
        assert row[column.name] is not None or column.kind in ("integer", "number")


def test_columns_are_those_of_the_record():
    record = timed("nin", batch=8, quality="noisy", reason="± 5 %", environment=GPU)
    row = encode(result("a", record, batch=8))
    totals = record.totals
    assert (row["params"], row["macs"], row["flops"]) == (totals.params, totals.macs, totals.flops)
    assert row["traffic"] == totals.bytes_read + totals.bytes_written
    assert row["peak_memory"] == record.memory.peak
    assert row["time_s"] == record.measurement.pass_timing.median_s
    assert row["time_low_s"] < row["time_s"] < row["time_high_s"]
    assert (row["quality"], row["input"], row["batch"]) == ("noisy", "3x224x224", 8)
    assert (row["gpu"], row["processor"], row["torch"]) == ("NVIDIA H100", "Example CPU 3 GHz", "2.13.0")
    assert (row["created"], row["started"], row["commit"]) == (record.created, "2026-01-02T03:04:05.000Z", "0123abc")


def test_the_machine_is_the_hardware_and_not_the_configuration():
    def machine(environment, **options):
        return encode(result("a", timed("nin", environment=environment, **options)))["machine"]

    assert machine(MACHINE) == machine({**MACHINE, "torch": {"version": "2.14"}}, batch=8, threads=4)
    others = [{**MACHINE, "processor": {**MACHINE["processor"], "flags": ["avx512f"]}}, GPU,
              {**GPU, "gpu": {"name": "NVIDIA H100", "driver": "560"}}]  # fmt: skip
    assert len({machine(MACHINE), *map(machine, others)}) == 4
    assert machine(GPU) == machine({**GPU, "processor": {"model": "Another CPU"}})


def test_one_sample_has_no_interval():
    record = timed("nin")
    (first, *_) = record.measurement.timings
    short = first.replace(samples_s=(0.5,), processes=(1,))
    row = encode(result("a", record.replace(measurement=record.measurement.replace(timings=(short,)))))
    assert (row["time_s"], row["time_low_s"], row["time_high_s"]) == (0.5, None, None)


@pytest.mark.parametrize(
    "damage",
    [
        {"status": "maybe"},
        {"attempts": "1"},
        {"case": "{"},
        {"case": "[" * 100_000},
        {"case": '{"model": 3}'},
        {"record": '{"model": "nin"}'},
        {"record": "3"},
        {"record": json.dumps({**json.loads(encode(result("a"))["record"]), "memory": [[1]]})},
        {"record": json.dumps({**json.loads(encode(result("a"))["record"]), "rows": 3})},
    ],
    ids=str,
)
def test_a_damaged_row_is_refused_with_its_key(damage):
    with pytest.raises(AnalyzerError, match="result 'a' is damaged"):
        decode({**encode(result("a")), **damage})
