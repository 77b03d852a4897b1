"""Options and help of `analyze scale`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import output_or_page_options, selection_options
from analyzer.cli.completion_values import complete_device
from analyzer.cli.selection import Selection

EXAMPLES = """\b
Examples:
  analyze scale googlenet
  analyze scale googlenet --over height=width --at 112..672:56
  analyze scale googlenet --over batch,inception_4a.reduce_5x5
  analyze scale hf:gpt2 --over batch,sequence --at sequence=128..1024:x2
  analyze scale net.py --input 3x224x224 --train --metric step_macs
  analyze scale googlenet --against 24GB
  analyze scale googlenet --over height=width --at 112..672:56 -o costs.html
  analyze scale googlenet -o googlenet.tex

A size is batch, height, width, frames or sequence, another dimension of an input (arg0.1: dimension 1 of the first
argument, where dimension 0 is the batch; mask.2: dimension 2 of mask), or a number of a built-in network (conv1.out).
To see the names a model accepts, give any unknown name: the error lists them. height=width is one variable for both.

A formula reproduces exactly every count that it was fitted to or tested on. Sizes that no verified formula covers
are counted. With strides a formula covers sizes of one residue class, such as multiples of 32.
"""


def split_metrics(context: click.Context, parameter: click.Parameter, texts: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(name.strip().lower() for text in texts for name in text.split(",")))


@command(epilog=EXAMPLES, short_help="Show the cost of a model as a formula of its sizes.")
@selection_options(several=False)
@click.option("--over", metavar="SIZE[,SIZE]",
              help="Variables of the formula. Default: batch, and the size of images or the sequence "
                   "length.")  # fmt: skip
@click.option("--at", multiple=True, metavar="[SIZE=]VALUES",
              help="Also show the costs at these values: a list such as 1,8,32, or a range: 112..672:56 (steps of 56), "
                   "128..4096:x2 (doubling).")  # fmt: skip
@click.option("--metric", "metrics", multiple=True, metavar="NAME[,NAME]", callback=split_metrics,
              help="Show only these: params, macs, flops, activations, traffic, peak_memory, backward_macs, "
                   "backward_flops, step_macs, step_flops, cache_bytes (size of the KV cache).")  # fmt: skip
@click.option(
    "--module",
    metavar="PATH",
    help="Show one module only: its path, or in a built-in network the paper's name of the module.",
)
@click.option("--memory", is_flag=True, help="Also show peak memory.")
@click.option("--against", metavar="MEMORY", shell_complete=complete_device,
              help="Show the largest batch and sizes whose peak memory fits: 24GB, 16GiB, or a device such as "
                   "h100 (H100 SXM5 80GB).")  # fmt: skip
@output_or_page_options
def scale(selection: Selection, **options: Any) -> int:
    """Show the cost of a model as an exact formula of batch, resolution, sequence length or layer widths."""
    from analyzer.cli.jobs.scale import show_scaling

    return show_scaling(selection, **options)
