"""The table `[tool.analyzer.check]` of the project's pyproject.toml, validated."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from analyzer.core.errors import AnalyzerError, is_positive_int, nearest, one_line, quoted
from analyzer.core.files import project_root, read_text
from analyzer.core.frozen import Frozen
from analyzer.core.parse_inputs import parse_input
from analyzer.regression.counts.snapshot import MODEL_METRICS
from analyzer.regression.tolerances import (
    TABLE,
    TIME,
    Detail,
    Tolerances,
    invalid,
    is_number,
    parse_details,
    parse_share,
    parse_tolerances,
)

BASELINE = "analyzer-baseline.json"


class ModelInput(Frozen):
    """Texts as for `--input`, and the batch, with which a model is counted."""

    texts: tuple[str, ...] = ()
    batch: int = 1


class Config(Frozen):
    """The settings of a project's checks. Models and the baseline are relative to `root`, the project's folder.

    `models` may have patterns, such as `timm:resnet*`; `inputs` are by model, of those that have any.
    `tolerance` is relative: 0.01 for 1 %. `time_tolerance` and `time_limit` apply to times. `detail` is by pattern of
    models. A `baseline` that ends with a slash is a folder with a file per model.
    """

    root: Path
    models: tuple[str, ...] = ()
    inputs: Mapping[str, ModelInput] = {}
    baseline: str = BASELINE
    tolerance: Tolerances = Tolerances()
    detail: Mapping[str, Detail] = {}
    budgets: Mapping[str, Mapping[str, float]] = {}
    time_tolerance: float = 0.01
    time_limit: float = 0.05

    def input_of(self, model: str) -> ModelInput:
        """The input of that name, else of the first pattern that matches, else none."""
        names = [model, *(pattern for pattern in self.inputs if fnmatchcase(model, pattern))]
        return next((self.inputs[name] for name in names if name in self.inputs), ModelInput())


TIME_KEYS = ("time_tolerance", "time_limit")
KEYS = tuple(field for field in Config.fields if field not in ("root", "inputs"))
MODEL_KEYS = ("model", "input", "batch")


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
            raise invalid(name, data, "a table")
    return parse(data, root)


def parse(data: Mapping[str, Any], root: Path) -> Config:
    """The settings in the table's content."""
    for key in data:
        if key not in KEYS:
            raise AnalyzerError(f"{TABLE} has an unknown key {quoted(key)}; {nearest(key, KEYS)}")
    models, inputs = _models(data.get("models", []))
    budgets = _budgets(data.get("budgets", {}), models)
    baseline = data.get("baseline", BASELINE)
    if not isinstance(baseline, str) or not baseline:
        raise invalid("baseline", baseline, f'a file name, such as "{BASELINE}"')
    time_tolerance, time_limit = (parse_share(key, data.get(key, getattr(Config, key))) for key in TIME_KEYS)
    tolerances = parse_tolerances(data.get("tolerance", 0.0), time_tolerance, models or budgets)
    if time_limit <= tolerances.largest_of_times:
        raise AnalyzerError(
            f"{TABLE}: time_limit is {time_limit:g} and the tolerance of times {tolerances.largest_of_times:g}; "
            "wanted a limit above the tolerance"
        )
    return Config(
        root, models or tuple(budgets), inputs, baseline, tolerances, parse_details(data.get("detail", "layers")),
        budgets, tolerances.metrics[TIME], time_limit,
    )  # fmt: skip


def _models(value: object) -> tuple[tuple[str, ...], dict[str, ModelInput]]:
    """The names, and the inputs of those that are tables: `{ model = "net.py:Net", input = "3x32x32", batch = 8 }`."""
    if not isinstance(value, list):
        raise invalid("models", value, 'a list of names, such as ["googlenet", "net.py:Net"]')
    names: list[str] = []
    inputs: dict[str, ModelInput] = {}
    for item in value:
        table = {"model": item} if isinstance(item, str) else item
        name = table.get("model") if isinstance(table, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise invalid("models", value, 'names, or { model = "net.py:Net", input = "3x32x32" }')
        names.append(name.strip())
        if unknown := set(table) - set(MODEL_KEYS):
            key = min(unknown)
            raise AnalyzerError(f"{TABLE} models has an unknown key {quoted(key)}; {nearest(key, MODEL_KEYS)}")
        if len(table) > 1:
            inputs[name.strip()] = _input(table)
    if twice := next((name for name in inputs if names.count(name) > 1), None):
        raise AnalyzerError(f"{TABLE} models has {quoted(twice)} twice; wanted one input per model")
    return tuple(names), inputs


def _input(table: Mapping[str, Any]) -> ModelInput:
    texts, batch = table.get("input", []), table.get("batch", 1)
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise invalid("models.input", texts, 'a text such as "3x224x224", or a list of them')
    if not is_positive_int(batch):
        raise invalid("models.batch", batch, "a whole number of at least 1")
    for text in texts:
        parse_input(text)
    return ModelInput(tuple(texts), batch)


def _budgets(value: object, models: Sequence[str]) -> dict[str, dict[str, float]]:
    if not isinstance(value, dict) or not all(isinstance(limits, dict) for limits in value.values()):
        raise invalid("budgets", value, "a table per model, such as { googlenet = { macs = 1.6e9 } }")
    for model, limits in value.items():
        if models and not any(model == name or fnmatchcase(model, name) for name in models):
            raise AnalyzerError(f"{TABLE} has a budget for {quoted(model)}, which is not in models; "
                                f"{nearest(model, models)}")  # fmt: skip
        for metric, limit in limits.items():
            if metric not in MODEL_METRICS:
                raise AnalyzerError(f"{TABLE} has a budget for {one_line(model)} in an unknown metric "
                                    f"{quoted(metric)}; {nearest(metric, MODEL_METRICS)}")  # fmt: skip
            if not is_number(limit):
                raise invalid(f"budgets.{model}.{metric}", limit, "a number of at least 0, such as 1.6e9")
    # Counts are whole numbers: 1.6e9 is a float in TOML and is shown as 1,600,000,000.
    return {
        model: {metric: int(limit) if limit == int(limit) else limit for metric, limit in limits.items()}
        for model, limits in value.items()
    }
