"""Options and help of `analyze history`."""

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

It never fails a build: exit status 0 whatever changed, 2 for bad input.
"""
# As in analyzer.history.point, without importing it for --help; a test compares the two.
METRICS = ("time", "params", "macs", "flops", "activations", "bytes_read", "bytes_written", "traffic", "backward_macs",
           "recomputed_macs", "peak_memory")  # fmt: skip


@click.command(epilog=EXAMPLES, short_help="Show how times and counts changed over time.")
@click.option("--model", metavar="NAME", help="Show only this model, or this benchmark by its full name.")
@click.option("--metric", type=click.Choice(METRICS), default="time", show_default=True, metavar="METRIC",
              help=f"What to show: {', '.join(METRICS[:-1])} or {METRICS[-1]}.")  # fmt: skip
@click.option("--import", "imports", multiple=True, metavar="PATH",
              help="Import pytest-benchmark JSON first: a file or a folder with subfolders; repeatable.")  # fmt: skip
@click.option("--reference", metavar="NAME", help="Divide times by this model's or benchmark's time in the same run.")
@click.option("--rebuild", is_flag=True, help="Recreate the cache .analyze/history.sqlite from the files of the runs.")
@output_options
def history(**options: Any) -> int:
    """Show how times and counts changed over time: between which commits, by how much, with a 95 % interval."""
    from analyzer.cli.jobs.history import show_history

    return show_history(**options)
