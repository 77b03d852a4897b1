"""README's commands run and print what it says; README and docs know every command, option and variant."""

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


def sessions() -> list[tuple[str, str]]:
    """Every `$ analyze ...` of the console blocks, with the lines below it up to the next."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", README, re.DOTALL):
        for part in block.split("$ ")[1:]:
            command, _, shown = part.partition("\n")
            found.append((command, shown))
    return found


SESSIONS = sessions()


def test_the_readme_has_sessions():
    assert len(SESSIONS) >= 15
    assert any(shown for _, shown in SESSIONS)


@pytest.mark.parametrize(("command", "shown"), SESSIONS, ids=[command for command, _ in SESSIONS])
def test_a_command_runs_and_prints_what_the_readme_says(analyze, command, shown, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text("from torch import nn\n\n\ndef Net():\n    return nn.Conv2d(3, 8, 3)\n")
    program, *arguments = shlex.split(command)
    assert program == "analyze"
    outcome = analyze(*arguments)
    assert outcome.status == 0
    assert outcome.out.startswith(shown)


def test_the_python_session_is_true():
    blocks = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    assert blocks
    test = doctest.DocTestParser().get_doctest("".join(blocks), {}, "README", "README.md", 0)
    assert test.examples
    runner = doctest.DocTestRunner()
    runner.run(test)
    assert runner.failures == 0


def named(name: str) -> bool:
    """As a whole: `--mode` is not named by `--model`, nor `googlenet` by `googlenet-naive`."""
    return bool(re.search(rf"(?<![\w-]){re.escape(name)}(?![\w-])", PAGES))


def test_a_part_of_a_name_is_not_the_name():
    assert named("googlenet")
    assert named("--model")
    assert not named("googlenet-na")
    assert not named("--mod")
    assert not named("variant googlene")


def test_every_variant_is_named():
    assert [name for name in VARIANTS if not named(name)] == []


def test_every_command_and_option_is_named():
    commands = dict(cli.commands)
    options = {
        option
        for command in (cli, *commands.values())
        for parameter in command.params
        if isinstance(parameter, click.Option)
        for option in parameter.opts
    }
    assert [name for name in commands if not named(f"analyze {name}")] == []
    assert sorted(option for option in options if not named(option)) == []
