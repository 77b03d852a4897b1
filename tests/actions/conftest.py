"""Runs the steps of an action of this repository as GitHub's runner does, without its services."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.regression.conftest import project
from tests.regression.paired.conftest import commit, git

__all__ = ["commit", "git", "project"]

ROOT = Path(__file__).parents[2]
EXPRESSION = re.compile(r"\$\{\{ *(.*?) *\}\}")
# A recorded call of `gh` has its arguments and the text of the file after `body=@`. Answers are by a part of the call.
GH = """#!{python}
import json, pathlib, sys
call = sys.argv[1:]
body = [pathlib.Path(word[6:]).read_text() for word in call if word.startswith("body=@")]
folder = pathlib.Path({folder!r})
with (folder / "gh.jsonl").open("a") as log:
    log.write(json.dumps([call, *body]) + "\\n")
for part, answer in json.loads((folder / "answers.json").read_text()).items():
    if part in " ".join(call):
        print(answer)
"""


def load(path: str) -> Any:
    return yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))


class Runner:
    """`run_action` returns the exit status of the first step that fails, and keeps what steps wrote."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.temp = folder, folder / "temp"
        self.temp.mkdir(parents=True)
        self.answers: dict[str, str] = {}
        self.output = ""
        programs = folder / "bin"
        programs.mkdir()
        self._program(programs / "gh", GH.format(python=sys.executable, folder=str(folder)))
        self._program(programs / "analyze", f'#!/bin/sh\nexec {sys.executable} -m analyzer "$@"\n')
        self.path = programs

    def replace_analyze(self, script: str) -> None:
        self._program(self.path / "analyze", script)

    def _program(self, path: Path, text: str) -> None:
        path.write_text(text, encoding="utf-8")
        path.chmod(0o755)

    def calls(self) -> list[Any]:
        log = self.folder / "gh.jsonl"
        return [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []

    def run_action(
        self, path: str, checkout: Path, context: Mapping[str, str], inputs: Mapping[str, str] | None = None
    ) -> int:
        action = load(path)
        known = {f"inputs.{name}": str(entry["default"]) for name, entry in action["inputs"].items()}
        known |= {f"inputs.{name}": value for name, value in (inputs or {}).items()}
        known |= {"runner.temp": str(self.temp), "github.token": "secret", "github.repository": "owner/name", **context}
        (self.folder / "answers.json").write_text(json.dumps(self.answers))
        for step in action["runs"]["steps"]:
            if "uses" in step or step.get("name") == "Install":
                continue
            assert step["shell"] == "bash"
            assert "${{" not in step["run"], "an expression in a script would be executed"
            values = {
                name: EXPRESSION.sub(lambda match: known[match[1]], str(value)) for name, value in step["env"].items()
            }
            environment = {
                **{name: value for name, value in os.environ.items() if not name.startswith(("GITHUB_", "PYTEST_"))},
                **values,
                "PATH": f"{self.path}{os.pathsep}{os.environ['PATH']}",
                "PYTHONPATH": str(ROOT),
                "GITHUB_ACTIONS": "true",
                "GITHUB_ACTION_PATH": str((ROOT / path).parent),
                "GITHUB_OUTPUT": str(self.folder / "outputs"),
                "GITHUB_STEP_SUMMARY": str(self.folder / "summary.md"),
            }
            done = subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
                cwd=checkout, env=environment, capture_output=True, text=True, timeout=300, check=False,
            )  # fmt: skip
            self.output = done.stdout + done.stderr
            if done.returncode:
                return done.returncode
        return 0


@pytest.fixture
def runner(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    return Runner(tmp_path_factory.mktemp("runner"))


@pytest.fixture
def clone(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Path]:
    """`clone(branch, depth)` checks the project's repository out as CI does."""

    def make(branch: str, depth: int) -> Path:
        target = tmp_path_factory.mktemp("checkout") / "checkout"
        git(tmp_path, "clone", "-q", "--depth", str(depth), "--branch", branch, f"file://{tmp_path}", str(target))
        return target

    return make
