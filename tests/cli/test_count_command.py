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

import click
import pytest
from click.shell_completion import BashComplete

from analyzer.cli.app import cli, main
from analyzer.cli.commands import COMMANDS
from analyzer.cli.commands.command_group import EXAMPLES
from analyzer.cli.commands.help_by_topic import RARE
from analyzer.cli.commands.table_options import METRIC_NAMES, TRAINING_METRICS
from analyzer.core.units import METRICS
from analyzer.counting import api
from analyzer.counting.api import count
from analyzer.counting.closed_form.formulas import count_steps
from analyzer.networks import VARIANTS
from analyzer.records.record import restrict

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
    assert body(shown.out)["conv1"][:8] == ["conv2d", "3→64", "7x7/2", "64x112x112", "9.472", "k", "118.0", "M"]


def test_a_table_has_two_lines_of_notes_and_conventions_has_the_rest(analyze):
    assert len(analyze("googlenet").out.split("total ")[-1].splitlines()) == 3
    explained = analyze("conventions")
    assert (explained.status, explained.err) == (0, "")
    assert "bias is not counted" in flat(explained.out).lower()
    assert "--no-fold" in explained.out
    assert json.loads(analyze("conventions", "--format", "json").out)["conventions"]["MACs"]


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


@pytest.mark.parametrize("metric", METRIC_NAMES)
def test_a_comparison_shows_the_selected_metric(analyze, metric):
    train = metric in TRAINING_METRICS
    names = ("googlenet", "alexnet")
    shown = analyze("--variant", names[0], "--variant", names[1], "--metric", metric, *["--train"] * train)
    values = [restrict(count(name, train=train), "conv1").totals.value(metric) for name in names]
    assert body(shown.out)["conv1"][: 2 * len(values)] == [
        word for value in values for word in METRICS[metric].text(value).split()
    ]


def test_a_comparison_at_inference_has_no_step(analyze):
    done = analyze("--variant", "googlenet", "--variant", "alexnet", "--metric", "step_macs")
    assert done.status == 2
    assert "step_macs" in done.err


def test_a_comparison_in_training_shows_forward_backward_and_step(analyze):
    shown = analyze("--variant", "googlenet", "--variant", "nin", "--train").out
    for name in ("googlenet", "nin"):
        totals = count(name, train=True).totals
        for figure in (totals.macs, totals.backward_macs, *totals.step.values()):
            assert f"{figure:,}" in " ".join(shown.split())
    assert re.search("model +params +forward +backward +step +step FLOPs", shown)


# Overrides, input sizes and modes


def test_overrides_input_and_batch_are_counted(analyze):
    """conv1 has 32 filters of 7 x 7 x 3 instead of 64, at 160 x 160 positions of 2 images of 320 x 320."""
    (record,) = records(
        analyze(
            *("--variant", "googlenet", "--set", "conv1.out=32"),
            *("--input", "3x320x320", "--batch", "2", "--format", "json"),
        )
    )
    assert (record["overrides"], record["input"]) == ({"conv1.conv.out": 32}, [[2, 3, 320, 320]])
    assert record["rows"][0]["macs"] == 2 * 160 * 160 * 32 * 7 * 7 * 3


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


def test_input_ignores_case_and_spaces(analyze):
    assert analyze("--variant", "nin", "--input", " 3X224x224 ").out == analyze("--variant", "nin").out


def test_training_adds_the_auxiliary_classifiers(analyze):
    short, long, inference = (
        analyze("--variant", "googlenet", *mode, "--format", "json")
        for mode in (("--train",), ("--mode", "training"), ("--mode", "inference"))
    )
    assert short == long
    assert inference == analyze("--variant", "googlenet", "--format", "json")
    ((trained,), (plain,)) = records(short), records(inference)
    assert (trained["mode"], plain["mode"]) == ("training", "inference")
    modules, inference_modules = ({row["path"].split(".")[0] for row in record["rows"]} for record in (trained, plain))
    assert modules - inference_modules == {"aux1", "aux2"}


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
    first = [re.split(r",| \|", line.strip("| ").removeprefix("nin,"))[0].replace("\\", "") for line in lines]
    assert first == [row["path"] for row in record["rows"]]
    if form == "csv":
        header, *rows = csv.reader(io.StringIO(shown.out))
        assert header == ["model", "row", "MACs closed form", "MACs dispatch", "MACs fvcore", "all"]
        for row, counted in zip(rows, record["rows"], strict=True):
            assert row == ["nin", counted["path"], *[str(counted["macs"])] * 3, "agree"]


