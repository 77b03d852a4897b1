"""`analyze history`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.options import output_options

EXAMPLES = """\b
Examples:
  analyze history
  analyze history --model googlenet --metric macs
  analyze history --import .benchmarks
  analyze history --import bench.json --format md

It shows and never fails: exit status 0 whatever changed, 2 for bad input.
"""
METRICS = (
    "time",
    "params",
    "macs",
    "flops",
    "activations",
    "bytes_read",
    "bytes_written",
    "traffic",
    "backward_macs",
    "peak_memory",
)


@click.command(epilog=EXAMPLES, short_help="How figures went from run to run, and where they changed.")
@click.option("--model", metavar="NAME", help="Only this one: a model, or a benchmark's full name.")
@click.option("--metric", type=click.Choice(METRICS), default="time", show_default=True, metavar="METRIC",
              help=f"What to follow: {', '.join(METRICS[:-1])} or {METRICS[-1]}.")  # fmt: skip
@click.option("--import", "imports", multiple=True, metavar="PATH",
              help="Take in pytest-benchmark's JSON first, a file or all below a folder; repeatable.")  # fmt: skip
@click.option("--reference", metavar="NAME", help="Hold times against this model's or benchmark's of the same run.")
@click.option("--rebuild", is_flag=True, help="Make the index again from the files.")
@output_options
def history(**options: Any) -> int:
    """How figures went from run to run, and where they changed for good: commits, size and interval."""
    from analyzer.cli.jobs.history import run

    return run(**options)
