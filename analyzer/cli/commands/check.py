"""`analyze check`."""

from __future__ import annotations

import re
from typing import Any

import click

from analyzer.cli.commands.options import output_option, require_writable_output, variant_option
from analyzer.cli.output import FORMATS
from analyzer.core.errors import AnalyzerError, one_line

EXAMPLES = """\b
Examples:
  analyze check
  analyze check --update
  analyze check --variant googlenet --baseline counts.json
  analyze check --format md -o comment.md --junit check.xml
  analyze check --base origin/main
  analyze check --self-test --variant googlenet
  analyze check bench.json --against base.json

With --base, --base-python or --self-test seconds are checked, and without them counts; a FILE is a run of
pytest-benchmark with raw data, held against another such run.

Models, baseline, tolerances and budgets stand under [tool.analyzer.check] in pyproject.toml.

Exit status: 0 passed, 1 a figure grew or a budget is not kept, 2 bad input, 3 a model cannot be counted, timed or
compared, 4 unclear under --strict.
"""


def timeable(context: click.Context, parameter: click.Parameter, device: str | None) -> str | None:
    if device is None or re.fullmatch(r"cpu|cuda(:[0-9]{1,3})?", device):
        return device
    raise click.BadParameter(f"{one_line(device)!r} cannot be timed in pairs; wanted cpu, cuda or cuda:1")


@click.command(epilog=EXAMPLES, short_help="Did this change make a model heavier, or slower?")
@variant_option("Check these in place of the project's models.")
@click.option("--model", "references", multiple=True, metavar="REF",
              help="The same for a model by reference, as in analyze --help; runs that code.")  # fmt: skip
@click.option("--update", is_flag=True, help="Take the counts into the baseline, after showing what changed.")
@click.option("--tolerance", type=float, metavar="SHARE", help="Growth that passes, 0.01 for 1 %. Default: none.")
@click.option("--baseline", "file", metavar="FILE", help="Default: the project's, analyzer-baseline.json.")
@click.option("--base", metavar="REF", help="Time this tree against that commit, in pairs of fresh processes.")
@click.option("--base-python", metavar="PATH", help="The base's own Python, where its packages differ.")
@click.option("--self-test", is_flag=True, help="Time one state against itself: what this machine can show.")
@click.option("--device", callback=timeable, metavar="DEVICE",
              help="Where to time: cpu, cuda, cuda:1. Default: cpu. No whole check ran on CUDA yet.")  # fmt: skip
@click.option("--time-budget", "budget_s", type=click.FloatRange(1, 86_400), metavar="SECONDS",
              help="For timing a model; as much again to confirm a regression. Default: 60.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail on unknown operators, where there is nothing to compare with, "
              "and on what is unclear.")  # fmt: skip
@click.option("--junit", "junit_file", metavar="FILE", callback=require_writable_output,
              help="Write JUnit XML there too: a failure a model and metric.")  # fmt: skip
@click.option("--format", "form", type=click.Choice((*FORMATS, "junit")), default="table", help="Default: table.")
@output_option
@click.argument("run", required=False, metavar="[FILE]")
@click.option("--against", metavar="FILE", help="Hold the run of pytest-benchmark in FILE against that earlier one.")
def check(run: str | None, against: str | None, **options: Any) -> int:
    """Did this change make a model heavier, or with --base slower? Exact on every layer's counts, honest on time."""
    if run is None and against is None:
        return _models(**options)
    if run is None or against is None:
        raise AnalyzerError("two files are compared: analyze check FILE --against BASE")
    kept = {key: options.pop(key) for key in ("strict", "junit_file", "form", "output")}
    if any(value not in (None, False, ()) for value in options.values()):
        raise AnalyzerError(
            "a FILE is compared as it is: of check's options --strict, --junit, --format and -o go with it"
        )
    from analyzer.cli.jobs.check.benchmarks import run as run_files

    return run_files(head=run, base=against, **kept)


def _models(
    base: str | None,
    base_python: str | None,
    self_test: bool,
    device: str | None,
    budget_s: float | None,
    **options: Any,
) -> int:
    if not (base or base_python or self_test):
        for name, value in {"--time-budget": budget_s, "--device": device}.items():
            if value is not None:
                raise AnalyzerError(f"{name} is for checking seconds; give --base REF or --self-test with it")
        from analyzer.cli.jobs.check.counts import run

        return run(**options)
    counts = {"--update": "update", "--tolerance": "tolerance", "--baseline": "file"}
    for name, key in counts.items():
        if options.pop(key) not in (None, False):
            raise AnalyzerError(f"{name} is for counts; --base and --self-test check seconds: run analyze check twice")
    from analyzer.cli.jobs.check.paired import run as run_paired

    options |= {"base": base, "base_python": base_python, "self_test": self_test}
    return run_paired(device=device or "cpu", budget_s=budget_s or 60.0, **options)
