"""Options and help of `analyze check`."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Literal

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import (
    output_option,
    require_writable_output,
    select_models,
    selection_options,
)
from analyzer.cli.model_arguments import is_model
from analyzer.cli.output import FORMATS
from analyzer.core.errors import AnalyzerError, one_line

if TYPE_CHECKING:
    from analyzer.cli.jobs.check.output import OutputOptions
    from analyzer.cli.selection import Selection

CI_FORMATS = ("junit", "sarif", "github", "gitlab", "badge")
MAX_BUDGET_S = 86_400
EXAMPLES = """\b
Examples:
  analyze check
  analyze check --update
  analyze check --resolve
  analyze check googlenet --baseline counts.json
  analyze check --format md -o comment.md --junit check.xml
  analyze check --base auto --time-budget auto
  analyze check googlenet --self-test
  analyze check bench.json --against base.json

Counts are checked by default; times with --base or --self-test. FILE is written by pytest --benchmark-json.

[tool.analyzer.check] in pyproject.toml sets models, baseline, tolerances and budgets. Models of the command line
replace its models.

Exit status: 0 passed, 1 a model regressed or exceeds a budget, 2 bad input, 3 a model cannot be counted, timed or
compared, 4 a time is inconclusive, with --strict.
"""


def parse_device(context: click.Context, parameter: click.Parameter, device: str | None) -> str | None:
    if device is None or re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", device):
        return device
    raise click.BadParameter(f"{one_line(device)!r} cannot be timed in pairs; wanted cpu, cuda or cuda:1")


def parse_tolerance(context: click.Context, parameter: click.Parameter, text: str | None) -> float | None:
    """`5%` or `0.05`. A number above 1 without `%` is refused, since `5` would be 500 %."""
    if text is None:
        return None
    number = text.strip().removesuffix("%")
    try:
        value = float(number)
    except ValueError:
        raise click.BadParameter(f"{one_line(text)!r} is not a fraction; wanted 5% or 0.05") from None
    if text.strip().endswith("%"):
        return value / 100
    if not value <= 1:
        raise click.BadParameter(f"{one_line(text)} would be {value * 100:g} %; write {number}% or a fraction up to 1")
    return value


def parse_budget(
    context: click.Context, parameter: click.Parameter, text: str | None
) -> float | Literal["auto"] | None:
    """Seconds, or "auto"."""
    if text is None:
        return None
    if text == "auto":
        return "auto"
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 1 <= seconds <= MAX_BUDGET_S:
        raise click.BadParameter(f"{one_line(text)!r} is neither auto nor from 1 to {MAX_BUDGET_S:,} seconds")
    return seconds


@command(epilog=EXAMPLES, short_help="Check that no model became larger or slower.")
@selection_options(without={"set", "input", "batch", "mode", "models"})
@click.option("--update", is_flag=True, help="Write the current counts to the baseline, after showing what changed.")
@click.option("--resolve", is_flag=True,
              help="After a merge: replace a baseline with conflicts by the current counts.")  # fmt: skip
@click.option(
    "--tolerance",
    callback=parse_tolerance,
    metavar="FRACTION",
    help="Allowed growth of counts, such as 0.05 or 5%. Default: 0.",
)
@click.option(
    "--baseline",
    "file",
    metavar="FILE",
    help="Baseline file. Default: that of pyproject.toml, else analyzer-baseline.json.",
)
@click.option("--base", metavar="REF", help="Time the working tree against this commit, in pairs of fresh processes. "
              "In CI give auto: the first parent of a merge commit, else the merge base with the target "
              "branch, else the commit before HEAD.")  # fmt: skip
@click.option("--base-python", metavar="PATH", help="Python interpreter for the base, e.g. with another torch version.")
@click.option("--self-test", is_flag=True,
              help="Time the working tree against itself, to show the smallest detectable change.")  # fmt: skip
@click.option("--device", callback=parse_device, metavar="DEVICE",
              help="Device to time on: cpu, cuda, cuda:1. Default: cpu. On CUDA a complete check has never been "
                   "tested.")  # fmt: skip
@click.option("--time-budget", "budget_s", callback=parse_budget, metavar="SECONDS|auto",
              help="Time per model, doubled if a regression must be confirmed. auto: 60 seconds, then until there is "
                   "a decision, at most 30 minutes. Default: 60.")  # fmt: skip
@click.option("--strict", is_flag=True,
              help="Fail on operators without a formula, counts that may be wrong, models without a baseline, and "
                   "inconclusive times.")  # fmt: skip
@click.option("--junit", "junit_file", metavar="FILE", callback=require_writable_output,
              help="Also write JUnit XML to FILE: one test case per model and metric.")  # fmt: skip
@click.option("--sarif", "sarif_file", metavar="FILE", callback=require_writable_output,
              help="Also write SARIF to FILE, for code scanning.")  # fmt: skip
@click.option("--format", "form", type=click.Choice((*FORMATS, *CI_FORMATS)), default="table",
              help="Default: table. junit, sarif, github (annotations), gitlab (Code Quality) and badge are for CI "
                   "servers.")  # fmt: skip
@output_option
@click.argument("names", nargs=-1, metavar="[MODEL ... or FILE]")
@click.option(
    "--against",
    metavar="BASE",
    help="Compare the run of pytest-benchmark in the argument FILE with the earlier run in BASE.",
)
def check(
    names: tuple[str, ...], against: str | None, strict: bool, junit_file: str | None,
    sarif_file: str | None, form: str, output: str | None, selection: Selection, **options: Any,
) -> int:  # fmt: skip
    """Check that no model became larger (more parameters, MACs, peak memory) or slower.

    Counts are compared with a baseline exactly: every metric, in total and for each layer. Times are compared with
    --base, by a statistical test.

    With FILE and --against, check that no benchmark became slower.
    """
    from analyzer.cli.jobs.check.output import OutputOptions, emit

    outputs = OutputOptions(strict, junit_file, sarif_file, form, output)
    if against is None and all(map(is_model, names)):
        return _check_models(select_models(selection, names), outputs, **options)
    if len(names) != 1 or against is None:
        raise AnalyzerError("comparing files needs two of them: analyze check FILE --against BASE")
    if selection or any(value not in (None, False) for value in options.values()):
        raise AnalyzerError(
            "with FILE, check takes only the options --against, --strict, --junit, --sarif, --format and -o"
        )
    from analyzer.regression.benchmarks.compare_runs import compare_runs
    from analyzer.regression.benchmarks.read_runs import load_rules, load_run

    (run,) = names
    base, head = load_run(against), load_run(run)
    return emit(compare_runs(base, head, load_rules(), (one_line(against), one_line(run))), outputs)


def _check_models(
    selection: Selection,
    output: OutputOptions,
    *,
    base: str | None,
    base_python: str | None,
    self_test: bool,
    device: str | None,
    budget_s: float | Literal["auto"] | None,
    **options: Any,
) -> int:
    if not (base or base_python or self_test):
        for name, value in {"--time-budget": budget_s, "--device": device}.items():
            if value is not None:
                raise AnalyzerError(f"{name} applies only to time checks; add --base REF or --self-test")
        from analyzer.cli.jobs.check.counts import check_counts

        return check_counts(selection, output, **options)
    for name, key in {
        "--update": "update",
        "--resolve": "resolve",
        "--tolerance": "tolerance",
        "--baseline": "file",
    }.items():
        if options[key] not in (None, False):
            raise AnalyzerError(f"{name} applies only to counts; --base and --self-test check times: run check twice")
    if self_test and budget_s == "auto":
        raise AnalyzerError("--time-budget auto has no effect on a self-test, which decides nothing; give seconds")
    from analyzer.cli.jobs.check.paired import check_paired_times

    return check_paired_times(
        selection, output, base=base, base_python=base_python, self_test=self_test, device=device or "cpu",
        budget_s=None if budget_s == "auto" else budget_s or 60.0,
    )  # fmt: skip
