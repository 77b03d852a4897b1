"""`analyze` itself, `analyze list`, help and version: arguments in, exit status, figures and messages out."""

from __future__ import annotations

import csv
import errno
import io
import json
import re
import shlex
from importlib.metadata import version as installed
from importlib.util import find_spec
from pathlib import Path

import pytest

from analyzer.cli.app import EXAMPLES, METRIC_NAMES
from analyzer.cli.commands import COMMANDS
from analyzer.core.units import METRICS
from analyzer.counting import api
from analyzer.counting.closed_form.formulas import count_steps
from analyzer.counting.execution.built import BuiltNetwork
from analyzer.networks import VARIANTS
from analyzer.records.record import Count

# Importing fvcore scripts a function, which torch deprecates.
imports_fvcore = pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:DeprecationWarning")

# 4a's 5x5 branch: 14 x 14 positions, 480 channels in, 48 out, 16 after the reduction.
REDUCE = 14 * 14 * 16 * 480
CONV_5X5 = 14 * 14 * 48 * 5 * 5 * 16
UNREDUCED = 14 * 14 * 48 * 5 * 5 * 480


def flat(text: str) -> str:
    """The text without line breaks, since notes below a table wrap."""
    return " ".join(text.split())


def records(outcome) -> list[dict]:
    assert (outcome.status, outcome.err) == (0, "")
    return json.loads(outcome.out)["records"]


def body(text: str) -> dict[str, list[str]]:
    """The cells of the last table by the first column, with its indentation."""
    lines = re.split(r"\n─+\n", text)[-1].splitlines()
    return {match[1]: match[2].split() for line in lines if (match := re.match(r"((?: {2})*[\w.]+) (.*)", line))}


# One variant


def test_one_variant_shows_every_module_and_exact_totals(analyze):
    shown = analyze("--variant", "googlenet")
    assert (shown.status, shown.err) == (0, "")
    assert list(body(shown.out))[:23] == [
        *("conv1", "pool1", "norm1", "conv2_reduce", "conv2", "norm2", "pool2"),
        *("inception_3a", "inception_3b", "pool3"),
        *("inception_4a", "inception_4b", "inception_4c", "inception_4d", "inception_4e", "pool4"),
        *("inception_5a", "inception_5b", "pool5", "flatten", "dropout", "linear", "total"),
    ]
    assert "6,998,552 params, 1,582,671,872 MACs" in flat(shown.out)
    assert body(shown.out)["conv1"][:5] == ["64x112x112", "9.472", "k", "118.0", "M"]
    assert "bias not counted" in flat(shown.out)


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_counts(analyze, name):
    shown = analyze("--variant", name)
    (record,) = records(analyze("--variant", name, "--format", "json"))
    assert (shown.status, shown.err) == (0, "")
    assert f"{record['totals']['params']:,} params, {record['totals']['macs']:,} MACs" in flat(shown.out)
    assert record["totals"]["macs"] > 0


def test_depth_shows_more_modules_and_the_same_totals(analyze):
    shown = {depth: analyze("--variant", "googlenet", "--depth", str(depth)).out for depth in (1, 2, 3, 4, 20)}
    assert "branch_5x5" not in shown[1]
    assert {"  branch_5x5", "  conv"} <= set(body(shown[2]))
    assert "    reduce" not in body(shown[2])
    assert "    reduce" in body(shown[3])
    assert "      conv" not in body(shown[3])
    assert "      conv" in body(shown[4])
    assert shown[20] == shown[4], "the tree ends at depth 4"
    assert {body(text)["total"][2] for text in shown.values()} == {"1.583"}
    deep, shallow = (analyze("--variant", "googlenet", "--depth", n, "--format", "json").out for n in ("4", "1"))
    assert deep == shallow, "JSON always has every row"


def test_module_by_path(analyze):
    (record,) = records(analyze("--variant", "googlenet", "--module", "inception_4a.branch_5x5", "--format", "json"))
    assert record["module"] == "inception_4a.branch_5x5"
    assert record["totals"]["macs"] == REDUCE + CONV_5X5 == 5_268_480
    assert record["network_totals"]["macs"] == 1_582_671_872
    assert [row["path"].removeprefix("inception_4a.branch_5x5.") for row in record["rows"]] == [
        *("reduce.conv", "reduce.relu", "conv", "relu")
    ]
    shown = analyze("--variant", "googlenet", "--module", "inception_4a.branch_5x5").out
    assert "0.3 % of the network's MACs" in flat(shown)


