"""Options and help of `analyze report`."""

from __future__ import annotations

from itertools import filterfalse
from typing import Any

import click

from analyzer.cli.commands.help import command
from analyzer.cli.commands.options import require_writable_output, select_models, selection_options
from analyzer.cli.models import is_model
from analyzer.cli.selection import Selection

EXAMPLES = """\b
Examples:
  analyze report googlenet alexnet
  analyze report run1.json run2.json -o report.html
  analyze report googlenet --charts none -o -
  analyze report googlenet --format md >> "$GITHUB_STEP_SUMMARY"
"""


@command(epilog=EXAMPLES, short_help="Write an HTML page that compares networks and stored records.")
@click.argument("files", nargs=-1, metavar="[MODEL or RECORD.json ...]")
@selection_options(without={"models"})
@click.option("--charts", type=click.Choice(["embed", "link", "none"]), default="embed", show_default=True,
              help="Embed plotly's script, load it from its host (link), or leave charts out (none).")  # fmt: skip
@click.option("--figures", metavar="DIR", help="Also write each chart to DIR: HTML, and with kaleido PNG and SVG.")
@click.option("--format", "form", type=click.Choice(["html", "md"]), default="html", show_default=True,
              help="md: a short summary for a pull request.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", callback=require_writable_output,
              help="Default: analysis.html, for md standard output; - is standard output.")  # fmt: skip
def report(selection: Selection, files: tuple[str, ...], **options: Any) -> int:
    """Write one HTML page that compares networks and stored records.

    It shows counts, times, memory, differences and the paper's claims, and works offline.
    """
    from analyzer.cli.jobs.report import run_report

    selection = select_models(selection, list(filter(is_model, files)))
    return run_report(selection, list(filterfalse(is_model, files)), **options)
