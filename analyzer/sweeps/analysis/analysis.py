"""All that a report says about the results of sweeps."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from analyzer.core.frozen import Frozen
from analyzer.sweeps.analysis.accuracy import Accuracy, unknown_models
from analyzer.sweeps.analysis.best_configuration import Best, best_configurations
from analyzer.sweeps.analysis.failures import Failure, group_failures
from analyzer.sweeps.analysis.heat_map import HeatMap, heat_maps
from analyzer.sweeps.analysis.machines import MachinePair, machine_pairs
from analyzer.sweeps.analysis.pareto import Cost, Front, fronts
from analyzer.sweeps.analysis.points import Machine, Point, machine_names, newest_points
from analyzer.sweeps.analysis.scaling import AXES, Curve, scaling_curves


class Analysis(Frozen):
    """`machines` are the names of the machines with times. `notes` are about the user's accuracies."""

    points: tuple[Point, ...]
    machines: Mapping[Machine, str]
    fronts: tuple[Front, ...]
    curves: tuple[Curve, ...]
    pairs: tuple[MachinePair, ...]
    heat_maps: tuple[HeatMap, ...]
    best: tuple[Best, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...] = ()


def analyze_points(
    points: Iterable[Point],
    *,
    accuracy: Accuracy | None = None,
    first_cost: Cost | None = None,
    axes: Sequence[str] = (),
) -> Analysis:
    """Raises AnalyzerError for an axis that the results do not have."""
    points = newest_points(points)
    machines = machine_names(points)
    models = dict.fromkeys(point.model for point in points)
    return Analysis(
        points=tuple(points),
        machines=machines,
        fronts=tuple(fronts(points, accuracy, first=first_cost)),
        curves=tuple(curve for axis in AXES for curve in scaling_curves(points, axis)),
        pairs=tuple(machine_pairs(points)),
        heat_maps=tuple(heat_maps(points, machines, axes)),
        best=tuple(best_configurations(points)),
        failures=tuple(group_failures(points)),
        notes=tuple(unknown_models(accuracy, models)) if accuracy else (),
    )
