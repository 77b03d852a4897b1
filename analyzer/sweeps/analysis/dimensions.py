"""The dimensions of a grid: models, inputs, overrides, machines, and the fields of configurations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from analyzer.sweeps.analysis.points import Machine, Point

Value: TypeAlias = str | int
Dimension: TypeAlias = Callable[[Point], Value]
AS_BUILT = "as built"  # The value of an override that a point does not have.


def dimensions(points: Sequence[Point], machines: Mapping[Machine, str]) -> dict[str, Dimension]:
    """The dimensions with several values, those with most values first."""
    keys = list(dict.fromkeys(key for point in points for key in point.overrides))
    # Points without a time have no machine.
    only_machine = next(iter(machines.values())) if len(machines) == 1 else "unknown"
    every: dict[str, Dimension] = {
        "model": (lambda point: point.base) if keys else (lambda point: point.model),
        **{key: _override(key) for key in keys},
        "input": lambda point: ", ".join(point.inputs) or "default",
        **{name: _field(index) for index, name in enumerate(FIELDS)},
        "machine": lambda point: machines.get(point.machine, only_machine),
    }
    sizes = {name: len(set(map(dimension, points))) for name, dimension in every.items()}
    return {name: every[name] for name in sorted(every, key=lambda name: -sizes[name]) if sizes[name] > 1}


# The names of `Configuration.words`, in their order.
FIELDS = ("batch", "threads", "dtype", "layout", "mode", "compilation", "caches", "device")


def _override(key: str) -> Dimension:
    return lambda point: point.overrides.get(key, AS_BUILT)


def _field(index: int) -> Dimension:
    if FIELDS[index] in ("batch", "threads"):
        return lambda point: int(getattr(point.configuration, FIELDS[index]))
    return lambda point: point.configuration.words[index]


def sorted_values(dimension: Dimension, points: Sequence[Point]) -> list[Value]:
    """Numbers in ascending order, after texts in the order in which they occur."""
    values = list(dict.fromkeys(map(dimension, points)))
    numbers = sorted(value for value in values if isinstance(value, int))
    return [*(value for value in values if not isinstance(value, int)), *numbers]


def varying_fields(points: Iterable[Point]) -> tuple[str, ...]:
    """The fields of the configurations in which points differ."""
    words = {point.configuration: point.configuration.words for point in points}
    return tuple(name for index, name in enumerate(FIELDS) if len({texts[index] for texts in words.values()}) > 1)
