"""The models that a command line selects, and the input, batch, mode and overrides with which each is counted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen

if TYPE_CHECKING:
    from analyzer.core.inputs import Input
    from analyzer.core.shapes import Shape
    from analyzer.counting.api import Counter
    from analyzer.networks.variants import Variant
    from analyzer.records.record import Record
    from analyzer.records.training import TrainingSetup


class Selection(Frozen):
    """The selecting options as typed: `--variant`, `--model`, `--set`, `--input`, `--batch` and `--mode`."""

    variants: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    batch: int = 1
    training: bool = False

    def __bool__(self) -> bool:
        """Whether at least one model is selected."""
        return bool(self.variants or self.references)

    def require_models(self, purpose: str) -> None:
        """Raises AnalyzerError if no model is selected; `purpose` is a verb such as "count"."""
        if not self:
            raise AnalyzerError(f"nothing to {purpose}: give --variant NAME or --model REF; see analyze list")

    def resolve_variants(self) -> list[Variant]:
        """The named networks with their overrides applied. Raises AnalyzerError for an unknown name or override."""
        from analyzer.networks.variants import variants

        return variants(self.variants, self.overrides)

    def parse_inputs(self) -> list[Input]:
        """The inputs as shapes without the batch. Raises AnalyzerError for a malformed input."""
        from analyzer.core.inputs import parse_input

        return [parse_input(text) for text in self.inputs]

    def counters(self, *, counter: Counter = "closed_form", verify: bool = False) -> list[Callable[..., Record]]:
        """One function per model, variants first, that counts it when called with `batch` and `memory`.

        `counter` and `verify` apply to variants only; references are always counted by running them.
        """
        from analyzer.core.inputs import image_shape
        from analyzer.counting.api import count_reference, count_variant

        variants, inputs = self.resolve_variants(), self.parse_inputs()
        size: Shape | None = image_shape(inputs) if variants else None
        count = partial(count_variant, input=size, train=self.training, counter=counter, verify=verify)
        return [
            *(partial(count, variant) for variant in variants),
            *(partial(count_reference, name, inputs=inputs, train=self.training) for name in self.references),
        ]

    def count(self, *, memory: bool | TrainingSetup = False) -> list[Record]:
        """The record of every selected model, variants first, counted in closed form where there is one."""
        return [count(batch=self.batch, memory=memory) for count in self.counters()]

    def arguments(self) -> list[str]:
        """The command-line arguments that make the same selection."""
        options = (
            ("--variant", self.variants),
            ("--model", self.references),
            ("--set", self.overrides),
            ("--input", self.inputs),
            ("--batch", (str(self.batch),) if self.batch != 1 else ()),
        )
        words = [word for option, values in options for value in values for word in (option, value)]
        return [*words, "--train"] if self.training else words
