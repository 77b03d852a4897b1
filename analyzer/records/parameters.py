"""Parameters and buffers of a model by module: elements and bytes, trainable and frozen. They need no input."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError, InputError
from analyzer.core.frozen import Frozen
from analyzer.core.printable_results import Displayed, View

if TYPE_CHECKING:
    import pandas


class ModuleParameters(Frozen):
    """The tensors that a module itself holds, without those of its children: elements, and bytes at their own types.

    `trainable` parameters have `requires_grad`. A tensor that several modules share is counted in the first only.
    """

    path: str
    type: str
    trainable: int
    frozen: int
    parameter_bytes: int
    buffers: int
    buffer_bytes: int

    @property
    def params(self) -> int:
        return self.trainable + self.frozen


class Parameters(Displayed, Frozen):
    """The parameters of a model. `modules` are all its modules in order, also those without tensors."""

    model: str
    modules: tuple[ModuleParameters, ...]

    @property
    def total(self) -> ModuleParameters:
        return add_parameters("", self.model, self.modules)

    @property
    def params(self) -> int:
        return self.total.params

    def _summary(self) -> str:
        total = self.total
        return (
            f"{self.model}: {total.params:,} parameters, {total.trainable:,} of them trainable; "
            f"{total.parameter_bytes:,} bytes; {total.buffers:,} elements of buffers"
        )

    def table(self, *, depth: int | None = None, fold: bool = True) -> View:
        """One row per module down to `depth`, with the tensors of its children, and the total.

        Without a depth, modules that have nearly everything are divided. `fold` shows equal modules in one row.
        """
        return self._view(depth=depth, fold=fold)

    @property
    def rows(self) -> tuple[ModuleParameters, ...]:
        """The modules that hold tensors themselves; sums over them count nothing twice."""
        return tuple(module for module in self.modules if module.params or module.buffers)

    def frame(self) -> pandas.DataFrame:
        """One row per module that holds tensors itself; see `rows`."""
        import pandas

        columns = list(ModuleParameters.fields)
        return pandas.DataFrame([[getattr(row, name) for name in columns] for row in self.rows], columns=columns)


class NeedsInput(InputError):
    """A model got no input and has no default one. Its `parameters` are known; `example` are sizes it may take."""

    def __init__(self, error: AnalyzerError, example: str, parameters: Parameters) -> None:
        super().__init__(str(error), getattr(error, "advice", ""), example)
        self.details, self.exit_status, self.parameters = error.details, error.exit_status, parameters


def add_parameters(path: str, kind: str, modules: Iterable[ModuleParameters]) -> ModuleParameters:
    """The sum of modules."""
    modules = list(modules)
    names = ModuleParameters.fields[2:]
    return ModuleParameters(path, kind, **{name: sum(getattr(module, name) for module in modules) for name in names})
