"""Options and help of `analyze reconcile`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help import command
from analyzer.cli.commands.options import output_options, selection_options
from analyzer.cli.selection import Selection

EXAMPLES = """\b
Examples:
  analyze reconcile net.py --input 3x224x224
  analyze reconcile googlenet
  analyze reconcile googlenet --peer fvcore --peer thop

Other tools: fvcore, FlopCounterMode and profiler (both of torch), and, if installed, ptflops, thop, torchinfo, calflops
and deepspeed. Each runs in its own process.
"""


@command(epilog=EXAMPLES, short_help="Compare macscope's count with other tools and explain every difference.")
@selection_options(without={"set", "mode"})
@click.option("--peer", "peer_names", multiple=True, metavar="NAME",
              help="Run only this tool; repeat it for several. Default: all.")  # fmt: skip
@click.option(
    "--no-timeout",
    is_flag=True,
    help="No time limit for the other tools (default: 5 minutes each). Does not affect --timeout.",
)
@click.option("--timeout-free", is_flag=True, hidden=True, help="The former name of --no-timeout.")
@output_options
def reconcile(selection: Selection, no_timeout: bool, timeout_free: bool, **options: Any) -> int:
    """Count a model with fvcore, ptflops and other tools, and explain every difference from macscope's count.

    Takes one model. The exit status is 0 even if counts differ, and 3 if no other tool could count.
    """
    from analyzer.cli.jobs.reconcile import run_reconcile
    from analyzer.reconcile.run_peers import TIME_LIMIT_S

    return run_reconcile(selection, **options, limit_s=None if no_timeout or timeout_free else TIME_LIMIT_S)
