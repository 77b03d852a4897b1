"""Runs a benchmark's functions in new processes, one or two at a time; two of them can take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

from analyzer.regression.paired.child.isolation import random_padding

Call = partial[dict[str, Any]]

CHILD = """
import json, sys
from importlib import import_module
from analyzer.regression.paired.child.isolation import bind_to_processor, retain_freed_memory
kept, seed, module, name, arguments = json.loads(sys.argv[1])
if kept:
    retain_freed_memory()
if seed is not None:
    bind_to_processor(seed)
print(json.dumps(getattr(import_module(f"benchmarks.{module}"), name)(*arguments)))
"""


def fresh(call: Call, *, kept: bool = True) -> dict[str, Any]:
    """The result of a benchmark's function in a new interpreter, whose freed memory is `kept`.

    Raises CalledProcessError if it fails.
    """
    return _result(_start(call, kept=kept, seed=None))


def in_turn(first: Call, second: Call, *, seed: int, kept: bool = True) -> tuple[dict[str, Any], dict[str, Any]]:
    """The results of two functions in two new interpreters on one processor, which the seed chooses.

    Each function has three more arguments, those of `Turns`. The first one has the first turn.
    """
    to_first, to_second = os.pipe(), os.pipe()
    ends = ((to_first[0], to_second[1]), (to_second[0], to_first[1]))
    os.write(to_first[1], b".")
    processes = [
        _start(partial(call.func, *call.args, *files, seed + number), kept=kept, seed=seed, files=files)
        for number, (call, files) in enumerate(zip((first, second), ends, strict=True))
    ]
    for file in (*to_first, *to_second):
        os.close(file)  # So that a process sees that the other one has ended.
    results = [_result(process) for process in processes]
    return results[0], results[1]


class Turns:
    """One side of two processes of which only one runs at a time: the two ends of pipes from and to the other side.

    In each turn the heap has other free blocks, so that tensors have other positions: these change the time of a pass
    by up to a fifth, and a new process has few of them.
    """

    def __init__(self, take: int, give: int, seed: int) -> None:
        self._take, self._give, self._seeds = take, give, count(seed)
        self._padding: list[Any] = []

    def take(self) -> bool:
        """Waits for this side's turn. False if the other process has ended."""
        mine = bool(os.read(self._take, 1))
        self._padding = random_padding(next(self._seeds))
        return mine

    def give(self) -> None:
        os.write(self._give, b".")


def _start(call: Call, *, kept: bool, seed: int | None, files: tuple[int, ...] = ()) -> subprocess.Popen[str]:
    function: Any = call.func
    benchmark = Path(function.__code__.co_filename).stem  # Its module's name may be "__main__".
    command = [sys.executable, "-c", CHILD, json.dumps([kept, seed, benchmark, function.__name__, call.args])]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, pass_fds=files)


def _result(process: subprocess.Popen[str]) -> dict[str, Any]:
    text, _ = process.communicate()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, process.args)
    result: dict[str, Any] = json.loads(text.splitlines()[-1])
    return result
