"""`analyzer.scale`: the cost of a model as an exact formula of its sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from itertools import product
from typing import TYPE_CHECKING, Any

from analyzer.core.errors import AnalyzerError, CannotMeasure, InputError, nearest, one_line, quoted
from analyzer.core.parse_inputs import is_reference, parse_inputs
from analyzer.core.units import METRICS
from analyzer.networks.variants import variant
from analyzer.scaling.accepted_sizes import is_fixed, sizes_in_words, smallest_size
from analyzer.scaling.axes import Axis, parse_axes, parse_values
from analyzer.scaling.countable_model import ReferenceSource, Source, VariantSource
from analyzer.scaling.counts_at_sizes import Counts
from analyzer.scaling.fit import Values
from analyzer.scaling.piecewise_fit import fits_of
from analyzer.scaling.polynomial import Polynomial

if TYPE_CHECKING:
    import pandas
    import plotly.graph_objects
    import sympy


class Scaling:
    """Formulas of one model, or of one of its modules, over one or more sizes.

    `base` is the record at the present sizes. `fits` has one fit, or with a single size one for each range on which
    another formula holds. `fixed` are the axes of which the model accepts one size alone.
    """

    def __init__(
        self,
        source: Source,
        axes: Sequence[Axis],
        *,
        module: str | None = None,
        memory: bool = False,
        cache: bool = False,
        limits: Mapping[str, int] | None = None,
        required: bool = True,
    ) -> None:
        """`required`: raises AnalyzerError if the model accepts only one size of an axis; else it is `fixed`."""
        self.axes, self.module = tuple(axes), module
        self._counts = Counts(source, module=module, memory=memory, cache=cache)
        self._counts.keep_base(self._sizes({}))
        self.base = self._counts.base
        self.label = self.base.label
        self.fixed = tuple(axis for axis in axes if is_fixed(partial(self._accepts, axis), axis))
        if self.fixed and (required or len(self.fixed) == len(self.axes)):
            raise AnalyzerError(f"{one_line(self.label)}: {self.taken(self.fixed[0])}; there is no formula in it")
        self.axes = tuple(axis for axis in self.axes if axis not in self.fixed)
        self._counts.keep_base(self._sizes({}))
        self.fits = tuple(fits_of(self.count, self.axes, self.base, limits or {}))

    def __repr__(self) -> str:
        formula = self.fits[0].formulas.get("macs")
        text = formula.text() if formula else self.fits[0].reasons.get("macs", "none")
        return f"<Scaling {self.label} over {', '.join('='.join(axis.sizes) for axis in self.axes)}: MACs {text}>"

    @property
    def metrics(self) -> tuple[str, ...]:
        """The metrics of a count in their usual order, without those of single operators."""
        return tuple(name for name in self._counts.present if name in METRICS)

    @property
    def verified(self) -> int:
        """The number of counts made within the domains, all of which the formulas equal."""
        names = [axis.name for axis in self.axes]
        points = {tuple(sizes[name] for name in names) for sizes in self._counts.sizes}
        return sum(self._is_verified(dict(zip(names, point, strict=True))) for point in points)

    def _is_verified(self, point: Mapping[str, int]) -> bool:
        values = self.count(point)
        return values is not None and any(
            all(formula.at(point) == values.get(name, 0) for name, formula in fit.formulas.items())
            for fit in self.fits
            if fit.formulas and all(point[name] in along.domain for name, along in fit.axes.items())
        )

    def formula(self, metric: str = "macs") -> sympy.Expr:
        """The formula in SymPy. Raises AnalyzerError for an unknown metric, CannotMeasure if it has no formula."""
        return self.polynomial(metric).expression()

    def polynomial(self, metric: str = "macs") -> Polynomial:
        """The formula with its texts. Raises as `formula`."""
        self._require(metric)
        if metric not in self.fits[0].formulas:
            raise CannotMeasure(f"{metric} of {self.label}: {self.fits[0].reasons[metric]}")
        return self.fits[0].formulas[metric]

    def at(self, *, metric: str = "macs", **sizes: int) -> int:
        """The exact value at sizes by axis, by a formula where one was verified, else by a count.

        `height=320` also sets a width that `height=width` couples to it. Axes that are left out keep their value.
        Raises AnalyzerError if the model does not take the sizes.
        """
        self._require(metric)
        return self.values(self._by_axis(sizes)).get(metric, 0)

    def values(self, sizes: Mapping[str, int]) -> Values:
        """All metrics at sizes by axis; see `at`."""
        point = {axis.name: sizes.get(axis.name, axis.base) for axis in self.axes}
        for fit in self.fits:
            if not fit.reasons and all(point[name] in along.domain for name, along in fit.axes.items()):
                return {name: int(formula.at(point)) for name, formula in fit.formulas.items()}
        return self._counts.values(self._sizes(point))

    def table(self, values: Mapping[str, Sequence[int]]) -> Iterator[tuple[dict[str, int], Values | AnalyzerError]]:
        """The values of all metrics at every combination of sizes; the error for sizes that the model refuses."""
        axes = [(axis.name, values.get(axis.name, (axis.base,))) for axis in self.axes]
        for point in product(*(sizes for _, sizes in axes)):
            sizes = dict(zip((name for name, _ in axes), point, strict=True))
            try:
                yield sizes, self.values(sizes)
            except AnalyzerError as error:
                yield sizes, error

    def frame(self, **values: Sequence[int] | str) -> pandas.DataFrame:
        """A row per combination of sizes: `frame(height=[224, 256])`, `frame(sequence="128..4096:x2")`."""
        import pandas

        texts = [f"{name}={value}" for name, value in values.items() if isinstance(value, str)]
        lists = {name: tuple(value) for name, value in values.items() if not isinstance(value, str)}
        points = {**parse_values(texts, self.axes), **self._by_axis(lists)}
        rows = [{**sizes, **row} for sizes, row in self.table(points) if not isinstance(row, AnalyzerError)]
        return pandas.DataFrame(rows)

    def figure(self, metric: str = "macs", **values: Sequence[int] | str) -> plotly.graph_objects.Figure:
        """A metric over the sizes of one axis, `figure(height="112..672:56")`, a line for each of the other sizes."""
        import plotly.graph_objects as go

        self._require(metric)
        frame = self.frame(**values)
        along = max((axis.name for axis in self.axes), key=lambda name: frame[name].nunique())
        others = [axis.name for axis in self.axes if axis.name != along]
        figure = go.Figure()
        for sizes, part in frame.groupby(others) if others else [((), frame)]:
            name = ", ".join(f"{other} {size}" for other, size in zip(others, sizes, strict=True))
            figure.add_scatter(x=part[along], y=part[metric], name=name, mode="lines+markers")
        known = METRICS[metric]
        figure.update_layout(xaxis_title=along, yaxis_title=f"{known.title} ({known.unit})", title=self.label)
        return figure

    def count(self, point: Mapping[str, int]) -> Values | None:
        """All metrics at sizes by axis, by a count; None if the model does not take the sizes."""
        return self._counts.find(self._sizes(point))

    def smallest(self, axis: Axis) -> int:
        """The smallest size that the model accepts, with the others at their present values."""
        return smallest_size(partial(self._accepts, axis), axis, self._step(axis))

    def taken(self, axis: Axis) -> str:
        """The sizes that the model accepts along an axis, in words."""
        if axis in self.fixed:
            return f"the model accepts only {' = '.join(axis.sizes)} {axis.base:,}, of 12 sizes tried"
        return sizes_in_words(partial(self._accepts, axis), axis, self._step(axis))

    def _step(self, axis: Axis) -> int:
        return max((fit.axes[axis.name].domain.step for fit in self.fits if axis.name in fit.axes), default=1)

    def _accepts(self, axis: Axis, size: int) -> bool:
        return size > 0 and self.count({axis.name: size}) is not None

    def _sizes(self, point: Mapping[str, int]) -> dict[str, int]:
        """Sizes of the model from sizes by axis."""
        return {name: point.get(axis.name, axis.base) for axis in self.axes for name in axis.sizes}

    def _by_axis(self, sizes: Mapping[str, Any]) -> dict[str, Any]:
        """Sizes by the names of their axes. Raises AnalyzerError for a size that no axis has."""
        names = {name: axis.name for axis in self.axes for name in axis.sizes}
        for name in sizes:
            if name not in names:
                raise AnalyzerError(f"no size {quoted(name)} in this formula; it has {', '.join(names)}")
        return {names[name]: value for name, value in sizes.items()}

    def _require(self, metric: str) -> None:
        if metric not in self._counts.present:
            raise AnalyzerError(f"no metric {quoted(metric)}; {nearest(metric, self.metrics)}")


def scale(
    model: str,
    over: str | None = None,
    *,
    input: Any = None,
    batch: int = 1,
    train: bool = False,
    overrides: Mapping[str, int] | None = None,
    module: str | None = None,
    memory: bool = False,
    cache: bool = False,
) -> Scaling:
    """The cost of a built-in network or a model by reference as a formula of the sizes `over`.

    >>> costs = scale("googlenet", over="batch,height=width")
    >>> costs.at(batch=8, height=320) == costs.at(batch=1, height=320) * 8
    True
    >>> costs.polynomial("params").depends_on("batch")
    False
    """
    if not isinstance(model, str):
        kind = type(model).__name__  # type: ignore[unreachable]
        raise AnalyzerError(f"cannot scale an object of type {kind}; wanted a name or a reference such as net.py:Net")
    if is_reference(model) and overrides:
        raise AnalyzerError("overrides are for built-in networks")
    inputs = parse_inputs(input)
    try:
        source: Source
        if is_reference(model):
            source = ReferenceSource(model, tuple(text.text for text in inputs), batch, train)
        else:
            source = VariantSource(variant(model, overrides), inputs, batch, train)
        return scaling(source, over, module=module, memory=memory, cache=cache)
    except InputError as error:
        raise error.with_keywords() from None


def scaling(source: Source, over: str | None, *, at: Sequence[str] = (), module: str | None = None,
            memory: bool = False, cache: bool = False) -> Scaling:  # fmt: skip
    """As `scale`; `at` are values of `--at`, for which the formulas are to hold."""
    axes = parse_axes(over, source) if over else default_axes(source)
    limits = {name: max(sizes) for name, sizes in parse_values(at, axes).items()}
    return Scaling(source, axes, module=module, memory=memory, cache=cache, limits=limits, required=over is not None)


def default_axes(source: Source) -> tuple[Axis, ...]:
    """The batch, and the size of the images or the length of the text."""
    sizes = source.sizes
    if "sequence" in sizes:
        return parse_axes("batch,sequence", source)
    if "height" in sizes and sizes["height"] == sizes.get("width"):
        return parse_axes("batch,height=width", source)
    return parse_axes("batch,height,width" if "height" in sizes else "batch", source)
