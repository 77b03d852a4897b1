"""The JSON envelope both ways, and what is refused by name."""

from __future__ import annotations

import json

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.core.serialize import to_json
from analyzer.counting.api import count
from analyzer.counting.compare_models import compare
from analyzer.networks import VARIANTS
from analyzer.records.comparison import compare_records
from analyzer.records.crosscheck_result import Agreement, Difference
from analyzer.records.note import Note
from analyzer.records.record import Record, restrict
from analyzer.records.record_json import SCHEMA_VERSION, dump, listing, load, record_from_json, record_to_json


# --- there and back --------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("train", [False, True])
def test_every_variant_comes_back_equal(name, train):
    record = count(name, train=train, batch=2)
    assert load(dump([record])) == [record]


def test_several_records_come_back_in_order():
    records = [count("alexnet"), count("nin"), count("googlenet", overrides={"inception_4a.reduce_5x5": 32})]
    assert load(dump(records, compare_records(records))) == records


def test_a_module_comes_back_with_the_networks_totals():
    part = restrict(count("googlenet"), "inception_4a")
    (loaded,) = load(dump([part]))
    assert loaded == part
    assert loaded.network_totals == count("googlenet").totals


AGREEMENTS = {
    "agreed": Agreement(("closed_form", "dispatch", "fvcore"), (), {"fvcore": "has no params"}),
    "one figure": Agreement(("closed_form", "fvcore"), (Difference("a.b", "macs", {"closed_form": 1, "fvcore": 2}),)),
    "a missing row": Agreement(
        ("closed_form", "dispatch"), (Difference("a", "op", {"closed_form": "relu", "dispatch": None}),)
    ),
    "a shape": Agreement(
        ("closed_form", "dispatch"),
        (Difference("a", "outputs", {"closed_form": ((1, 2, 3, 4),), "dispatch": ((1, 2, 3, 5),)}),),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", AGREEMENTS)
def test_an_agreement_comes_back(case):
    record = count("nin").replace(agreement=AGREEMENTS[case])
    (loaded,) = load(dump([record]))
    assert loaded == record


def test_everything_optional_comes_back():
    record = count("nin", memory=True)
    record = record.replace(
        count=record.count.replace(
            unknown_ops={"aten::erfinv": 2},
            unknown_in={"aten::erfinv": {"conv1": 1, "": 1}},
            as_if_dense={"quantized::conv2d": 3},
        ),
        notes=(Note("it ran on real tensors"), Note("values leave torch", strict=True)),
        environment={"processor": {"flags": ["avx2"]}},
        commit="1a2b3c4",
        created="2024-01-02T03:04:05+00:00",
    )
    (loaded,) = load(dump([record]))
    assert loaded == record
    assert loaded.strict_notes == ("values leave torch",)


# --- the contract ----------------------------------------------------------------------------------------------------
def test_the_record_is_designs_json():
    record = count("googlenet")
    data = json.loads(dump([record]))
    assert list(data) == ["schema_version", "status", "records"]
    assert (data["schema_version"], data["status"]) == (2, "ok")
    (written,) = data["records"]
    assert list(written) == [
        "model", "input", "mode", "dtype", "counter", "overrides", "totals", "rows", "modules", "unknown_ops",
        "agreement",
    ]  # fmt: skip
    assert written["input"] == [[1, 3, 224, 224]]
    assert (written["mode"], written["dtype"], written["counter"]) == ("inference", "float32", "closed_form")
    assert written["totals"]["macs"] == 1_582_671_872
    assert written["agreement"] is None
    assert written["rows"][0] == {
        "path": "conv1.conv",
        "role": "conv1.conv",
        "op": "conv2d",
        "call": 1,
        "inputs": [[1, 3, 224, 224]],
        "outputs": [[1, 64, 112, 112]],
        "params": 64 * 3 * 7 * 7 + 64,
        "weights": 64 * 3 * 7 * 7,
        "biases": 64,
        "macs": 112 * 112 * 64 * 7 * 7 * 3,
        "flops": 2 * 112 * 112 * 64 * 7 * 7 * 3 + 112 * 112 * 64,
        "activations": 112 * 112 * 64,
        "bytes_read": 4 * (3 * 224 * 224 + 64 * 3 * 7 * 7 + 64),
        "bytes_written": 4 * 112 * 112 * 64,
        "kernel": [7, 7],
        "stride": [2, 2],
        "padding": [3, 3],
        "groups": 1,
        "sources": [],
    }
    module = next(module for module in written["modules"] if module["path"] == "inception_4a")
    assert module == {
        "path": "inception_4a",
        "role": "inception_4a",
        "inputs": [[1, 480, 14, 14]],
        "outputs": [[1, 512, 14, 14]],
        **to_json(restrict(record, "inception_4a").totals),
    }


def test_module_and_network_totals_only_with_a_module():
    whole, part = count("nin"), restrict(count("nin"), "conv2")
    assert not {"module", "network_totals"} & set(record_to_json(whole))
    assert record_to_json(part)["module"] == "conv2"
    assert record_to_json(part)["network_totals"] == to_json(whole.totals)
    assert record_to_json(part)["totals"]["macs"] == 27 * 27 * 256 * 5 * 5 * 96


def test_a_comparison_is_written_line_by_line():
    comparison = compare("googlenet-naive", "googlenet")
    data = json.loads(dump(comparison.records, comparison))
    assert len(data["comparison"]) == len(comparison.metrics)
    assert data["comparison"][1] == {
        "path": "total",
        "metric": "macs",
        "values": {"googlenet-naive": 12_568_061_056, "googlenet": 1_582_671_872},
        "difference": 1_582_671_872 - 12_568_061_056,
        "ratio": 1_582_671_872 / 12_568_061_056,
    }
    gone = next(line for line in data["comparison"] if line["path"] == "inception_3a.branch_3x3.reduce")
    assert gone["values"]["googlenet-naive"] is None
    assert gone["difference"] is gone["ratio"] is None


def test_the_text_is_plain_json_with_a_final_newline():
    text = dump([count("nin")], status="failed")
    assert text.endswith("}\n")
    assert json.loads(text)["status"] == "failed"
    json.loads(text, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_a_listing():
    record = count("nin")
    assert json.loads(listing({"nin": record}, {"nin": "a title"})) == {
        "schema_version": SCHEMA_VERSION,
        "status": "ok",
        "variants": [
            {"model": "nin", "title": "a title", "input": [[1, 3, 224, 224]], "totals": to_json(record.totals)}
        ],
    }


def test_sums_are_computed_from_rows_and_never_read():
    data = record_to_json(count("nin"))
    data["totals"]["macs"] += 1
    data["modules"] = []
    assert record_from_json(data) == count("nin")


def test_a_modules_memory():
    """At 227x227 the first convolution writes 55x55x96 floats."""
    data = record_to_json(count("alexnet", memory=True))["memory"]
    assert data["modules"][0] == {"path": "conv1", "allocated": 4 * 55 * 55 * 96, "peak": 4 * 55 * 55 * 96}
    assert data["peak"] == sum(data[key] for key in ("parameters", "buffers", "inputs", "activations"))


# --- schema 1 --------------------------------------------------------------------------------------------------------
def schema_1(record: Record, **keys: object) -> str:
    """A record as schema version 1 wrote it: without the keys that it named otherwise, and with the given ones."""
    data = {key: value for key, value in record_to_json(record).items() if key not in ("measurement", "timings")}
    return json.dumps({"schema_version": 1, "status": "ok", "records": [data | keys]})


def test_memory_of_schema_1():
    record = count("nin", memory=True)
    memory = record_to_json(record)["memory"]
    modules = [{"path": m["path"], "made": m["allocated"], "highest": m["peak"]} for m in memory["modules"]]
    assert load(schema_1(record, memory={**memory, "modules": modules})) == [record]


def test_timings_of_schema_1():
    """Cut from a file of that version: nin on two threads, with one sample of each kind of timing."""
    sample = {"call": 1, "phase": "forward", "verdict": "trusted", "reason": "", "processes": [1]}
    kinds = {"whole": "", "tile": "conv2d", "gap": "gap", "replay": "conv2d", "reference": "reference"}
    text = schema_1(
        count("nin"),
        setting={"device": "cpu", "dtype": "float32", "batch": 1, "threads": 2, "layout": "contiguous",
                 "mode": "inference", "compiled": False, "flushed": False},
        trust={"verdict": "noisy", "reason": "the medians of 10 processes lie 29.8 % apart", "status": "ok"},
        warnings=["the system took 7 % of the processors' time"],
        timings=[{"path": "", "op": op, "kind": kind, "samples_s": [0.25], **sample} for kind, op in kinds.items()],
        environment={"processor": {"count": 2}},
        commit="1a2b3c4",
        created="2024-01-02T03:04:05+00:00",
    )  # fmt: skip
    (record,) = load(text)
    measurement = record.measurement
    assert (measurement.configuration.threads, measurement.quality, measurement.status) == (2, "noisy", "ok")
    assert measurement.warnings == ("the system took 7 % of the processors' time",)
    assert [timing.quality for timing in measurement.timings] == ["trusted"] * 5
    assert [(timing.kind, timing.op) for timing in measurement.timings] == [
        ("pass", ""), ("operator", "conv2d"), ("overhead", "overhead"), ("replay", "conv2d"),
        ("reference_workload", "reference_workload"),
    ]  # fmt: skip
    assert load(dump([record])) == [record]


@pytest.mark.parametrize("key", ["trust", "setting", "warnings"])
def test_a_damaged_file_of_schema_1(key):
    record = {"timings": [], "trust": {}, "setting": {}, "warnings": []}
    del record[key]
    assert "damaged" in refusal(schema_1(count("nin"), **record))


# --- what is refused -------------------------------------------------------------------------------------------------
def refusal(text: str, name: str = "old.json") -> str:
    with pytest.raises(AnalyzerError) as caught:
        load(text, name=name)
    message = str(caught.value)
    assert message.startswith(name)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("text", ["", "{", "hello", "{'a': 1}", "\x00", '{"schema_version": 1, "records": [}'])
def test_what_is_no_json(text):
    assert "is not JSON" in refusal(text)


def test_json_nested_without_end():
    refusal("[" * 100_000)


@pytest.mark.parametrize("text", ["null", "1", "[]", '"text"', "{}", '{"schema_version": 1}', '{"records": []}'])
def test_what_is_no_envelope(text):
    assert "is not a record" in refusal(text)


@pytest.mark.parametrize("version", [0, 3, "1", None, 1.5, [1]])
def test_another_schema_version_is_named(version):
    data = {**json.loads(dump([count("nin")])), "schema_version": version}
    assert f"schema version {version!r}" in refusal(json.dumps(data))


def damaged(change) -> str:
    data = json.loads(dump([count("nin")]))
    change(data["records"][0])
    return json.dumps(data)


# Values of a wrong type are in tests/core/test_serialize.py.
DAMAGE = {
    "no rows": lambda record: record.pop("rows"),
    "no counter": lambda record: record.pop("counter"),
    "no agreement": lambda record: record.pop("agreement"),
    "a row without a field": lambda record: record["rows"][0].pop("macs"),
    "a row with a field too many": lambda record: record["rows"][0].update(extra=1),
    "an agreement without counters": lambda record: record.update(agreement={"differences": []}),
    "a difference with a field too many": lambda record: record.update(
        agreement={"counters": [], "differences": [{"path": "", "metric": "", "values": {}, "more": 1}]}
    ),
    "network totals that are too few": lambda record: record.update(network_totals={"macs": 1}),
    "memory that is text": lambda record: record.update(memory="text"),
    "memory without modules": lambda record: record.update(memory={"peak": 1}),
    "a timed record without quality": lambda record: record.update(timings=[], measurement={}),
}


@pytest.mark.parametrize("case", DAMAGE)
def test_a_damaged_record_is_refused_by_name(case):
    assert "old.json is damaged" in refusal(damaged(DAMAGE[case]))


@pytest.mark.parametrize("records", [5, None, [5], [None], ["text"], [{}], {"a": 1}, [[]]])
def test_records_that_are_none(records):
    assert "old.json is damaged" in refusal(json.dumps({"schema_version": 1, "records": records}))


def test_no_records_at_all():
    assert load('{"schema_version": 1, "records": []}') == []
