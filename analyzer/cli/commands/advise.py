"""Options and help of `analyze advise`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import output_options, selection_options, train_step_option
from analyzer.cli.selection import Selection

EXAMPLES = """\b
Examples:
  analyze advise googlenet
  analyze advise net.py --input 3x224x224 --batch 8 --budget 120
  analyze advise resnet50 --device cuda --format json

Times layouts, thread counts, half precision, larger batches and compilation, each interleaved with the unchanged model.
Then it times all faster settings together. A setting is advised only if the 95 % interval of its speed-up lies above 1.

Exit status: 0 success, 3 the model could not be measured or every measurement is void.
"""


@command(epilog=EXAMPLES, short_help="Find settings that make a model faster.")
@selection_options(without={"timeout", "train"}, several=False)
@train_step_option
@click.option("--device", default="cpu", show_default=True, metavar="DEVICE", help="cpu, cuda or cuda:1.")
@click.option("--budget", "budget_s", type=click.FloatRange(5, 3600), default=60.0, show_default=True,
              metavar="SECONDS", help="Sampling time for all settings together, without process starts.")  # fmt: skip
@output_options
def advise(selection: Selection, **options: Any) -> int:
    """Time a model at settings that often help, and rank them by the lower end of the 95 % interval of the speed-up."""
    from analyzer.cli.jobs.advise import advise as run_advise

    return run_advise(selection, **options)
