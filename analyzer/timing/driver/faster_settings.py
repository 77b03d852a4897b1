"""Settings that may make a model faster than it is by default: which to try, and what each measured gain is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias

from analyzer.core.frozen import Frozen
from analyzer.records.record import Record
from analyzer.records.timings import Configuration, Measurement, Timing
from analyzer.timing.driver.speed_ratio import relative_speed

LARGER_BATCH = 8
Verdict: TypeAlias = Literal["faster", "slower", "unclear", "failed", "void"]


class Setting(Frozen):
    """A change of one or more fields of a configuration. `cost` is what it may cost besides time."""

    changes: tuple[tuple[str, str | int | bool], ...]
    options: str
    cost: str = ""

    @property
    def name(self) -> str:
        return ", ".join("compiled" if name == "compiled" else f"{value}" if name in ("layout", "dtype")
                         else f"{name} {value}" for name, value in self.changes)  # fmt: skip

    def of(self, base: Configuration) -> Configuration:
        return base.replace(**dict(self.changes))


class Trial(Frozen):
    """A measured setting: how many times as many samples per second as the default, with a 95 % interval."""

    setting: Setting
    verdict: Verdict
    speed: float | None = None
    low: float | None = None
    high: float | None = None
    reason: str = ""
    quality: str = ""


def settings_to_try(base: Configuration, *, images: bool, processors: int) -> list[Setting]:
    """Each setting alone: layout of images, fewer threads, half precision, larger batches, compilation."""
    settings = []
    if images and base.layout == "contiguous":
        settings.append(_setting("layout", "channels_last", "--layout channels_last"))
    if base.device == "cpu":
        fewer = dict.fromkeys(number for number in (processors // 2, 1) if 0 < number < base.threads)
        settings += [_setting("threads", number, f"--threads {number}") for number in fewer]
    if base.dtype == "float32":
        cost = "results differ: 8 bits of precision for 24"
        settings.append(_setting("dtype", "bfloat16", "--dtype bfloat16", cost))
        if base.device != "cpu":
            cost = "results differ: 11 bits of precision for 24, and a smaller range"
            settings.append(_setting("dtype", "float16", "--dtype float16", cost))
    larger = base.batch * LARGER_BATCH
    settings.append(_setting("batch", larger, f"--batch {larger}", "latency and activation memory grow"))
    settings.append(_setting("compiled", True, "--compile", "compiles at the first call of each input shape"))
    return settings


def _setting(name: str, value: str | int | bool, options: str, cost: str = "") -> Setting:
    return Setting(((name, value),), options, cost)


def combined(trials: Sequence[Trial]) -> Setting | None:
    """The faster settings together, one per field: the one with the largest gain that is certain."""
    best: dict[str, Trial] = {}
    for trial in trials:
        ((field, _),) = trial.setting.changes
        if trial.verdict == "faster" and (field not in best or (trial.low or 0) > (best[field].low or 0)):
            best[field] = trial
    if len(best) < 2:
        return None
    chosen = [trial.setting for trial in best.values()]
    costs = "; ".join(dict.fromkeys(setting.cost for setting in chosen if setting.cost))
    options = " ".join(setting.options for setting in chosen)
    return Setting(tuple(change for setting in chosen for change in setting.changes), options, costs)


def trial(setting: Setting, default: Record, record: Record) -> Trial:
    """What a setting gained in samples per second. Certain only if the interval of the ratio excludes 1."""
    before, after = default.measurement, record.measurement
    if after is None or after.pass_timing is None:
        return Trial(setting, "failed", reason=after.reason if after else "not measured")
    speed = relative_speed(before, after) if before else None
    if before is None or speed is None:
        return Trial(setting, "void", reason="other processes disturbed the measurement", quality="void")
    quality = "noisy" if "noisy" in (before.quality, after.quality) else "trusted"
    return Trial(setting, speed.verdict, speed.ratio, speed.low, speed.high, quality=quality)


def limits(measurement: Measurement) -> list[str]:
    """What bounds the pass now: the largest kind of operator, overhead between operators, and warnings."""
    times_s = measurement.operator_times_s
    total = sum(times_s.values())
    texts = []
    by_kind: dict[str, float] = {}
    for timing, seconds in times_s.items():
        by_kind[_kind(timing)] = by_kind.get(_kind(timing), 0.0) + seconds
    overhead = by_kind.pop("overhead", 0.0)
    if total and by_kind:
        kind, seconds = max(by_kind.items(), key=lambda item: item[1])
        texts.append(f"{kind} takes {100 * seconds / total:.0f} % of the time of operators and overhead")
    if total and overhead > 0.1 * total:
        texts.append(f"{100 * overhead / total:.0f} % is overhead between operators: Python, and freeing memory")
    return [*texts, *measurement.warnings]


def _kind(timing: Timing) -> str:
    return "overhead" if timing.kind == "overhead" else timing.op
