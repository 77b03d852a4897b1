"""The README's commands run and print what it shows; README and docs name every command, option and variant."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import click
import pytest

from analyzer.cli.app import cli
from analyzer.networks import VARIANTS

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
PAGES = README + "".join(page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md")))
PYTHON = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
# Commands that run torch in several processes or write large pages.
SLOW = ("reconcile", "report", "--verify")


def sessions() -> list[tuple[str, str]]:
    """Every `$ analyze ...` of the console blocks, with the output that the README shows for it."""
    blocks = re.findall(r"```console\n(.*?)```", README, re.DOTALL)
    parts = [part.partition("\n") for block in blocks for part in block.split("$ ")[1:]]
    return [(command, shown) for command, _, shown in parts]


SESSIONS = sessions()


def test_the_readme_has_sessions():
    assert len(SESSIONS) >= 15
    assert any(shown for _, shown in SESSIONS)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        pytest.param(*session, marks=[pytest.mark.slow] if any(word in session[0] for word in SLOW) else [])
        for session in SESSIONS
    ],
    ids=[command for command, _ in SESSIONS],
)
def test_a_command_prints_what_the_readme_shows(analyze, command, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (source,) = (block for block in PYTHON if block.startswith("# net.py"))
    (tmp_path / "net.py").write_text(source, encoding="utf-8")
    program, *arguments = shlex.split(command)
    assert program == "analyze"
    outcome = analyze(*arguments)
    assert outcome.status == 0
    beginning = shown.removesuffix("…\n")
    assert outcome.out.startswith(beginning)
    assert not shown or (shown != beginning) == (outcome.out != beginning)  # "…" marks what the README leaves out.


def test_the_python_session_is_true():
    session = "".join(block for block in PYTHON if block.startswith(">>>"))
    test = doctest.DocTestParser().get_doctest(session, {}, "README", "README.md", 0)
    assert test.examples
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.failures == 0


def is_named(name: str) -> bool:
    """Whether the pages contain the whole name: `--model` does not name `--mode`."""
    return bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", PAGES))


def test_a_part_of_a_name_is_not_the_name():
    assert is_named("googlenet")
    assert is_named("--model")
    assert not is_named("googlenet-na")
    assert not is_named("--mod")


def test_every_variant_is_named():
    assert [name for name in VARIANTS if not is_named(name)] == []


def test_every_command_and_option_is_named():
    commands = dict(cli.commands)
    options = {
        option
        for command in (cli, *commands.values())
        for parameter in command.params
        if isinstance(parameter, click.Option) and not parameter.hidden
        for option in parameter.opts
    }
    assert [name for name in commands if not is_named(f"analyze {name}")] == []
    assert sorted(option for option in options if not is_named(option)) == []
