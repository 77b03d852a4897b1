"""How results of sweeps are named and put into words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite

from analyzer.core.frozen import Frozen
from analyzer.core.units import counted, seconds, times
from analyzer.sweeps.analysis.analysis import Analysis
from analyzer.sweeps.analysis.best_configuration import Best
from analyzer.sweeps.analysis.dimensions import FIELDS, varying_fields
from analyzer.sweeps.analysis.points import Machine, Point
from reports.table import MISSING

STEP_NOTE = "MACs of training are those of a step: forward, backward and recomputed."
MAX_ROWS = 20_000  # Of a table on the page.
COST_TITLES = {"time": "time", "macs": "MACs"}
# What a best configuration may change, and what has a column of its own in its table.
TUNED = {"batch", "threads", "dtype", "layout", "compilation", "device", "machine"}


class Names(Frozen):
    """How points are named: by their model and by what varies among all points. `machines` have their names."""

    machines: Mapping[Machine, str]
    varying: tuple[str, ...]

    @property
    def several_machines(self) -> bool:
        return len(self.machines) > 1

    def machine(self, point: Point) -> str:
        return self.machines.get(point.machine, MISSING)

    def parts(self, point: Point, *, without: Collection[str] = ()) -> tuple[str, ...]:
        """The model, each field of the configuration that varies, and the machine if there are several."""
        words = dict(zip(FIELDS, point.configuration.words, strict=True))
        varying = (words[name] for name in self.varying if name not in without)
        return point.name, *varying, self.machines.get(point.machine, "") if self.several_machines else ""

    def configuration(self, point: Point, *, without: Collection[str] = ()) -> str:
        """The fields of the configuration that vary, as in `bfloat16, channels_last`."""
        words = dict(zip(FIELDS, point.configuration.words, strict=True))
        return ", ".join(words[name] for name in self.varying if name not in without)

    def workload(self, point: Point, *, without: Collection[str] = ()) -> str:
        """The model, and of its configuration and machine what varies."""
        machine = self.machines.get(point.machine, "") if self.several_machines and "machine" not in without else ""
        return ", ".join(filter(None, (point.name, self.configuration(point, without=without), machine)))


def names_of(analysis: Analysis) -> Names:
    return Names(analysis.machines, varying_fields(analysis.points))


def changes(best: Best) -> str:
    """The fastest configuration by what differs from the default: `channels_last, bfloat16, 8 threads`."""
    if best.default is None:
        return ", ".join(best.fastest.configuration.words[1:4])
    pairs = zip(best.fastest.configuration.words, best.default.configuration.words, strict=True)
    return ", ".join(word for word, default in pairs if word != default) or "the default"


def factor_interval(low: float, high: float) -> str:
    """`1.90× to 2.30×`."""
    return f"{times(low) if low else 'any'} to {times(high) if isfinite(high) else 'any'}"


def time_interval(low: float, high: float) -> str:
    """`1.020 ms to 1.050 ms`."""
    return f"{seconds(low)} to {seconds(high) if isfinite(high) else 'any'}"


def cut(count: int) -> list[str]:
    """A note, if a table has only the first rows."""
    return [f"The first {MAX_ROWS:,} of {count:,} rows; --where selects others."] if count > MAX_ROWS else []


def conclusion(best: Best, names: Names) -> str:
    """A sentence, for a configuration that is certainly faster than the default."""
    assert best.speed
    assert best.low
    assert best.high
    where = f"{best.fastest.name}, {best.fastest.configuration.words[0]}"
    where += f", on {names.machine(best.fastest)}" if names.several_machines else ""
    speed = f"{times(best.speed)} [{factor_interval(best.low, best.high)}] as fast as the default"
    quality = noisy([best.fastest, *([best.default] if best.default else [])])
    return f"{where}: {changes(best)}: {speed}{f', {quality}' if quality else ''}."


def noisy(points: Collection[Point]) -> str:
    """`noisy` if one of the times is."""
    return "noisy" if any(point.time and point.time.quality == "noisy" for point in points) else ""


def overview(analysis: Analysis) -> str:
    """What there is: `12 configurations of 3 models: 10 timed on 1 machine, 1 void, 1 failed.`"""
    points = analysis.points
    timed = [point for point in points if point.time]
    void = sum(not point.usable for point in timed)
    parts = []
    if timed:
        parts.append(f"{len(timed):,} timed on {counted(len(analysis.machines), 'machine')}")
    parts += [f"{void:,} of them void"] if void else []
    failed = sum(point.failed for point in points)
    only_counted = len(points) - len(timed) - failed
    parts += [f"{only_counted:,} counted"] if only_counted else []
    parts += [f"{failed:,} failed"] if failed else []
    models = len({point.base for point in points})
    return f"{counted(len(points), 'configuration')} of {counted(models, 'model')}: {', '.join(parts)}."
