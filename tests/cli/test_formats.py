"""Formats for other programs: JSON with its documented keys, CSV, and golden files of Markdown and LaTeX."""

from __future__ import annotations

import csv
import io
import json

import pytest

from analyzer.networks import VARIANTS

ROW = (
    *("path", "role", "op", "call", "inputs", "outputs", "params", "weights", "biases", "macs", "flops"),
    *("activations", "bytes_read", "bytes_written"),
)
PLACE = ("kernel", "stride", "padding", "groups", "sources")  # The window, and the rows that made the inputs.
TOTALS = ("params", "macs", "flops", "activations", "bytes_read", "bytes_written")
RECORD = (
    *("model", "input", "mode", "dtype", "counter", "overrides", "totals", "rows", "modules"),
    *("unknown_ops", "agreement"),
)
JOBS = {
    "one": ("--variant", "googlenet"),
    "deep": ("--variant", "googlenet-torchvision", "--depth", "4"),
    "module": ("--variant", "googlenet", "--module", "inception_4a", "--depth", "3"),
    "training": ("--variant", "googlenet", "--train"),
    "changed": ("--variant", "googlenet@inception_4a.reduce_5x5=32"),
    "two": ("--variant", "googlenet-no-reduction", "--variant", "googlenet"),
    "four": ("--variant", "googlenet", "--variant", "alexnet", "--variant", "nin", "--variant", "vgg16"),
    "list": ("list",),
}


@pytest.fixture
def envelope(analyze):
    def read(*arguments):
        shown = analyze(*arguments, "--format", "json")
        assert (shown.status, shown.err) == (0, "")
        assert shown.out.endswith("}\n")
        return json.loads(shown.out)

    return read


# JSON


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("mode", ["inference", "training"])
def test_a_record_has_the_documented_keys_in_order(envelope, name, mode):
    data = envelope("--variant", name, "--mode", mode)
    assert tuple(data) == ("schema_version", "status", "records")
    assert (data["schema_version"], data["status"]) == (2, "ok")
    (record,) = data["records"]
    assert tuple(record) == RECORD
    assert (record["model"], record["mode"], record["dtype"]) == (name, mode, "float32")
    assert (record["counter"], record["overrides"], record["unknown_ops"]) == ("closed_form", {}, {})
    assert record["agreement"] is None
    backward = ("backward_macs",) if mode == "training" else ()
    step = ("backward_flops", "step_macs", "step_flops") if backward else ()
    assert tuple(record["totals"]) == (*TOTALS, *backward, *step)
    for row in record["rows"]:
        assert [key for key in row if key not in PLACE] == [*ROW, *backward]
        assert all(type(row[key]) is int and row[key] >= 0 for key in (*ROW[6:], *backward))
        for shape in (*row["inputs"], *row["outputs"]):
            assert shape[0] == 1, "a batch is always explicit"
    for module in record["modules"]:
        assert module["path"]
        assert {*TOTALS, *backward, *step} < set(module)


@pytest.mark.parametrize("job", JOBS)
def test_json_is_ascii_with_a_line_per_row_and_module(analyze, job):
    text = analyze(*JOBS[job], "--format", "json").out
    assert text.isascii()
    lines = [line.strip().removesuffix(",") for line in text.splitlines()]
    for record in json.loads(text).get("records", []):
        assert {json.dumps(part) for part in (*record["rows"], *record["modules"])} <= set(lines)
    rows = [line for line in lines if line.startswith('{"path": ') and '"op": ' in line]
    assert len(rows) == sum(len(record["rows"]) for record in json.loads(text).get("records", []))


# CSV


def test_csv_is_long_and_has_the_values_of_json(analyze, envelope):
    arguments = ("--variant", "googlenet", "--variant", "googlenet@conv1.out=32", "--depth", "2")
    text = analyze(*arguments, "--format", "csv").out
    header, *lines = csv.reader(io.StringIO(text))
    assert tuple(header) == ("model", *ROW, "backward_macs", "recomputed_macs", *PLACE)
    rows = [
        [
            record["model"] + "".join(f"@{key}={value}" for key, value in record["overrides"].items()),
            *(
                " ".join("x".join(map(str, shape)) for shape in row[key])
                if key in ("inputs", "outputs")
                else str(row[key])
                for key in ROW
            ),
            *("", ""),  # No backward pass at inference: empty, not 0.
        ]
        for record in envelope(*arguments)["records"]
        for row in record["rows"]
    ]
    assert [line[: -len(PLACE)] for line in lines] == rows


def test_csv_of_training_has_the_backward_pass(analyze, envelope):
    """Both modes have the same header, so that files can be concatenated."""
    arguments = ("--variant", "googlenet")
    trained, plain = (analyze(*arguments, *more, "--format", "csv").out for more in (("--train",), ()))
    assert trained.splitlines()[0] == plain.splitlines()[0]
    _, *lines = csv.reader(io.StringIO(trained))
    (record,) = envelope(*arguments, "--train")["records"]
    # The built-in networks have no checkpoints: nothing is recomputed.
    assert [line[-7:-5] for line in lines] == [[str(row["backward_macs"]), ""] for row in record["rows"]]
    assert {line[-7] for line in csv.reader(io.StringIO(plain))} == {"backward_macs", ""}
    (_, *names), *_ = csv.reader(io.StringIO(trained))
    rows = [dict(zip(names, line, strict=True)) for _, *line in lines]
    assert sum(int(row["macs"]) + int(row["backward_macs"]) for row in rows) == record["totals"]["step_macs"]
    assert sum(int(row["flops"]) + 2 * int(row["backward_macs"]) for row in rows) == record["totals"]["step_flops"]


def test_csv_of_the_list_is_a_table(analyze):
    header, *lines = csv.reader(io.StringIO(analyze("list", "--format", "csv").out))
    assert header == ["model", "title", *TOTALS]
    listed = json.loads(analyze("list", "--format", "json").out)["variants"]
    assert lines == [
        [entry["model"], entry["title"], *(str(entry["totals"][key]) for key in TOTALS)] for entry in listed
    ]
    assert [line[0] for line in lines] == list(VARIANTS)


# All formats


@pytest.mark.parametrize("form", ["table", "json", "csv", "md", "latex"])
@pytest.mark.parametrize("job", ["two", "list"])
def test_a_file_equals_standard_output(analyze, job, form, tmp_path):
    shown = analyze(*JOBS[job], "--format", form)
    written = analyze(*JOBS[job], "--format", form, "-o", str(tmp_path / "out"))
    assert (written.status, written.out) == (0, "")
    assert (tmp_path / "out").read_bytes().decode() == shown.out


@pytest.mark.parametrize("form", ["json", "csv", "md", "latex"])
def test_a_format_does_not_depend_on_the_terminal(analyze, form, monkeypatch):
    shown = analyze(*JOBS["two"], "--format", form)
    for name, value in {"COLUMNS": "40", "FORCE_COLOR": "1", "TERM": "dumb"}.items():
        monkeypatch.setenv(name, value)
    assert analyze(*JOBS["two"], "--format", form) == shown
    assert "\x1b" not in shown.out


@pytest.mark.parametrize(("form", "name"), [("json", "json"), ("csv", "csv"), ("md", "md"), ("latex", "tex")])
def test_a_module_in_every_format_is_unchanged(analyze, golden, form, name):
    golden(f"branch.{name}", analyze("--variant", "nin", "--module", "cccp1", "--format", form).out)
    if form != "json":  # A comparison's JSON has a thousand lines; its keys are tested above.
        golden(f"reduction.{name}", analyze(*JOBS["two"], "--module", "inception_4a.branch_5x5", "--format", form).out)
