"""References to models, and the `--input` option: shapes without the batch, with names and dtypes if necessary.

`3x224x224`, `ids=128:int64`, `mask=!1x128:bool` (a shape after `!` is literal: no batch is prepended),
`ids=128:int64<50257` (random integers below 50257 when the model is timed).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from analyzer.core.errors import AnalyzerError, InputError, is_positive_int, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.shapes import Shape

DTYPES = ("float32", "float64", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
# References such as `timm:vit_base_patch16_224` bring their own inputs. The package of each scheme.
PACKAGES = {"torchvision": "torchvision", "timm": "timm", "hf": "transformers"}
LIBRARIES = tuple(PACKAGES)
OTHER_SHAPE = re.compile(r"[(\[]?((?:\s*[0-9]{1,9}\s*[,*×])+\s*[0-9]{1,9})\s*,?\s*[)\]]?")  # As Python writes a shape.
PATTERN = re.compile(r"(?:([A-Za-z_]\w*)=)?(!?)((?:[0-9]{1,9}[xX])*[0-9]{1,9})(?::(\w+)(?:<([0-9]{1,12}))?)?")


def is_reference(name: str) -> bool:
    """Whether a name is a reference to code, such as `net.py` or `net.py:Net`, and not the name of a variant."""
    return ":" in name or "(" in name or name.endswith((".py", ".pt2"))


def overrides_text(overrides: Mapping[str, int]) -> str:
    """Changed numbers of a built-in network: `inception_4a.reduce_5x5=32`, separated by commas."""
    return ",".join(f"{key}={value}" for key, value in overrides.items())


def model_label(model: str, overrides: str) -> str:
    """The model as on the command line: `googlenet@inception_4a.reduce_5x5=32`."""
    return f"{model}@{overrides}" if overrides else model


class Input(Frozen):
    """One argument of a model. A `literal` shape already holds the batch. Integers are drawn `below` a number where
    values matter; counts use zeros."""

    name: str | None
    shape: Shape
    dtype: str = "float32"
    literal: bool = False
    below: int | None = None

    @property
    def text(self) -> str:
        """The text from which `parse_input` makes this input."""
        name = f"{self.name}=" if self.name else ""
        below = f"<{self.below}" if self.below else ""
        return f"{name}{'!' if self.literal else ''}{'x'.join(map(str, self.shape))}:{self.dtype}{below}"

    @property
    def typed(self) -> str:
        """`text` as a user types it, without the default type."""
        return self.text.removesuffix(":float32")

    def batched(self, batch: int) -> Shape:
        return self.shape if self.literal else (batch, *self.shape)


def parse_input(text: str) -> Input:
    """The value of one `--input`. Raises AnalyzerError if it is malformed."""
    match = PATTERN.fullmatch(text.strip())
    if not match and (shape_text := OTHER_SHAPE.fullmatch(text.strip())):
        sizes = "x".join(re.findall("[0-9]+", shape_text[1]))
        raise AnalyzerError(f"malformed input {quoted(text)}; sizes are separated by x: {sizes}")
    if not match:
        raise AnalyzerError(
            f"malformed input {quoted(text)}; wanted SIZES without the batch, such as 3x320x320, "
            "or NAME=SIZES:TYPE, such as ids=128:int64"
        )
    name, literal, sizes, dtype, below = match.groups()
    shape = tuple(map(int, sizes.lower().split("x")))
    if min(shape) < 1:
        raise AnalyzerError(f"input {quoted(text)} has a size of 0; every size must be at least 1")
    if dtype is not None and dtype not in DTYPES:
        raise AnalyzerError(f"input {quoted(text)} has an unknown type; known: {', '.join(DTYPES)}")
    if below is not None and (not int(below) or "int" not in str(dtype)):
        raise AnalyzerError(f"input {quoted(text)} has a range; wanted one of integers, such as ids=128:int64<50257")
    return Input(name, shape, dtype or "float32", bool(literal), int(below) if below else None)


def parse_inputs(value: Shape | str | Sequence[str] | None) -> list[Input]:
    """The `input` argument of the Python API: a shape without the batch, or one or several texts as for `--input`."""
    if value is None or isinstance(value, str):
        return [] if value is None else [parse_input(value)]
    if isinstance(value, list | tuple) and value:
        if all(isinstance(text, str) for text in value):
            return list(map(parse_input, value))
        if all(map(is_positive_int, value)):
            return [Input(None, tuple(value))]
    raise AnalyzerError(
        f"input is {one_line(repr(value))[:80]}; wanted a shape without the batch, (3, 224, 224) or '3x224x224'"
    )


def without_batch(inputs: Sequence[Input], batch: int) -> list[Input]:
    """The inputs without a leading size that equals the batch: `1x3x224x224` → `3x224x224` at batch 1."""
    return [
        spec.replace(shape=spec.shape[1:])
        if not spec.literal and len(spec.shape) > 1 and spec.shape[0] == batch
        else spec
        for spec in inputs
    ]


def image_shape(inputs: list[Input], batch: int = 1) -> Shape | None:
    """The single image input of a built-in network, (channels, height, width); None without inputs.

    A fourth size in front must be the batch or 1.
    """
    if not inputs:
        return None
    image = inputs[0]
    if len(image.shape) == 4:
        (image,) = without_batch(inputs[:1], 1 if image.shape[0] == 1 else batch)
    if len(inputs) > 1 or image.name or image.literal or image.dtype != "float32" or len(image.shape) != 3:
        example, advice = "such as 3x320x320", ""
        if len(image.shape) == 4 and not image.literal:
            example = advice = f"here --input {'x'.join(map(str, image.shape[1:]))} --batch {image.shape[0]}"
        raise InputError(f"a variant takes one input, CHANNELSxHEIGHTxWIDTH without the batch, {example}", advice)
    return image.shape
