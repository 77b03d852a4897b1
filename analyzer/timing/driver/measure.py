"""`measure`: what to time at which configurations → records, each a measurement with its counts beside its times."""

from __future__ import annotations

import os
import random
import re
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from inspect import signature
from itertools import product
from math import inf
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line, quoted, require_whole
from analyzer.core.frozen import Frozen
from analyzer.core.inputs import image, parse_input
from analyzer.core.version import commit
from analyzer.networks.variants import Variant, is_reference, variant
from analyzer.records.envelope import record_from_json
from analyzer.records.record import Count, Record
from analyzer.records.timings import Configuration
from analyzer.timing.driver.processes import Answer, Ask, ask, ask_all
from analyzer.timing.driver.results import measurement
from analyzer.timing.request import Request

PROCESSES, LEAST = 10, 3  # Of a measurement: as many as make a second run say the same, and of long passes the fewest.
ROUNDS = 15  # Of samples, at the least, all processes of a measurement together; and of one process no more than FLOOR.
FLOOR = 5
ITEM_BYTES = {"float32": 4, "float64": 8, "float16": 2, "bfloat16": 2}
LAYOUTS = ("contiguous", "channels_last")
DEVICES = re.compile(r"cpu|mps|cuda(:[0-9]{1,3})?")
OPTIONS = ("kernels", "replay", "trace")


class Measured(Frozen):
    """Records in the order asked for; `complete` is False where it was interrupted."""

    records: tuple[Record, ...]
    complete: bool


def measure(
    model: str,
    *,
    inputs: Sequence[str] | str = (),
    batch: int = 1,
    threads: int | None = None,
    dtype: str = "float32",
    layout: str = "contiguous",
    train: bool = False,
    compile: bool = False,
    device: str = "cpu",
    flush: bool = False,
    budget_s: float = 20.0,
    processes: int | None = None,
    **how: Any,
) -> Record:
    """Times a named network, or a model by reference such as `net.py:Net`, in fresh processes; see `analyze time`.

    Returns its record: counts, and in `measurement` every timing in seconds with its samples and quality. A module object
    cannot be handed to a fresh process: give the reference of what makes it. `flush` empties caches before every
    sample. There are 10 `processes`; where none are asked for and ten would take more than three times the budget,
    there are fewer. `how` may have `kernels`, `replay`, `trace`. Raises AnalyzerError for bad input,
    CannotMeasure where the measurement failed or its process was lost, KeyboardInterrupt if it was interrupted.
    """
    if not isinstance(model, str):
        raise AnalyzerError(f"a {type(model).__name__} cannot be timed in a fresh process; give FILE.py:NAME or a name")
    if unknown := [name for name in how if name not in OPTIONS]:
        known = [name for name in signature(measure).parameters if name not in ("model", "how")]
        raise AnalyzerError(f"unknown option {quoted(unknown[0])}; wanted some of: {', '.join([*known, *OPTIONS])}")
    for name, value in {"batch": batch, "processes": processes, "threads": threads}.items():
        if value is not None or name == "batch":
            require_whole(name, value)
    for name, value in {"train": train, "compile": compile, "flush": flush}.items():
        if not isinstance(value, bool):
            raise AnalyzerError(f"{name} is {one_line(repr(value))[:80]}; wanted True or False")
    if isinstance(budget_s, bool) or not isinstance(budget_s, int | float) or not 0 < budget_s < inf:
        raise AnalyzerError(f"budget_s is {budget_s!r}; wanted seconds")
    inputs = [inputs] if isinstance(inputs, str) else inputs
    if not isinstance(inputs, list | tuple) or not all(isinstance(one, str) for one in inputs):
        raise AnalyzerError(f"inputs is {one_line(repr(inputs))[:80]}; wanted texts such as '3x224x224'")
    mode = "training" if train else "inference"
    everywhere: dict[str, Any] = {"mode": mode, "compiled": compile, "device": device, "flushed": flush}
    measurements = configurations([batch], [threads or processors()], [dtype], [layout], **everywhere)
    chosen, references = ([], [model]) if is_reference(model) else ([variant(model)], [])
    wanted = requests(chosen, references, inputs, measurements, **shares(budget_s, processes), **how)
    found = measured(wanted, processes=processes)
    if not found.complete:
        raise KeyboardInterrupt
    record = found.records[0]
    if record.measurement is None or record.measurement.whole is None:
        raise CannotMeasure(f"{model}: {record.measurement.reason if record.measurement else 'not measured'}")
    return record


def processors() -> int:
    """How many this process may use: its affinity, and no more than a container's quota."""
    count = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        return max(min(count, round(int(quota) / int(period))), 1)
    except (OSError, ValueError):
        return max(count, 1)


