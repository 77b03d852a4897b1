"""How much each metric of each model may grow, and in how much detail a baseline stores it, from pyproject.toml."""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection, Mapping
from fnmatch import fnmatchcase
from typing import Any, Literal, TypeAlias

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.regression.counts.snapshot import DETAILS, MODEL_METRICS

TABLE = "[tool.analyzer.check]"
TIME = "time"
ANY = "*"
METRICS = (*MODEL_METRICS, TIME)
SHARE = 'a number of at least 0, such as 0.01, or "1 %"'

Detail: TypeAlias = Literal["layers", "modules", "totals"]


class Tolerances(Frozen):
    """Relative growth that passes: 0.01 for 1 %. `metrics` apply to all models, `models` by pattern to some.

    Of several patterns that match a model the last counts. The key ANY stands for every count that has no key.
    """

    metrics: Mapping[str, float] = {}
    models: Mapping[str, Mapping[str, float]] = {}

    def of(self, model: str, metric: str) -> float:
        matching = [shares for pattern, shares in self.models.items() if fnmatchcase(model, pattern)]
        for shares in [*reversed(matching), self.metrics]:
            if metric in shares:
                return shares[metric]
            if ANY in shares and metric != TIME:
                return shares[ANY]
        return 0.0

    def of_model(self, model: str) -> Callable[[str], float]:
        """The tolerance of each metric of a model."""
        return lambda metric: self.of(model, metric)

    @property
    def largest_of_times(self) -> float:
        return max(shares.get(TIME, 0.0) for shares in (self.metrics, *self.models.values()))


def parse_tolerances(value: Any, time_tolerance: float, models: Collection[str]) -> Tolerances:
    """A share, or a table of shares by metric, model or pattern of models; a model may have a table by metric."""
    if not isinstance(value, dict):
        return Tolerances({ANY: parse_share("tolerance", value), TIME: time_tolerance})
    metrics, patterns = {TIME: time_tolerance}, {}
    for key, share in value.items():
        if key in METRICS:
            metrics[key] = parse_share(f"tolerance.{key}", share)
            continue
        if models and not any(fnmatchcase(model, key) for model in models):
            raise AnalyzerError(f"{TABLE} has a tolerance for {quoted(key)}, which is neither a metric nor one of the "
                                f"models; {nearest(key, [*METRICS, *models])}")  # fmt: skip
        patterns[key] = _of_model(key, share)
    return Tolerances(metrics, patterns)


def _of_model(model: str, value: Any) -> dict[str, float]:
    if not isinstance(value, dict):
        return {ANY: parse_share(f"tolerance.{model}", value)}
    for metric in value:
        if metric not in METRICS:
            raise AnalyzerError(f"{TABLE} has a tolerance for {one_line(model)} in an unknown metric {quoted(metric)}; "
                                f"{nearest(metric, METRICS)}")  # fmt: skip
    return {metric: parse_share(f"tolerance.{model}.{metric}", share) for metric, share in value.items()}


def parse_details(value: Any) -> Mapping[str, Detail]:
    """Details by pattern of models. Raises AnalyzerError for anything but a detail, or a table of details."""
    details = value if isinstance(value, dict) else {"*": value}
    for pattern, detail in details.items():
        if detail not in DETAILS:
            name = "detail" if pattern == "*" else f"detail.{pattern}"
            raise invalid(name, detail, '"layers", "modules" or "totals", or a table of these by model')
    return details


def detail_of(model: str, details: Mapping[str, Detail]) -> Detail:
    """Of several patterns that match a model the last counts."""
    return next((details[key] for key in reversed(list(details)) if fnmatchcase(model, key)), "layers")


def parse_share(key: str, value: object) -> float:
    """A relative change of at least 0: 0.01 or "1 %". Raises AnalyzerError for anything else."""
    if isinstance(value, str) and value.rstrip().endswith("%"):
        try:
            # Not multiplied: 7 / 100 is 0.07, but 7 * 0.01 is not.
            value = float(value.rstrip().removesuffix("%")) / 100
        except ValueError:
            raise invalid(key, value, SHARE) from None
    if not is_number(value):
        raise invalid(key, value, SHARE)
    return value  # type: ignore[return-value]


def is_number(value: object) -> bool:
    # A boolean is an int in Python, and an int may be too large for a float.
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= sys.float_info.max


def invalid(key: str, value: object, wanted: str) -> AnalyzerError:
    return AnalyzerError(f"{TABLE}: {one_line(key)} is {one_line(repr(value))[:80]}; wanted {wanted}")
