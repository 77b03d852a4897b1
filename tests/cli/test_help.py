"""Help at 80 columns: lines end at spaces, never within a name such as `--self-test`."""

from __future__ import annotations

import re
from collections.abc import Iterator

import click
import pytest

from analyzer.cli.app import cli
from analyzer.cli.commands.help_by_topic import RARE, Command, HelpContext, HelpFormatter


def commands(command: click.Command = cli, names: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The names of each command, such as ("history", "list"), also of `analyze` itself."""
    yield names
    if isinstance(command, click.Group):
        for name, subcommand in command.commands.items():
            yield from commands(subcommand, (*names, name))


@pytest.mark.parametrize("names", list(commands()), ids=lambda names: " ".join(("analyze", *names)))
def test_no_line_of_a_help_ends_within_a_word(analyze, names):
    has_rare_options = (names[0] if len(names) == 1 else "" if names else "cli") in RARE
    for option in ("--help", "--help-all") if has_rare_options else ("--help",):
        shown = analyze(*names, option)
        assert (shown.status, shown.err) == (0, "")
        lines = shown.out.splitlines()
        assert [line for line in lines if re.search(r"\S-$", line)] == []
        assert max(map(len, lines)) <= 80
        assert "\u2011" not in shown.out, "the hyphens can be copied"
        assert not re.search("<=x|x>", shown.out), "ranges are in words"
        usage = lines[0].split()
        assert usage[-1] in ("[OPTIONS]", "..."), "options come last, as in the examples"


@pytest.mark.parametrize(
    "write",
    [
        lambda formatter, text: formatter.write_text(text),
        lambda formatter, text: formatter.write_dl([("-x", text)]),
        lambda formatter, text: formatter.write_usage("analyze", text),
    ],
)
def test_an_option_is_not_divided(write):
    for width in range(24, 48):
        formatter = HelpFormatter(width=width)
        write(formatter, "a time check runs with --self-test or --base-python")
        words = formatter.getvalue().split()
        assert {"--self-test", "--base-python"} <= set(words)


@pytest.mark.parametrize(
    ("range_", "words"),
    [
        (click.IntRange(1, 2000), "[1 to 2,000]"),
        (click.FloatRange(0.1, 1e6), "[0.1 to 1,000,000]"),
        (click.IntRange(2), "[at least 2]"),
        (click.FloatRange(0, min_open=True), "[above 0]"),
    ],
)
def test_ranges_are_in_words(range_, words):
    option = click.Option(["--number"], type=range_, help="A number.")
    command = Command("test", params=[option])
    assert f"A number.  {words}" in command.get_help(HelpContext(command, terminal_width=80))