def configurations(
    batches: Sequence[int],
    threads: Sequence[int],
    dtypes: Sequence[str] = ("float32",),
    layouts: Sequence[str] = ("contiguous",),
    *,
    mode: str = "inference",
    compiled: bool = False,
    device: str = "cpu",
    flushed: bool = False,
) -> list[Configuration]:
    """Every combination, batch slowest. Raises AnalyzerError for one that no machine has."""
    known = {"dtype": tuple(ITEM_BYTES), "layout": LAYOUTS}
    for name, value in [*(("dtype", one) for one in dtypes), *(("layout", one) for one in layouts)]:
        if value not in known[name]:
            raise AnalyzerError(f"unknown {name} {quoted(value)}; wanted one of: {', '.join(known[name])}")
    if not isinstance(device, str) or not DEVICES.fullmatch(device):
        raise AnalyzerError(f"unknown device {quoted(device)}; wanted cpu, cuda, cuda:1 or mps")
    return [
        Configuration(device, dtype, batch, count, layout, mode, compiled, flushed)
        for batch, count, dtype, layout in product(batches, threads, dtypes, layouts)
    ]


def shares(budget_s: float, processes: int | None) -> dict[str, Any]:
    """Of one process, as a request has them: seconds, and rounds of samples at the least."""
    count = processes or PROCESSES
    return {"budget_s": budget_s / count, "floor": min(FLOOR, -(-ROUNDS // count))}


def requests(
    chosen: Sequence[Variant],
    references: Sequence[str],
    inputs: Sequence[str],
    measurements: Sequence[Configuration],
    **how: Any,
) -> list[Request]:
    """A request a model and configuration. `how` goes into every one: budget, floor, kernels and so on.

    Raises AnalyzerError for what cannot go together.
    """
    if how.get("replay") and any(measurement.compiled for measurement in measurements):
        raise AnalyzerError("replay times modules alone, and compiled code has none; leave out one of the two")
    whats: list[dict[str, Any]] = [{"variant": one.network.name, "overrides": dict(one.overrides)} for one in chosen]
    whats += [{"reference": reference} for reference in references]
    return [
        Request(configuration=configuration, inputs=tuple(inputs), **what, **how)
        for what in whats
        for configuration in measurements
    ]


def measured(
    wanted: Sequence[Request],
    *,
    processes: int | None = None,
    seed: int = 0,
    ask: Ask = ask,
    tell: Callable[[int, int, str], None] = lambda done, of, label: None,
) -> Measured:
    """Times every request in fresh processes and puts the times beside the counts.

    As many `processes` as asked for; else PROCESSES, of a measurement for which these take too long fewer, LEAST at the least.

    A measurement that fails has a record without timings, whose measurement says why; the rest stand. Raises AnalyzerError, before
    anything is timed, for a named network that cannot take its input, and where nothing that was asked for is there.
    """
    counts = [_closed(request) if request.variant else None for request in wanted]
    rounds, least = processes or PROCESSES, processes or LEAST
    answers, complete = ask_all(wanted, rounds=rounds, least=least, order=random.Random(seed), ask=ask, tell=tell)
    first = [own[0] for own in answers if own]
    if first and all(answer.end == "refused" for answer in first):
        refused = AnalyzerError(first[0].reason)
        refused.details = first[0].details
        raise refused
    created = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    records = [
        _record(request, counted, own, created) for request, counted, own in zip(wanted, counts, answers, strict=True)
    ]
    return Measured(tuple(records), complete)


def _record(request: Request, counted: Record | None, answers: Sequence[Answer], created: str) -> Record:
    """Of a model by reference the process that ran it sent the count; where it never ran there is none."""
    ready = next((line for answer in answers if (line := answer.of("ready"))), None)
    if counted is None:
        nothing = Record(request.label, (), request.configuration.mode, Count("dispatch", ()))
        counted = record_from_json(ready["record"]) if ready else nothing
    return counted.replace(
        dtype=request.configuration.dtype,
        notes=(*counted.notes, *_batched(counted, request.configuration)),
        measurement=measurement(request, answers),
        environment=ready["environment"] if ready else {},
        commit=commit(),
        created=created,
    )


def _batched(counted: Record, configuration: Configuration) -> tuple[str, ...]:
    """Said of inputs that are not of the batch asked for: a function beside the model made them, or it has no axis."""
    sizes = {shape[0] for shape in counted.input if shape}
    if not sizes or configuration.batch in sizes:
        return ()
    shapes = ", ".join("x".join(map(str, shape)) for shape in counted.input)
    return (
        f"its input is {shapes}, not of batch {configuration.batch}: its speed is in passes, not samples, a second",
    )


def _closed(request: Request) -> Record:
    """A named network's count, its bytes at the configuration's type."""
    from analyzer.counting.api import count_variant

    configuration = request.configuration
    record = count_variant(
        variant(request.variant or "", request.overrides),
        input=image([parse_input(text) for text in request.inputs]),
        batch=configuration.batch,
        train=configuration.mode == "training",
    )
    if configuration.dtype == "float32":
        return record
    size = ITEM_BYTES[configuration.dtype]
    rows = tuple(
        row.replace(bytes_read=row.bytes_read * size // 4, bytes_written=row.bytes_written * size // 4)
        for row in record.rows
    )
    return record.replace(count=record.count.replace(rows=rows))
