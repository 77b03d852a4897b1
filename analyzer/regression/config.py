"""`[tool.analyzer.check]` of the project's pyproject.toml, and what is wrong with it in one line."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.files import project_root
from analyzer.core.frozen import Frozen
from analyzer.regression.counts.snapshot import MODEL_METRICS

TABLE = "[tool.analyzer.check]"
BASELINE = "analyzer-baseline.json"


class Config(Frozen):
    """What a project asks to be checked. `root` is its folder: models and the baseline are named from there.

    `tolerance` is relative, 0.01 for 1 %. `time_tolerance` and `time_limit` are the time gate's.
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
    """The project's settings; the defaults where there is no file or no such table.

    Raises AnalyzerError for a file that is not TOML, an unknown key or metric, or a value of the wrong type.
    """
    root = project_root(start)
    path = root / "pyproject.toml"
    try:
        data: Any = tomllib.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise AnalyzerError(f"cannot read pyproject.toml: {one_line(why)}; check its TOML") from None
    for name in ("tool", "analyzer", "check"):
        data = data.get(name, {})
        if not isinstance(data, dict):
            raise _wrong(name, data, "a table")
    return parse(data, root)


def parse(data: Mapping[str, Any], root: Path) -> Config:
    """The settings that a table holds."""
    for key in data:
        if key not in KEYS:
            raise AnalyzerError(f"{TABLE} has an unknown key {quoted(key)}; {nearest(key, KEYS)}")
    models = _models(data.get("models", []))
    budgets = _budgets(data.get("budgets", {}), models)
    baseline = data.get("baseline", BASELINE)
    if not isinstance(baseline, str) or not baseline:
        raise _wrong("baseline", baseline, f'the name of a file, such as "{BASELINE}"')
    numbers = {
        key: number(key, data.get(key, getattr(Config, key))) for key in ("tolerance", "time_tolerance", "time_limit")
    }
    if numbers["time_limit"] <= numbers["time_tolerance"]:
        raise AnalyzerError(
            f"{TABLE}: time_limit is {numbers['time_limit']:g} and time_tolerance {numbers['time_tolerance']:g}; "
            "wanted a limit above the tolerance"
        )
    return Config(root, models or tuple(budgets), baseline, budgets=budgets, **numbers)


def number(key: str, value: object) -> float:
    """A finite number of at least 0. Raises AnalyzerError for anything else."""
    # A boolean is an int to Python, and no number to anybody else.
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value < 0:
        raise _wrong(key, value, "a number of at least 0, such as 0.01 for 1 %")
    return value


def _models(value: object) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one.strip() for one in value):
        raise _wrong("models", value, 'a list of names, such as ["googlenet", "net.py:Net"]')
    return tuple(one.strip() for one in value)


def _budgets(value: object, models: Sequence[str]) -> dict[str, dict[str, float]]:
    if not isinstance(value, dict) or not all(isinstance(one, dict) for one in value.values()):
        raise _wrong("budgets", value, "a table a model, such as { googlenet = { macs = 1.6e9 } }")
    for model, limits in value.items():
        if models and model not in models:
            raise AnalyzerError(f"{TABLE} has a budget of {quoted(model)}, which is not in models; "
                                f"{nearest(model, models)}")  # fmt: skip
        for metric, limit in limits.items():
            if metric not in MODEL_METRICS:
                raise AnalyzerError(f"{TABLE} has a budget of {one_line(model)} in an unknown metric {quoted(metric)}; "
                                    f"{nearest(metric, MODEL_METRICS)}")  # fmt: skip
            if isinstance(limit, bool) or not isinstance(limit, int | float) or not math.isfinite(limit) or limit < 0:
                raise _wrong(f"budgets.{model}.{metric}", limit, "a number of at least 0, such as 1.6e9")
    # Figures are whole numbers: 1.6e9, which TOML calls a float, is shown as one.
    return {
        model: {metric: int(limit) if limit == int(limit) else limit for metric, limit in limits.items()}
        for model, limits in value.items()
    }


def _wrong(key: str, value: object, wanted: str) -> AnalyzerError:
    return AnalyzerError(f"{TABLE}: {one_line(key)} is {one_line(repr(value))[:80]}; wanted {wanted}")
