"""Builds the page of sweep results: its sections, in reading order."""

from __future__ import annotations

from analyzer.core.errors import one_line
from analyzer.core.units import counted
from analyzer.sweeps.analysis.analysis import Analysis
from reports.page.build import finished
from reports.page.context import Page, Section
from reports.page.sections import sweep_best, sweep_front, sweep_grid, sweep_machines, sweep_results, sweep_scaling
from reports.sweeps.names_and_phrases import Names, names_of


def sweep_page(analysis: Analysis, source: str, command: str = "analyze report --from history") -> Page:
    """`source` is what the results are of: `history`, or the file of a sweep."""
    models = list(dict.fromkeys(point.base for point in analysis.points))
    title = ", ".join(models) if len(models) <= 3 else f"{models[0]} and {len(models) - 1} other models"
    timed = " and times, with intervals" if analysis.machines else ""
    subtitle = f"{counted(len(analysis.points), 'configuration')} of {one_line(source)}: counts{timed}."
    noun = "Results" if source == "history" else "Sweep"
    return Page(f"{noun} of {title}", subtitle, finished(_sections(analysis, command)))


def result_sections(analysis: Analysis) -> tuple[Section, ...]:
    """The sections of results for a page that begins with other sections."""
    names = names_of(analysis)
    first = sweep_results.summary(analysis, names).replace(id="sweep", title="Stored results", short="Stored results")
    return (first, *_parts(analysis, names), sweep_results.results(analysis, names))


def _sections(analysis: Analysis, command: str) -> tuple[Section, ...]:
    names = names_of(analysis)
    return (
        sweep_results.summary(analysis, names),
        *_parts(analysis, names),
        sweep_results.results(analysis, names, "table"),
        sweep_results.about(analysis, command),
    )


def _parts(analysis: Analysis, names: Names) -> tuple[Section, ...]:
    return (
        sweep_best.section(analysis, names),
        sweep_front.section(analysis, names),
        sweep_scaling.section(analysis, names),
        sweep_machines.section(analysis, names),
        sweep_grid.section(analysis),
        sweep_results.failures(analysis, names),
    )
