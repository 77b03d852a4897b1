"""The command `analyze`, which counts, its subcommands, and the handling of errors and exit statuses."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from analyzer.cli.commands import COMMANDS
from analyzer.cli.commands.memory import memory_options
from analyzer.cli.commands.options import output_options, selection_options
from analyzer.cli.messages import discard_output, print_error, print_message, report_defect
from analyzer.cli.output import ClosedOutput, complete
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError

# Errors of a write to standard output. Others, such as EAGAIN from starting a process, do not concern the result.
WRITE_ERRORS = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})
TRAINING_METRICS = ("backward_macs", "step_macs", "step_flops")
# Options of other programs.
OTHER_NAMES = {
    **{f"--{form}": f"--format {form}" for form in ("json", "csv", "md", "latex")},
    "--markdown": "--format md", "--input-size": "--input 3x224x224", "--input-shape": "--input 3x224x224",
    "--batch-size": "--batch N", "--file": "-o FILE",
}  # fmt: skip
METRIC_NAMES = ("params", "macs", "flops", "activations", "traffic", *TRAINING_METRICS)

EXAMPLES = """\b
Examples:
  analyze net.py --input 3x224x224
  analyze resnet50 vgg16
  analyze 'net.py:Net(width=64)' googlenet --input 3x224x224
  analyze googlenet --module inception_4a --depth 2
  analyze googlenet googlenet@inception_4a.reduce_5x5=32
  analyze googlenet --train --verify
  analyze googlenet --train --memory --optimizer adamw --precision bf16-mixed --shard 8
  analyze googlenet -o googlenet.json

A MODEL is a built-in network (analyze list), FILE.py with one model, FILE.py:NAME, FILE.py:NAME(ARGUMENTS),
PACKAGE.MODULE:NAME, FILE.pt2, torchvision:NAME, timm:NAME, hf:NAME, or the bare name of a model of torchvision or timm.
A command's name is the command: give a model of that name with --model.

MACs are multiply-adds; one MAC is two FLOPs. Results go to standard output, messages to standard error.

\b
Exit status:
  0  success
  1  a check failed
  2  bad input
  3  could not measure
  4  a time check is unclear (check --strict)
  70  defect in macscope
  130  interrupted
"""


def _print_version(context: click.Context, parameter: click.Parameter, requested: bool) -> None:
    if requested and not context.resilient_parsing:
        from analyzer.core.version import version

        click.echo(version())
        context.exit()


class ModelGroup(click.Group):
    """A group whose arguments are models, unless the first is the name of a command."""

    def parse_args(self, context: click.Context, arguments: list[str]) -> list[str]:
        rest = self.make_parser(context).parse_args(list(arguments))[1] if not context.resilient_parsing else []
        if not rest or rest[0] in self.commands:
            return super().parse_args(context, arguments)
        context.allow_interspersed_args = True  # Options may follow models.
        click.Command.parse_args(self, context, arguments)
        context.params["models"], context.args = tuple(context.args), []
        return []


@click.group(
    cls=ModelGroup,
    invoke_without_command=True,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@selection_options(without={"models"})
@click.option("--module", metavar="PATH", help="Show one module only, by path or role.")
@click.option("--depth", type=click.IntRange(1, 20), metavar="N",
              help="Levels of the module tree in the table. Default: deeper if a module has nearly all.")  # fmt: skip
@click.option("--by", type=click.Choice(["module", "operator", "type"]), default="module", show_default=True,
              help="Rows of the table of one model: modules, operators, or operators of one width.")  # fmt: skip
@click.option("--sort", metavar="COLUMN", help="Sort the rows by a column, such as macs; the largest first.")
@click.option("--top", type=click.IntRange(1), metavar="N", help="Show the N largest rows and the sum of the others.")
@click.option("--no-fold", "fold", flag_value=False, default=True,
              help="List equal modules one by one, instead of 12 blocks as 0–11.")  # fmt: skip
@click.option("--metric", type=click.Choice(METRIC_NAMES), default="macs", show_default=True,
              help="With several models: the metric compared per module.")  # fmt: skip
@click.option("--counter", type=click.Choice(["closed-form", "dispatch"]), default="closed-form", show_default=True,
              help="How to count --variant: by formulas (closed-form) or by running it (dispatch).")  # fmt: skip
@click.option(
    "--verify",
    is_flag=True,
    help="Cross-check three counters; exit with status 1 if they differ. Built-in networks only.",
)
@memory_options
@click.option("--strict", is_flag=True, help="Exit with status 1 if work could not be counted.")
@output_options
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version,
              help="Show version information.")  # fmt: skip
@click.pass_context
def cli(context: click.Context, /, selection: Selection, **options: Any) -> int:
    """Count parameters, MACs, FLOPs, activations and memory traffic of every module of a PyTorch model."""
    from_command_line = [
        name for name in context.params if context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
    ]
    if context.invoked_subcommand:
        if from_command_line:
            raise AnalyzerError(f"options of analyze {context.invoked_subcommand} go after its name")
        return 0
    if not selection and not from_command_line:
        click.echo(context.get_help())
        return 0
    from analyzer.cli.jobs.count import run_count

    return run_count(selection, **options)


for _command in COMMANDS:
    cli.add_command(_command)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `analyze` and returns its exit status. Every error is one line, never a traceback."""
    try:
        return _run(arguments)
    except (BrokenPipeError, SystemExit):
        # The reader of a pipe, such as `head`, has closed it. Rich and click turn that into SystemExit.
        discard_output(sys.stdout)
        return 0
    except OSError as error:
        failure = "cannot write the result" if error.errno in WRITE_ERRORS else "operating system error"
        print_message(f"{failure}: {error.strerror or error}{f': {error.filename}' if error.filename else ''}")
        discard_output(sys.stdout)
        return 2
    except Exception as error:
        discard_output(sys.stdout)
        return report_defect(error)
    finally:
        if client := sys.modules.get("analyzer.worker.client"):
            client.close()


def _run(arguments: Sequence[str] | None) -> int:
    if sys.stdout is None:
        sys.stdout = ClosedOutput()
    if sys.stderr is None:  # Closed before the program began: messages are lost, but libraries expect a stream here.
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 – open until the process ends
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout = complete(sys.stdout)
    if hasattr(sys.stdout, "reconfigure") and not sys.stdout.isatty():
        sys.stdout.reconfigure(errors="backslashreplace")  # An ASCII pipe gets escaped names instead of an error.
    try:
        _refuse_empty(sys.argv[1:] if arguments is None else arguments)
        status = cli.main(args=arguments, prog_name="analyze", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except AnalyzerError as error:
        print_error(error)
        return error.exit_status
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "analyze"
        reason = " ".join(error.format_message().split()).rstrip(".")
        option = error.option_name if isinstance(error, click.NoSuchOption) else ""
        other = OTHER_NAMES.get(option)
        reason = f"no option {option}; write {other}" if other else reason
        print_message(f"{reason}; see {command} --help")
        return 2
    except click.ClickException as error:
        print_message(error.format_message())
        return 2
    except (KeyboardInterrupt, click.Abort):
        print_message("interrupted")
        return 130


def _refuse_empty(arguments: Sequence[str]) -> None:
    """An empty argument is a variable that a script has not set; no option and no name can be empty."""
    for before, word in pairwise(["", *arguments]):
        option = word[:-1] if word.startswith("--") and word.endswith("=") else before
        if not word or option != before:
            place = f"the value of {option}" if option.startswith("-") else "an argument"
            raise AnalyzerError(f"{place} is empty; is a variable of the shell not set?")
