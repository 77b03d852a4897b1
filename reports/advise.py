"""The tables and JSON of `analyze advise`: settings by the lower end of the interval of their speed-up, and what bounds
the model now."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.errors import one_line
from analyzer.core.units import seconds, times
from analyzer.records.record import Record
from analyzer.records.record_json import envelope
from analyzer.timing.driver.faster_settings import Trial, limits
from reports.table import MISSING, Cell, Table, columns

ORDER = ("faster", "unclear", "slower", "void", "failed")
TONES = {"faster": "good", "slower": "bad", "failed": "warn", "void": "warn"}


def ranked(trials: Sequence[Trial]) -> list[Trial]:
    """Certain gains first, by the lower bound; then the others."""
    return sorted(trials, key=lambda trial: (ORDER.index(trial.verdict), -(trial.low or 0.0)))


def tables(default: Record, trials: Sequence[Trial], command: str) -> list[Table]:
    measurement = default.measurement
    assert measurement is not None
    rows = [
        (
            one_line(trial.setting.name),
            Cell(times(trial.speed), trial.speed) if trial.speed else MISSING,
            f"{times(trial.low)} to {times(trial.high)}"
            if trial.low is not None and trial.high is not None
            else MISSING,
            Cell(trial.verdict, tone=TONES.get(trial.verdict, "")),
            one_line(trial.reason or trial.setting.cost),
        )
        for trial in ranked(trials)
    ]
    timing = measurement.pass_timing
    now = f"{seconds(timing.median_s)} a pass, {measurement.quality}" if timing else measurement.status
    title = f"{one_line(default.label)}, {measurement.configuration.label}: {now}"
    notes = [
        "Speed: samples per second relative to the model as it is, with a 95 % interval (Fieller). A setting is "
        "advised only if the interval lies above 1.",
        *(f"Now: {text}." for text in map(one_line, limits(measurement))),
    ]
    if any(trial.verdict == "void" for trial in trials):
        reason = f", {one_line(measurement.reason)}" if measurement.quality == "void" else ""
        notes.append(f"Void: other processes disturbed it{reason}. Stop them, or raise --budget.")
    best = [trial for trial in ranked(trials) if trial.verdict == "faster"]
    if best:
        notes.append(f"Measure it again: {command} {best[0].setting.options}")
    head = columns("setting", "speed", "interval", "verdict", "cost", left={"verdict", "cost"})
    return [Table(title, head, tuple(rows), notes=tuple(notes))]


def dump(default: Record, trials: Sequence[Trial], command: str) -> str:
    """JSON: a trial per setting, and the command that measures each again."""
    measurement = default.measurement
    assert measurement is not None
    timing = measurement.pass_timing
    data = {
        "model": default.label,
        "configuration": dict(vars(measurement.configuration)),
        "median_s": timing.median_s if timing else None,
        "quality": measurement.quality,
        "limits": limits(measurement),
        "settings": [
            {
                "setting": dict(trial.setting.changes),
                "verdict": trial.verdict,
                "speed": trial.speed,
                "low": trial.low,
                "high": trial.high,
                "quality": trial.quality,
                "cost": trial.setting.cost,
                "reason": trial.reason,
                "command": f"{command} {trial.setting.options}",
            }
            for trial in ranked(trials)
        ],
    }
    return envelope("ok" if timing else "failed", version=1, **data)
