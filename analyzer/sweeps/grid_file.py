"""Reads a grid from a TOML file, or from a mapping with the same keys, as the options of `analyze sweep` make."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from analyzer.core.errors import AnalyzerError, is_positive_int, nearest, one_line, quoted
from analyzer.core.files import read_text
from analyzer.core.number_ranges import numbers
from analyzer.core.parse_inputs import parse_input
from analyzer.records.sweep_result import MEASURES, Measure
from analyzer.sweeps.grid import AXES, TIMED_AXES, Entry, Grid, Model

NUMBERS = ("batch", "threads")
MODES = ("inference", "training")
NEEDS = ("cpu", "gpu", "host")
ENTRY_KEYS = ("model", *AXES, "set")
INCLUDE_KEYS = ("model", "input", *AXES, "set")
KEYS = ("models", "input", *AXES, "set", "include", "exclude", "measure", "needs", "budget", "processes")
MODEL_KEYS = ("model", "input")
MAX_BUDGET_S, MAX_PROCESSES = 3600, 50

# (table, number of the table among those of its name, key) → where it is, such as `sweep.toml:3: `.
Locate: TypeAlias = Callable[[str, int, str], str]


def read_toml(path: str | Path) -> tuple[dict[str, Any], Locate]:
    """The data of a file and the place of its keys. Raises AnalyzerError if it cannot be read as TOML."""
    name = one_line(path)
    try:
        text = read_text(path)
        data = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else error
        raise AnalyzerError(f"cannot read the grid {name}: {one_line(reason)}; wanted TOML") from None

    def locate(table: str, number: int, key: str) -> str:
        line = _line_of(text, table, number, key)
        return f"{name}:{line}: " if line else f"{name}: "

    return data, locate


def _line_of(text: str, table: str, number: int, key: str) -> int:
    """The line of a key in a table, for which tomllib has no function; 0 if it is not found."""
    assigned = re.compile(rf"""(?:^|[{{,\s])["']?{re.escape(key)}["']?\s*[=.]""")
    header = re.compile(r"\s*\[\[?\s*([^\[\]]+?)\s*\]\]?\s*(?:#.*)?")
    current, seen, inline = "", -1, 0
    for index, line in enumerate(text.splitlines(), 1):
        if match := header.fullmatch(line):
            current = match[1].strip("\"'")
            seen += current == table
            if current.partition(".")[0] == key and not table:
                return index
        elif assigned.search(line.partition("#")[0]):
            if current == table and (not table or seen == number):
                return index
            inline = inline or index
    return inline


def nowhere(table: str, number: int, key: str) -> str:
    """The place of keys that come from options or Python."""
    return ""


def parse_grid(data: Mapping[str, Any], locate: Locate = nowhere) -> Grid:
    """The grid of a file's data. Raises AnalyzerError for an unknown key, or a value that it cannot have."""
    read = _Reader(locate)
    read.known(data, KEYS)
    measure = read.measure(data.get("measure", ["counts"]))
    grid = read.grid(data, data.get("models", []), "models", measure)
    include, exclude = read.tables(data, "include", "alexnet"), read.tables(data, "exclude", "vgg*")
    shared = {key: value for key, value in data.items() if key in ("input", *AXES, "set")}
    included = []
    for number, entry in enumerate(include):
        within = _Reader(locate, "include", number)
        within.known(entry, INCLUDE_KEYS)
        models = entry.get("model", data.get("models", []))
        merged = {**shared, **entry} if "model" not in entry else {**shared, "set": {}, **entry}
        further = within.grid(merged, models, "model", measure)
        included.append(further.replace(**_common(read, data, measure)))
    excluded = []
    for number, entry in enumerate(exclude):
        within = _Reader(locate, "exclude", number)
        within.known(entry, ENTRY_KEYS)
        if not entry:
            raise AnalyzerError(
                f"{locate('', 0, 'exclude')}an exclude without keys leaves nothing; name a model or an axis"
            )
        names = tuple(model.name for model in within.models(entry["model"], "model")) if "model" in entry else ()
        excluded.append(Entry(names, within.axes(entry, measure, any_axis=True), within.settings(entry.get("set", {}))))
    return grid.replace(include=tuple(included), exclude=tuple(excluded), **_common(read, data, measure))


def _common(read: _Reader, data: Mapping[str, Any], measure: tuple[Measure, ...]) -> dict[str, Any]:
    fields: dict[str, Any] = {"measure": measure, "needs": read.needs(data.get("needs", {}))}
    for key, field, most in (("budget", "budget_s", MAX_BUDGET_S), ("processes", "processes", MAX_PROCESSES)):
        if key not in data:
            continue
        if "time" not in measure:
            raise AnalyzerError(f'{read.at(key)}{key} has no effect without times; add "time" to measure')
        value = data[key]
        fits = is_positive_int(value) or (key == "budget" and isinstance(value, float) and value > 0)
        if not fits or value > most:
            raise read.error(key, value, f"a number from 1 to {most}")
        fields[field] = float(value) if key == "budget" else value
    return fields


class _Reader:
    """Reads the keys of one table, whose place its errors name."""

    def __init__(self, locate: Locate, table: str = "", number: int = 0) -> None:
        self.locate, self.table, self.number = locate, table, number

    def at(self, key: str) -> str:
        return self.locate(self.table, self.number, key)

    def error(self, key: str, value: object, wanted: str) -> AnalyzerError:
        return AnalyzerError(f"{self.at(key)}{key} is {one_line(repr(value))[:80]}; wanted {wanted}")

    def known(self, data: Mapping[str, Any], keys: Sequence[str]) -> None:
        for key in data:
            if key not in keys:
                table = f" in {self.table}" if self.table else ""
                raise AnalyzerError(f"{self.at(key)}unknown key {quoted(key)}{table}; {nearest(str(key), keys)}")

    def grid(self, data: Mapping[str, Any], models: object, key: str, measure: tuple[Measure, ...]) -> Grid:
        shared = self.inputs(data.get("input", []))
        chosen = tuple(model if model.inputs else model.replace(inputs=shared) for model in self.models(models, key))
        return Grid(chosen, self.axes(data, measure), self.settings(data.get("set", {})))

    def tables(self, data: Mapping[str, Any], key: str, example: str) -> list[dict[str, Any]]:
        tables = data.get(key, [])
        if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
            raise self.error(key, tables, f'tables, such as [[{key}]] with model = "{example}"')
        return tables

    def models(self, value: object, key: str) -> tuple[Model, ...]:
        models = []
        for item in value if isinstance(value, list | tuple) else [value]:
            table: Any = {"model": item} if isinstance(item, str) else item
            name = table.get("model") if isinstance(table, Mapping) else None
            if not isinstance(name, str) or not name.strip():
                raise self.error(key, item, 'names, such as "googlenet", or { model = "net.py", input = "3x32x32" }')
            for unknown in set(table) - set(MODEL_KEYS):
                raise AnalyzerError(f"{self.at(unknown)}unknown key {quoted(unknown)}; {nearest(unknown, MODEL_KEYS)}")
            models.append(Model(name.strip(), self.inputs(table.get("input", []))))
        return tuple(dict.fromkeys(models))

    def inputs(self, value: object) -> tuple[str, ...]:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(text, str) for text in texts):
            raise self.error("input", value, 'a text such as "3x224x224", or a list of them')
        for text in texts:
            parse_input(text)
        return tuple(texts)

    def axes(
        self, data: Mapping[str, Any], measure: tuple[Measure, ...], *, any_axis: bool = False
    ) -> dict[str, tuple[Any, ...]]:
        axes = {axis: self.axis(axis, data[axis]) for axis in AXES if axis in data}
        for axis in TIMED_AXES:
            if axis in axes and "time" not in measure and not any_axis:
                raise AnalyzerError(f'{self.at(axis)}{axis} has no effect on counts; add "time" to measure')
        return axes

    def axis(self, axis: str, value: object) -> tuple[Any, ...]:
        if axis in NUMBERS:
            return self.numbers(axis, value)
        from analyzer.timing.driver.time_configurations import DEVICES, ITEM_BYTES, LAYOUTS

        known = {"dtype": tuple(ITEM_BYTES), "layout": LAYOUTS, "mode": MODES}.get(axis, ())
        texts = value.split(",") if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
            raise self.error(axis, value, f"{' or '.join(known or ('cpu', 'cuda', 'cuda:1'))}, or a list of them")
        names = tuple(dict.fromkeys(text.strip() for text in texts))
        for name in names:
            if known and name not in known:
                raise self.error(axis, name, f"one of {', '.join(known)}")
            if not known and not DEVICES.fullmatch(name):
                raise self.error(axis, name, "cpu, cuda, cuda:1 or mps")
        return names

    def numbers(self, key: str, value: object) -> tuple[int, ...]:
        """A number, a text as on the command line, or a list of both."""
        values: list[int] = []
        for item in value if isinstance(value, list | tuple) else [value]:
            if isinstance(item, int) and is_positive_int(item):
                values.append(item)
            elif isinstance(item, str):
                values += numbers(item, f"{self.at(key)}{key}")
            else:
                raise self.error(key, item, 'whole numbers from 1, or a range such as "8..64:8" or "1..32:x2"')
        if not values:
            raise self.error(key, value, "at least one number")
        return tuple(dict.fromkeys(values))

    def settings(self, value: object) -> dict[str, tuple[int, ...]]:
        if not isinstance(value, Mapping):
            raise self.error("set", value, 'a table, such as "inception_4a.reduce_5x5" = "8..64:8"')
        within = _Reader(self.locate, f"{self.table}.set" if self.table else "set", self.number)
        return {key: within.numbers(key, numbers) for key, numbers in _flattened(value).items()}

    def measure(self, value: object) -> tuple[Measure, ...]:
        names = value.split(",") if isinstance(value, str) else value
        if not isinstance(names, list | tuple) or not names:
            raise self.error("measure", value, f"a list of {', '.join(MEASURES)}")
        for name in (str(name).strip() for name in names):
            if name not in MEASURES:
                raise self.error("measure", name, f"one of {', '.join(MEASURES)}")
        return tuple(measure for measure in MEASURES if measure in {str(name).strip() for name in names})

    def needs(self, value: object) -> dict[str, str]:
        if not isinstance(value, Mapping):
            raise self.error("needs", value, '{ gpu = "H100", cpu = "AMD*" }')
        _Reader(self.locate, "needs").known(value, NEEDS)
        for key, pattern in value.items():
            if not isinstance(pattern, str) or not pattern:
                raise self.error(str(key), pattern, 'a pattern, such as "H100" or "AMD*"')
        return dict(sorted(value.items()))


def _flattened(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """`inception_4a.reduce_5x5 = 8` without quotes is a table in a table; the key is the same."""
    flat: dict[str, Any] = {}
    for key, value in table.items():
        flat |= _flattened(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
