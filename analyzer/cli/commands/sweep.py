"""Options and help of `analyze sweep`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import Number, output_options
from analyzer.cli.completion_values import complete_model, complete_override

EXAMPLES = """\b
Examples:
  analyze sweep sweep.toml --dry-run
  analyze sweep sweep.toml
  analyze sweep sweep.toml --resume
  analyze sweep googlenet alexnet --batch 1..32:x2 --measure counts,memory
  analyze sweep googlenet --set inception_4a.reduce_5x5=8..64:8
  analyze sweep 'timm:resnet*' --batch 1,8 --measure time
  analyze sweep sweep.toml --cluster tcp://scheduler:8786

\b
sweep.toml:
  models = ["googlenet*", { model = "net.py:Net", input = "3x32x32" }]
  batch = [1, 8]
  layout = ["contiguous", "channels_last"]
  measure = ["counts", "memory", "time"]
  needs = { cpu = "AMD*" }  # Only on such machines.
  [set]
  "inception_4a.reduce_5x5" = "8..64:8"
  [[exclude]]
  model = "googlenet-naive"
  batch = 8
  [[include]]
  model = "alexnet"
  batch = 64

Options override the file's keys. Results are stored as they arrive, by default in .analyze/history.sqlite;
--resume continues the last run of the same grid. analyze report --from history and analyze history list show them.

Exit status: 0 success; 2 bad input; 3 a configuration failed or results cannot be stored; 130 Ctrl-C.
"""


@command(epilog=EXAMPLES, short_help="Count or time many models at many configurations.")
@click.argument("models", nargs=-1, metavar="[GRID.toml] [MODEL ...]", shell_complete=complete_model)
@click.option("--input", "inputs", multiple=True, metavar="[NAME=]SIZES[:TYPE]",
              help="Input of every model that has none in the file, such as 3x320x320.")  # fmt: skip
@click.option(
    "--batch",
    metavar="N[,N]",
    help="Batch sizes: a list such as 1,8, or a range: 8..64:8 (steps of 8), 1..32:x2 (doubling). Default: 1.",
)
@click.option(
    "--threads",
    metavar="N[,N]",
    help="Thread counts for PyTorch in timed passes. Default: the number of CPUs that it may use.",
)
@click.option("--dtype", metavar="TYPE[,TYPE]", help="Dtypes of timed passes. Default: float32.")
@click.option("--layout", metavar="NAME[,NAME]", help="Memory formats of timed passes. Default: contiguous.")
@click.option("--mode", metavar="MODE[,MODE]", help="inference, training, or inference,training. Default: inference.")
@click.option("--device", metavar="DEVICE[,DEVICE]", help="Devices of timed passes: cpu, cuda, cuda:1. Default: cpu.")
@click.option("--set", "settings", multiple=True, metavar="PATH.KEY=VALUES", shell_complete=complete_override,
              help="Vary a number of built-in networks: PATH.KEY=8..64:8. Repeat --set to combine several; every "
                   "combination is run.")  # fmt: skip
@click.option("--include", "includes", multiple=True, metavar="KEY=VALUE[,…]",
              help="Add configurations, such as model=alexnet,batch=64.")  # fmt: skip
@click.option("--exclude", "excludes", multiple=True, metavar="KEY=VALUE[,…]",
              help="Leave out configurations that have all of these values: model=vgg*,batch=32.")  # fmt: skip
@click.option("--measure", metavar="NAME[,NAME]", help="counts, memory, time. Default: counts.")
@click.option("--needs", multiple=True, metavar="KEY=PATTERN",
              help="Run only on machines whose gpu, cpu or host name matches: gpu=H100, cpu=AMD*. With --cluster, "
                   "configurations wait for such a machine. Without --cluster, configurations fail if this machine "
                   "does not match.")  # fmt: skip
@click.option("--budget", type=Number(1, 3600), metavar="SECONDS",
              help="Sampling time of a timed configuration, over all its processes. Default: 20.")  # fmt: skip
@click.option("--processes", type=click.IntRange(1, 50), metavar="N",
              help="Processes of a timed configuration. Default: 3 (analyze time: 10).")  # fmt: skip
@click.option("--retries", type=click.IntRange(0, 100), default=1, show_default=True, metavar="N",
              help="Further attempts at a configuration that fails.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=Number(0.1, 1e6), default=600.0, show_default=True, metavar="SECONDS",
              help="Time limit of each attempt at a configuration; see --retries.")  # fmt: skip
@click.option("--memory-limit", "memory_gb", type=Number(0.1, 1e6), metavar="GB",
              help="Limit on the host memory of each process; no limit for processes that use a GPU. Default: the "
                   "machine's memory.")  # fmt: skip
@click.option("--jobs", type=click.IntRange(1, 1024), metavar="N",
              help="Number of counting processes. Default: one per processor.")  # fmt: skip
@click.option("--keep-going", is_flag=True, help="Run the other models if one does not load.")
@click.option("--resume", is_flag=True, help="Continue the last run of this grid.")
@click.option("--dry-run", is_flag=True, help="List the configurations with their MACs, memory and bounds on time.")
@click.option("--store", metavar="URL",
              help="SQLite file or postgresql://USER@HOST/DATABASE. Default: the variable ANALYZE_STORE, else "
                   ".analyze/history.sqlite.")  # fmt: skip
@click.option("--cluster", metavar="ADDRESS",
              help="Run on a Dask cluster: tcp://scheduler:8786. local:4 starts 4 workers on this "
                   "machine.")  # fmt: skip
@output_options
def sweep(models: tuple[str, ...], **options: Any) -> int:
    """Count or time every combination of models and settings, and store each result in the history.

    Counts use all processors. Each machine runs one timing at a time (on GPUs: one on each GPU). A configuration that
    fails is stored too, with the reason.
    """
    from analyzer.cli.jobs.sweep import run

    return run(models, **options)
