"""What makers of timings and readers share: a timing keeps its samples, and what its measurement was measured at.

Seconds everywhere. Statistics are computed when asked for: none is stored that its samples do not show.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any, Literal, TypeAlias, TypeVar

from analyzer.core.frozen import Frozen

# whole: the un-instrumented pass; device: the same on a device that waited until all of it was issued, so without
# waiting for launches. tile: one operator inside the pass; gap: what lies between. kernel: a profiler's.
# replay: one module alone with its recorded inputs, its data in the caches; replay_cold: flushed from them.
# reference: a fixed piece of work, the same for every model and release: what the machine did, for `analyze history`.
Kind: TypeAlias = Literal["whole", "device", "tile", "gap", "kernel", "replay", "replay_cold", "reference"]
Phase: TypeAlias = Literal["forward", "backward", "optimizer", "pass"]
Quality: TypeAlias = Literal["trusted", "noisy", "void"]

T = TypeVar("T")

PRECISE = 0.03  # Of what is trusted: half of its 95 % interval, at most. Another run is to say the same within that.
UNRESOLVED_S = 50e-6  # A tile shorter than this is shown without a rank: the clock and the cut are no longer small.


def middle_half(ordered: Sequence[T]) -> Sequence[T]:
    """Without the quarter that comes first and the quarter that comes last."""
    return ordered[len(ordered) // 4 : len(ordered) - len(ordered) // 4]


class Configuration(Frozen):
    """One measurement: everything that makes its times another's.

    `device` is torch's name; `compiled` by torch.compile; `flushed` are caches, before every sample.
    """

    device: str = "cpu"
    dtype: str = "float32"
    batch: int = 1
    threads: int = 1
    layout: str = "contiguous"
    mode: str = "inference"
    compiled: bool = False
    flushed: bool = False

    @property
    def training(self) -> bool:
        return self.mode == "training"

    @property
    def words(self) -> tuple[str, ...]:
        """All of it, a word a field."""
        threads = f"{self.threads} thread{'s' if self.threads != 1 else ''}"
        how = ("compiled" if self.compiled else "eager", "flushed" if self.flushed else "warm")
        return (f"batch {self.batch}", threads, self.dtype, self.layout, self.mode, *how, self.device)

    @property
    def label(self) -> str:
        """`batch 8, 2 threads, channels_last`: what a table's heading says, the usual left out."""
        usual = ("", "", *Configuration().words[2:])
        return ", ".join(word for word, left_out in zip(self.words, usual, strict=True) if word != left_out)


class Timing(Frozen):
    """Samples of one thing in one measurement, in seconds, in the order they were taken; never scaled, never trimmed.

    The whole pass has path "" and op ""; the gap has op "gap". A tile's `path`, `op` and `call` are those of a Row.
    `processes` are the numbers of samples that each fresh process gave: those of one process hang together.
    """

    path: str
    op: str
    call: int
    kind: Kind
    phase: Phase
    samples_s: tuple[float, ...]
    quality: Quality
    reason: str = ""
    processes: tuple[int, ...] = ()

    @property
    def median_s(self) -> float:
        return median(self.samples_s)

    @property
    def middle_s(self) -> float:
        """The mean over the middle half of the samples: what the sum of a measurement's parts is to be held against."""
        return fmean(middle_half(sorted(self.samples_s)))

    @property
    def resolved(self) -> bool:
        return self.median_s >= UNRESOLVED_S


class Measurement(Frozen):
    """All timings of one model at one configuration.

    `quality` is that of the whole pass, `reason` why it is not trusted. `status` is "ok", "partial" (interrupted: what
    was measured stands), "failed" or "lost" (with `reason`: the model's own words, out of memory, a child killed).
    """

    configuration: Configuration
    timings: tuple[Timing, ...] = ()
    quality: Quality = "trusted"
    reason: str = ""
    status: Literal["ok", "partial", "failed", "lost"] = "ok"
    warnings: tuple[str, ...] = ()

    @property
    def whole(self) -> Timing | None:
        return next((one for one in self.timings if one.kind == "whole"), None)

    @property
    def uncut(self) -> Timing | None:
        """The un-instrumented pass that the parts add up to: on a device that was held its own time, else the whole."""
        return next(iter(self.of("device")), self.whole)

    @property
    def trust(self) -> tuple[Quality, str]:
        """The quality on the parts and its reason: a device's own time may be known well where its launches are not."""
        alone = self.of("device")
        return (alone[0].quality, alone[0].reason) if alone else (self.quality, self.reason)

    def of(self, kind: Kind) -> tuple[Timing, ...]:
        return tuple(one for one in self.timings if one.kind == kind)

    @property
    def middle(self) -> Sequence[int]:
        """The numbers of the cut passes that are the middle half by their length."""
        passes = [sum(times) for times in zip(*(one.samples_s for one in self._cut), strict=True)]
        return middle_half(sorted(range(len(passes)), key=passes.__getitem__))

    @property
    def parts(self) -> dict[Timing, float]:
        """What each tile and gap takes, in seconds, so that all of them add up to one pass, `uncut`.

        It is the mean over the middle half of the cut passes: medians of parts would not add up.
        """
        middle = self.middle
        if not middle:
            return {}
        return {one: sum(one.samples_s[index] for index in middle) / len(middle) for one in self._cut}

    @property
    def _cut(self) -> tuple[Timing, ...]:
        return self.of("tile") + self.of("gap")

    def to_json(self) -> dict[str, Any]:
        """The keys that a record's JSON takes up: the configuration, whether to trust its times, and every timing."""
        return {
            "measurement": {
                "configuration": dict(vars(self.configuration)),
                "quality": self.quality,
                "reason": self.reason,
                "status": self.status,
                "warnings": list(self.warnings),
            },
            "timings": [
                {**vars(timing), "samples_s": list(timing.samples_s), "processes": list(timing.processes)}
                for timing in self.timings
            ],
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Measurement:
        """Raises KeyError, TypeError or ValueError for what `to_json` did not write."""
        measurement = dict(data["measurement"])
        return cls(
            configuration=Configuration(**measurement.pop("configuration")),
            timings=tuple(map(_timing, data["timings"])),
            warnings=tuple(map(str, measurement.pop("warnings"))),
            **measurement,
        )


def _timing(data: Mapping[str, Any]) -> Timing:
    if not all(isinstance(data[name], str) for name in ("path", "op", "kind", "phase", "reason")):
        raise TypeError("a timing's name or reason is no text")
    return Timing(**{**data, "samples_s": _seconds(data["samples_s"]), "processes": tuple(data["processes"])})


def _seconds(samples: Sequence[float]) -> tuple[float, ...]:
    if any(isinstance(sample, bool) or not isinstance(sample, int | float) or not sample >= 0 for sample in samples):
        raise ValueError("a sample is not a number of seconds")
    return tuple(map(float, samples))
