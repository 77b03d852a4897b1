"""`analyze check`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.commands.options import complete_variant
from analyzer.errors import AnalyzerError
from analyzer.output import FORMATS

EXAMPLES = """\b
Examples:
  analyze check
  analyze check --update
  analyze check --variant googlenet --baseline counts.json
  analyze check --format md -o comment.md --junit check.xml
  analyze check --base origin/main
  analyze check --self-test --variant googlenet

With --base, --base-python or --self-test seconds are checked, and without them counts.
Models, baseline, tolerances and budgets stand under [tool.analyzer.check] in pyproject.toml.
Exit status: 0 passed, 1 a figure grew or a budget is not kept, 2 bad input, 3 a model cannot be counted, timed or
compared, 4 unclear under --strict.
"""


@click.command(epilog=EXAMPLES)
@click.option("--variant", "names", multiple=True, metavar="NAME", shell_complete=complete_variant,
              help="Check this in place of the project's models; repeatable.")  # fmt: skip
@click.option("--model", "references", multiple=True, metavar="REF",
              help="The same for a model by reference, as in the main job; runs that code.")  # fmt: skip
@click.option("--update", is_flag=True, help="Take the counts into the baseline, after showing what changed.")
@click.option("--tolerance", type=float, metavar="SHARE", help="Growth that passes, 0.01 for 1 %. Default: none.")
@click.option("--baseline", "file", metavar="FILE", help="Default: the project's, analyzer-baseline.json.")
@click.option("--base", metavar="REF", help="Time this tree against that commit, in pairs of fresh processes.")
@click.option("--base-python", metavar="PATH", help="The base's own Python, where its packages differ.")
@click.option("--self-test", is_flag=True, help="Time one state against itself: what this machine can show.")
@click.option("--time-budget", "budget_s", type=click.FloatRange(1, 86_400), metavar="SECONDS",
              help="For timing a model; as much again to confirm a regression. Default: 60.")  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail on unknown operators, where there is nothing to compare with, "
              "and on what is unclear.")  # fmt: skip
@click.option("--junit", "junit_file", metavar="FILE", help="Write JUnit XML there too: a failure a model and metric.")
@click.option("--format", "form", type=click.Choice((*FORMATS, "junit")), default="table", help="Default: table.")
@click.option("-o", "--output", metavar="FILE", help="Write there instead; the file is replaced whole.")
def check(base: str | None, base_python: str | None, self_test: bool, budget_s: float | None, **options: Any) -> int:
    """Did this change make a model heavier, or with --base slower? Exact on every layer's counts, honest on time."""
    if not (base or base_python or self_test):
        if budget_s is not None:
            raise AnalyzerError("--time-budget is for checking seconds; give --base REF or --self-test with it")
        from analyzer.regression.job import run

        return run(**options)
    counts = {"--update": "update", "--tolerance": "tolerance", "--baseline": "file"}
    for name, key in counts.items():
        if options.pop(key) not in (None, False):
            raise AnalyzerError(f"{name} is for counts; --base and --self-test check seconds: run analyze check twice")
    from analyzer.regression.paired.job import run as run_paired

    return run_paired(base=base, base_python=base_python, self_test=self_test, budget_s=budget_s or 60.0, **options)
