"""Waiting for the page. Playwright's own way evaluates text inside the page, which the page's policy forbids."""

from __future__ import annotations

import time
from typing import Any

DRAWN = "[...document.querySelectorAll('.plot')].filter(plot => plot.offsetParent).every(plot => plot.dataset.drawn)"


def draw(opened: Any, limit_s: float = 60) -> None:
    """Scrolls to the first chart and waits until all visible charts are drawn and the whole page is laid out."""
    opened.evaluate("document.querySelector('.plot')?.scrollIntoView()")
    wait(opened, DRAWN, limit_s)
    wait(opened, "document.documentElement.classList.contains('settled')", limit_s)


def wait(opened: Any, condition: str, limit_s: float = 30) -> float:
    """Waits until the condition is true; returns the seconds it took."""
    start = time.perf_counter()
    while not opened.evaluate(condition):
        assert time.perf_counter() - start < limit_s, f"not within {limit_s} s: {condition}"
        time.sleep(0.02)
    return time.perf_counter() - start
