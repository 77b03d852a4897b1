"""docs/scaling.md prints what it shows."""

from __future__ import annotations

import doctest
import re
import shlex
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "scaling.md").read_text(encoding="utf-8")
SESSIONS = [
    part.partition("\n")
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for part in block.split("$ analyze ")[1:]
]


def test_the_python_session_is_true():
    session = "".join(re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL))
    test = doctest.DocTestParser().get_doctest(session, {}, "scaling.md", "docs/scaling.md", 0)
    assert len(test.examples) == 5
    assert doctest.DocTestRunner().run(test).failed == 0


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        pytest.param(command, shown, marks=[pytest.mark.slow] if "--memory" in command or "--train" in command else [])
        for command, _, shown in SESSIONS
    ],
    ids=[command for command, *_ in SESSIONS],
)
def test_a_command_prints_what_the_page_shows(analyze, command, shown, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    outcome = analyze(*shlex.split(command))
    assert outcome.status == 0
    for part in shown.split("…\n"):
        assert part in outcome.out
