"""Tutorials as notebooks: the blocks of a page with the outputs that it shows; `tests/docs` runs them."""

from __future__ import annotations

import json
import re
from typing import Any

BLOCK = re.compile(
    r"^```(\w+)(?: title=\"([^\"\n]+)\")?\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.DOTALL | re.MULTILINE
)
COMMAND = re.compile(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", re.MULTILINE)
Cell = dict[str, Any]


def notebook(page: str) -> str:
    """The page as an .ipynb file: files are written by a cell, and commands run in a shell."""
    cells: list[Cell] = []
    end = 0
    for block in BLOCK.finditer(page):
        cells += _text(page[end : block.start()])
        cells += _cells(*block.groups())
        end = block.end()
    cells += _text(page[end:])
    numbered = [{"id": f"cell-{number}", **cell} for number, cell in enumerate(cells)]
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    data = {"cells": numbered, "metadata": {"kernelspec": kernel}, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(data, indent=1, ensure_ascii=False) + "\n"


def _cells(language: str, file: str | None, code: str, output: str | None) -> list[Cell]:
    if file:
        return [_code(f"%%writefile {file}\n{code}", f"Writing {file}\n")]
    if language == "python":
        return [_code(code, output or "")]
    if language == "console":
        return [_code(f"!{command}", shown) for command, shown in COMMAND.findall(code)]
    return _text(f"```{language}\n{code}```\n")


def _text(text: str) -> list[Cell]:
    return [{"cell_type": "markdown", "metadata": {}, "source": text.strip()}] if text.strip() else []


def _code(source: str, output: str) -> Cell:
    outputs = [{"output_type": "stream", "name": "stdout", "text": output}] if output else []
    return {"cell_type": "code", "execution_count": None, "metadata": {}, "source": source.rstrip(), "outputs": outputs}
