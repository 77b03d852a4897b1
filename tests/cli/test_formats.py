"""Formats for other programs: JSON with its documented keys, CSV, GitHub Markdown, LaTeX with booktabs."""

from __future__ import annotations

import csv
import io
import json
import re

import pytest

from analyzer.networks import VARIANTS
from analyzer.records.envelope import load

ROW = (
    *("path", "role", "op", "call", "inputs", "outputs", "params", "weights", "biases", "macs", "flops"),
    *("activations", "bytes_read", "bytes_written"),
)
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
    assert tuple(record["totals"]) == (*TOTALS, *backward)
    for row in record["rows"]:
        assert tuple(row) == (*ROW, *backward)
        assert all(type(row[key]) is int and row[key] >= 0 for key in (*ROW[6:], *backward))
        for shape in (*row["inputs"], *row["outputs"]):
            assert shape[0] == 1, "a batch is always explicit"
    for module in record["modules"]:
        assert module["path"]
        assert set(TOTALS) < set(module)


def test_the_first_row_of_googlenet(envelope):
    (record,) = envelope("--variant", "googlenet")["records"]
    assert record["input"] == [[1, 3, 224, 224]]
    assert record["rows"][0] == {
        "path": "conv1.conv",
        "role": "conv1.conv",
        "op": "conv2d",
        "call": 1,
        "inputs": [[1, 3, 224, 224]],
        "outputs": [[1, 64, 112, 112]],
        "params": 7 * 7 * 3 * 64 + 64,
        "weights": 7 * 7 * 3 * 64,
        "biases": 64,
        "macs": 112 * 112 * 64 * 7 * 7 * 3,
        "flops": 2 * 112 * 112 * 64 * 7 * 7 * 3 + 112 * 112 * 64,
        "activations": 112 * 112 * 64,
        "bytes_read": 4 * (3 * 224 * 224 + 7 * 7 * 3 * 64 + 64),
        "bytes_written": 4 * 64 * 112 * 112,
    }


@pytest.mark.parametrize("name", VARIANTS)
def test_totals_and_modules_are_sums_of_rows(envelope, name):
    (record,) = envelope("--variant", name, "--batch", "2", "--train")["records"]
    for key in TOTALS:
        assert record["totals"][key] == sum(row[key] for row in record["rows"])
    paths = {row["path"] for row in record["rows"]}
    modules = {module["path"]: module for module in record["modules"]}
    assert set(modules) == {".".join(path.split(".")[: n + 1]) for path in paths for n in range(path.count(".") + 1)}
    for path, module in modules.items():
        below = [row for row in record["rows"] if row["path"] == path or row["path"].startswith(f"{path}.")]
        for key in TOTALS:
            assert module[key] == sum(row[key] for row in below)
        assert (module["inputs"], module["outputs"]) == (below[0]["inputs"], below[-1]["outputs"])


def test_a_restricted_record_has_its_module_and_the_networks_totals(envelope):
    (whole,) = envelope("--variant", "googlenet")["records"]
    (part,) = envelope("--variant", "googlenet", "--module", "inception_4a")["records"]
    assert tuple(part) == (*RECORD, "module", "network_totals")
    assert part["module"] == "inception_4a"
    assert part["network_totals"] == whole["totals"]
    assert part["rows"] == [row for row in whole["rows"] if row["path"].split(".")[0] == "inception_4a"]
    assert part["totals"] == {key: sum(row[key] for row in part["rows"]) for key in TOTALS}


def test_a_comparison_has_the_documented_keys(envelope):
    names = ("googlenet", "alexnet", "nin")
    data = envelope(*(part for name in names for part in ("--variant", name)))
    assert tuple(data) == ("schema_version", "status", "records", "comparison")
    assert [record["model"] for record in data["records"]] == list(names)
    sides = set()
    for line in data["comparison"]:
        assert tuple(line) == ("path", "metric", "values", "difference", "ratio")
        (first, before), (other, after) = line["values"].items()
        assert first == "googlenet"
        sides.add((line["path"], line["metric"], other))
        if before is None or after is None:
            assert (line["difference"], line["ratio"]) == (None, None)
        else:
            assert line["difference"] == after - before
            assert line["ratio"] == (after / before if before else None)
    assert len(sides) == len(data["comparison"]), "each metric of each other model once"
    assert {side[1:] for side in sides if side[0] == "total"} == {(key, name) for key in TOTALS for name in names[1:]}


def test_a_comparison_is_aligned_by_role(envelope):
    data = envelope("--variant", "googlenet", "--variant", "googlenet-torchvision")
    values = {(line["path"], line["metric"]): line["values"] for line in data["comparison"]}
    assert values["inception_4a.branch_1x1", "macs"] == {
        "googlenet": 14 * 14 * 192 * 480,
        "googlenet-torchvision": 14 * 14 * 192 * 480,
    }
    assert values["norm1", "macs"] == {"googlenet": 0, "googlenet-torchvision": None}
    assert not [path for path, _ in values if path.startswith("inception4a")]


def test_a_network_without_the_module_is_null_not_zero(envelope):
    data = envelope("--variant", "googlenet", "--variant", "alexnet", "--module", "linear")
    assert {line["values"]["alexnet"] for line in data["comparison"]} == {None}


@pytest.mark.parametrize("job", [job for job in JOBS if job != "list"])
def test_json_can_be_read_back(analyze, job):
    text = analyze(*JOBS[job], "--format", "json").out
    from analyzer.records.envelope import dump

    records = load(text)
    data = json.loads(text)
    again = json.loads(dump(records))
    assert again["records"] == data["records"]