def test_a_network_without_the_module_has_dashes(analyze):
    shown = analyze("--variant", "googlenet", "--variant", "alexnet", "--module", "linear")
    assert shown.status == 0
    (line,) = [line.split() for line in shown.out.splitlines() if re.match("alexnet +-", line)]
    assert line == ["alexnet", "-", "-", "-", "-"]
    assert body(shown.out)["total"] == ["1.024", "M", "-", "only", "in", "1st"]


def test_module_by_role_is_the_module_by_path(analyze):
    """torchvision's branch3 has the role of the paper's 5x5 branch, and a 3x3 convolution."""
    by_role, by_path = (
        records(analyze("--variant", "googlenet-torchvision", "--module", module, "--format", "json"))[0]
        for module in ("inception_4a.branch_5x5", "inception4a.branch3")
    )
    assert by_role["rows"] == by_path["rows"]
    assert by_role["totals"]["macs"] == REDUCE + 14 * 14 * 48 * 3 * 3 * 16


def test_module_shows_itself_and_its_children(analyze):
    table = body(analyze("--variant", "googlenet", "--module", "inception_4a").out)
    assert list(table)[:6] == [
        *("inception_4a", "  branch_1x1", "  branch_3x3", "  branch_5x5", "  branch_pool", "total")
    ]


def test_a_module_is_not_matched_as_a_prefix(analyze):
    """conv1 is not conv1_1, and conv2 is not conv2_reduce."""
    (record,) = records(analyze("--variant", "googlenet", "--module", "conv2", "--format", "json"))
    assert [row["path"] for row in record["rows"]] == ["conv2.conv", "conv2.relu"]


# Several variants


def test_the_reduction_in_one_command(analyze):
    arguments = ("--variant", "googlenet-no-reduction", "--variant", "googlenet", "--module", "inception_4a.branch_5x5")
    shown = analyze(*arguments)
    assert shown.status == 0
    assert body(shown.out)["inception_4a.branch_5x5"] == ["112.9", "M", "5.268", "M", "-107.6", "M", "21.4×", "fewer"]
    assert body(shown.out)["  reduce"] == ["-", "1.505", "M", "only", "in", "2nd"]
    assert "112,896,000 MACs" in flat(shown.out)
    assert "5,268,480 MACs" in flat(shown.out)
    envelope = json.loads(analyze(*arguments, "--format", "json").out)
    (line,) = (
        line for line in envelope["comparison"] if (line["path"], line["metric"]) == ("inception_4a.branch_5x5", "macs")
    )
    assert line["values"] == {"googlenet-no-reduction": UNREDUCED, "googlenet": REDUCE + CONV_5X5}
    assert line["difference"] == REDUCE + CONV_5X5 - UNREDUCED
    assert line["ratio"] == (REDUCE + CONV_5X5) / UNREDUCED
    assert round(1 / line["ratio"], 1) == 21.4


def test_variants_are_compared_with_the_first(analyze):
    for first, other, ratio in (("googlenet", "alexnet", "8.71× more"), ("alexnet", "googlenet", "8.71× fewer")):
        shown = analyze("--variant", first, "--variant", other)
        assert shown.out.startswith(f"{first} against {other}")
        assert ratio in shown.out


def test_modules_of_a_single_network_are_marked(analyze):
    table = body(analyze("--variant", "googlenet", "--variant", "alexnet").out)
    assert table["inception_4a"] == ["73.61", "M", "-", "only", "in", "1st"]
    assert table["fc6"] == ["-", "37.75", "M", "only", "in", "2nd"]
    assert table["conv2"][-2:] == ["-35.4", "%"]  # 223.9 M of 346.8 M


def test_five_variants_make_two_tables(analyze):
    five = ["googlenet", "alexnet", "vgg16", "nin", "googlenet-naive"]
    shown = analyze(*(part for name in five for part in ("--variant", name)))
    assert shown.status == 0
    heads = [line.split() for line in shown.out.splitlines() if line.startswith("module")]
    assert [head[1] for head in heads] == ["googlenet", "googlenet"], "the first network is in both"
    envelope = json.loads(analyze(*(p for name in five for p in ("--variant", name)), "--format", "json").out)
    totals = [line for line in envelope["comparison"] if (line["path"], line["metric"]) == ("total", "macs")]
    assert [list(line["values"]) for line in totals] == [["googlenet", name] for name in five[1:]]


