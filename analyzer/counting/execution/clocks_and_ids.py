"""Varies by seed what differs between processes: clocks, ids and hashes of texts. Records which a pass reads.

A pass that reads one is counted again with other seeds, as if it drew a random number. Under the first seed everything
is as it is. Only code of the model gets other values; torch and the standard library do not.
"""

from __future__ import annotations

import datetime
import os
import random
import sys
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from torch import nn

from analyzer.counting.execution.randomness import Randomness
from analyzer.counting.execution.restore_caches import namespaces

CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
LIBRARIES = frozenset({*sys.stdlib_module_names, "torch", "numpy", "analyzer"}) - {"__main__"}
# Modules of the frames between `os.getenv(name)` and the dict of the environment.
ENVIRONMENT = frozenset({"os", "collections", "_collections_abc"})
SPEED = 9  # How much faster a clock is with each seed, so that a loop with a time limit ends earlier.
RANDOM_HASHES = os.environ.get("PYTHONHASHSEED", "random") == "random"
_hash, _id, _getpid, _uuid1, _datetime = hash, id, os.getpid, uuid.uuid1, datetime.datetime


class _Variation:
    """What one pass varies."""

    def __init__(self, randomness: Randomness, files: set[int]) -> None:
        self.randomness, self.files = randomness, files
        chance = random.Random(randomness.seed)
        self.start: dict[Any, Any] = {}  # The first value of each clock.
        self.offset, self.mask = (chance.uniform(0, 1000), chance.getrandbits(32)) if randomness.seed else (0.0, 0)


_variations: list[_Variation] = []  # Of the passes that run; the last is innermost.


@contextmanager
def varied_by_seed(modules: Sequence[nn.Module], randomness: Randomness) -> Iterator[None]:
    """Replaces clocks, `id` and `hash` in their modules and in the files that define the classes of `modules`."""
    files = [vars(space) for space in namespaces(modules) if not isinstance(space, type)]
    imported = [
        (variables, [(name, value) for name, value in variables.items() if _id(value) in _BY_ID]) for variables in files
    ]
    added = [(variables, name) for variables in files for name in ("hash", "id") if name not in variables]
    variation = _Variation(randomness, set(map(_id, files)))
    _variations.append(variation)
    for owner, name, original, varied in _OWNERS:
        if getattr(owner, name) is original:
            setattr(owner, name, varied)
    for variables, names in imported:
        variables.update((name, _BY_ID[_id(value)]) for name, value in names)
    for variables, name in added:
        variables[name] = _BY_ID[_id(_hash if name == "hash" else _id)]
    try:
        yield
    finally:
        _variations.remove(variation)
        for variables, name in added:
            variables.pop(name, None)
        for variables, names in imported:
            variables.update(names)
        for owner, name, original, varied in () if _variations else _OWNERS:
            if getattr(owner, name) is varied:
                setattr(owner, name, original)


def _read(what: str, frame: FrameType) -> _Variation | None:
    """The variation of the pass whose model reads a value; records that. None if a library reads it."""
    if not _variations or _package(frame) in LIBRARIES:
        return None
    thread = threading.get_ident()
    variation = next((other for other in reversed(_variations) if other.randomness.thread == thread), None)
    if variation is not None:
        variation.randomness.draw(what)
    return variation


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _clock(function: Any) -> Any:
    unit = 10**9 if function.__name__.endswith("_ns") else 1

    def now() -> Any:
        value = function()
        variation = _read("the clock", sys._getframe(1))
        if variation is None or not variation.randomness.seed:
            return value
        elapsed = value - variation.start.setdefault(function, value)
        return type(value)(value + elapsed * SPEED * variation.randomness.seed + variation.offset * unit)

    return now


def _varied_getpid() -> int:
    variation = _read("the process id", sys._getframe(1))
    return _getpid() + (variation.randomness.seed if variation else 0)


def _varied_uuid1(*args: Any, **kwargs: Any) -> Any:
    _read("the clock", sys._getframe(1))
    return _uuid1(*args, **kwargs)


def _varied_hash(value: Any, /) -> int:
    variation = _read("the hash of an object", sys._getframe(1)) if _differs_by_process(value) else None
    return _hash(value) ^ (variation.mask if variation else 0)


def _varied_id(value: Any, /) -> int:
    # The id of an object that exists for this call only is a number without meaning; others may be stored.
    temporary = type(value) is object or sys.getrefcount(value) <= 2
    variation = _read("the id of an object", sys._getframe(1)) if temporary else None
    return _id(value) ^ (variation.mask << 4 if variation else 0)


def _differs_by_process(value: Any) -> bool:
    """Whether the hash of a value differs: that of an address, and of a text unless PYTHONHASHSEED fixes it."""
    if isinstance(value, tuple):
        return any(map(_differs_by_process, value))
    return RANDOM_HASHES if isinstance(value, str | bytes) else type(value) is object


class _AnyDate(type):
    def __instancecheck__(cls, value: Any) -> bool:
        return isinstance(value, _datetime)


class _Date(datetime.datetime, metaclass=_AnyDate):
    """`datetime.datetime`, of which every date is an instance."""

    @classmethod
    def now(cls, tz: datetime.tzinfo | None = None) -> Any:
        variation = _read("the clock", sys._getframe(1))
        return _datetime.now(tz) + datetime.timedelta(seconds=variation.offset if variation else 0)

    today = now

    @classmethod
    def utcnow(cls) -> Any:
        return cls.now(datetime.UTC).replace(tzinfo=None)


def _recording(encode_key: Callable[[str], Any]) -> Callable[[str], Any]:
    """`os.environ.encodekey`, which every access calls, so that reading a variable is recorded.

    The class stays unchanged: after 1,000 changes of a class, Python 3.13 may call the `__getitem__` of an earlier one.
    """

    def encode(name: str) -> Any:
        frame: FrameType | None = sys._getframe(1)
        reads = frame is not None and frame.f_code.co_name == "__getitem__"
        while frame is not None and _package(frame) in ENVIRONMENT:
            frame = frame.f_back
        if reads and frame is not None and _variations and _id(frame.f_globals) in _variations[-1].files:
            _variations[-1].randomness.environment.add(str(name))
        return encode_key(name)

    return encode


_TIMES = [name for clock in CLOCKS for name in (clock, f"{clock}_ns") if hasattr(time, name)]
# The owner, the name of its attribute, the original and the varied function.
_OWNERS: list[tuple[Any, str, Any, Any]] = [
    *((time, name, getattr(time, name), _clock(getattr(time, name))) for name in _TIMES),
    (os, "getpid", _getpid, _varied_getpid),
    (uuid, "uuid1", _uuid1, _varied_uuid1),
    (datetime, "datetime", _datetime, _Date),
    (os.environ, "encodekey", os.environ.encodekey, _recording(os.environ.encodekey)),
]
_BY_ID = {_id(original): varied for owner, _, original, varied in _OWNERS if owner is not os.environ}
_BY_ID |= {_id(_hash): _varied_hash, _id(_id): _varied_id}
