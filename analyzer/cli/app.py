"""`analyze`: the main job, the commands beside it, and how an error ends."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from analyzer.cli.commands import COMMANDS
from analyzer.cli.commands.options import output_options, variant_option
from analyzer.cli.messages import discard, say
from analyzer.cli.output import Closed
from analyzer.core.errors import AnalyzerError

# What can become of a write to standard output; any other refusal, such as of a new process, is not about the result.
WRITING = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})
METRIC_NAMES = ("params", "macs", "flops", "activations", "traffic")

EXAMPLES = """\b
Examples:
  analyze --variant googlenet
  analyze --variant googlenet --module inception_4a --depth 2
  analyze --variant googlenet,googlenet-naive,alexnet
  analyze --variant googlenet --variant googlenet@inception_4a.reduce_5x5=32
  analyze --variant googlenet --train --verify
  analyze --variant googlenet --format json -o googlenet.json
  analyze --model net.py:Net --input 3x224x224 --train
  analyze --model torchvision:resnet50 --variant googlenet
  analyze claims
  analyze check
  analyze reconcile --variant googlenet

MACs are multiply-adds; FLOPs count a multiply-add as 2. Result to standard output, everything else to standard error.
Exit status: 0 done, 1 a check failed, 2 bad input, 3 could not measure, 4 inconclusive under --strict, 130 interrupted.
"""


def _version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from analyzer.core.version import version

        click.echo(version())
        context.exit()


@click.group(invoke_without_command=True, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@variant_option("Named networks, to compare. NAME@PATH.KEY=N changes one number of it.")
@click.option("--model", "references", multiple=True, metavar="REF",
              help="FILE.py:NAME, PACKAGE.MODULE:NAME, torchvision:NAME, timm:NAME, hf:NAME, "
                   "FILE.pt2. Runs that code.")  # fmt: skip
@click.option(
    "--set", "changes", multiple=True, metavar="PATH.KEY=N", help="Change one number in every variant that has it."
)
@click.option("--input", "inputs", multiple=True, metavar="[NAME=]SIZES[:TYPE]",
              help="Input without the batch, 3x320x320 or ids=128:int64; repeatable. "
                   "Default: the model's own.")  # fmt: skip
@click.option("--batch", type=click.IntRange(1, 1_000_000), default=1, show_default=True, help="Samples in a pass.")
@click.option(
    "--mode",
    type=click.Choice(["inference", "training"]),
    help="Training adds the auxiliary heads. Default: inference.",
)
@click.option("--train", is_flag=True, help="Short for --mode training.")
@click.option("--module", metavar="PATH", help="Look inside one module, by path or role.")
@click.option("--depth", type=click.IntRange(1, 20), default=1, show_default=True, help="How deep the table goes.")
@click.option(
    "--metric",
    type=click.Choice(METRIC_NAMES),
    default="macs",
    show_default=True,
    help="What a comparison shows by module.",
)
@click.option(
    "--counter",
    type=click.Choice(["closed-form", "dispatch"]),
    default="closed-form",
    show_default=True,
    help="Who counts.",
)
@click.option("--verify", is_flag=True, help="Hold three counters against each other; exit 1 on any difference.")
@click.option("--memory", is_flag=True, help="Bytes alive at the peak and by module; the largest batch that fits.")
@click.option("--strict", is_flag=True, help="Fail on an operator that could not be counted.")
@output_options
@click.option(
    "--version",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_version,
    help="Ours, torch's build, the commit.",
)
@click.pass_context
def cli(context: click.Context, /, **options: Any) -> int:
    """Where a network's compute goes: params, multiply-adds, FLOPs, activations and bytes of every module, exactly."""
    if context.invoked_subcommand:
        given = [
            name for name in options if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        ]
        if given:
            raise AnalyzerError(f"analyze {context.invoked_subcommand} takes its options after its name")
        return 0
    if not options["names"] and not options["references"]:
        if any(context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE for name in options):
            raise AnalyzerError("nothing to count: give --variant NAME or --model REF; see analyze list")
        click.echo(context.get_help())
        return 0
    from analyzer.cli.jobs.count import run

    return run(**options)


for _command in COMMANDS:
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `analyze` and returns its exit status. Every error is one line, never a traceback."""
    try:
        return _run(arguments)
    except (BrokenPipeError, SystemExit):
        # Whoever read has read enough; rich and click turn a closed pipe into SystemExit.
        discard(sys.stdout)
        return 0
    except OSError as error:
        what = "cannot write the result" if error.errno in WRITING else "the system refuses to go on"
        say(f"{what}: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        discard(sys.stdout)
        return 2


def _meant(arguments: Sequence[str] | None) -> str:
    """For variants in a command's place, or one after the other."""
    from analyzer.networks import VARIANTS

    given = list(sys.argv[1:] if arguments is None else arguments)
    named = [one for one in given if one in VARIANTS]
    loose = any(one in VARIANTS and not before.startswith("-") for before, one in pairwise(["", *given]))
    return f"write --variant {','.join(named)}; " if loose else ""


def _run(arguments: Sequence[str] | None) -> int:
    if sys.stdout is None:
        sys.stdout = Closed()
    if sys.stderr is None:  # Closed before we began: what is said is lost, and whoever asks what it is gets an answer.
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 – until the end
    if hasattr(sys.stdout, "reconfigure") and not sys.stdout.isatty():
        sys.stdout.reconfigure(errors="backslashreplace")  # A pipe in ASCII gets names escaped rather than an error.
    try:
        status = cli.main(args=arguments, prog_name="analyze", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except AnalyzerError as error:
        say(str(error))
        for line in error.details:
            print(line, file=sys.stderr)
        return error.exit_status
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "analyze"
        say(f"{' '.join(error.format_message().split()).rstrip('.')}; {_meant(arguments)}see {command} --help")
        return 2
    except click.ClickException as error:
        say(error.format_message())
        return 2
    except (KeyboardInterrupt, click.Abort):
        say("interrupted")
        return 130