@pytest.mark.parametrize(
    ("metric", "first", "other"),
    [
        ("params", 7 * 7 * 3 * 64 + 64, 11 * 11 * 3 * 96 + 96),
        ("macs", 112 * 112 * 64 * 7 * 7 * 3, 55 * 55 * 96 * 11 * 11 * 3),
        ("activations", 112 * 112 * 64, 55 * 55 * 96),
    ],
)
def test_a_comparison_shows_the_selected_metric(analyze, metric, first, other):
    from analyzer.core.units import scaled

    shown = analyze("--variant", "googlenet", "--variant", "alexnet", "--metric", metric)
    assert body(shown.out)["conv1"][:4] == [*scaled(first).split(), *scaled(other).split()]


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_modules_without_the_metric_are_left_out_with_a_note(analyze, metric):
    title = METRICS[metric].title
    shown = analyze("--variant", "googlenet", "--variant", "nin", "--metric", metric)
    assert f"Modules with no {title}" in flat(shown.out)
    assert ("pool3" in body(shown.out)) == (metric in ("flops", "traffic"))
    assert ("flatten" in body(shown.out)) is False


def test_metrics_give_different_tables(analyze):
    tables = {analyze("--variant", "googlenet", "--variant", "nin", "--metric", name).out for name in METRIC_NAMES}
    assert len(tables) == len(METRIC_NAMES)


# Overrides, input sizes and modes


def test_set_changes_one_number_and_recounts(analyze):
    before, after = (
        records(analyze("--variant", "googlenet", *more, "--format", "json"))[0]
        for more in ((), ("--set", "inception_4a.reduce_5x5=32"))
    )
    assert after["overrides"] == {"inception_4a.reduce_5x5": 32}
    assert before["overrides"] == {}
    # Twice the reduction's width doubles both convolutions of the branch.
    assert after["totals"]["macs"] - before["totals"]["macs"] == REDUCE + CONV_5X5


def test_the_last_of_repeated_overrides_wins(analyze):
    (record,) = records(
        analyze(
            *("--variant", "googlenet", "--format", "json"),
            *("--set", "conv1.out=32", "--set", "conv2.out=96", "--set", "conv1.out=16"),
        )
    )
    assert record["overrides"] == {"conv1.conv.out": 16, "conv2.conv.out": 96}
    assert record["rows"][0]["outputs"] == [[1, 16, 112, 112]]


def test_set_applies_to_every_variant_that_has_the_key(analyze):
    named = ("--variant", "googlenet", "--variant", "vgg16", "--variant", "googlenet-torchvision")
    counted = records(analyze(*named, "--set", "inception_4a.reduce_5x5=32", "--format", "json"))
    assert [record["overrides"] for record in counted] == [
        {"inception_4a.reduce_5x5": 32},
        {},
        {"inception4a.reduce_5x5": 32},
    ]


def test_two_names_of_a_number_are_a_single_override(analyze):
    """conv1.out is conv1.conv.out; a record with both would contain a value that was not used."""
    arguments = ("--variant", "googlenet", "--set", "conv1.out=64", "--set", "conv1.conv.out=32", "--format", "json")
    (record,) = records(analyze(*arguments))
    assert record["rows"][0]["outputs"] == [[1, 32, 112, 112]]
    assert list(record["overrides"].values()) == [32]


def test_a_variant_is_compared_with_its_override(analyze):
    changed = "googlenet@inception_4a.reduce_5x5=32"
    shown = analyze("--variant", "googlenet", "--variant", changed)
    assert shown.status == 0
    assert shown.out.startswith(f"googlenet against {changed}")
    first, other = records(analyze("--variant", "googlenet", "--variant", changed, "--format", "json"))
    assert (first["overrides"], other["overrides"]) == ({}, {"inception_4a.reduce_5x5": 32})
    assert other["totals"]["macs"] - first["totals"]["macs"] == REDUCE + CONV_5X5


def test_an_option_takes_several_variants(analyze):
    """`conv1.out=48` after a comma contains no name: it is a further override of alexnet."""
    alexnet = "alexnet@fc8.out=10,conv1.out=48"
    counted = records(analyze("--variant", f"googlenet, {alexnet},nin", "--format", "json"))
    assert [record["model"] for record in counted] == ["googlenet", "alexnet", "nin"]
    assert counted[1]["overrides"] == {"fc8.out": 10, "conv1.out": 48}
    separate = analyze("--variant", "googlenet", "--variant", "alexnet").out
    assert analyze("--variant", "googlenet,alexnet").out == separate


