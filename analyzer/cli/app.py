"""The command `analyze`, which counts, its subcommands, and the handling of errors and exit statuses."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import click

from analyzer.cli.commands import COMMANDS
from analyzer.cli.commands.command_group import EXAMPLES, ModelGroup
from analyzer.cli.commands.memory_options import memory_options
from analyzer.cli.commands.shared_options import (
    CommaSeparated,
    given_parameters,
    has_subcommand,
    output_options,
    selection_options,
)
from analyzer.cli.commands.table_options import table_options
from analyzer.cli.completion_values import complete_module
from analyzer.cli.messages import discard_output, is_broken_pipe, print_error, print_message, report_defect
from analyzer.cli.output import ClosedOutput, complete
from analyzer.cli.selection import Selection
from analyzer.core.errors import AnalyzerError, CannotMeasure, missing_package, one_line, quoted, similar_names

# Errors of a write to standard output. Others, such as EAGAIN from starting a process, do not concern the result.
WRITE_ERRORS = frozenset({errno.EBADF, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.ENOSPC})
# Options of other programs.
OTHER_NAMES = {
    **{f"--{form}": f"--format {form}" for form in ("json", "csv", "md", "latex")},
    "--markdown": "--format md",
    "--input-size": "--input 3x224x224",
    "--input-shape": "--input 3x224x224",
    "--batch-size": "--batch N",
    "--file": "-o FILE",
    "--channels-last": "--layout channels_last",
    "--runs": "--processes N",
}
# `check` takes these from the project's settings.
OTHER_NAMES_OF_CHECK = dict.fromkeys(("--input", "--batch"), 'models = [{ model = "net.py", input = "3x224x224" }] in '
                                     "pyproject.toml")  # fmt: skip


def _print_version(context: click.Context, parameter: click.Parameter, requested: bool) -> None:
    if requested and not context.resilient_parsing:
        from analyzer.core.version import version

        click.echo(version())
        context.exit()


@click.group(
    cls=ModelGroup,
    invoke_without_command=True,
    epilog=EXAMPLES,
    context_settings={"help_option_names": ["-h", "--help"]},
)
@selection_options(without={"models", "batch"})
@click.option("--batch", "batches", type=CommaSeparated(), default="1", show_default=True, metavar="N[,N]",
              help="Batch size. Several batch sizes give a table each.")  # fmt: skip
@click.option("--module", metavar="PATH", shell_complete=complete_module,
              help="Show one module only: its path, such as inception_4a.branch_5x5, or in a "
                   "built-in network the paper's name of the module.")  # fmt: skip
@table_options
@click.option("--counter", type=click.Choice(["closed-form", "dispatch"]),
              help="How to count built-in networks: by formulas (closed-form, the default) or by running them "
                   "(dispatch).")  # fmt: skip
@click.option(
    "--verify",
    is_flag=True,
    help="For built-in networks: compare three independent counters; exit status 1 if they disagree.",
)
@memory_options
@click.option(
    "--strict",
    is_flag=True,
    help="Exit with status 1 if an operator has no formula or a note says that the count may be wrong.",
)
@output_options
@click.option("--version", is_flag=True, expose_value=False, is_eager=True, callback=_print_version,
              help="Show version information.")  # fmt: skip
@click.pass_context
def cli(context: click.Context, /, selection: Selection, **options: Any) -> int:
    """Count parameters, MACs, FLOPs, activations and memory traffic of every module of a PyTorch model."""
    if has_subcommand(context):
        return 0
    if not selection and not given_parameters(context):
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
    except (BrokenPipeError, SystemExit) as error:
        # Rich and click turn a broken pipe into SystemExit. Other pipes, such as to a worker, can break too.
        read = not (is_broken_pipe(sys.stdout) or is_broken_pipe(sys.stderr))
        discard_output(sys.stdout)
        return report_defect(error) if read else 0
    except OSError as error:
        print_message(_system_error(error))
        discard_output(sys.stdout)
        return 2
    except Exception as error:
        discard_output(sys.stdout)
        if missing := missing_package(error):
            print_message(missing)
            return CannotMeasure.exit_status
        return report_defect(error)
    finally:
        if client := sys.modules.get("analyzer.worker.client"):
            with suppress(KeyboardInterrupt):  # The result is written; only the model's end takes time.
                client.close()


def _system_error(error: OSError) -> str:
    try:
        Path.cwd()
    except OSError:
        return "the current folder does not exist any more; change to another one"
    failure = "cannot write the result" if error.errno in WRITE_ERRORS else "operating system error"
    return f"{failure}: {error.strerror or error}{f': {one_line(error.filename)[:80]}' if error.filename else ''}"


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
        _refuse_unknown_completion()
        _refuse_empty(sys.argv[1:] if arguments is None else arguments)
        status = cli.main(args=arguments, prog_name="analyze", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except AnalyzerError as error:
        print_error(error)
        return error.exit_status
    except click.UsageError as error:
        print_message(_usage_message(error))
        return 2
    except click.ClickException as error:
        print_message(error.format_message())
        return 2
    except (KeyboardInterrupt, click.Abort):
        print_message("interrupted")
        return 130
    except SystemExit as end:
        if "_ANALYZE_COMPLETE" in os.environ and isinstance(end.code, int):  # click's way to end after completing.
            return end.code
        raise


def _usage_message(error: click.UsageError) -> str:
    command = error.ctx.command_path if error.ctx else "analyze"
    reason = " ".join(error.format_message().split()).rstrip(".")
    if isinstance(error, click.NoSuchOption):
        reason = f"no option {error.option_name}; {_option_advice(error, command)}"
    return f"{reason}; see {command} --help"


def _option_advice(error: click.NoSuchOption, command: str) -> str:
    """What to write in place of an unknown option: the one with the same effect, or those with similar names."""
    name = error.option_name
    other = OTHER_NAMES_OF_CHECK.get(name) if command.endswith(" check") else None
    if other := other or OTHER_NAMES.get(name):
        return f"write {other}"
    parameters = error.ctx.command.get_params(error.ctx) if error.ctx else []
    options = [option for option in parameters if isinstance(option, click.Option) and not option.hidden]
    names = [text[2:] for option in options for text in option.opts if text.startswith("--")]
    similar = similar_names(name.lstrip("-"), names)
    return f"nearest: {', '.join(f'--{text}' for text in similar)}" if similar else "no option has a similar name"


def _refuse_unknown_completion() -> None:
    """click ends without a command and without a message if it does not know what a shell asks for."""
    asked = os.environ.get("_ANALYZE_COMPLETE", "")
    if not asked:
        return
    from click.shell_completion import get_completion_class

    shell, _, instruction = asked.partition("_")
    if not (get_completion_class(shell) and instruction in ("source", "complete")):
        raise AnalyzerError(f"_ANALYZE_COMPLETE is {quoted(asked)}; wanted bash_source or the like, or unset")


def _refuse_empty(arguments: Sequence[str]) -> None:
    """An empty argument is a variable that a script has not set; no option and no name can be empty."""
    for before, word in pairwise(["", *arguments]):
        option = word[:-1] if word.startswith("--") and word.endswith("=") else before
        if not word or option != before:
            place = f"the value of {option}" if option.startswith("-") else "an argument"
            raise AnalyzerError(f"{place} is empty; is a variable of the shell not set?")
