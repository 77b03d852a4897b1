"""`analyze machine`."""

from __future__ import annotations

import click

from analyzer.cli.commands.options import CommaSeparated, output_options


@click.command
@click.option("--peaks/--no-peaks", default=True, help="Measure matrix products and bandwidth. Default: measure.")
@click.option(
    "--threads", type=CommaSeparated(), metavar="N[,N]", help="Default: 1, and all that this process may use."
)
@click.option(
    "--device", metavar="DEVICE", help="cpu, cuda or cuda:1. Default: the processor, and of GPUs one of each name."
)
@click.option("--keep/--no-keep", default=True, help="Keep the peaks under .analyze, for analyze time's roofline.")
@output_options
def machine(
    peaks: bool, threads: tuple[int, ...] | None, device: str | None, keep: bool, form: str, output: str | None
) -> int:
    """What times depend on here: processor, caches, build, settings; and the ceilings that this machine reaches."""
    from analyzer.cli.jobs.machine import run

    return run(peaks=peaks, threads=threads, device=device, keep=keep, form=form, output=output)
