"""Help of commands: options by topic, the common ones with `--help`, all of them with `--help-all`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import click

# Topics in the order shown, with the names of their options. Options without a topic come first.
TOPICS = {
    "Model": ("--model", "--variant", "--set", "--input", "--batch", "--mode", "--train", "--timeout"),
    "Table": ("--module", "--depth", "--by", "--sort", "--reverse", "--top", "--no-fold", "--metric"),
    "Memory": ("--memory", "--against", "--optimizer", "--precision", "--accumulate", "--shard", "--stage"),
    "Checks of the count": ("--counter", "--verify", "--strict"),
    "Run": ("--resume", "--dry-run", "--keep-going", "--retries", "--memory-limit", "--jobs", "--cluster"),
    "Database": ("--store",),
    "Output": ("--format", "--output", "--junit", "--sarif", "--figures", "--charts", "--keep"),
}
# Options that mean something else in a command: in `check`, --against names a run of pytest-benchmark; in `time`, a
# device.
OTHER_TOPICS = {"check": {"--against": "Options", "--strict": "Options"}, "time": {"--against": "Options"}}
# Shown with --help-all only: other ways to say the same, and what few need; by command, `cli` being `analyze` itself.
SELECTION = "--model --variant --set --mode --timeout"
RARE = {
    "cli": f"{SELECTION} --no-fold --metric --precision --optimizer --accumulate --shard --stage --counter --strict",
    "check": f"{SELECTION} --base-python --device --sarif",
    "explain": SELECTION,
    "history": "--reference --rebuild",
    "llm": SELECTION,
    "reconcile": f"{SELECTION} --peer-timeout",
    "report": f"{SELECTION} --charts --figures",
    "scale": SELECTION,
    "sweep": "--include --needs --budget --processes --memory-limit --jobs",
    "time": f"{SELECTION} --compile --replay --flush --keep --against",
}
NON_BREAKING_HYPHEN = "\u2011"


def _show_all(context: click.Context, parameter: click.Parameter, requested: bool) -> None:
    if requested and not context.resilient_parsing:
        context.meta["analyzer.help_all"] = True
        click.echo(context.get_help(), color=context.color)
        context.exit()


HELP_ALL = click.Option(
    ["--help-all"], is_flag=True, expose_value=False, is_eager=True, callback=_show_all, help="Show all options."
)


class HelpFormatter(click.HelpFormatter):
    """Ends lines at spaces only. click also ends them at hyphens, and so within `--self-test`."""

    def write_usage(self, prog: str, args: str = "", prefix: str | None = None) -> None:
        super().write_usage(prog, _keep_hyphens(args), prefix)

    def write_text(self, text: str) -> None:
        super().write_text(_keep_hyphens(text))

    def write_dl(self, rows: Iterable[tuple[str, str]], col_max: int = 30, col_spacing: int = 2) -> None:
        super().write_dl([(term, _keep_hyphens(text)) for term, text in rows], col_max, col_spacing)

    def getvalue(self) -> str:
        return super().getvalue().replace(NON_BREAKING_HYPHEN, "-")


def _keep_hyphens(text: str) -> str:
    return text.replace("-", NON_BREAKING_HYPHEN)


class HelpContext(click.Context):
    formatter_class = HelpFormatter


class Command(click.Command):
    """A command whose help has options by topic."""

    context_class = HelpContext

    def get_params(self, context: click.Context) -> list[click.Parameter]:
        parameters = super().get_params(context)
        return [*parameters, HELP_ALL] if self.name in RARE else parameters

    def collect_usage_pieces(self, context: click.Context) -> list[str]:
        """Options follow the arguments, as in the examples."""
        options, *arguments = super().collect_usage_pieces(context)
        return [*arguments, options]

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        write_options(self.get_params(context), context, formatter)


class CommandGroup(Command, click.Group):
    """A command with subcommands, whose help lists them after its options."""

    def format_usage(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(context.command_path, "[OPTIONS]")
        formatter.write_usage(context.command_path, "COMMAND ...", prefix="       ")

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        super().format_options(context, formatter)
        with formatter.section("Commands"):
            formatter.write_dl(summaries(self.commands.values()))


def shows_all(context: click.Context) -> bool:
    """Whether this is `--help-all`."""
    return bool(context.meta.get("analyzer.help_all", False))


def write_options(
    parameters: Iterable[click.Parameter], context: click.Context, formatter: click.HelpFormatter
) -> None:
    """Writes the options by topic; the rare ones only with `--help-all`."""
    rare = () if shows_all(context) else RARE.get(str(context.command.name), "").split()
    topic_of = {option: topic for topic, options in TOPICS.items() for option in options}
    topic_of |= OTHER_TOPICS.get(str(context.command.name), {})
    rows: dict[str, list[tuple[str, str]]] = {"Options": [], **{topic: [] for topic in TOPICS}, "Help": []}
    for parameter in parameters:
        record = parameter.get_help_record(context)
        name = max(parameter.opts, key=len)
        if not record or not record[1] or name in rare:
            continue
        topic = "Help" if name in ("--help", "--help-all", "--version") else topic_of.get(name, "Options")
        rows[topic].append((record[0], _range_in_words(record[1])))
    for topic, records in rows.items():
        if records:
            with formatter.section(topic):
                formatter.write_dl(records)


def _range_in_words(text: str) -> str:
    """`[default: 1; 1<=x<=2000]` of click → `[default: 1; 1 to 2,000]`."""
    text = re.sub(r"([\d.]+)<=x<=([\d.]+)\]$", lambda ends: f"{_limit(ends[1])} to {_limit(ends[2])}]", text)
    return re.sub(r"x>(=?)([\d.]+)\]$", lambda end: f"{'at least' if end[1] else 'above'} {_limit(end[2])}]", text)


def _limit(text: str) -> str:
    return f"{float(text):,.9g}"


def summaries(commands: Iterable[click.Command]) -> list[tuple[str, str]]:
    """The name of each command and what it does, in full."""
    return [(str(command.name), command.short_help or str(command.help).splitlines()[0]) for command in commands]


def command(name: str | None = None, **options: Any) -> Callable[[Callable[..., Any]], Command]:
    """`click.command` with this help."""
    return click.command(name, cls=Command, **options)
