"""Options and help of `analyze time`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import (
    CommaSeparated,
    Number,
    output_options,
    require_writable_output,
    selection_options,
    train_step_option,
)
from analyzer.cli.completion_values import complete_device
from analyzer.cli.selection import Selection

EXAMPLES = """\b
Examples:
  analyze time googlenet
  analyze time googlenet alexnet --batch 1,8
  analyze time googlenet --layout contiguous,channels_last
  analyze time net.py --input 3x224x224 --train
  analyze time googlenet --kernels --trace trace.json
  analyze time googlenet --load 5/s,20/s --limit p99=200ms
"""
DTYPES = ("float32", "float64", "float16", "bfloat16")
LAYOUTS = ("contiguous", "channels_last")


def split_loads(context: click.Context, parameter: click.Parameter, text: str | None) -> tuple[float, ...]:
    """Requests per second of `50/s,100/s`."""
    from analyzer.timing.load_options import parse_load

    return tuple(dict.fromkeys(map(parse_load, text.split(",")))) if text is not None else ()


def check_limit(context: click.Context, parameter: click.Parameter, text: str | None) -> Any:
    """The limit of `p99=50ms`."""
    from analyzer.timing.load_options import parse_limit

    return None if text is None else parse_limit(text)


@command(epilog=EXAMPLES, short_help="Time a model, its modules and operators.")
@selection_options(without={"batch", "timeout", "train"})
@train_step_option
@click.option("--batch", "batches", type=CommaSeparated(), default="1", show_default=True, metavar="N[,N]",
              help="Batch sizes.")  # fmt: skip
@click.option("--threads", type=CommaSeparated(), metavar="N[,N]",
              help="Thread counts for PyTorch. Default: the number of CPUs that it may use.")  # fmt: skip
@click.option("--dtype", "dtypes", type=CommaSeparated(DTYPES), default="float32", show_default=True,
              metavar="TYPE[,TYPE]", help="Dtypes: float32, float64, float16, bfloat16.")  # fmt: skip
@click.option("--layout", "layouts", type=CommaSeparated(LAYOUTS), default="contiguous", show_default=True,
              metavar="NAME[,NAME]", help="Memory formats: contiguous, channels_last.")  # fmt: skip
@click.option("--compile", "compiled", is_flag=True, help="Time the model compiled by torch.compile, as a whole.")
@click.option("--device", default="cpu", show_default=True, metavar="DEVICE",
              help="cpu, cuda, cuda:1 or mps (mps is untested).")  # fmt: skip
@click.option("--budget", "budget_s", type=Number(1, 3600), default=20.0, show_default=True,
              metavar="SECONDS", help="Sampling time per configuration, over all its processes.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1, 50), metavar="N",
              help="Processes per configuration. Default: 10; fewer (at least 3) for slow models.")  # fmt: skip
@click.option("--kernels", is_flag=True, help="Show the kernels of each module, recorded with torch.profiler.")
@click.option("--trace", metavar="FILE", callback=require_writable_output,
              help="Write a Chrome trace of one pass; needs a single model and configuration.")  # fmt: skip
@click.option("--replay", is_flag=True, help="Also time each module alone, with warm and with flushed caches.")
@click.option("--load", "loads", callback=split_loads, metavar="N/s[,N/s]",
              help="Also measure latency under load, in an open loop: Poisson arrivals at this mean rate, such as "
                   "50/s.")  # fmt: skip
@click.option("--limit", callback=check_limit, metavar="P=TIME",
              help="Find the highest arrival rate at which a percentile of latency (p50, p90, p95 or p99) stays within "
                   "TIME, such as p99=50ms. Does not need --load.")  # fmt: skip
@click.option("--energy", is_flag=True, help="Also measure the energy of a pass, read from RAPL or NVML.")
@click.option("--new-inputs", is_flag=True, help="Draw new inputs, such as token ids, for each pass.")
@click.option("--flush", "flushed", is_flag=True, help="Flush the caches before each sample.")
@click.option("--keep/--no-keep", default=True, help="Save the run under .analyze/records. Default: --keep.")
@click.option("--against", metavar="DEVICE", shell_complete=complete_device,
              help="Show lower bounds on time on another device, such as h100 (H100 SXM5 80GB); see analyze list "
                   "devices.")  # fmt: skip
@click.option("--show-void", is_flag=True, help="Also show the tables of a void run, which other programs disturbed.")
@click.option("--depth", type=click.IntRange(1, 20), default=1, show_default=True, metavar="N",
              help="Levels of the module tree in the table.")  # fmt: skip
@output_options
def time(selection: Selection, **options: Any) -> int:
    """Time a model, its modules and operators, with confidence intervals, and say whether other programs disturbed the
    measurement.

    Passes with and without instrumentation alternate. The times of operators and overhead add up to the pass with
    instrumentation; a table compares this sum with the pass without it.
    """
    from analyzer.cli.jobs.time import run_time

    return run_time(selection, **options)
