"""Runs a sweep on a Dask cluster. The driver stores the results; workers need no database."""

from __future__ import annotations

from analyzer.sweeps.cluster.driver import run

__all__ = ["run"]