def test_the_list_has_an_entry_per_variant(envelope):
    data = envelope("list")
    assert tuple(data) == ("schema_version", "status", "variants")
    for entry in data["variants"]:
        assert tuple(entry) == ("model", "title", "input", "totals")
        assert tuple(entry["totals"]) == TOTALS


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
    assert tuple(header) == ("model", *ROW, "backward_macs")
    rows = [
        [
            record["model"] + "".join(f"@{key}={value}" for key, value in record["overrides"].items()),
            *(
                " ".join("x".join(map(str, shape)) for shape in row[key])
                if key in ("inputs", "outputs")
                else str(row[key])
                for key in ROW
            ),
            "",  # No backward pass at inference: empty, not 0.
        ]
        for record in envelope(*arguments)["records"]
        for row in record["rows"]
    ]
    assert lines == rows


def test_csv_of_training_has_the_backward_pass(analyze, envelope):
    """Both modes have the same header, so that files can be concatenated."""
    arguments = ("--variant", "googlenet")
    trained, plain = (analyze(*arguments, *more, "--format", "csv").out for more in (("--train",), ()))
    assert trained.splitlines()[0] == plain.splitlines()[0]
    _, *lines = csv.reader(io.StringIO(trained))
    (record,) = envelope(*arguments, "--train")["records"]
    assert [line[-1] for line in lines] == [str(row["backward_macs"]) for row in record["rows"]]
    assert {line[-1] for line in csv.reader(io.StringIO(plain))} == {"backward_macs", ""}


def test_csv_of_the_list_is_a_table(analyze):
    header, *lines = csv.reader(io.StringIO(analyze("list", "--format", "csv").out))
    assert header == ["model", "title", *TOTALS]
    listed = json.loads(analyze("list", "--format", "json").out)["variants"]
    assert lines == [
        [entry["model"], entry["title"], *(str(entry["totals"][key]) for key in TOTALS)] for entry in listed
    ]
    assert [line[0] for line in lines] == list(VARIANTS)


# Markdown


def cells(line: str) -> list[str]:
    """The cells of a line of a GitHub table; an escaped bar does not separate cells."""
    assert line.startswith("| ")
    assert line.endswith(" |")
    return [cell.strip(" ") for cell in re.split(r"(?<!\\)\|", line[1:-1])]


def tables(text: str) -> list[list[list[str]]]:
    """Every table of a Markdown text, checked by GitHub's rules: header, delimiters, rows of equal length."""
    parsed = []
    for block in text.split("\n\n"):
        if block.startswith("|"):
            head, delimiters, *rows = block.strip("\n").split("\n")
            assert re.fullmatch(r"\|((:--|--:)\|)+", delimiters)
            width = delimiters.count("|") - 1
            assert [len(cells(row)) for row in (head, *rows)] == [width] * (len(rows) + 1)
            parsed.append([cells(row) for row in (head, *rows)])
    return parsed


@pytest.mark.parametrize("job", JOBS)
def test_markdown_follows_githubs_rules(analyze, job):
    shown = analyze(*JOBS[job], "--format", "md")
    assert (shown.status, shown.err) == (0, "")
    parsed = tables(shown.out)
    assert len(parsed) == {"two": 2, "four": 3}.get(job, 1)
    assert len(re.findall(r"^\*\*.+\*\*$", shown.out, re.MULTILINE)) == len(parsed), "each has a title"


def test_markdown_has_the_figures_of_the_terminal_table(analyze):
    (table,) = tables(analyze("--variant", "googlenet", "--module", "inception_4a", "--format", "md").out)
    assert table[0] == ["module", "output", "params", "MACs", "share", "FLOPs", "activations", "FLOP/B"]
    rows = {row[0].strip("\u00a0"): row[1:] for row in table[1:]}
    assert rows["branch\\_5x5"][:4] == ["48x14x14", "26.94 k", "5.268 M", "7.2 %"]
    assert [row[0] for row in table[1:]][1].startswith("\u00a0\u00a0branch"), "child modules are indented"


# LaTeX


@pytest.mark.parametrize("job", JOBS)
def test_latex_is_valid_booktabs(analyze, job):
    shown = analyze(*JOBS[job], "--format", "latex")
    assert (shown.status, shown.err) == (0, "")
    lines = [line for line in shown.out.splitlines() if line and not line.startswith("%")]
    assert lines.count(r"\toprule") == lines.count(r"\bottomrule") == shown.out.count(r"\end{tabular}")
    columns = 0
    for line in lines:
        if match := re.fullmatch(r"\\begin\{tabular\}\{([lr]+)\}", line):
            columns = len(match[1])
        elif line not in (r"\toprule", r"\midrule", r"\bottomrule", r"\end{tabular}"):
            assert line.endswith(r" \\")
            assert len(re.findall(r"(?<!\\)&", line)) == columns - 1
            assert not re.search(r"(?<!\\)[%$#_]", line.replace(r"$\times$", "")), "special characters are escaped"


def test_latex_has_the_figures_of_the_terminal_table(analyze):
    text = analyze("--variant", "googlenet", "--module", "inception_4a", "--format", "latex").out
    assert r"\quad branch\_5x5 & 48x14x14 & 26.94 k & 5.268 M & 7.2 \% & 10.56 M & 12.54 k & 16.3 \\" in text
    assert r"\midrule" + "\ntotal & " in text


# All formats


@pytest.mark.parametrize("form", ["table", "json", "csv", "md", "latex"])
@pytest.mark.parametrize("job", JOBS)
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
