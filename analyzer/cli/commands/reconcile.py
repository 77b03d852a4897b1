"""`analyze reconcile`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.options import complete_variant, output_options

EXAMPLES = """\b
Examples:
  analyze reconcile --variant googlenet
  analyze reconcile --variant googlenet --peer fvcore --peer thop
  analyze reconcile --model net.py:Net --input 3x224x224
"""


@click.command(epilog=EXAMPLES, short_help="Which tool is right? Every difference from ours, explained.")
@click.option("--model", "reference", metavar="REF", help="As in analyze --help; runs that code, once for every peer.")
@click.option("--variant", metavar="NAME", shell_complete=complete_variant, help="A named network in place of a model.")
@click.option(
    "--input", "inputs", multiple=True, metavar="[NAME=]SIZES[:TYPE]", help="As in analyze --help; repeatable."
)
@click.option("--batch", type=click.IntRange(1, 1_000_000), default=1, show_default=True, metavar="N",
              help="Samples in a pass.")  # fmt: skip
@click.option("--peer", "names", multiple=True, metavar="NAME", help="Ask this one only; repeatable. Default: all.")
@click.option("--timeout-free", is_flag=True, help="Let a peer take as long as it likes; otherwise 5 minutes.")
@output_options
def reconcile(timeout_free: bool, **options: Any) -> int:
    """Which tool is right? Runs fvcore, ptflops and other counters, and explains each difference from ours."""
    from analyzer.cli.jobs.reconcile import run
    from analyzer.reconcile.run_peers import LIMIT_S

    return run(**options, limit_s=None if timeout_free else LIMIT_S)
