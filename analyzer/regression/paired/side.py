"""The sides of a pair: a script, run by a side's own Python, with each side's own folders first on its `sys.path`.

    python side.py SIDES    a JSON list: folders, folder to run in, environment, descriptors to read and write, of each

It imports torch once, on one thread, and forks a parent a side; a parent forks a fresh worker for each pair. Sides that
share a Python come of one process: where libraries happened to lie in memory made two processes of the same code differ
by one or two percent, and what both inherit they have in common. Commands come in and answers go out as JSON lines,
strictly in turn, so that a worker can take over its parent's very descriptors and hand them back by ending.

The file is always the checking side's: an older state of a project has none, or another one. Hence it imports of
`analyzer` only what has been there from the start, and inside functions.
"""

from __future__ import annotations

import sys

del sys.path[0]  # This file's own folder: its neighbours' names are too common to be importable.

import gc  # noqa: E402
import importlib  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import random  # noqa: E402
import time  # noqa: E402
from collections.abc import Callable, Mapping, Sequence  # noqa: E402
from contextlib import suppress  # noqa: E402
from itertools import pairwise  # noqa: E402
from typing import Any  # noqa: E402

WARM_S, WARM_CALLS = 0.1, 2
LIBRARIES = ("site-packages", "dist-packages")

Run = Callable[[], Any]


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
        gc.freeze()
        if (pid := os.fork()) == 0:
            status = 1
            try:
                status = _work(channel, command)
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


def _work(channel: Channel, command: Mapping[str, Any]) -> int:
    import torch

    before = set(sys.modules)
    try:
        padding = _padding()
        torch.manual_seed(command["seed"])
        clock = clock_of(command["device"])
        run = _ready(command["model"], command["device"])
        with torch.inference_mode():
            gc.disable()
            call_s = _warm(run, clock)
            imported = [name for name in list(sys.modules) if name not in before and _installed(_file(name))]
            channel.tell(event="warm", call_s=call_s, strangers=_strangers(command["apart"]), imported=imported)
            while (asked := channel.hear()) and asked["do"] == "block":
                own, wall = block(run, asked["calls"], asked["burst"], clock)
                channel.tell(event="block", own_ns=own, wall_ns=wall)
        del padding
    except Exception as error:
        channel.tell(event="failed", reason=_said(error))
    return 0


def _padding() -> list[Any]:
    """Blocks of chance sizes, every other one given back: else all workers of a parent would lie in memory alike, and
    what one state of the code gains by that would be taken for speed."""
    import torch

    draw = random.SystemRandom()
    sizes = [draw.randrange(64, 1 << draw.randrange(7, 19)) for _ in range(draw.randrange(32, 96))]
    return [torch.empty(size, dtype=torch.uint8) for size in sizes][::2]


class HostClock:
    """The CPU's: a mark is the time of this process alone, and the time of day."""

    def mark(self) -> Any:
        return time.process_time_ns(), time.perf_counter_ns()

    def spans(self, marks: Sequence[Any]) -> tuple[list[int], list[int]]:
        """Own and wall time from each mark to the next, in nanoseconds."""
        own, wall = zip(*marks, strict=True)
        return [b - a for a, b in pairwise(own)], [b - a for a, b in pairwise(wall)]


class EventClock:
    """A device's, which runs behind the host: a mark is an event in its queue, read once the device is done.

    `device` makes events (`Event(enable_timing=True)`) and can `synchronize`, as torch.cuda does. No call has a wall
    time of its own there: each has its share of the whole.
    """

    def __init__(self, device: Any, now_ns: Callable[[], int] = time.perf_counter_ns) -> None:
        self.device, self.now_ns = device, now_ns

    def mark(self) -> Any:
        event = self.device.Event(enable_timing=True)
        event.record()
        return event, self.now_ns()

    def spans(self, marks: Sequence[Any]) -> tuple[list[int], list[int]]:
        self.device.synchronize()
        wall = (self.now_ns() - marks[0][1]) // (len(marks) - 1)
        events = [event for event, _ in marks]
        return [round(1e6 * a.elapsed_time(b)) for a, b in pairwise(events)], [wall] * (len(marks) - 1)