def test_an_override_in_the_name_wins_over_set(analyze):
    first, other = records(
        analyze(
            *("--variant", "googlenet", "--variant", "googlenet@conv1.out=16,conv2.out=96"),
            *("--set", "conv1.out=32", "--format", "json"),
        )
    )
    assert first["overrides"] == {"conv1.conv.out": 32}
    assert other["overrides"] == {"conv1.conv.out": 16, "conv2.conv.out": 96}


def test_input_changes_the_sizes_that_depend_on_it(analyze):
    sized = ("--input", "3x320x320", "--format", "json")
    small, large = (records(analyze("--variant", "googlenet", *more))[0] for more in (sized[2:], sized))
    assert large["input"] == [[1, 3, 320, 320]]
    assert large["rows"][0]["macs"] == 160 * 160 * 64 * 7 * 7 * 3
    assert large["totals"]["params"] == small["totals"]["params"], "global average pooling takes any size"
    (head,) = records(analyze("--variant", "googlenet-fc-head", *sized))
    (fc,) = (row for row in head["rows"] if row["path"] == "fc")
    assert fc["params"] == 10 * 10 * 1024 * 1024 + 1024, "a fully connected layer is built for its input"


def test_input_ignores_case_and_spaces(analyze):
    assert analyze("--variant", "nin", "--input", " 3X224x224 ").out == analyze("--variant", "nin").out


def test_batch_multiplies_work_but_not_parameters(analyze):
    single, many = (
        records(analyze("--variant", "googlenet", "--batch", batch, "--format", "json"))[0] for batch in ("1", "32")
    )
    assert many["input"] == [[32, 3, 224, 224]]
    for key in ("macs", "flops", "activations", "bytes_written"):
        assert many["totals"][key] == 32 * single["totals"][key]
    assert many["totals"]["params"] == single["totals"]["params"]


def test_training_adds_the_auxiliary_classifiers(analyze):
    short, long, inference = (
        analyze("--variant", "googlenet", *mode, "--format", "json")
        for mode in (("--train",), ("--mode", "training"), ("--mode", "inference"))
    )
    assert short == long
    assert inference == analyze("--variant", "googlenet", "--format", "json")
    ((trained,), (plain,)) = records(short), records(inference)
    assert (trained["mode"], plain["mode"]) == ("training", "inference")
    heads = [
        channels * 128 + 128 + 4 * 4 * 128 * 1024 + 1024 + 1024 * 1000 + 1000  # conv, fc, linear
        for channels in (512, 528)  # of 4a and 4d
    ]
    assert trained["totals"]["params"] - plain["totals"]["params"] == sum(heads)
    assert {row["path"].split(".")[0] for row in trained["rows"]} - {
        row["path"].split(".")[0] for row in plain["rows"]
    } == {"aux1", "aux2"}


# Counters


@imports_fvcore
@pytest.mark.parametrize("mode", [(), ("--train",)])
def test_verify_agrees(analyze, mode):
    shown = analyze("--variant", "googlenet", "--input", "3x64x64", *mode, "--verify")
    assert (shown.status, shown.err) == (0, "")
    assert "DIFFER" not in shown.out
    (record,) = records(analyze("--variant", "nin", "--input", "3x64x64", *mode, "--verify", "--format", "json"))
    assert record["agreement"]["counters"] == ["closed_form", "dispatch", "fvcore"]
    assert record["agreement"]["differences"] == []
    assert record["counter"] == "closed_form"


@imports_fvcore
@pytest.mark.parametrize("form", ["csv", "md"])
def test_verify_in_other_formats_shows_the_agreement(analyze, form):
    shown = analyze("--variant", "nin", "--input", "3x64x64", "--verify", "--format", form)
    assert (shown.status, shown.err) == (0, "")
    lines = [line for line in shown.out.splitlines() if line.rstrip("| ").endswith("agree")]
    (record,) = records(analyze("--variant", "nin", "--input", "3x64x64", "--format", "json"))
    assert [line.strip("| ").split("," if form == "csv" else " |")[0].replace("\\", "") for line in lines] == [
        row["path"] for row in record["rows"]
    ]
    if form == "csv":
        header, *rows = csv.reader(io.StringIO(shown.out))
        assert header == ["row", "MACs closed form", "MACs dispatch", "MACs fvcore", "all"]
        for row, counted in zip(rows, record["rows"], strict=True):
            assert row[1:] == [f"{counted['macs']:,}"] * 3 + ["agree"]


