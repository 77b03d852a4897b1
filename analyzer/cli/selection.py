"""The models that a command line selects, and the input, batch, mode and overrides with which each is counted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen

if TYPE_CHECKING:
    from analyzer.core.parse_inputs import Input
    from analyzer.core.shapes import Shape
    from analyzer.counting.api import Counter
    from analyzer.networks.variants import Variant
    from analyzer.records.record import Record
    from analyzer.records.training import TrainingSetup


class Selection(Frozen):
    """The selecting options as typed: `--variant`, `--model`, `--set`, `--input`, `--batch`, `--mode`, `--timeout`.

    `order` are the names of models that are arguments, of both kinds, as typed.
    """

    variants: tuple[str, ...] = ()
    references: tuple[str, ...] = ()
    overrides: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    batch: int = 1
    training: bool = False
    order: tuple[str, ...] = ()
    timeout_s: float | None = None

    def __bool__(self) -> bool:
        """Whether at least one model is selected."""
        return bool(self.variants or self.references)

    def require_models(self, purpose: str) -> None:
        """Raises AnalyzerError if no model is selected; `purpose` is a verb such as "count"."""
        if not self:
            raise AnalyzerError(f"nothing to {purpose}: give a model, such as googlenet or net.py; see analyze --help")

    def resolve_variants(self) -> list[Variant]:
        """The built-in networks with their overrides applied. Raises AnalyzerError for an unknown name or override."""
        from analyzer.networks.variants import variants

        return variants(self.variants, self.overrides)

    def parse_inputs(self) -> list[Input]:
        """The inputs as shapes without the batch. Raises AnalyzerError for a malformed input."""
        from analyzer.core.parse_inputs import parse_input

        return [parse_input(text) for text in self.inputs]

    def counters(self, *, counter: Counter = "closed_form", verify: bool = False) -> list[Callable[..., Record]]:
        """One function per model, in the order typed, that counts it when called with `memory`, and at another batch
        with `batch`.

        Models of options follow those that are arguments, built-in networks first.
        `counter` and `verify` apply to variants only; references are always counted by running them, in a worker.
        """
        from analyzer.core.parse_inputs import image_shape
        from analyzer.counting.api import count_variant

        if self.timeout_s is not None and not self.references:
            raise AnalyzerError("--timeout has no effect without --model; built-in networks run no code")
        variants, inputs = self.resolve_variants(), self.parse_inputs()
        size: Shape | None = image_shape(inputs, self.batch) if variants else None
        count = partial(
            count_variant, input=size, batch=self.batch, train=self.training, counter=counter, verify=verify
        )
        counters: list[Callable[..., Record]] = [partial(count, variant) for variant in variants]
        if self.references:
            from analyzer.counting.count_in_worker import count_in_worker

            in_worker = partial(
                count_in_worker, inputs=self.inputs, typed_batch=self.batch, train=self.training, limit_s=self.timeout_s
            )
            counters += [partial(in_worker, name) for name in self.references]
        return [counters[index] for index in self._positions()]

    def _positions(self) -> list[int]:
        """The positions of the models in `variants` and then `references`, in the order typed."""
        places = {name: place for place, name in reversed(list(enumerate(self.order)))}
        names = [*self.variants, *self.references]
        return sorted(range(len(names)), key=lambda position: places.get(names[position], len(places)))

    def count(
        self, counters: Sequence[Callable[..., Record]] | None = None, *, memory: bool | TrainingSetup = False
    ) -> tuple[list[Record | None], list[AnalyzerError]]:
        """The record of every selected model, as `counters`, and the errors of references that cannot be counted.

        Such a reference has None in place of its record.
        """
        records: list[Record | None] = []
        errors: list[AnalyzerError] = []
        counters = self.counters() if counters is None else counters
        for position, count in zip(self._positions(), counters, strict=True):
            try:
                records.append(count(memory=memory))
            except AnalyzerError as error:
                if position < len(self.variants):
                    raise
                records.append(None)
                errors.append(error)
        return records, errors

    def arguments(self) -> list[str]:
        """The command-line arguments that make the same selection."""
        names = [*self.variants, *self.references]
        models = [names[position] for position in self._positions()]
        options = (
            ("--set", self.overrides),
            ("--input", self.inputs),
            ("--batch", (str(self.batch),) if self.batch != 1 else ()),
        )
        words = [*models, *(word for option, values in options for value in values for word in (option, value))]
        return [*words, "--train"] if self.training else words