@imports_fvcore
def test_verify_fails_if_a_count_is_off_by_one(analyze, monkeypatch):
    """Tests of the agreement try every counter and metric."""

    def count_nin_wrongly(steps, mode):
        count = count_steps(steps, mode)
        first, *rest = count.rows
        wrong = count.replace(rows=(first.replace(macs=first.macs + 1), *rest))
        return wrong if "conv1_1" not in steps[0].path else count

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
    assert [(line["path"], line["metric"], *line["values"]) for line in nin] == [
        ("conv1", "macs", "closed_form", other) for other in ("dispatch", "fvcore")
    ]
    for line in nin:
        closed_form, other = line["values"].values()
        assert closed_form == other + 1


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
    """A custom operator, which has no formula. A variant in the same command is still counted and shown."""
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


IN_NUMPY = """
import torch

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(8, 8)

    def forward(self, x):
        y = self.layer(x).numpy()
        return torch.from_numpy(y @ y.T)
"""


def test_a_strict_note_fails_under_strict(analyze, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in_numpy.py").write_text(IN_NUMPY, encoding="utf-8")
    arguments = ("--model", "in_numpy.py:Net", "--input", "8")
    lenient, strict = (analyze(*arguments, *more) for more in ((), ("--strict",)))
    assert (lenient.status, strict.status) == (0, 1)
    assert "--strict: " in strict.err
    assert "--strict" not in lenient.err
    (record,) = json.loads(analyze(*arguments, "--format", "json").out)["records"]
    (note,) = record["strict_notes"]
    assert note in record["notes"]
    assert "numpy" in note


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
def test_help_is_short_and_complete_on_request(analyze, option):
    short, everything = analyze(option), analyze("--help-all")
    assert (short.status, short.err) == (everything.status, everything.err) == (0, "")
    assert short == analyze(), "analyze without arguments prints its help"
    for words in ("Examples:", "analyze net.py --input", "Model:", "Output:", "--help-all"):
        assert words in short.out
    for words in ("analyze googlenet --train --verify", "Exit status:", "130", "--counter"):
        assert words in everything.out
        assert words not in short.out
    assert len(short.out.splitlines()) <= 90
    assert max(map(len, everything.out.splitlines())) <= 80


def test_no_summary_of_a_command_is_cut(analyze):
    shown = flat(analyze("--help").out)
    for command in COMMANDS:
        assert f"{command.name} {command.short_help}" in shown
        assert "..." not in command.short_help


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_command_has_help(analyze, command):
    shown = analyze(command.name, "--help")
    assert (shown.status, shown.err) == (0, "")
    assert shown.out.startswith(f"Usage: analyze {command.name}")
    options = [item for item in command.params if isinstance(item, click.Option) and not item.hidden]
    names = {max(option.opts, key=len) for option in options}
    shown_names = set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", shown.out, re.MULTILINE))
    assert max(map(len, shown.out.splitlines())) <= 80
    rare = RARE.get(command.name, "").split()
    assert names - shown_names == names & set(rare)
    if rare:
        everything = analyze(command.name, "--help-all").out
        assert names <= set(re.findall(r"^  (?:-\w, )?(--[\w-]+)", everything, re.MULTILINE))


EXAMPLE_LINES = [line.strip() for line in EXAMPLES.splitlines() if line.startswith("  analyze ")]


@imports_fvcore
@pytest.mark.parametrize("example", EXAMPLE_LINES)
def test_the_examples_in_the_help_run(analyze, example, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(
        "from torch import nn\n\nNet = lambda width=8: nn.Conv2d(3, width, 3)\n", encoding="utf-8"
    )
    program, *arguments = shlex.split(example)
    assert program == "analyze"
    outcome = analyze(*arguments)
    if "resnet50" in arguments and find_spec("torchvision") is None:
        assert outcome.status == 2
        assert "extra zoo" in outcome.err
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


def test_completing_a_word_is_no_defect(monkeypatch, capsys):
    """click ends the process once it has completed."""
    for name, value in {"_ANALYZE_COMPLETE": "bash_complete", "COMP_WORDS": "analyze recon", "COMP_CWORD": "1"}.items():
        monkeypatch.setenv(name, value)
    assert main([]) == 0
    written = capsys.readouterr()
    assert "plain,reconcile" in written.out
    assert written.err == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("analyze --variant googlenet-n", ["plain,googlenet-no-reduction", "plain,googlenet-naive"]),
        ("analyze vgg", ["plain,vgg16", "file,vgg"]),
        ("analyze net.py googlenet --module inception_4a.branch_5", ["plain,inception_4a.branch_5x5"]),
        ("analyze vgg16 --set conv1_2.o", ["plain,conv1_2.out="]),
        ("analyze googlenet@conv1.conv.k", ["plain,googlenet@conv1.conv.kernel=", "file,googlenet@conv1.conv.k"]),
        ("analyze nin --sort fl", ["plain,flops"]),
        ("analyze claims 12x", ["plain,12x-fewer-params"]),
        ("analyze time --against lis", ["plain,list"]),
        ("analyze conv", ["plain,conventions", "file,conv"]),
    ],
)
def test_the_shell_completes(words, expected):
    words = words.split()
    completion = BashComplete(cli, {}, "analyze", "_ANALYZE_COMPLETE")
    items = completion.get_completions(words[1:-1], words[-1])
    shown = [f"{item.type},{item.value}" for item in items if not item.value.startswith("inception_4a.branch_5x5.")]
    assert shown == expected


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script(analyze, shell):
    script = analyze("completion", shell)
    assert (script.status, script.err) == (0, "")
    assert f"_ANALYZE_COMPLETE={shell}_complete" in script.out


