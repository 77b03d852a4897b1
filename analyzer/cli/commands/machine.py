"""Options and help of `analyze machine`."""

from __future__ import annotations

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import CommaSeparated, output_options

EXAMPLES = """\b
Examples:
  analyze machine
  analyze machine --no-peaks
  analyze machine --threads 1,2
  analyze machine --device cuda
  analyze machine --format json -o machine.json
"""


@command(epilog=EXAMPLES, short_help="Describe this machine and measure its roofline.")
@click.option("--peaks/--no-peaks", default=True, help="Measure peak FLOP/s and bandwidth. Default: --peaks.")
@click.option("--threads", type=CommaSeparated(), metavar="N[,N]",
              help="Thread counts to measure. Default: 1, and the number of CPUs that PyTorch may use.")  # fmt: skip
@click.option("--device", metavar="DEVICE",
              help="Measure only cpu, cuda or cuda:1. Default: the CPU and one GPU of each kind.")  # fmt: skip
@click.option(
    "--keep/--no-keep", default=True, help="Save the peaks for analyze time, under .analyze. Default: --keep."
)
@output_options
def machine(
    peaks: bool, threads: tuple[int, ...] | None, device: str | None, keep: bool, form: str, output: str | None
) -> int:
    """Describe this machine and measure its roofline: peak FLOP/s and memory bandwidth."""
    from analyzer.cli.jobs.machine import run_machine

    return run_machine(peaks=peaks, threads=threads, device=device, keep=keep, form=form, output=output)
