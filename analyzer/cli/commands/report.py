"""Options and help of `analyze report`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.options import require_writable_output, selection_options
from analyzer.cli.selection import Selection

EXAMPLES = """\b
Examples:
  analyze report --variant googlenet,alexnet
  analyze report run1.json run2.json -o report.html
  analyze report --variant googlenet --charts none -o -
  analyze report --variant googlenet --format md >> "$GITHUB_STEP_SUMMARY"
"""


@click.command(epilog=EXAMPLES)
@click.argument("files", nargs=-1, metavar="[RECORD.json ...]")
@selection_options()
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

    return run_report(selection, files, **options)
