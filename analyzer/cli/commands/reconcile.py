"""Options and help of `analyze reconcile`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import Number, output_options, selection_options
from analyzer.cli.selection import Selection

EXAMPLES = """\b
Examples:
  analyze reconcile net.py --input 3x224x224
  analyze reconcile googlenet
  analyze reconcile googlenet --peer fvcore --peer thop

Other counting tools (peers): fvcore, FlopCounterMode and profiler (both of torch), and, if installed, ptflops, thop,
torchinfo, calflops and deepspeed. Each runs in its own process.
"""


@command(epilog=EXAMPLES, short_help="Compare macscope's count with other tools and explain every difference.")
@selection_options(without={"set", "mode"}, several=False)
@click.option("--peer", "peer_names", multiple=True, metavar="NAME",
              help="Run only this peer, that is, counting tool; repeat it for several. Default: all.")  # fmt: skip
@click.option("--peer-timeout", "peer_timeout_s", type=Number(0, 1e6), metavar="SECONDS",
              help="Time limit of each peer; 0 is no limit. Default: 300.")  # fmt: skip
@click.option("--no-timeout", "--timeout-free", "no_timeout", is_flag=True, hidden=True,
              help="The former names of --peer-timeout 0.")  # fmt: skip
@output_options
def reconcile(selection: Selection, peer_timeout_s: float | None, no_timeout: bool, **options: Any) -> int:
    """Count a model with fvcore, ptflops and other tools, and explain every difference from macscope's count.

    Takes one model. The exit status is 0 even if counts differ, and 3 if no other tool could count.
    """
    from analyzer.cli.jobs.reconcile import run_reconcile
    from analyzer.reconcile.run_peers import TIME_LIMIT_S

    limit_s = 0 if no_timeout else TIME_LIMIT_S if peer_timeout_s is None else peer_timeout_s
    return run_reconcile(selection, **options, limit_s=limit_s or None)
