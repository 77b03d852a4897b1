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

from analyzer.counting.execution.caches import namespaces
from analyzer.counting.execution.randomness import Randomness

CLOCKS = ("time", "monotonic", "perf_counter", "process_time", "thread_time")
LIBRARIES = frozenset({*sys.stdlib_module_names, "torch", "numpy", "analyzer"}) - {"__main__"}
SPEED = 9  # How much faster a clock is with each seed, so that a loop with a time limit ends earlier.
RANDOM_HASHES = os.environ.get("PYTHONHASHSEED", "random") == "random"
_hash, _id = hash, id


@contextmanager
def varied_by_seed(modules: Sequence[nn.Module], randomness: Randomness) -> Iterator[None]:
    """Replaces clocks, `id` and `hash` in their modules and in the files that define the classes of `modules`."""
    files = [vars(space) for space in namespaces(modules) if not isinstance(space, type)]
    functions = _functions(randomness)
    functions[os._Environ.__getitem__] = _environment(randomness, {_id(variables) for variables in files})
    stores: list[tuple[Any, str, Any]] = [(os._Environ, "__getitem__", os._Environ.__getitem__)]
    stores += [(owner, name, vars(owner)[name]) for owner in (time, os, uuid, datetime) for name in _names(owner)]
    undo: list[Callable[[], None]] = []
    for owner, name, function in stores:
        setattr(owner, name, functions[function])
        undo.append(lambda owner=owner, name=name, function=function: setattr(owner, name, function))  # type: ignore[misc]
    for variables in files:
        before = {name: value for name, value in variables.items() if callable(value) and _is_known(value, functions)}
        added = {function.__name__ for function in (_hash, _id)} - set(variables)
        variables |= {name: functions[value] for name, value in before.items()}
        variables |= {name: functions[function] for name, function in (("hash", _hash), ("id", _id)) if name in added}
        undo.append(lambda variables=variables, before=before: variables.update(before))  # type: ignore[misc]
        undo += [lambda variables=variables, name=name: variables.pop(name, None) for name in added]  # type: ignore[misc]
    try:
        yield
    finally:
        for restore in reversed(undo):
            restore()


def _names(owner: Any) -> list[str]:
    names = {
        time: [*CLOCKS, *(f"{name}_ns" for name in CLOCKS)],
        os: ["getpid"],
        uuid: ["uuid1"],
        datetime: ["datetime"],
    }
    return [name for name in names[owner] if hasattr(owner, name)]


def _is_known(value: Any, functions: dict[Any, Any]) -> bool:
    try:
        return value in functions
    except Exception:  # The hash of an object of the model may raise anything.
        return False


def _functions(randomness: Randomness) -> dict[Any, Callable[..., Any]]:
    """The function to call in place of each original."""
    chance = random.Random(randomness.seed)
    offset, mask = (chance.uniform(0, 1000), chance.getrandbits(32)) if randomness.seed else (0.0, 0)
    read = _Reader(randomness)

    def clock(function: Any, unit: int) -> Callable[[], Any]:
        start = function()

        def now() -> Any:
            value = function()
            if not read("the clock", sys._getframe(1)) or not randomness.seed:
                return value
            return type(value)(value + (value - start) * SPEED * randomness.seed + offset * unit)

        return now

    def differing(function: Any, what: str) -> Callable[[], Any]:
        def value() -> Any:
            read(what, sys._getframe(1))
            return function()

        return value

    def getpid() -> int:
        return os_getpid() + (randomness.seed if read("the process id", sys._getframe(1)) else 0)

    def varied_hash(value: Any, /) -> int:
        if not _differs_by_process(value) or not read("the hash of an object", sys._getframe(1)):
            return _hash(value)
        return _hash(value) ^ mask

    def varied_id(value: Any, /) -> int:
        # The id of an object that exists for this call only is a number without meaning; others may be stored.
        temporary = type(value) is object or sys.getrefcount(value) <= 2
        return _id(value) ^ (mask << 4) if temporary and read("the id of an object", sys._getframe(1)) else _id(value)

    os_getpid = os.getpid
    functions: dict[Any, Callable[..., Any]] = {getattr(time, name): clock(getattr(time, name), 1) for name in CLOCKS}
    functions |= {getattr(time, f"{name}_ns"): clock(getattr(time, f"{name}_ns"), 10**9) for name in CLOCKS}
    functions |= {os.getpid: getpid, uuid.uuid1: differing(uuid.uuid1, "the clock")}
    functions[datetime.datetime] = _dates(read, datetime.timedelta(seconds=offset))
    return functions | {_hash: varied_hash, _id: varied_id}


def _dates(read: _Reader, offset: datetime.timedelta) -> Any:
    """A subclass of `datetime.datetime` of which every date is an instance."""

    class AnyDate(type):
        def __instancecheck__(cls, value: Any) -> bool:
            return isinstance(value, date)

    class Date(datetime.datetime, metaclass=AnyDate):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Any:
            return date.now(tz) + (offset if read("the clock", sys._getframe(1)) else datetime.timedelta())

        today = now

        @classmethod
        def utcnow(cls) -> Any:
            return cls.now(datetime.UTC).replace(tzinfo=None)

    date = datetime.datetime
    return Date


class _Reader:
    def __init__(self, randomness: Randomness) -> None:
        self.randomness = randomness

    def __call__(self, what: str, frame: FrameType) -> bool:
        """Whether the model reads it; notes that."""
        if threading.get_ident() != self.randomness.thread or _is_library(frame):
            return False
        self.randomness.draw(what)
        return True


def _is_library(frame: FrameType) -> bool:
    return _package(frame) in LIBRARIES


def _package(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _differs_by_process(value: Any) -> bool:
    """Whether the hash of a value differs: that of an address, and of a text unless PYTHONHASHSEED fixes it."""
    if isinstance(value, tuple):
        return any(map(_differs_by_process, value))
    if isinstance(value, str | bytes):
        return RANDOM_HASHES
    return type(value) is object


def _environment(randomness: Randomness, files: set[int]) -> Callable[..., Any]:
    """`os.environ[name]`, and `get`, which calls it."""
    getitem = os._Environ.__getitem__

    def read(environ: Any, name: str) -> Any:
        frame: FrameType | None = sys._getframe(1)
        while frame is not None and _package(frame) in sys.stdlib_module_names - {"__main__"}:
            frame = frame.f_back
        if frame is not None and _id(frame.f_globals) in files:
            randomness.environment.add(str(name))
        return getitem(environ, name)

    return read