def test_a_table_for_each_batch(analyze):
    shown = analyze("nin", "--batch", "1,8")
    assert shown.status == 0
    assert [line.split(",")[0] for line in shown.out.splitlines() if line.startswith("nin:")] == [
        "nin: input 1x3x224x224", "nin: input 8x3x224x224",
    ]  # fmt: skip
    one, eight = records(analyze("nin", "--batch", "1,8", "--format", "json"))
    assert 8 * one["totals"]["macs"] == eight["totals"]["macs"]
    csv_rows = csv.DictReader(io.StringIO(analyze("nin", "--batch", "1,8", "--format", "csv").out))
    assert {row["model"] for row in csv_rows} == {"nin (batch 1)", "nin (batch 8)"}
    compared = analyze("nin", "vgg16", "--batch", "1,8").out
    assert compared.count("nin against vgg16") == 2


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (["nin", "--metric", "flops"], "--metric"),
        (["nin", "vgg16", "--metric", "flops", "--format", "json"], "--metric"),
        (["nin", "--memory", "--no-fold"], "--no-fold"),
        (["nin", "--top", "3", "--format", "csv"], "--top"),
        (["nin", "--by", "type", "--memory"], "--by"),
        (["nin", "--by", "type", "--depth", "2"], "--depth"),
        (["nin", "--verify", "--depth", "2"], "--depth"),
        (["net.py", "--counter", "closed-form"], "--counter"),
    ],
)
def test_an_option_without_effect_is_refused(analyze, arguments, option):
    refused = analyze(*arguments)
    assert (refused.status, refused.out) == (2, "")
    assert refused.err.startswith(f"analyze: {option}")
    assert refused.err.count("\n") == 1


def test_an_operating_system_error_is_not_reported_as_a_write_error(analyze, monkeypatch):
    def refuse(*arguments, **options):
        raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")

    monkeypatch.setattr("analyzer.cli.jobs.count.run_count", refuse)
    status, out, err = analyze("--variant", "nin")
    assert (status, out) == (2, "")
    assert "operating system error: Resource temporarily unavailable" in err