def clock_of(device: str) -> Any:
    """The clock of a torch device. Raises RuntimeError for one that is not here."""
    import torch

    if device == "cpu":
        return HostClock()
    if not torch.cuda.is_available():
        raise RuntimeError(f"there is no device {device}: torch {torch.__version__} finds no CUDA")
    torch.cuda.set_device(device)
    return EventClock(torch.cuda)


def _ready(name: str, device: str) -> Run:
    """The model in eval mode, fed with normal random numbers; integers stay as the model's inputs have them."""
    import torch

    model, args, kwargs = _reference(name) if ":" in name or name.endswith(".pt2") else _variant(name)
    model.eval().requires_grad_(False).to(device)

    def filled(tensor: Any) -> Any:
        made = torch.randn(tensor.shape).to(tensor.dtype) if tensor.is_floating_point() else tensor
        return made.to(device)

    fed = _mapped((list(args), dict(kwargs)), filled)
    return lambda: model(*fed[0], **fed[1])


def _variant(name: str) -> tuple[Any, Any, Any]:
    import torch

    from analyzer.models import variants

    base = name.partition("@")[0]
    with suppress(LookupError):
        points = importlib.import_module("importlib.metadata").entry_points(group="analyzer.models")
        if base in points.names and base not in importlib.import_module("analyzer.networks").VARIANTS:
            return _reference(name)
    from analyzer.builder import build

    (chosen,) = variants([name])
    return build(base, overrides=chosen.overrides), [torch.empty(1, *chosen.network.input)], {}


def _reference(name: str) -> tuple[Any, Any, Any]:
    from analyzer.references import resolve

    found = resolve(name)
    model = found.model
    if found.real and any(one.is_meta for one in [*model.parameters(), *model.buffers()]):
        model = found.real()
    return model, found.args, found.kwargs


def _mapped(value: Any, change: Callable[[Any], Any]) -> Any:
    import torch

    if isinstance(value, torch.Tensor):
        return change(value)
    if isinstance(value, dict):
        return {key: _mapped(one, change) for key, one in value.items()}
    if isinstance(value, list | tuple):
        items = [_mapped(one, change) for one in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value


def _warm(run: Run, clock: Any) -> float:
    """Calls until caches are warm and lazy work is done. Returns the own time of the fastest, in seconds."""
    end, fastest, calls = time.perf_counter() + WARM_S, float("inf"), 0
    while calls < WARM_CALLS or time.perf_counter() < end:
        own, _ = block(run, 1, 1, clock)
        fastest, calls = min(fastest, own[0] * 1e-9), calls + 1
    return fastest


def block(run: Run, calls: int, burst: int, clock: Any) -> tuple[list[int], list[int]]:
    """Own and wall time of each of `calls` calls, in nanoseconds; one shorter than the clock is run `burst` times."""
    marks = [clock.mark()]
    for _ in range(calls):
        for _ in range(burst):
            run()
        marks.append(clock.mark())
    own, wall = clock.spans(marks)
    return [span // burst for span in own], [span // burst for span in wall]


def _strangers(apart: str) -> list[str]:
    """Modules that came from the other side's folder: they are not what this side is to be timed with."""
    inside = os.path.realpath(apart) + os.sep
    here = os.path.realpath(__file__)  # It has two names where multiprocessing was imported, and is neither side's.
    files = {name: file for name in list(sys.modules) if (file := _file(name)) != here}
    return sorted(name for name, file in files.items() if apart and file.startswith(inside) and not _installed(file))


def _file(module: str) -> str:
    # torch.ops and torch.classes are no files, and say a relative name all the same.
    file = getattr(sys.modules[module], "__file__", None) or ""
    return os.path.realpath(file) if file.startswith(os.sep) else ""


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
