"""Accuracies of models from a user's CSV: a line per model, its name first."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Collection, Mapping

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.frozen import Frozen

WANTED = "wanted the header model,accuracy and a line per model, such as googlenet,69.8"


class Accuracy(Frozen):
    """`title` is the header of the second column, such as `top-1`; more is better."""

    title: str
    values: Mapping[str, float]


def parse_accuracy(text: str, name: str) -> Accuracy:
    """The table of a CSV file called `name`. Raises AnalyzerError, which names the line, if it is malformed."""
    lines = [(number, row) for number, row in enumerate(_rows(text, name), 1) if any(map(str.strip, row))]
    if not lines or len(lines[0][1]) != 2 or lines[0][1][0].strip().lower() != "model":
        begin = ",".join(lines[0][1])[:60] if lines else "nothing"
        raise AnalyzerError(f"{one_line(name)} begins with {quoted(begin)}; {WANTED}")
    values: dict[str, float] = {}
    for number, row in lines[1:]:
        place = f"{one_line(name)}, line {number}"
        if len(row) != 2:
            raise AnalyzerError(f"{place}: {len(row)} columns; {WANTED}")
        model, value = row[0].strip(), row[1].strip()
        if model in values:
            raise AnalyzerError(f"{place}: a second accuracy of {quoted(model)}; keep one")
        try:
            values[model] = float(value)
        except ValueError:
            raise AnalyzerError(f"{place}: {quoted(value[:40])} is not a number, such as 69.8") from None
        if not math.isfinite(values[model]):
            raise AnalyzerError(f"{place}: {quoted(value)} is not a finite number")
    if not values:
        raise AnalyzerError(f"{one_line(name)} has no models; {WANTED}")
    return Accuracy(one_line(lines[0][1][1].strip()) or "accuracy", values)


def _rows(text: str, name: str) -> list[list[str]]:
    try:
        return list(csv.reader(io.StringIO(text.removeprefix("\ufeff"))))
    except csv.Error as error:
        raise AnalyzerError(f"{one_line(name)} is not CSV: {error}; {WANTED}") from None


def unknown_models(accuracy: Accuracy, models: Collection[str]) -> list[str]:
    """A message for each model of the file that no result has."""
    return [
        f"no result of {quoted(model)}, which has an accuracy; {nearest(model, models)}"
        for model in accuracy.values
        if model not in models
    ]
