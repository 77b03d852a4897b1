"""Options and help of `analyze explain`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help import command
from analyzer.cli.commands.options import output_options, selection_options
from analyzer.cli.selection import Selection

METRICS = ("params", "macs", "flops", "activations", "traffic")
EXAMPLES = """\b
Examples:
  analyze explain googlenet --module inception_4a.branch_5x5
  analyze explain googlenet --module linear --metric params
  analyze explain resnet50 --module layer1.0 --metric flops
  analyze explain net.py --input 3x224x224

Each derivation uses the shapes of the operator, and is shown only if its result is the number that was counted.
"""


@command(epilog=EXAMPLES, short_help="Show how a number comes about, term by term.")
@selection_options()
@click.option("--module", metavar="PATH", help="The module, by path or role. Default: the whole model.")
@click.option("--metric", type=click.Choice(METRICS), default="macs", show_default=True, help="The number to explain.")
@output_options
def explain(selection: Selection, **options: Any) -> int:
    """Show how the number of a module comes about: each operator's formula, with symbols and with numbers."""
    from analyzer.cli.jobs.explain import explain_number

    return explain_number(selection, **options)
