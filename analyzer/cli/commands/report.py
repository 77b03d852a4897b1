"""`analyze report`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.options import require_writable_output, variant_option
from analyzer.core.errors import AnalyzerError

EXAMPLES = """\b
Examples:
  analyze report --variant googlenet --variant alexnet
  analyze report run1.json run2.json -o report.html
  analyze report --variant googlenet --charts none -o -
  analyze report --variant googlenet --format md >> "$GITHUB_STEP_SUMMARY"
"""


@click.command(epilog=EXAMPLES, short_help="One HTML page that compares variants and stored records.")
@click.argument("files", nargs=-1, metavar="[RECORD.json ...]")
@variant_option("Named networks. NAME@PATH.KEY=N changes one number of it.")
@click.option("--model", "references", multiple=True, metavar="REF", help="As in analyze --help; runs that code.")
@click.option("--set", "changes", multiple=True, metavar="PATH.KEY=N", help="As in analyze --help; repeatable.")
@click.option(
    "--input", "inputs", multiple=True, metavar="[NAME=]SIZES[:TYPE]", help="As in analyze --help; repeatable."
)
@click.option("--batch", type=click.IntRange(1, 1_000_000), default=1, show_default=True, metavar="N",
              help="Samples in a pass.")  # fmt: skip
@click.option("--mode", type=click.Choice(["inference", "training"]), help="Default: inference.")
@click.option("--train", is_flag=True, help="Short for --mode training.")
@click.option("--charts", type=click.Choice(["none", "embed", "link"]), default="embed", show_default=True,
              help="plotly's script in the file, none, or loaded from its host.")  # fmt: skip
@click.option("--figures", metavar="DIR", help="Each figure there too, as HTML, and as PNG and SVG where kaleido is.")
@click.option("--format", "form", type=click.Choice(["html", "md"]), default="html", show_default=True,
              help="md: a summary for a pull request.")  # fmt: skip
@click.option("-o", "--output", metavar="FILE", callback=require_writable_output,
              help="Default: analysis.html, and standard output for md; - is that.")  # fmt: skip
def report(mode: str | None, train: bool, **options: Any) -> int:
    """One page that compares variants and stored records: counts, time, memory, claims, differences. Reads offline."""
    from analyzer.cli.jobs.report import run

    if train and mode == "inference":
        raise AnalyzerError("--train and --mode inference contradict each other; give one")
    return run(**options, training=train or mode == "training")
