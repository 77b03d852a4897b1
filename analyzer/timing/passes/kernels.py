"""Kernels under their tiles: what torch's profiler saw while each tile ran. Its own cost is in these times.

On the CPU a kernel is an operator of torch with what it spent outside of the operators that it called; on a GPU it is
what the device ran, by name. In training a backward kernel belongs to the tile whose operator made its node.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from torch.autograd import DeviceType  # type: ignore[attr-defined]
from torch.profiler import ProfilerActivity, profile, record_function

from analyzer.core.errors import AnalyzerError, quoted
from analyzer.core.files import write_text
from analyzer.records.timings import Configuration, Phase
from analyzer.timing.passes.instrument import Cut
from analyzer.timing.passes.prepare import Prepared
from analyzer.timing.passes.tiles import Tile

PASSES = 5
TILE = "analyzer tile "
# No operators: CUDA's own calls ("cudaLaunchKernel") and the profiler's doings ("Activity Buffer Request"). They are
# numbered apart from operators, and where two numbers meet, torch's profiler gives them an operator's kernels a second
# time. (pytorch/pytorch#196282.)
NO_OPERATOR = re.compile(
    r"(cuda|cu|hip)[A-Z]\w*|Activity Buffer Request|Buffer Flush|Command Buffer Full|Driver Compiler|Instrumentation|"
    r"Lazy Function Loading|Resource|Runtime Triggered Module Loading|UVM Activity Init|Unknown|Unrecognized"
)
Found = tuple[str, str, int, str, Phase, list[float]]


def kernels(
    ready: Prepared, tiles: Sequence[Tile], configuration: Configuration, trace: str | None = None
) -> list[Found]:
    """(path, kernel, 1, "kernel", phase, seconds a pass) of each; a chrome trace of one more goes to `trace`.

    Without tiles, which compiled code has not, every path is "". Raises AnalyzerError if the trace cannot be written.
    """
    device = configuration.device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device else [])]
    training = configuration.training
    found: dict[tuple[str, str, Phase], list[float]] = defaultdict(list)
    for index in range(PASSES + 1):
        with profile(activities=activities, acc_events=True) as profiler, _marked(ready, tiles) as known:
            if training:
                loss = ready.loss()
            else:
                ready.run()
        if training:
            with profile(activities=activities, acc_events=True) as backward:
                loss.backward()  # type: ignore[no-untyped-call]
            ready.model.zero_grad(set_to_none=True)
        if index == 0:
            continue  # The profiler sets itself up in its first pass.
        events = list(profiler.events() or ())
        numbers = _numbers(events)
        times = times_of(events, known, numbers, "forward", device=device)
        if training:
            times |= times_of(list(backward.events() or ()), known, numbers, "backward", device=device)
        for key, seconds in times.items():
            found[key].append(seconds)
    if trace:
        with profile(activities=activities, acc_events=True) as profiler:
            with _marked(ready, tiles):
                output = ready.loss() if training else ready.run()
            if training:
                output.backward()
        ready.model.zero_grad(set_to_none=True)
        _write(profiler, Path(trace))
    return [(path, name, 1, "kernel", phase, seconds) for (path, name, phase), seconds in found.items()]


@contextmanager
def _marked(ready: Prepared, tiles: Sequence[Tile]) -> Iterator[list[Tile]]:
    """Ranges for the profiler round every operator of a pass; what is handed out are their tiles, once it is over.

    None of a pass of other operators than were counted, and none without tiles: to cut compiled code compiles it anew.
    """
    known: list[Tile] = []
    if not tiles:
        yield known
        return
    cut = Cut(_bracket([f"{tile.path} {tile.op}".strip() for tile in tiles]))
    with cut.installed(ready.eager), cut:
        yield known
    if cut.ran == [tile.ran for tile in tiles]:
        known += tiles


def _write(profiler: Any, trace: Path) -> None:
    """Whole or not at all. The profiler itself says nothing of a full disk, and leaves a file cut short or a `.tmp`.

    Its names of the host and of the file's folder, where a person's may stand, are left out.
    """
    try:
        with TemporaryDirectory(dir=trace.parent, prefix=".") as folder:
            part = Path(folder) / "trace.json"
            profiler.export_chrome_trace(str(part))
            try:
                told = json.loads(part.read_bytes())
            except ValueError:
                raise OSError from None
    except OSError as error:
        why = error.strerror or "it came out cut short"
        raise AnalyzerError(f"cannot write the trace {quoted(trace)}: {why}; is the disk full?") from None
    named = {key: value for key, value in told.items() if key != "host_name"}
    write_text(trace, json.dumps({**named, "traceName": trace.name}), advice="is the disk full?")


def _bracket(names: Sequence[str] = ()) -> Callable[[], None]:
    """In the place of a clock: every other mark opens a named range for the profiler, the next one closes it."""
    open_ranges: list[Any] = []
    count = 0

    def mark() -> None:
        nonlocal count
        if open_ranges:
            open_ranges.pop().__exit__(None, None, None)
        else:
            name = names[count] if count < len(names) else ""
            open_ranges.append(record_function(f"{TILE}{count} {name}"))
            open_ranges[-1].__enter__()
            count += 1

    return mark


def _numbers(events: Iterable[Any]) -> dict[int, int]:
    """Autograd's number of an operator → the tile in which it ran."""
    pairs = ((event.sequence_nr, _tile(event)) for event in events if event.sequence_nr >= 0)
    return {number: tile for number, tile in pairs if tile is not None}


def times_of(
    events: Iterable[Any], tiles: Sequence[Tile], numbers: Mapping[int, int], phase: Phase, *, device: bool
) -> dict[tuple[str, str, Phase], float]:
    """Seconds of each kernel under each path in one pass: on a device only what ran there, not what issued it."""
    times: dict[tuple[str, str, Phase], float] = defaultdict(float)
    for event in events:
        if event.name.startswith(TILE) or event.device_type != DeviceType.CPU:
            continue
        tile = _tile(event) if phase == "forward" else _made(event, numbers)
        path = tiles[tile].path if tile is not None and tile < len(tiles) else ""
        own = [] if NO_OPERATOR.fullmatch(event.name) else event.kernels
        launched = [(kernel.name, kernel.duration) for kernel in own]
        for name, microseconds in launched if device else [(event.name, event.self_cpu_time_total)]:
            if microseconds > 0:
                times[path, name, phase] += microseconds * 1e-6
    return dict(times)


def _tile(event: Any) -> int | None:
    while event is not None:
        if event.name.startswith(TILE):
            return int(event.name.removeprefix(TILE).partition(" ")[0])
        event = event.cpu_parent
    return None


def _made(event: Any, numbers: Mapping[int, int]) -> int | None:
    while event is not None:
        if event.sequence_nr in numbers:
            return numbers[event.sequence_nr]
        event = event.cpu_parent
    return None