METRICS_OF_TWO_COUNTERS = ("params", "weights", "macs", "flops", "activations", "bytes_read", "bytes_written")


def off_by_one(count: Count, *metrics: str) -> Count:
    """The count with its first row one unit too high."""
    first, *rest = count.rows
    return count.replace(rows=(first.replace(**{metric: getattr(first, metric) + 1 for metric in metrics}), *rest))


@imports_fvcore
def test_verify_fails_if_the_closed_form_is_off_by_one(analyze, monkeypatch):
    def count_nin_wrongly(steps, mode):
        count = count_steps(steps, mode)
        return off_by_one(count, *METRICS_OF_TWO_COUNTERS) if "conv1_1" not in steps[0].path else count

    monkeypatch.setattr(api, "count_steps", count_nin_wrongly)
    arguments = ("--variant", "vgg16", "--variant", "nin", "--input", "3x64x64", "--verify")
    shown = analyze(*arguments)
    assert shown.status == 1
    assert [line.split()[0] for line in shown.out.splitlines() if line.endswith("DIFFER")] == ["conv1"]
    refused = analyze(*arguments, "--format", "json")
    assert refused.status == 1
    envelope = json.loads(refused.out)
    assert envelope["status"] == "failed"
    vgg, nin = (record["agreement"]["differences"] for record in envelope["records"])
    assert vgg == []
    assert {difference["path"] for difference in nin} == {"conv1"}
    assert {difference["metric"] for difference in nin} == set(METRICS_OF_TWO_COUNTERS)
    for difference in nin:
        closed_form, other = difference["values"].values()
        assert closed_form == other + 1
    # fvcore counts MACs and activations, so that these two differ from it as well.
    assert [row["metric"] for row in nin if "fvcore" in row["values"]] == ["macs", "activations"]


@imports_fvcore
def test_verify_fails_if_dispatch_misses_an_operator(analyze, monkeypatch):
    count = BuiltNetwork.count
    monkeypatch.setattr(BuiltNetwork, "count", lambda *args: count(*args).replace(rows=count(*args).rows[1:]))
    shown = analyze("--variant", "nin", "--input", "3x64x64", "--verify")
    assert shown.status == 1
    assert "conv1 op: closed_form conv2d, dispatch None" in flat(shown.out)


@imports_fvcore
def test_verify_fails_if_fvcore_is_off_by_one(analyze, monkeypatch):
    from analyzer.counting.crosscheck import verify

    count_with_fvcore = verify.count_with_fvcore

    def off(model, args):
        count = count_with_fvcore(model, args)
        return count.replace(macs={**count.macs, "conv1": count.macs["conv1"] + 1})

    monkeypatch.setattr(verify, "count_with_fvcore", off)
    shown = analyze("--variant", "nin", "--input", "3x64x64", "--verify")
    assert shown.status == 1
    assert "conv1 macs:" in flat(shown.out)


@imports_fvcore
def test_verify_of_a_module_shows_that_module_only(analyze):
    shown = analyze("--variant", "nin", "--input", "3x64x64", "--verify", "--module", "cccp1")
    assert shown.status == 0
    assert "cccp1 " in shown.out
    assert "conv3 " not in shown.out


def test_the_dispatch_counter_gives_the_same_figures(analyze):
    closed, ran = (
        records(analyze("--variant", "googlenet", "--counter", counter, "--format", "json"))[0]
        for counter in ("closed-form", "dispatch")
    )
    assert (closed["counter"], ran["counter"]) == ("closed_form", "dispatch")
    assert {**ran, "counter": "closed_form"} == closed
    assert "counted by dispatch" in flat(analyze("--variant", "googlenet", "--counter", "dispatch").out)


ODD = """\
import torch

@torch.library.custom_op("macscope_cli::odd", mutates_args=())
def odd(x: torch.Tensor) -> torch.Tensor:
    return x.clone()

class Net(torch.nn.Module):
    def forward(self, x):
        return odd(x) + odd(x)
"""


