"""`analyzer.sweep`: the Python interface of `analyze sweep`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import AnalyzerError, one_line, require_positive_int
from analyzer.sweeps.grid import Grid, cases
from analyzer.sweeps.grid_file import parse_grid, read_toml
from analyzer.sweeps.run_configuration import Limits, machine_memory

if TYPE_CHECKING:
    import pandas

    from analyzer.sweeps.run_sweep import Settings


def sweep(
    grid: str | Path | Mapping[str, Any] | Grid,
    cluster: str | None = None,
    store: str | None = None,
    *,
    resume: bool = False,
    keep_going: bool = False,
    retries: int = 1,
    timeout_s: float = 600.0,
    jobs: int | None = None,
) -> pandas.DataFrame:
    """Counts or times every configuration of a grid, and returns a frame with one line per configuration.

    `grid` is a TOML file or a mapping with its keys, see `analyze sweep --help`. Results are stored as they arrive:
    by default in `.analyze/history.sqlite` of the project, else in the SQLite file or PostgreSQL database `store`.
    `resume` goes on with the last run of the same grid. `cluster` is the address of a Dask scheduler, or `local:4`.
    A configuration that fails is a line with a `reason`, after `retries` further attempts of at most `timeout_s`
    seconds each. `jobs` is the number of processes that count, by default one per processor. Raises AnalyzerError for
    a bad grid or a model that does not load, unless `keep_going`; KeyboardInterrupt, after which `resume` goes on.

    >>> import tempfile
    >>> from analyzer.counting.api import count
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     frame = sweep({"models": ["nin"], "batch": [1, 2]}, store=f"{folder}/results.sqlite")
    >>> frame["macs"].tolist() == [count("nin", batch=batch).totals.macs for batch in (1, 2)]
    True
    """
    from analyzer.database.frame import to_frame
    from analyzer.database.store import open_store
    from analyzer.sweeps.run_sweep import rows_of, run_sweep

    settings = settings_of(
        resume=resume, keep_going=keep_going, retries=retries, timeout_s=timeout_s, jobs=jobs, cluster=cluster
    )
    chosen = cases(read_grid(grid))
    with open_store(store) as opened:
        outcome = run_sweep(chosen, opened, settings)
        if not outcome.complete:
            raise KeyboardInterrupt
        return to_frame(rows_of(outcome, opened))


def read_grid(grid: str | Path | Mapping[str, Any] | Grid) -> Grid:
    if isinstance(grid, Grid):
        return grid
    if isinstance(grid, Mapping):
        return parse_grid(grid)
    if isinstance(grid, str | Path):
        return parse_grid(*read_toml(grid))
    raise AnalyzerError(f"the grid is a {type(grid).__name__}; wanted a TOML file or a mapping with its keys")


def settings_of(
    *,
    resume: bool,
    keep_going: bool,
    retries: int,
    timeout_s: float,
    jobs: int | None,
    cluster: str | None,
    memory_bytes: int | None = None,
) -> Settings:
    """The settings with the defaults of this machine. Raises AnalyzerError for a bad value."""
    from analyzer.sweeps.run_sweep import Settings
    from analyzer.timing.driver.time_configurations import usable_processors

    if jobs is not None:
        require_positive_int("jobs", jobs)
    if isinstance(retries, bool) or not isinstance(retries, int) or retries < 0:
        raise AnalyzerError(f"retries is {one_line(repr(retries))[:80]}; wanted a whole number of at least 0")
    if isinstance(timeout_s, bool) or not isinstance(timeout_s, int | float) or not timeout_s > 0:
        raise AnalyzerError(f"timeout_s is {one_line(repr(timeout_s))[:80]}; wanted seconds")
    limits = Limits(float(timeout_s), memory_bytes or machine_memory())
    return Settings(resume, keep_going, retries, limits, jobs or usable_processors(), cluster)
