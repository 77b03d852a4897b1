"""Options of `analyze --memory`: how the model is trained."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import click

from analyzer.cli.commands.shared_options import MAX_COUNT, add_options
from analyzer.cli.completion_values import complete_device
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError
from analyzer.records.optimizer_memory import OPTIMIZERS
from analyzer.records.training import PRECISIONS, STAGES, TrainingSetup

# fmt: off
OPTIONS = (
    click.option("--memory", is_flag=True,
                 help="Show peak memory, and the largest batch that fits into common GPUs."),
    click.option("--against", metavar="MEMORY", shell_complete=complete_device,
                 help="With --memory: show the largest batch that fits this memory instead: 24GB, 16GiB, or a device "
                      "such as h100 (H100 SXM5 80GB); repeatable.", multiple=True),
    click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)),
                 help="With --memory --train: show only this optimizer's memory; adam8bit is Adam with 8-bit state, as "
                      "in bitsandbytes. Default: all, side by side."),
    click.option("--precision", type=click.Choice(list(PRECISIONS)),
                 help="With --memory --train: the type of weights, gradients and activations; -mixed (not "
                      "torch.autocast) adds float32 master weights and keeps the optimizer's state in float32. "
                      "Default: the model's own types."),
    click.option("--accumulate", type=click.IntRange(2, MAX_COUNT), metavar="N",
                 help="With --memory --train. Gradient accumulation: micro-batches per optimizer step."),
    click.option("--shard", type=click.IntRange(2, MAX_COUNT), metavar="N",
                 help="With --memory --train: number of devices over which ZeRO or FSDP shards; memory is that of one "
                      "device."),
    click.option("--stage", type=click.Choice([str(stage) for stage in STAGES]),
                 help="ZeRO stage: 1 shards the optimizer's state, 2 also gradients, 3 (default) also weights. Needs "
                      "--shard."),
)
# fmt: on


def memory_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options. Passes to the command `memory`, whether to show it or how the model is trained, and `against`,
    the memories for which to show the largest batch."""

    @wraps(command)
    def with_memory(
        *arguments: Any,
        selection: Selection,
        memory: bool,
        against: tuple[str, ...],
        optimizer: str | None,
        precision: str | None,
        accumulate: int | None,
        shard: int | None,
        stage: str | None,
        **options: Any,
    ) -> Any:
        given = {"optimizer": optimizer, "precision": precision, "accumulate": accumulate, "shard": shard}
        names = [f"--{name}" for name, value in given.items() if value]
        if against and not memory:
            raise AnalyzerError("--against has no effect without --memory")
        if stage and not shard:
            raise AnalyzerError("--stage has no effect without --shard N")
        if names and not (memory and selection.training):
            raise AnalyzerError(f"{names[0]} has no effect without --memory --train")
        setup = TrainingSetup(optimizer or "", precision or "", shard or 1, int(stage or 3), accumulate or 1)
        return command(*arguments, selection=selection, memory=setup if names else memory, against=against, **options)

    return add_options(with_memory, OPTIONS)
