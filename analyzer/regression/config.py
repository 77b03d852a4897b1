"""The table `[tool.analyzer.check]` of the project's pyproject.toml, validated."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.files import project_root, read_text
from analyzer.core.frozen import Frozen
from analyzer.regression.counts.snapshot import MODEL_METRICS

TABLE = "[tool.analyzer.check]"
BASELINE = "analyzer-baseline.json"


class Config(Frozen):
    """The settings of a project's checks. Models and the baseline are relative to `root`, the project's folder.

    `tolerance` is relative: 0.01 for 1 %. `time_tolerance` and `time_limit` apply to times.
    """

    root: Path
    models: tuple[str, ...] = ()
    baseline: str = BASELINE
    tolerance: float = 0.0
    budgets: Mapping[str, Mapping[str, float]] = {}
    time_tolerance: float = 0.01
    time_limit: float = 0.05


KEYS = tuple(field for field in Config.fields if field != "root")


def read(start: Path | None = None) -> Config:
    """The project's settings, or the defaults if there is no file or no such table.

    Raises AnalyzerError for invalid TOML, an unknown key or metric, or a value of the wrong type.
    """
    root = project_root(start)
    path = root / "pyproject.toml"
    try:
        data: Any = tomllib.loads(read_text(path)) if path.exists() else {}
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise AnalyzerError(f"cannot read pyproject.toml: {one_line(reason)}; check its TOML") from None
    for name in ("tool", "analyzer", "check"):
        data = data.get(name, {})
        if not isinstance(data, dict):
            raise _invalid(name, data, "a table")
    return parse(data, root)


def parse(data: Mapping[str, Any], root: Path) -> Config:
    """The settings in the table's content."""
    for key in data:
        if key not in KEYS:
            raise AnalyzerError(f"{TABLE} has an unknown key {quoted(key)}; {nearest(key, KEYS)}")
    models = _models(data.get("models", []))
    budgets = _budgets(data.get("budgets", {}), models)
    baseline = data.get("baseline", BASELINE)
    if not isinstance(baseline, str) or not baseline:
        raise _invalid("baseline", baseline, f'a file name, such as "{BASELINE}"')
    shares = {
        key: parse_share(key, data.get(key, getattr(Config, key)))
        for key in ("tolerance", "time_tolerance", "time_limit")
    }
    if shares["time_limit"] <= shares["time_tolerance"]:
        raise AnalyzerError(
            f"{TABLE}: time_limit is {shares['time_limit']:g} and time_tolerance {shares['time_tolerance']:g}; "
            "wanted a limit above the tolerance"
        )
    return Config(root, models or tuple(budgets), baseline, budgets=budgets, **shares)


def parse_share(key: str, value: object) -> float:
    """A relative change of at least 0. Raises AnalyzerError for anything else."""
    if not _is_number(value):
        raise _invalid(key, value, "a number of at least 0, such as 0.01 for 1 %")
    return value  # type: ignore[return-value]


def _is_number(value: object) -> bool:
    # A boolean is an int in Python.
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0


def _models(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(name, str) and name.strip() for name in value):
        raise _invalid("models", value, 'a list of names, such as ["googlenet", "net.py:Net"]')
    return tuple(name.strip() for name in value)


def _budgets(value: object, models: Sequence[str]) -> dict[str, dict[str, float]]:
    if not isinstance(value, dict) or not all(isinstance(limits, dict) for limits in value.values()):
        raise _invalid("budgets", value, "a table per model, such as { googlenet = { macs = 1.6e9 } }")
    for model, limits in value.items():
        if models and model not in models:
            raise AnalyzerError(f"{TABLE} has a budget for {quoted(model)}, which is not in models; "
                                f"{nearest(model, models)}")  # fmt: skip
        for metric, limit in limits.items():
            if metric not in MODEL_METRICS:
                raise AnalyzerError(f"{TABLE} has a budget for {one_line(model)} in an unknown metric "
                                    f"{quoted(metric)}; {nearest(metric, MODEL_METRICS)}")  # fmt: skip
            if not _is_number(limit):
                raise _invalid(f"budgets.{model}.{metric}", limit, "a number of at least 0, such as 1.6e9")
    # Counts are whole numbers: 1.6e9 is a float in TOML and is shown as 1,600,000,000.
    return {
        model: {metric: int(limit) if limit == int(limit) else limit for metric, limit in limits.items()}
        for model, limits in value.items()
    }


def _invalid(key: str, value: object, wanted: str) -> AnalyzerError:
    return AnalyzerError(f"{TABLE}: {one_line(key)} is {one_line(repr(value))[:80]}; wanted {wanted}")
