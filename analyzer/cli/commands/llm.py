"""Options and help of `analyze llm`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import Number, output_or_page_options
from analyzer.core.errors import AnalyzerError
from analyzer.records.optimizer_memory import OPTIMIZERS
from analyzer.records.training import PRECISIONS, STAGES, TrainingSetup

EXAMPLES = """\b
Examples:
  analyze llm hf:gpt2 --prompt 512 --decode 128
  analyze llm hf:FOLDER --batch 8 --device h100 --dtype bfloat16 --tp 2
  analyze llm hf:FOLDER --device h100 --ep 8 --cache-dtype fp8
  analyze llm hf:FOLDER --device 'A100 SXM4 80GB' --tokens-per-s 3100
  analyze llm hf:FOLDER --optimizer adamw --precision bf16-mixed --shard 8
  analyze llm hf:FOLDER --device h100 -o model.html

FOLDER has a config.json of transformers (extra zoo); hf: in front of it may be left out. A model of transformers in
your own file works too: net.py:Net. The model is built on meta tensors: nothing is downloaded or
computed, and the weights take no memory.
"""
TOKENS = click.IntRange(1, 10_000_000)


@command(epilog=EXAMPLES, short_help="Show prefill, decode, KV cache and FLOPs per token of a language model.")
@click.argument("reference", metavar="MODEL")
@click.option("--prompt", type=TOKENS, default=2048, show_default=True, metavar="N", help="Tokens of the prompt.")
@click.option(
    "--decode", type=TOKENS, default=512, show_default=True, metavar="N", help="Tokens generated after the prompt."
)
@click.option("--batch", type=click.IntRange(1, 100_000), default=1, show_default=True, metavar="N",
              help="Batch size, in sequences.")  # fmt: skip
@click.option("--dtype", type=click.Choice(["float32", "bfloat16", "float16"]),
              help="Type of weights, cache and activations. Default: that of the configuration.")  # fmt: skip
@click.option("--device", metavar="NAME",
              help="Also show lower bounds on time, computed from the published peaks of this device, such as h100 "
                   "(H100 SXM5 80GB); see analyze list devices.")  # fmt: skip
@click.option("--tp", "devices", type=click.IntRange(1, 4096), default=1, show_default=True, metavar="N",
              help="Tensor parallelism: every matrix divided over N devices.")  # fmt: skip
@click.option("--ep", "groups", type=click.IntRange(1, 4096), default=1, show_default=True, metavar="N",
              help="Expert parallelism: experts, and the sequences of the batch, divided over N groups of --tp "
                   "devices.")  # fmt: skip
@click.option("--cache-dtype", type=click.Choice(["float32", "bfloat16", "float16", "fp8", "int8", "int4"]),
              metavar="TYPE", help="Type of keys and values in the cache: float32, bfloat16, float16, fp8, int8 or "
              "int4. Default: the model's.")  # fmt: skip
@click.option("--cache-group", type=click.IntRange(1, 1_000_000), metavar="N",
              help="With --cache-dtype int8 or int4: how many numbers share a 16-bit scale and a 16-bit zero "
              "point. Default: 64.")  # fmt: skip
@click.option("--tokens-per-s", type=Number(min=0, min_open=True), metavar="N",
              help="Measured training throughput of all devices together: show its MFU by each convention of attention "
              "(full, causal, needed) and by the formulas of frameworks. Needs --device.")  # fmt: skip
@click.option("--optimizer", type=click.Choice(list(OPTIMIZERS)),
              help="Also show the memory of training with this optimizer. Each device has one sequence of --prompt "
                   "tokens.")  # fmt: skip
@click.option("--precision", type=click.Choice(list(PRECISIONS)),
              help="With --optimizer: the type of weights, gradients and activations; -mixed (not torch.autocast) adds "
                   "float32 master weights. Default: the model's.")  # fmt: skip
@click.option("--shard", type=click.IntRange(2, 1_000_000), metavar="N",
              help="With --optimizer: number of devices over which ZeRO or FSDP shards.")  # fmt: skip
@click.option("--stage", type=click.Choice([str(stage) for stage in STAGES]),
              help="ZeRO stage: 1 shards the optimizer's state, 2 also gradients, 3 (default) also weights. Needs "
                   "--shard.")  # fmt: skip
@click.option("--timeout", "timeout_s", type=Number(0.1, 1e6), metavar="SECONDS",
              help="Time limit of the count. Default: 600.")  # fmt: skip
@output_or_page_options
def llm(
    reference: str, optimizer: str | None, precision: str | None, shard: int | None, stage: str | None, **options: Any
) -> int:
    """Show what a language model of the transformers library costs: parameters, FLOPs per token, KV cache, memory, and
    lower bounds on time."""
    if (precision or shard) and not optimizer:
        raise AnalyzerError(
            f"{'--precision' if precision else '--shard'} changes the memory of training; give --optimizer NAME too"
        )
    if stage and not shard:
        raise AnalyzerError("--stage has no effect without --shard N")
    setup = TrainingSetup(optimizer, precision or "", shard or 1, int(stage or 3)) if optimizer else None
    from analyzer.cli.jobs.llm import show_language_model

    return show_language_model(reference, setup=setup, **options)
