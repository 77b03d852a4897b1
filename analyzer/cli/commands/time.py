"""`analyze time`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.options import CommaSeparated, output_options, require_writable_output, variant_option
from analyzer.core.errors import AnalyzerError

EXAMPLES = """\b
Examples:
  analyze time --variant googlenet
  analyze time --variant googlenet,alexnet --batch 1,8
  analyze time --variant googlenet --layout contiguous,channels_last
  analyze time --model net.py:Net --input 3x224x224 --train
  analyze time --variant googlenet --kernels --trace trace.json
"""
DTYPES = ("float32", "float64", "float16", "bfloat16")
LAYOUTS = ("contiguous", "channels_last")


@click.command(epilog=EXAMPLES)
@variant_option("Named networks. NAME@PATH.KEY=N changes one number of it.")
@click.option("--model", "references", multiple=True, metavar="REF", help="As in analyze --help; runs that code.")
@click.option("--set", "changes", multiple=True, metavar="PATH.KEY=N", help="As in analyze --help; repeatable.")
@click.option(
    "--input", "inputs", multiple=True, metavar="[NAME=]SIZES[:TYPE]", help="As in analyze --help; repeatable."
)
@click.option(
    "--batch", "batches", type=CommaSeparated(), default="1", show_default=True, metavar="N[,N]", help="Batches."
)
@click.option(
    "--threads", type=CommaSeparated(), metavar="N[,N]", help="Threads of torch. Default: all this process may use."
)
@click.option("--dtype", "dtypes", type=CommaSeparated(DTYPES), default="float32", show_default=True, metavar="TYPE[,TYPE]",
              help="float32, float64, float16, bfloat16.")  # fmt: skip
@click.option("--layout", "layouts", type=CommaSeparated(LAYOUTS), default="contiguous", show_default=True,
              metavar="NAME[,NAME]", help="contiguous, channels_last.")  # fmt: skip
@click.option("--mode", type=click.Choice(["inference", "training"]), help="Training times whole steps, with SGD.")
@click.option("--train", is_flag=True, help="Short for --mode training.")
@click.option("--compile", "compiled", is_flag=True, help="torch.compile the model; whole passes only.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda, cuda:1, mps. MPS is untested.")
@click.option("--budget", "budget_s", type=click.FloatRange(1, 3600), default=20.0, show_default=True,
              metavar="SECONDS", help="For each model at each setting, processes together.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1, 50), metavar="N",
              help="Fresh ones, for each. Default: 10; fewer, at least 3, where 10 take over 3 budgets.")  # fmt: skip
@click.option("--kernels", is_flag=True, help="What torch's profiler sees under each module.")
@click.option(
    "--trace",
    metavar="FILE",
    callback=require_writable_output,
    help="A chrome trace of one pass of one model at one setting.",
)
@click.option("--replay", is_flag=True, help="Each module alone, hot in the caches and flushed from them.")
@click.option("--flush", is_flag=True, help="Flush caches before every sample.")
@click.option("--keep/--no-keep", default=True, help="A file of the run under .analyze/records. Default: keep.")
@click.option("--against", metavar="DEVICE", help="The least times of a named device, such as maxwell; ? lists them.")
@click.option("--depth", type=click.IntRange(1, 20), default=1, show_default=True, help="How deep the table goes.")
@output_options
def time(mode: str | None, train: bool, **options: Any) -> int:
    """What each module and kernel costs in seconds: cut so that the parts add up, with spread and verdict."""
    from analyzer.cli.jobs.time import run

    if train and mode == "inference":
        raise AnalyzerError("--train and --mode inference contradict each other; give one")
    return run(**options, training=train or mode == "training")
