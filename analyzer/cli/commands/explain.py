"""Options and help of `analyze explain`."""

from __future__ import annotations

from typing import Any

import click

from analyzer.cli.commands.help_by_topic import command
from analyzer.cli.commands.shared_options import output_options, selection_options
from analyzer.cli.completion_values import complete_model
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError

METRICS = (
    "params", "macs", "flops", "activations", "bytes_read", "bytes_written", "traffic", "peak_memory", "backward_macs",
    "recomputed_macs", "backward_flops", "step_macs", "step_flops",
)  # fmt: skip
EXAMPLES = """\b
Examples:
  analyze explain googlenet inception_4a.branch_5x5
  analyze explain googlenet linear --metric params
  analyze explain googlenet conv1 --metric step_macs --train
  analyze explain resnet50 layer1.0 --metric flops
  analyze explain net.py --input 3x224x224

Each derivation uses the shapes of the operator, and is shown only if its result is the number that was counted. Times
are measured, not derived.
"""


def _as_models(context: click.Context, parameter: click.Parameter, model: str | None) -> tuple[str, ...]:
    return (model,) if model else ()


@command(epilog=EXAMPLES, short_help="Derive a number of a module, term by term.")
@click.argument("models", metavar="[MODEL]", required=False, callback=_as_models, shell_complete=complete_model)
@click.argument("path", metavar="[MODULE]", required=False)
@selection_options(without={"models"})
@click.option(
    "--module",
    metavar="PATH",
    help="Same as MODULE: the path of a module, or in a built-in network the paper's name of it. Default: the whole "
    "model.",
)
@click.option("--metric", type=click.Choice(METRICS), default="macs", show_default=True, metavar="NAME",
              help=f"The number to derive: {', '.join(METRICS)}.")  # fmt: skip
@output_options
def explain(selection: Selection, path: str | None, module: str | None, **options: Any) -> int:
    """Derive a number of a module, by default its MACs: each operator's formula, in symbols and in numbers."""
    if path and module:
        raise AnalyzerError("the module is given twice; leave out --module")
    from analyzer.cli.jobs.explain import explain_number

    return explain_number(selection, module=path or module, **options)
