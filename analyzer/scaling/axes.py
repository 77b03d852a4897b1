"""The sizes that a cost is a formula of, as written on the command line: `batch,height=width`, `64..512:x2`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.core.frozen import Frozen
from analyzer.core.number_ranges import numbers


class Axis(Frozen):
    """One variable: the sizes of the model that it sets, and their present value."""

    name: str
    sizes: tuple[str, ...]
    base: int


class Sized(Protocol):
    """A model with named sizes, of which a name may be short for one: `conv1.out` for `conv1.conv.out`."""

    @property
    def sizes(self) -> Mapping[str, int]: ...

    def full_name(self, name: str) -> str: ...


def parse_axes(text: str, model: Sized) -> tuple[Axis, ...]:
    """The axes of `--over`: names separated by commas; `height=width` is one variable that sets both.

    Raises AnalyzerError for a size that the model does not have.
    """
    axes: list[Axis] = []
    known = model.sizes
    for part in text.split(","):
        sizes = tuple(model.full_name(name.strip()) for name in part.split("="))
        for name in sizes:
            if name not in known:
                raise AnalyzerError(f"no size {quoted(name)} to scale; {_known(name, known)}")
            if any(name in axis.sizes for axis in axes) or sizes.count(name) > 1:
                raise AnalyzerError(f"{quoted(name)} is twice in --over {quoted(text)}")
        bases = {known[name] for name in sizes}
        if len(bases) > 1:
            values = ", ".join(f"{name} {known[name]}" for name in sizes)
            raise AnalyzerError(f"{one_line(part)} are different now ({values}); give --input with equal sizes")
        axes.append(Axis(sizes[0], sizes, known[sizes[0]]))
    return tuple(axes)


def _known(name: str, known: Mapping[str, int]) -> str:
    """The sizes that can be scaled: all if few, else those of the input, an example of the others, and the nearest."""
    if name == "resolution" and {"height", "width"} <= {*known}:
        return "write height=width for the resolution"
    if len(known) <= 12:
        return f"the model has {one_line(', '.join(known))}"
    sizes, numbers = ([size for size in known if ("." in size) == is_number] for is_number in (False, True))
    others = f" and {len(numbers)} numbers of layers, such as {numbers[0]}" if numbers else ""
    return one_line(f"{nearest(name, list(known))}; the model has {', '.join(sizes)}{others}")


def parse_values(texts: Sequence[str], axes: Sequence[Axis]) -> dict[str, tuple[int, ...]]:
    """The values of `--at`: axis → sizes. `8`, `1,8,32`, `112..672:56` (step 56), `128..4096:x2` (doubled).

    The name may be left out if there is one axis only. Raises AnalyzerError.
    """
    values: dict[str, tuple[int, ...]] = {}
    names = {name: axis.name for axis in axes for name in axis.sizes}
    for text in texts:
        name, equals, sizes = text.rpartition("=")
        if not equals and len(axes) > 1:
            wanted = ", ".join(f"{axis.name}=…" for axis in axes)
            raise AnalyzerError(f"--at {quoted(text)} does not say which size; wanted {wanted}")
        axis = names.get(name.strip() if equals else axes[0].name)
        if axis is None:
            raise AnalyzerError(f"--at {quoted(text)}: no size {quoted(name)} in --over; it has {', '.join(names)}")
        if axis in values:
            raise AnalyzerError(f"--at gives {axis} twice; separate its values by commas")
        values[axis] = numbers(sizes, f"--at {quoted(text)}")
    return values
