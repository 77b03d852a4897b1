"""`analyze`: one short function a command. What is heavy is imported inside the command that needs it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from typing import Any

import click

from analyzer.errors import AnalyzerError

FORMATS = ("table", "json", "csv", "md", "latex")
METRIC_NAMES = ("params", "macs", "flops", "activations", "bytes_moved")

EXAMPLES = """\b
Examples:
  analyze --variant googlenet
  analyze --variant googlenet --module inception_4a --depth 2
  analyze --variant googlenet --variant googlenet-naive --variant alexnet
  analyze --variant googlenet --variant googlenet@inception_4a.reduce_5x5=32
  analyze --variant googlenet --train --verify
  analyze --variant googlenet --format json -o googlenet.json
  analyze claims

MACs are multiply-adds; FLOPs count a multiply-add as 2. Result to standard output, everything else to standard error.
Exit status: 0 done, 1 a check failed, 2 bad input, 3 could not measure, 4 inconclusive under --strict, 130 interrupted.
"""


def _complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    from analyzer.networks import VARIANTS

    return [name for name in VARIANTS if name.startswith(incomplete)]


def _version(context: click.Context, parameter: click.Parameter, asked: bool) -> None:
    if asked and not context.resilient_parsing:
        from analyzer.version import version

        click.echo(version())
        context.exit()


def _output_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """`--format` and `-o`, the same on every command."""
    command = click.option("-o", "--output", metavar="FILE", help="Write there instead; the file is replaced whole.")(
        command
    )
    return click.option("--format", "form", type=click.Choice(FORMATS), default="table", help="Default: table.")(
        command
    )


@click.group(invoke_without_command=True, epilog=EXAMPLES, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--variant", "names", multiple=True, metavar="NAME", shell_complete=_complete,
              help="A named network; repeat to compare. NAME@PATH.KEY=N changes one number of it.")  # fmt: skip
@click.option(
    "--set", "changes", multiple=True, metavar="PATH.KEY=N", help="Change one number in every variant that has it."
)
@click.option("--input", "size", metavar="CxHxW", help="Input without the batch; default: the network's own.")
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
@click.option("--strict", is_flag=True, help="Fail on an operator that could not be counted.")
@_output_options
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
    if not options["names"]:
        if any(context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE for name in options):
            raise AnalyzerError("nothing to count: give --variant NAME; see analyze list")
        click.echo(context.get_help())
        return 0
    return _count(**options)


def _count(*, names: Sequence[str], changes: Sequence[str], size: str | None, batch: int, mode: str | None, train: bool,
           module: str | None, depth: int, metric: str, counter: str, verify: bool, strict: bool, form: str,
           output: str | None) -> int:  # fmt: skip
    """The main job: count, restrict, compare, show."""
    from analyzer.api import count_variant
    from analyzer.models import parse_input, variants
    from analyzer.record import restrict, unknown_module

    if train and mode == "inference":
        raise AnalyzerError("--train and --mode inference contradict each other; give one")
    chosen = variants(names, changes)
    shape = parse_input(size) if size else None
    records = []
    with _progress("building and counting", when=verify or counter == "dispatch"):
        for one in chosen:
            records.append(
                count_variant(
                    one,
                    input=shape,
                    batch=batch,
                    train=train or mode == "training",
                    counter="dispatch" if counter == "dispatch" else "closed_form",
                    verify=verify,
                )
            )
    whole = records
    if module:
        records = [restrict(record, module) for record in records]
        if not any(record.rows for record in records):
            raise unknown_module(module, whole)
    comparison = None
    if len(records) > 1:
        from analyzer.comparison import compare_records

        comparison = compare_records(records)
    failed = any(record.agreement and record.agreement.differences for record in records)
    unknown = strict and any(record.unknown_ops for record in records)
    _emit_records(
        records, comparison, form, output, metric=metric, depth=depth, verify=verify, failed=failed or unknown
    )
    return 1 if failed or unknown else 0


def _emit_records(records: Sequence[Any], comparison: Any, form: str, output: str | None, *, metric: str, depth: int,
                  verify: bool, failed: bool) -> None:  # fmt: skip
    if form == "json":
        from analyzer.envelope import dump

        return _write(dump(records, comparison, status="failed" if failed else "ok"), output)
    if form == "csv":
        from reports.text import records_csv

        return _write(records_csv(records), output)
    from reports import views

    if verify:
        tables = [views.agreement(record) for record in records]
    elif comparison:
        from reports import side_by_side

        tables = side_by_side.tables(comparison, metric, depth)
    else:
        tables = [views.network(record, depth) for record in records]
    return _emit_tables(tables, form, output)


@cli.command(name="list")
@_output_options
def list_variants(form: str, output: str | None) -> int:
    """Every variant with params, MACs and a line of what it is."""
    from analyzer.api import count_variant
    from analyzer.models import Variant
    from analyzer.networks import every
    from reports import views

    records, titles = {}, {}
    for network in every():
        if isinstance(network, AnalyzerError):
            _say(f"warning: {network}")
            continue
        try:
            records[network.name] = count_variant(Variant(network, {}))
        except AnalyzerError as error:
            _say(f"warning: {error}")
            continue
        titles[network.name] = network.title
    if form == "json":
        from analyzer.envelope import listing

        _write(listing(records, titles), output)
    else:
        _emit_tables([views.listing(records, titles)], form, output)
    return 0


@cli.command
@click.argument("claim_id", required=False, metavar="[CLAIM-ID]")
@click.option("--table1", is_flag=True, help="The paper's Table 1, row by row, beside ours.")
@click.option("--module", metavar="PATH", help="Ask the 21.4x saving of one module of googlenet; total is the whole.")
@_output_options
def claims(claim_id: str | None, table1: bool, module: str | None, form: str, output: str | None) -> int:
    """What the paper and a study note claim, each with the verdict of counting; CLAIM-ID shows one in full."""
    from analyzer.claims import dump, find, ledger, saving
    from reports import ledger as view

    if sum((claim_id is not None, table1, module is not None)) > 1:
        raise AnalyzerError("CLAIM-ID, --table1 and --module ask different things; give one")
    if table1:
        from analyzer.claims import table1 as paper

        if form == "json":
            _write(paper.dump(), output)
        elif form == "csv":
            _emit_tables([view.table1_sheet(paper.rows())], form, output)
        else:
            _emit_tables(view.table1(paper.rows(), paper.totals()), form, output)
        return 0
    one = saving(module) if module is not None else find(claim_id) if claim_id is not None else None
    asked = [one] if one else ledger()
    if form == "json":
        _write(dump(asked), output)
    elif form == "csv":
        _emit_tables([view.claims_sheet(asked)], form, output)
    else:
        _emit_tables(view.claim(one) if one else view.claims(asked), form, output)
    return 0


def _emit_tables(tables: Sequence[Any], form: str, output: str | None) -> None:
    """Tables in a form that is not JSON, to standard output or a file."""
    if form == "table" and output in (None, "-"):
        from reports.terminal import console, show

        return show(tables, console())
    from reports import text

    if form == "table":
        import io

        from reports.terminal import console, show

        page = io.StringIO()
        show(tables, console(page))
        return _write(page.getvalue(), output)
    if form == "csv":
        return _write("\n".join(map(text.table_csv, tables)), output)
    return _write(text.markdown(tables) if form == "md" else text.latex(tables), output)


def _write(text: str, output: str | None) -> None:
    if output in (None, "-"):
        sys.stdout.write(text)
        return
    from analyzer.files import write_text

    assert output is not None
    write_text(output, text)
    _say(f"wrote {output}")


def _progress(description: str, *, when: bool) -> Any:
    """A spinner for what imports torch; nothing for what does not."""
    if not when:
        from contextlib import nullcontext

        return nullcontext()
    from reports.progress import Progress

    return Progress(description)


def _say(text: str) -> None:
    click.echo(f"analyze: {text}", err=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs `analyze` and returns its exit status. Every error is one line, never a traceback."""
    if hasattr(sys.stdout, "reconfigure") and not sys.stdout.isatty():
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        status = cli.main(args=arguments, prog_name="analyze", standalone_mode=False)
        sys.stdout.flush()
        return status if isinstance(status, int) else 0
    except AnalyzerError as error:
        _say(str(error))
        return error.exit_status
    except click.UsageError as error:
        command = error.ctx.command_path if error.ctx else "analyze"
        _say(f"{' '.join(error.format_message().split())}; see {command} --help")
        return 2
    except click.ClickException as error:
        _say(error.format_message())
        return 2
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted")
        return 130
    except BrokenPipeError:
        # Whoever read has read enough. Python would flush again at exit and complain: give it somewhere to do so.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        _say(f"cannot write the result: {error.strerror or error}")
        return 2
