"""Loaded by the workers of `local:N` before they start."""

from __future__ import annotations

import signal


def dask_setup(worker: object) -> None:
    """Ctrl-C reaches all processes of a terminal; the driver ends the workers."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
