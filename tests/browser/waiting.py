"""Waiting for the page: its policy forbids Playwright's own way, which evaluates text inside it."""

from __future__ import annotations

import time
from typing import Any

DRAWN = "[...document.querySelectorAll('.plot')].filter(plot => plot.offsetParent).every(plot => plot.dataset.drawn)"


def draw(opened: Any, limit_s: float = 60) -> None:
    """Brings the first chart near and waits until all that can be seen are drawn."""
    opened.evaluate("document.querySelector('.plot')?.scrollIntoView()")
    wait(opened, DRAWN, limit_s)


def wait(opened: Any, condition: str, limit_s: float = 30) -> float:
    """Until the condition holds; the seconds it took."""
    start = time.perf_counter()
    while not opened.evaluate(condition):
        assert time.perf_counter() - start < limit_s, f"not within {limit_s} s: {condition}"
        time.sleep(0.02)
    return time.perf_counter() - start
