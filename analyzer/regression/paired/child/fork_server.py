"""The sides of a pair: a script, run by a side's own Python, with each side's own folders first on its `sys.path`.

    python fork_server.py SIDES    # a JSON list; for each side its folders, working folder, environment, descriptors

It imports torch once, on one thread, and forks a parent a side; a parent forks a fresh worker for each pair. Sides that
share a Python come of one process: where libraries happened to lie in memory made two processes of the same code differ
by one or two percent, and what both inherit they have in common. Commands come in and answers go out as JSON lines,
strictly in turn, so that a worker can take over its parent's very descriptors and hand them back by ending.

The file is always the checking side's, and so are isolation.py and timed_call.py beside it: an older state of a
project has none, or others. Hence they import of `analyzer` only what has been there from the start, in functions.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Its neighbours' names are too common to be importable: the folder is on the path for one of them, and then off it.
    folder = str(Path(__file__).resolve().parent)
    sys.path.insert(0, folder)
    import isolation  # type: ignore[import-not-found]
    import timed_call  # type: ignore[import-not-found]

    sys.path[:] = [one for one in sys.path if os.path.realpath(one) != folder]
else:
    from analyzer.regression.paired.child import isolation, timed_call

import functools
import gc
import importlib
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

LIBRARIES = ("site-packages", "dist-packages")


class Channel:
    """Lines of JSON both ways over descriptors that the model's own code never sees."""

    def __init__(self, source: int, sink: int) -> None:
        self.source, self.sink = source, sink

    def hear(self) -> dict[str, Any] | None:
        """The next command; None when nobody is left to give one. Unbuffered: whoever is forked starts with nothing."""
        line = b""
        while not line.endswith(b"\n"):
            part = os.read(self.source, 65536)
            if not part:
                return None
            line += part
        command: dict[str, Any] = json.loads(line)
        return command

    def tell(self, **answer: Any) -> None:
        text = json.dumps(answer).encode() + b"\n"
        while text:
            text = text[os.write(self.sink, text) :]


def main() -> int:
    """Imports what all share, forks a parent a side, and waits; it never computes anything itself."""
    sides = json.loads(sys.argv[1])
    os.dup2(2, 1)  # What a model prints goes to standard error.
    channels = [Channel(side["source"], side["sink"]) for side in sides]
    try:
        import torch
    except Exception as error:
        for channel in channels:
            channel.tell(event="failed", reason=f"torch cannot be imported: {_said(error)}")
        return 0
    isolation.keep_memory()
    torch.set_num_threads(1)  # A pool of threads would not survive a fork.
    gc.collect()
    gc.freeze()  # Whoever looks through all of it for garbage copies every page.
    for side, channel in zip(sides, channels, strict=True):
        if os.fork() == 0:
            for other in channels:
                if other is not channel:
                    os.close(other.source)
                    os.close(other.sink)
            os._exit(_serve(channel, side))
    for channel in channels:
        os.close(channel.source)
        os.close(channel.sink)
    for _ in sides:
        os.wait()
    return 0


def _serve(channel: Channel, side: Mapping[str, Any]) -> int:
    """A side's parent: forks, waits and reports, until nobody asks any more."""
    import torch

    os.chdir(side["cwd"])
    os.environ.update(side["environment"])
    sys.path[0:0] = side["folders"]
    channel.tell(event="ready", python=sys.version.split()[0], torch=torch.__version__)
    while command := channel.hear():
        if command["do"] != "worker":
            continue
        _import(command.get("imports", []))
        _strangers(command["apart"])  # Every worker is asked; what they inherit is looked up once.
        gc.freeze()
        if (pid := os.fork()) == 0:
            status = 1
            try:
                _work(channel, command)
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        channel.tell(event="ended", status=os.waitstatus_to_exitcode(status))
    return 0


def _import(names: Sequence[str]) -> None:
    """What an earlier worker had to import, once for all that come after it. None of it is the project's own code."""
    for name in names:
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def _work(channel: Channel, command: Mapping[str, Any]) -> None:
    """Imports what makes the model; a thread then makes and times it, in memory of its own that holds nothing yet.

    In the main thread's, what a side's files happened to leave behind would decide where its data lies.
    """
    before = set(sys.modules)
    isolation.stay(command["seed"])
    try:
        make = timed_call.maker(command["model"])
    except (Exception, SystemExit) as error:
        channel.tell(event="failed", reason=_said(error))
        return
    thread = threading.Thread(target=_timed, args=(channel, command, make, before))
    thread.start()
    thread.join()


def _timed(channel: Channel, command: Mapping[str, Any], make: timed_call.Make, before: set[str]) -> None:
    import torch

    try:
        padding = isolation.padding(command["seed"])
        torch.manual_seed(command["seed"])
        clock = timed_call.clock_of(command["device"])
        run = timed_call.ready(make, command["device"])
        with torch.inference_mode():
            gc.disable()
            call_s = timed_call.warm(run, clock)
            imported = [name for name in list(sys.modules) if name not in before and _installed(_file(name))]
            channel.tell(event="warm", call_s=call_s, strangers=_strangers(command["apart"]), imported=imported)
            while (asked := channel.hear()) and asked["do"] == "block":
                own, wall = timed_call.block(run, asked["calls"], asked["burst"], clock)
                channel.tell(event="block", own_ns=own, wall_ns=wall)
        del padding
    except (Exception, SystemExit) as error:
        channel.tell(event="failed", reason=_said(error))


def _strangers(apart: str) -> list[str]:
    """Modules that came from the other side's folder: they are not what this side is to be timed with."""
    inside = os.path.realpath(apart) + os.sep
    here = {
        os.path.realpath(one) for one in (__file__, isolation.__file__, timed_call.__file__)
    }  # These are neither side's.
    files = {name: file for name in list(sys.modules) if (file := _file(name)) not in here}
    return sorted(name for name, file in files.items() if apart and file.startswith(inside) and not _installed(file))


_real = functools.cache(os.path.realpath)


def _file(module: str) -> str:
    # torch.ops and torch.classes are no files, and say a relative name all the same.
    file = getattr(sys.modules[module], "__file__", None) or ""
    return _real(file) if file.startswith(os.sep) else ""


def _installed(file: str) -> bool:
    """Whether it is a library's: an environment may well lie inside of a project's folder."""
    return any(part in file for part in LIBRARIES) or file.startswith((sys.prefix + os.sep, sys.base_prefix + os.sep))


def _said(error: BaseException) -> str:
    """The first line of what went wrong; an error of `analyzer` names itself."""
    lines = str(error).strip().splitlines() or [""]
    known = any(kind.__name__ == "AnalyzerError" for kind in type(error).__mro__)
    return lines[0][:300] if known else f"{type(error).__name__}: {lines[0][:300]}"


if __name__ == "__main__":
    sys.exit(main())
