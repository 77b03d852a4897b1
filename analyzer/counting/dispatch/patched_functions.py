"""Replaces functions of Python and torch while at least one tracker runs, for all threads of the process."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from typing import Any, TypeAlias

# The owner, a name of its attribute, and the function that makes the new attribute from the old one.
Replacement: TypeAlias = tuple[Any, str, Callable[[Any], Any]]


class Replacements:
    """Replaces functions while at least one tracker is active; trackers may overlap and end in any order."""

    def __init__(self, replacements: Callable[[], Iterable[Replacement]]) -> None:
        self.replacements = replacements
        self.active: list[Any] = []  # The trackers that run.
        self._undo: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def add(self, tracker: Any) -> None:
        with self._lock:
            if not self.active:
                self._undo = [_replace(*replacement) for replacement in self.replacements()]
            self.active.append(tracker)

    def remove(self, tracker: Any) -> None:
        with self._lock:
            self.active.remove(tracker)
            if not self.active:
                for undo in reversed(self._undo):
                    undo()
                self._undo = []

    def here(self) -> list[Any]:
        """The trackers in whose pass the current thread takes part."""
        return [tracker for tracker in self.active if tracker.local.calls is not None]


def _replace(owner: Any, name: str, make: Callable[[Any], Any]) -> Callable[[], None]:
    inherited = name not in vars(owner)
    old = vars(owner).get(name)  # A class method as such, not bound to its class.
    setattr(owner, name, make(getattr(owner, name)))
    return (lambda: delattr(owner, name)) if inherited else (lambda: setattr(owner, name, old))