def test_an_unknown_operator_is_named_and_fails_under_strict(analyze, tmp_path, monkeypatch):
    """A custom operator, which has no formula. A variant beside it is still counted and shown."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "odd.py").write_text(ODD, encoding="utf-8")
    odd = ("--model", "odd.py:Net", "--input", "3x224x224")
    lenient, strict = (analyze(*odd, *more) for more in ((), ("--strict",)))
    assert (lenient.status, strict.status) == (0, 1)
    assert lenient.out == strict.out
    assert "macscope_cli::odd 2" in flat(lenient.out)
    machine = analyze(*odd, "--variant", "nin", "--strict", "--format", "json")
    assert machine.status == 1
    envelope = json.loads(machine.out)
    assert envelope["status"] == "failed"
    assert {record["model"]: record["unknown_ops"] for record in envelope["records"]} == {
        "nin": {},
        "odd.py:Net": {"macscope_cli::odd": 2},
    }
    assert json.loads(analyze(*odd, "--format", "json").out)["status"] == "ok"


def test_strict_passes_where_everything_is_counted(analyze):
    assert analyze("--variant", "googlenet", "--strict") == analyze("--variant", "googlenet")


# List, help and version


def test_list_shows_every_variant_with_its_totals(analyze):
    shown = analyze("list")
    assert (shown.status, shown.err) == (0, "")
    lines = shown.out.splitlines()[3:-1]
    assert [line.split()[0] for line in lines] == list(VARIANTS)
    assert lines[0].split()[1:5] == ["6.999", "M", "1.583", "G"]
    listed = json.loads(analyze("list", "--format", "json").out)["variants"]
    assert [entry["model"] for entry in listed] == list(VARIANTS)
    for entry in listed:
        (record,) = records(analyze("--variant", entry["model"], "--format", "json"))
        assert (entry["totals"], entry["input"]) == (record["totals"], record["input"])
        assert entry["title"]


@pytest.mark.parametrize("option", ["--help", "-h"])
def test_help_has_examples_and_the_exit_status(analyze, option):
    shown = analyze(option)
    assert (shown.status, shown.err) == (0, "")
    for words in ("Examples:", "analyze --variant googlenet --train --verify", "Exit status:", "130"):
        assert words in shown.out
    assert shown == analyze(), "analyze without arguments prints its help"


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help(analyze, command):
    shown = analyze(command.name, "--help")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: analyze {command.name}")


EXAMPLE_LINES = [line.strip() for line in EXAMPLES.splitlines() if line.startswith("  analyze --")]


@imports_fvcore
@pytest.mark.parametrize("example", EXAMPLE_LINES)
def test_the_examples_in_the_help_run(analyze, example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("from torch import nn\n\nNet = lambda: nn.Conv2d(3, 8, 3)\n", encoding="utf-8")
    program, *arguments = shlex.split(example)
    assert program == "analyze"
    outcome = analyze(*arguments)
    if "torchvision:resnet50" in arguments and find_spec("torchvision") is None:
        assert outcome.status == 2
        assert "macscope[zoo]" in outcome.err
    else:
        assert outcome.status == 0


def test_version_shows_the_commit_and_torch(analyze):
    shown = analyze("--version")
    assert (shown.status, shown.err) == (0, "")
    match = re.fullmatch(r"macscope (\S+) \(commit (\S+), torch (\S+)\)\n", shown.out)
    assert match is not None
    assert match[1] == installed("macscope")
    assert match[3].split("+")[0] == installed("torch").split("+")[0]
    in_git = (Path(__file__).parents[2] / ".git").exists()
    assert re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?" if in_git else "unknown", match[2])


def test_python_m_analyzer_is_the_same_program(analyze, process):
    assert process("--variant", "nin") == analyze("--variant", "nin")
    assert process("--variant", "nope") == analyze("--variant", "nope")


def test_output_is_reproducible(analyze):
    for form in ("table", "json", "csv", "md", "latex"):
        arguments = ("--variant", "googlenet", "--variant", "alexnet", "--format", form)
        assert analyze(*arguments) == analyze(*arguments)


def test_options_come_in_any_order(analyze):
    assert analyze("--format", "json", "--module", "cccp1", "--variant", "nin") == analyze(
        "--variant", "nin", "--module=cccp1", "--format=json"
    )


def test_the_shell_completes_variants(process):
    completed = process(_ANALYZE_COMPLETE="bash_complete", COMP_WORDS="analyze --variant googlenet-n", COMP_CWORD="2")
    assert completed.out.split() == ["plain,googlenet-no-reduction", "plain,googlenet-naive"]


def test_an_operating_system_error_is_not_reported_as_a_write_error(analyze, monkeypatch):
    def refuse(*arguments, **options):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("analyzer.cli.jobs.count.run_count", refuse)
    status, out, err = analyze("--variant", "nin")
    assert (status, out) == (2, "")
    assert "operating system error: Resource temporarily unavailable" in err
