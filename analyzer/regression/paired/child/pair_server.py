"""A fork server for the workers of base and head: a script that the Python of base or head runs.

    python pair_server.py SIDES    # JSON list: for each side its folders, working folder, environment, descriptors

It imports torch once, on one thread, and forks a server per side. A server puts its side's folders first on `sys.path`
and forks a fresh worker for each pair. Sides that use the same Python come from one process: where libraries are loaded
in memory differs between processes, and made equal code differ by one to two percent. Requests and replies are lines of
JSON, strictly alternating, so that a worker can use its server's descriptors and return them by ending.

This file, isolation.py, timed_call.py and worker/channel.py are always those of the checking side, since an older
commit has none or others. They import only modules of `analyzer` that every commit has, and inside functions.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # The modules' names are common, and a model's own `channel` must not become this one.
    folder = Path(__file__).resolve().parent
    folders = [str(folder), str(folder.parents[2] / "worker")]
    sys.path[:0] = folders
    import isolation  # type: ignore[import-not-found]
    import timed_call  # type: ignore[import-not-found]
    from channel import Channel  # type: ignore[import-not-found]

    sys.path[:] = [entry for entry in sys.path if os.path.realpath(entry) not in folders]
    for name in ("isolation", "timed_call", "channel"):
        del sys.modules[name]
else:
    from analyzer.regression.paired.child import isolation, timed_call
    from analyzer.worker.channel import Channel

import functools
import gc
import importlib
import json
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

LIBRARY_FOLDERS = ("site-packages", "dist-packages")


def main() -> int:
    """Imports torch, forks a server per side, and waits for them; it computes nothing itself."""
    sides = json.loads(sys.argv[1])
    os.dup2(2, 1)  # What a model prints goes to standard error.
    channels = [Channel(side["source"], side["sink"]) for side in sides]
    try:
        import torch
    except Exception as error:
        for channel in channels:
            channel.send({"event": "failed", "reason": f"torch cannot be imported: {_error_line(error)}"})
        return 0
    isolation.retain_freed_memory()
    torch.set_num_threads(1)  # A thread pool would not survive a fork.
    gc.collect()
    gc.freeze()  # A full garbage collection in a child would copy every shared page.
    for side, channel in zip(sides, channels, strict=True):
        if os.fork() == 0:
            for other in channels:
                if other is not channel:
                    other.close()
            os._exit(_serve(channel, side))
    for channel in channels:
        channel.close()
    for _ in sides:
        os.wait()
    return 0


def _serve(channel: Channel, side: Mapping[str, Any]) -> int:
    """The server of base or head: forks a worker per request and reports how it ended."""
    import torch

    os.chdir(side["cwd"])
    os.environ.update(side["environment"])
    sys.path[0:0] = side["folders"]
    channel.send({"event": "ready", "python": sys.version.split()[0], "torch": torch.__version__})
    while request := channel.receive():
        if request["do"] != "worker":
            continue
        _import_modules(request.get("imports", []))
        _foreign_modules(request["other_root"])  # Fills the cache of real paths, which the workers inherit.
        gc.freeze()
        if (pid := os.fork()) == 0:
            status = 1
            try:
                _run_worker(channel, request)
                status = 0
            finally:
                os._exit(status)
        _, status = os.waitpid(pid, 0)
        channel.send({"event": "ended", "status": os.waitstatus_to_exitcode(status)})
    return 0


def _import_modules(names: Sequence[str]) -> None:
    """Imports installed modules that an earlier worker needed; never the project's own code."""
    for name in names:
        if name not in sys.modules:
            with suppress(Exception):
                importlib.import_module(name)


def _run_worker(channel: Channel, request: Mapping[str, Any]) -> None:
    """Imports what the model needs, and builds and times it in a new thread.

    A new thread has an empty heap arena. In the main thread's arena, what the side's imports left behind would decide
    where the model's data lies.
    """
    loaded = set(sys.modules)
    isolation.bind_to_processor(request["seed"])
    try:
        factory = timed_call.model_factory(request["model"], request["inputs"], request["batch"])
    except (Exception, SystemExit) as error:
        # By name: a side may have another version of the package.
        channel.send(
            {"event": "failed", "reason": _error_line(error), "missing": type(error).__name__ == "UnknownModel"}
        )
        return
    thread = threading.Thread(target=_time_blocks, args=(channel, request, factory, loaded))
    thread.start()
    thread.join()


def _time_blocks(channel: Channel, request: Mapping[str, Any], factory: timed_call.Factory, loaded: set[str]) -> None:
    import torch

    try:
        padding = isolation.random_padding(request["seed"])
        torch.manual_seed(request["seed"])
        clock = timed_call.device_clock(request["device"])
        model, call, inputs = timed_call.prepare_call(factory, request["device"])
        with torch.inference_mode():
            gc.disable()
            call_s = timed_call.warm_up(call, clock)
            foreign_modules = _foreign_modules(request["other_root"])
            imported = [name for name in list(sys.modules) if name not in loaded and _is_installed(_file_of(name))]
            channel.send(
                {
                    "event": "warm",
                    "call_s": call_s,
                    "foreign_modules": foreign_modules,
                    "imported": imported,
                    "inputs": inputs,
                }
            )
            while (block := channel.receive()) and block["do"] != "end":
                if block["do"] == "modules":
                    channel.send(
                        {"event": "modules", "times_ns": timed_call.time_modules(model, call, block["passes"])}
                    )
                    continue
                device_ns, wall_ns = timed_call.time_block(call, block["calls"], block["burst"], clock)
                channel.send({"event": "block", "device_ns": device_ns, "wall_ns": wall_ns})
        del padding
    except (Exception, SystemExit) as error:
        channel.send({"event": "failed", "reason": _error_line(error)})


def _foreign_modules(other_root: str) -> list[str]:
    """Modules that were imported from the other side's folder, apart from this script and installed libraries."""
    if not other_root:
        return []
    prefix = os.path.realpath(other_root) + os.sep
    script = {os.path.realpath(file) for file in (__file__, isolation.__file__, timed_call.__file__)}
    files = {name: _file_of(name) for name in list(sys.modules)}
    return sorted(
        name
        for name, file in files.items()
        if file.startswith(prefix) and file not in script and not _is_installed(file)
    )


_real_path = functools.cache(os.path.realpath)


def _file_of(module: str) -> str:
    # torch.ops and torch.classes have a relative name as their __file__ and are not files.
    file = getattr(sys.modules[module], "__file__", None) or ""
    return _real_path(file) if file.startswith(os.sep) else ""


def _is_installed(file: str) -> bool:
    """Whether a file belongs to a library. An environment may lie inside of the project's folder."""
    if any(folder in file for folder in LIBRARY_FOLDERS):
        return True
    return file.startswith((sys.prefix + os.sep, sys.base_prefix + os.sep))


def _error_line(error: BaseException) -> str:
    """The first line of an error, with its type unless the text explains it: ours or either side's AnalyzerError."""
    lines = str(error).strip().splitlines() or [""]
    explained = any(kind.__name__ in ("AnalyzerError", "NeedsInput") for kind in type(error).__mro__)
    return lines[0][:300] if explained else f"{type(error).__name__}: {lines[0][:300]}"


if __name__ == "__main__":
    sys.exit(main())
