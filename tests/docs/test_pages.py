"""The code and the commands of the pages run, and print what the pages show; the answers of the exercises are right."""

from __future__ import annotations

import contextlib
import io
import json
import re
import shlex
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("index", "python", "exercises", "sweep", "tutorials/count", "tutorials/gate", "tutorials/googlenet")
SLOW = ("tutorials/count", "tutorials/gate")  # Commands that run a model in workers.
# A block, and the output of a Python block.
BLOCK = re.compile(
    r"^```(\w+)(?: title=\"([^\"\n]+)\")?\n(.*?)^```\n(?:\n```text\n.*?^```\n)?", re.DOTALL | re.MULTILINE
)


class Session:
    """Runs the blocks of a page in order, in one folder and one namespace."""

    def __init__(self, analyze) -> None:
        self.analyze = analyze
        self.names: dict[str, object] = {}

    def __call__(self, match: re.Match[str]) -> str:
        language, file, code = match.groups()
        if file:
            Path(file).write_text(code, encoding="utf-8")
        elif language == "python":
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(code, self.names)
            shown = f"\n```text\n{printed.getvalue()}```\n" if printed.getvalue() else ""
            return f"```python\n{code}```\n{shown}"
        elif language == "console":
            commands = [part.partition("\n") for part in re.split(r"^\$ analyze ", code, flags=re.MULTILINE)[1:]]
            return f"```console\n{''.join(self.run(command, shown) for command, _, shown in commands)}```\n"
        return match[0]

    def run(self, command: str, shown: str) -> str:
        """The command with its output; where the page ends with "…", with as many lines as the page shows."""
        outcome = self.analyze(*shlex.split(command))
        assert outcome.status in (0, 1), outcome.err
        lines = outcome.out.splitlines(keepends=True)
        if shown.endswith("…\n"):
            lines = [*lines[: shown.count("\n") - 1], "…\n"]
        return f"$ analyze {command}\n{''.join(lines)}"


@pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] if page in SLOW else []) for page in PAGES]
)
def test_a_page_prints_what_it_shows(page, request, analyze, tmp_path, monkeypatch):
    """`--update-golden` writes the output into the page."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "net", raising=False)
    monkeypatch.delenv("COLUMNS", raising=False)
    file = DOCS / f"{page}.md"
    text = file.read_text(encoding="utf-8")
    assert len(BLOCK.findall(text)) >= 3
    expected = BLOCK.sub(Session(analyze), text)
    sys.modules.pop("net", None)
    if request.config.getoption("--update-golden"):
        file.write_text(expected, encoding="utf-8")
    assert expected == file.read_text(encoding="utf-8")


def test_the_answers_of_the_exercises():
    page = (DOCS / "exercises.md").read_text(encoding="utf-8")
    assert re.findall(r"^(\d+) \(\(1, 1000\),\)", page, re.MULTILINE) == ["31", "32"]
    stem = 112 * 112 * 64 * 7 * 7 * 3 + 56 * 56 * 64 * 64 + 56 * 56 * 192 * 3 * 3 * 64
    assert f"{1_582_671_872 - stem + 28 * 28 * 192 * 3 * 3:,}" in page
    alexnet = {"params": 60_965_224, "macs": 724_406_816}
    linear = 9216 * 4096 + 4096 * 4096 + 4096 * 1000
    biases = 4096 + 4096 + 1000
    assert f"{(linear + biases) / alexnet['params']:.1%} of AlexNet's parameters" in page
    assert f"{linear / alexnet['macs']:.1%} of its MACs" in page
    assert f"{14 * 14 * 32 * 480 + 14 * 14 * 48 * 5 * 5 * 32:,} =" in page
    assert f"r < {(48 * 5 * 5 * 480) / (480 + 48 * 5 * 5):.1f}" in page


def test_every_page_is_in_the_navigation_of_the_site():
    navigation = (DOCS.parent / "mkdocs.yml").read_text(encoding="utf-8")
    pages = [page.relative_to(DOCS).as_posix() for page in DOCS.rglob("*.md")]
    assert [page for page in pages if f" {page}\n" not in navigation] == []


def test_a_tutorial_is_a_notebook_with_its_outputs(monkeypatch):
    monkeypatch.syspath_prepend(DOCS)
    from site_notebooks import notebook

    page = (DOCS / "tutorials/count.md").read_text(encoding="utf-8")
    data = json.loads(notebook(page))
    code = [cell for cell in data["cells"] if cell["cell_type"] == "code"]
    sources = [cell["source"] for cell in code]
    assert sources[0].startswith("%%writefile net.py\nfrom torch import nn")
    assert sources[1] == "!analyze net.py --input 3x64x64"
    assert code[2]["outputs"][0]["text"] == "75,497,472 in eight convolutions\n"
    commands = re.findall(r"^\$ (.*)$", page, re.MULTILINE)
    assert [source[1:] for source in sources if source.startswith("!")] == commands
    shown = "".join(output["text"] for cell in code for output in cell["outputs"])
    assert "blocks.0–3 4 × Block" in shown
    assert "```" not in "".join(cell["source"] for cell in data["cells"] if cell["cell_type"] == "markdown")
