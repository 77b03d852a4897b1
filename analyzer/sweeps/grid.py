"""The grid of a sweep: models × batch × threads × dtype × layout × mode × device × numbers of built-in networks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from functools import cache
from itertools import product
from math import prod
from typing import Any

from analyzer.core.errors import AnalyzerError, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.models.optional_libraries import matching_models
from analyzer.networks import builtin_name, find
from analyzer.networks.overrides import full_key, parse_overrides, unknown_key_error
from analyzer.records.sweep_result import Case, Measure
from analyzer.records.timings import Configuration
from analyzer.sweeps.keys import identity, is_builtin

MAX_CASES = 1_000_000
AXES = ("batch", "threads", "dtype", "layout", "mode", "device")
TIMED_AXES = ("threads", "dtype", "layout", "device")  # Counts do not depend on them.


class Model(Frozen):
    """A model or a pattern of models such as `timm:resnet*`, and its inputs as on the command line."""

    name: str
    inputs: tuple[str, ...] = ()


class Entry(Frozen):
    """Configurations to leave out: those that have one of the values of every axis, number and pattern given."""

    models: tuple[str, ...] = ()
    axes: Mapping[str, tuple[Any, ...]] = {}
    settings: Mapping[str, tuple[int, ...]] = {}

    def matches(self, case: Case) -> bool:
        names = (case.model, case.label)
        return (
            (not self.models or any(fnmatchcase(name, pattern) for name in names for pattern in self.models))
            and all(getattr(case.configuration, axis) in values for axis, values in self.axes.items())
            and all(_setting(case, key) in values for key, values in self.settings.items())
        )


class Grid(Frozen):
    """What a sweep runs. `settings` are the numbers of `--set`; `include` are further grids.

    An axis without values has its default: for threads of timed configurations, all processors of this process.
    """

    models: tuple[Model, ...] = ()
    axes: Mapping[str, tuple[Any, ...]] = {}
    settings: Mapping[str, tuple[int, ...]] = {}
    include: tuple[Grid, ...] = ()
    exclude: tuple[Entry, ...] = ()
    measure: tuple[Measure, ...] = ("counts",)
    needs: Mapping[str, str] = {}
    budget_s: float = 20.0
    processes: int = 3

    @property
    def timed(self) -> bool:
        return "time" in self.measure


def cases(grid: Grid, expand: Callable[[str], Sequence[str]] = matching_models) -> list[Case]:
    """The configurations of a grid, each once; batch varies slowest and numbers of built-in networks fastest.

    `expand` gives the models of a pattern; of a library it imports that library. Raises AnalyzerError for an empty
    grid, an unknown built-in network or a number that no model has.
    """
    chosen = [case for case in _cases(grid, expand) if not any(entry.matches(case) for entry in grid.exclude)]
    included = [case for entry in grid.include for case in _cases(entry, expand)]
    if not chosen and not included:
        total = "; exclude leaves nothing of it" if grid.models else ": give a model, such as googlenet or net.py"
        raise AnalyzerError(f"the grid is empty{total}")
    unique = {identity(case): case for case in (*chosen, *included)} if included else {}
    return list(unique.values()) or chosen


def _cases(grid: Grid, expand: Callable[[str], Sequence[str]]) -> Iterator[Case]:
    named = (entry.replace(name=name) for entry in grid.models for name in expand(builtin_name(entry.name)))
    models = list(dict.fromkeys(named))
    settings = _settings_by_model(models, grid.settings)
    configurations = _configurations(grid)
    total = sum(len(configurations) * prod(map(len, settings[model].values())) for model in models)
    if total > MAX_CASES:
        raise AnalyzerError(f"the grid has {total:,} configurations; wanted at most {MAX_CASES:,}: raise a step")
    for model in models:
        base, _, changes = (
            model.name.partition("@") if is_builtin(model.name.partition("@")[0]) else (model.name, "", "")
        )
        in_name = _full_keys(base, parse_overrides(changes.split(","))) if changes else {}
        varied = settings[model]
        timed: dict[str, Any] = {"budget_s": grid.budget_s, "processes": grid.processes} if grid.timed else {}
        for configuration in configurations:
            for values in product(*varied.values()):
                yield Case(
                    model=base,
                    overrides={**dict(zip(varied, values, strict=True)), **in_name},
                    inputs=model.inputs,
                    configuration=configuration,
                    measure=grid.measure,
                    needs=grid.needs,
                    **timed,
                )


def _configurations(grid: Grid) -> list[Configuration]:
    defaults: dict[str, Any] = {axis: (getattr(Configuration, axis),) for axis in AXES}
    if grid.timed:
        from analyzer.timing.driver.time_configurations import usable_processors

        defaults["threads"] = (usable_processors(),)
    values = [grid.axes.get(axis) or defaults[axis] for axis in AXES]
    return [Configuration(**dict(zip(AXES, chosen, strict=True))) for chosen in product(*values)]


def _settings_by_model(
    models: Sequence[Model], settings: Mapping[str, tuple[int, ...]]
) -> dict[Model, dict[str, tuple[int, ...]]]:
    """Per model the numbers that it has, by their full path. Raises AnalyzerError for one that no model has."""
    values_by_model: dict[Model, dict[str, tuple[int, ...]]] = {model: {} for model in models}
    networks = {model: find(base) for model in models if is_builtin(base := model.name.partition("@")[0])}
    if settings and not networks:
        raise AnalyzerError("set changes numbers of built-in networks, and the grid has none; see analyze list")
    for key, values in settings.items():
        full = {model: name for model, network in networks.items() if (name := full_key(network, key))}
        if not full:
            raise unknown_key_error(key, list(networks.values()))
        for model, name in full.items():
            if name in values_by_model[model]:
                raise AnalyzerError(f"{one_line(name)} is set twice, as {quoted(key)} too; give it once")
            values_by_model[model][name] = values
    for model in networks:  # A number in the model's own name stays.
        changes = model.name.partition("@")[2]
        for name in _full_keys(networks[model].name, parse_overrides(changes.split(","))) if changes else ():
            values_by_model[model].pop(name, None)
    return values_by_model


def _full_keys(network: str, overrides: Mapping[str, int]) -> dict[str, int]:
    full: dict[str, int] = {}
    for key, value in overrides.items():
        name = _full_key(network, key)
        if name is None:
            raise unknown_key_error(key, [find(network)])
        full[name] = value
    return full


def _setting(case: Case, key: str) -> int | None:
    """The value of a number that may be named by a short key."""
    return case.overrides.get(_full_key(case.model, key) or "") if case.overrides else None


@cache
def _full_key(network: str, key: str) -> str | None:
    return full_key(find(network), key)
