"""Options and help of `analyze history`, and its subcommands."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help_by_topic import CommandGroup
from analyzer.cli.commands.history_database import COMMANDS
from analyzer.cli.commands.shared_options import has_subcommand, output_options, require_writable_output

EXAMPLES = """\b
Examples:
  analyze history
  analyze history --model googlenet --metric macs
  analyze history --import .benchmarks
  analyze history --import bench.json --format md
  analyze history --fail-on-new --acknowledge --format json -o changes.json
  analyze history list --where 'model ~ "inception*" and batch == 8'
  analyze history export --store postgresql://reader@db/lab -o lab.parquet

--import reads files of pytest-benchmark, asv (its folder results) and github-action-benchmark (data.js).

Exit status: 0 success; 1 with --fail-on-new if a time or count grew, and no earlier run with --acknowledge stored the
change; 2 bad input; 3 a database cannot be reached, is locked, or its disk is full.
"""
# As in analyzer.trends.point, without importing it for --help; a test compares the two.
METRICS = ("time", "params", "macs", "flops", "activations", "bytes_read", "bytes_written", "traffic", "backward_macs",
           "recomputed_macs", "peak_memory")  # fmt: skip


@click.group(
    cls=CommandGroup,
    commands={str(command.name): command for command in COMMANDS},
    invoke_without_command=True,
    epilog=EXAMPLES,
    short_help="Show how times and counts changed; search stored results.",
)
@click.option("--model", metavar="NAME", help="Show only this model, or this benchmark by its full name.")
@click.option("--metric", type=click.Choice(METRICS), default="time", show_default=True, metavar="METRIC",
              help=f"What to show: {', '.join(METRICS[:-1])} or {METRICS[-1]}.")  # fmt: skip
@click.option("--import", "imports", multiple=True, metavar="PATH",
              help="Before showing the history, import results of pytest-benchmark, asv or github-action-benchmark "
                   "from a file, or from a folder with its subfolders; repeatable. For results of macscope: analyze "
                   "history import.")  # fmt: skip
@click.option("--reference", metavar="NAME", help="Divide times by this model's or benchmark's time in the same run.")
@click.option("--rebuild", is_flag=True, help="Recreate the cache .analyze/cache.sqlite from the run files.")
@click.option(
    "--fail-on-new",
    is_flag=True,
    help="Exit with status 1 if a time or count grew, unless an earlier run with --acknowledge stored the change. "
    "With both options, each change fails once.",
)
@click.option("--acknowledge", is_flag=True, help="Show all changes and store them as seen, in the file of --known.")
@click.option("--known", "known_file", metavar="FILE", callback=require_writable_output,
              help="File of the changes that --acknowledge stored. Default: .analyze/known-changes.json.")  # fmt: skip
@output_options
@click.pass_context
def history(context: click.Context, /, **options: Any) -> int:
    """Show how times and counts changed over time: between which commits, by how much, with a 95 % interval.

    It reads run files: analyze time writes one per run, and --import converts the runs of other programs. The commands
    below list, show, export, import and delete results in the history database. It has the results of analyze
    time and of sweeps.
    """
    if has_subcommand(context):
        return 0
    from analyzer.cli.jobs.history import show_history

    return show_history(**options)
