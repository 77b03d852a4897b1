"""Kernels by operator, from torch's profiler. Their times include the profiler's own cost.

On the CPU a kernel is a torch operator, without the time of the operators that it calls. On a GPU it is what the device
ran, by name. In training, a backward kernel belongs to the operator that created its autograd node.
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
from analyzer.timing.passes.instrument import Instrument
from analyzer.timing.passes.operator_spans import OperatorSpan, leaf_ids
from analyzer.timing.passes.prepare_model import PreparedModel
from analyzer.timing.passes.timed_pass import ProfileRow

PASSES = 5
RANGE = "analyzer operator "  # Prefix of the profiler's ranges around our operators.
# Events that are not operators: CUDA calls ("cudaLaunchKernel") and the profiler's own ("Activity Buffer Request").
# They have their own numbering, and where a number equals an operator's, torch's profiler reports the operator's
# kernels a second time (pytorch/pytorch#196282).
NO_OPERATOR = re.compile(
    r"(cuda|cu|hip)[A-Z]\w*|Activity Buffer Request|Buffer Flush|Command Buffer Full|Driver Compiler|Instrumentation|"
    r"Lazy Function Loading|Resource|Runtime Triggered Module Loading|UVM Activity Init|Unknown|Unrecognized"
)


def profile_kernels(
    prepared: PreparedModel, spans: Sequence[OperatorSpan], configuration: Configuration, trace: str | None = None
) -> list[ProfileRow]:
    """A row of kind "kernel" for each path, kernel and phase. The Chrome trace of one more pass goes to `trace`.

    Without spans, as for compiled code, every path is "". Raises AnalyzerError if the trace cannot be written.
    """
    device = configuration.device.startswith("cuda")
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if device else [])]
    training = configuration.training
    samples: dict[tuple[str, str, Phase], list[float]] = defaultdict(list)
    for index in range(PASSES + 1):
        with profile(activities=activities, acc_events=True) as profiler, _ranges(prepared, spans) as matched:
            output = prepared.loss() if training else prepared.run()
        if training:
            with profile(activities=activities, acc_events=True) as backward_profiler:
                output.backward()
            prepared.model.zero_grad(set_to_none=True)
        if index == 0:
            continue  # The profiler initializes itself in its first pass.
        events = list(profiler.events() or ())
        numbers = _sequence_numbers(events)
        times = kernel_times(events, matched, numbers, "forward", device=device)
        if training:
            events = list(backward_profiler.events() or ())
            times |= kernel_times(events, matched, numbers, "backward", device=device)
        for key, seconds in times.items():
            samples[key].append(seconds)
    if trace:
        with profile(activities=activities, acc_events=True) as profiler:
            with _ranges(prepared, spans):
                output = prepared.loss() if training else prepared.run()
            if training:
                output.backward()
        prepared.model.zero_grad(set_to_none=True)
        _write_trace(profiler, Path(trace))
    return [(path, name, 1, "kernel", phase, seconds) for (path, name, phase), seconds in samples.items()]


@contextmanager
def _ranges(prepared: PreparedModel, spans: Sequence[OperatorSpan]) -> Iterator[list[OperatorSpan]]:
    """Adds a profiler range around every operator of a pass. The yielded list holds their spans after the pass.

    It stays empty if other operators ran than were counted, and without spans: instruments make torch recompile.
    """
    matched: list[OperatorSpan] = []
    if not spans:
        yield matched
        return
    marker = _range_marker([f"{span.path} {span.op}".strip() for span in spans])
    instrument = Instrument(marker, fused=leaf_ids(spans))
    with instrument.installed(prepared.eager), instrument:
        yield matched
    if instrument.ran == [span.ran for span in spans]:
        matched += spans


def _range_marker(names: Sequence[str] = ()) -> Callable[[], None]:
    """A mark for an Instrument: the first one of an operator opens a named profiler range, the second closes it."""
    open_ranges: list[Any] = []
    count = 0

    def mark() -> None:
        nonlocal count
        if open_ranges:
            open_ranges.pop().__exit__(None, None, None)
        else:
            name = names[count] if count < len(names) else ""
            open_ranges.append(record_function(f"{RANGE}{count} {name}"))
            open_ranges[-1].__enter__()
            count += 1

    return mark


def _write_trace(profiler: Any, trace: Path) -> None:
    """Writes the whole trace or nothing: on a full disk, the profiler silently leaves a truncated file or a `.tmp`.

    Leaves out the names of the host and of the file's folder, which may name a person.
    """
    try:
        with TemporaryDirectory(dir=trace.parent, prefix=".") as folder:
            file = Path(folder) / "trace.json"
            profiler.export_chrome_trace(str(file))
            try:
                content = json.loads(file.read_bytes())
            except ValueError:
                raise OSError from None
    except OSError as error:
        reason = error.strerror or "it is truncated"
        raise AnalyzerError(f"cannot write the trace {quoted(trace)}: {reason}; is the disk full?") from None
    content.pop("host_name", None)
    write_text(trace, json.dumps({**content, "traceName": trace.name}), advice="is the disk full?")


def _sequence_numbers(events: Iterable[Any]) -> dict[int, int]:
    """Autograd's sequence number → the index of the operator in which it was given."""
    pairs = ((event.sequence_nr, _enclosing_span(event)) for event in events if event.sequence_nr >= 0)
    return {number: span for number, span in pairs if span is not None}


def kernel_times(
    events: Iterable[Any], spans: Sequence[OperatorSpan], numbers: Mapping[int, int], phase: Phase, *, device: bool
) -> dict[tuple[str, str, Phase], float]:
    """Seconds by path, kernel and phase in one pass. `device`: only what ran there, not what launched it."""
    times: dict[tuple[str, str, Phase], float] = defaultdict(float)
    for event in events:
        if event.name.startswith(RANGE) or event.device_type != DeviceType.CPU:
            continue
        span = _enclosing_span(event) if phase == "forward" else _creating_span(event, numbers)
        path = spans[span].path if span is not None and span < len(spans) else ""
        kernels = [(event.name, event.self_cpu_time_total)]
        if device:
            launcher = NO_OPERATOR.fullmatch(event.name)
            kernels = [] if launcher else [(kernel.name, kernel.duration) for kernel in event.kernels]
        for name, microseconds in kernels:
            if microseconds > 0:
                times[path, name, phase] += microseconds * 1e-6
    return dict(times)


def _enclosing_span(event: Any) -> int | None:
    while event is not None:
        if event.name.startswith(RANGE):
            return int(event.name.removeprefix(RANGE).partition(" ")[0])
        event = event.cpu_parent
    return None


def _creating_span(event: Any, numbers: Mapping[int, int]) -> int | None:
    while event is not None:
        if event.sequence_nr in numbers:
            return numbers[event.sequence_nr]
        event = event.cpu_parent
    return None
