"""What `--input` says: shapes without the batch, with names and types where a model needs them.

`3x224x224`, `ids=128:int64`, `mask=!1x128:bool` (a shape after `!` is taken literally, without the batch).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from analyzer.core.errors import AnalyzerError, is_whole, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape

TYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
PATTERN = re.compile(r"(?:([A-Za-z_]\w*)=)?(!?)((?:[0-9]{1,9}[xX])*[0-9]{1,9})(?::(\w+))?")


class Input(Frozen):
    """One argument: its name if it has one, its shape, its type; `literal` shapes already hold the batch."""

    name: str | None
    shape: Shape
    dtype: str = "float32"
    literal: bool = False

    def batched(self, batch: int) -> Shape:
        return self.shape if self.literal else (batch, *self.shape)


def parse_input(text: str) -> Input:
    """One `--input`. Raises AnalyzerError for anything malformed."""
    match = PATTERN.fullmatch(text.strip())
    if not match:
        raise AnalyzerError(
            f"malformed input {quoted(text)}; wanted SIZES without the batch, such as 3x320x320, "
            "or NAME=SIZES:TYPE, such as ids=128:int64"
        )
    name, literal, sizes, dtype = match.groups()
    shape = tuple(map(int, sizes.lower().split("x")))
    if min(shape) < 1:
        raise AnalyzerError(f"input {quoted(text)} has a size of 0; every size must be at least 1")
    if dtype is not None and dtype not in TYPES:
        raise AnalyzerError(f"input {quoted(text)} has an unknown type; known: {', '.join(TYPES)}")
    return Input(name, shape, dtype or "float32", bool(literal))


def inputs_of(given: Shape | str | Sequence[str] | None) -> list[Input]:
    """From Python: a shape without the batch, or one or several texts as on the command line."""
    if given is None or isinstance(given, str):
        return [] if given is None else [parse_input(given)]
    if isinstance(given, list | tuple) and given:
        if all(isinstance(one, str) for one in given):
            return list(map(parse_input, given))
        if all(map(is_whole, given)):
            return [Input(None, tuple(given))]
    raise AnalyzerError(f"input is {one_line(repr(given))[:80]}; wanted a shape without the batch: (3, 224, 224)")


def image(inputs: list[Input]) -> Shape | None:
    """The one input of a named variant, (channels, height, width), or None if none is given."""
    if not inputs:
        return None
    only = inputs[0]
    if len(inputs) > 1 or only.name or only.literal or only.dtype != "float32" or len(only.shape) != 3:
        raise AnalyzerError("a variant takes one input, CHANNELSxHEIGHTxWIDTH without the batch, such as 3x320x320")
    return only.shape
