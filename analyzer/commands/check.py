"""`analyze check`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.commands.options import complete_variant
from analyzer.output import FORMATS

EXAMPLES = """\b
Examples:
  analyze check
  analyze check --update
  analyze check --variant googlenet --baseline counts.json
  analyze check --format md -o comment.md --junit check.xml

Models, baseline, tolerance and budgets stand under [tool.analyzer.check] in pyproject.toml.
Exit status: 0 passed, 1 a figure grew or a budget is not kept, 2 bad input, 3 a model cannot be counted or compared.
"""


@click.command(epilog=EXAMPLES)
@click.option("--variant", "names", multiple=True, metavar="NAME", shell_complete=complete_variant,
              help="Check this in place of the project's models; repeatable.")  # fmt: skip
@click.option("--model", "references", multiple=True, metavar="REF",
              help="The same for a model by reference, as in the main job; runs that code.")  # fmt: skip
@click.option("--update", is_flag=True, help="Take the counts into the baseline, after showing what changed.")
@click.option("--tolerance", type=float, metavar="SHARE", help="Growth that passes, 0.01 for 1 %. Default: none.")
@click.option("--baseline", "file", metavar="FILE", help="Default: the project's, analyzer-baseline.json.")
@click.option("--strict", is_flag=True, help="Fail on unknown operators, and where there is nothing to compare with.")
@click.option("--junit", "junit_file", metavar="FILE", help="Write JUnit XML there too: a failure a model and metric.")
@click.option("--format", "form", type=click.Choice((*FORMATS, "junit")), default="table", help="Default: table.")
@click.option("-o", "--output", metavar="FILE", help="Write there instead; the file is replaced whole.")
def check(**options: Any) -> int:
    """Did this change make a model heavier? Holds every layer's counts against a baseline, exactly."""
    from analyzer.regression.job import run

    return run(**options)
