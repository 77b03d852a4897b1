"""Completions in a shell: models, modules, columns, changes of built-in networks, claims and devices. No torch."""

from __future__ import annotations

from collections.abc import Iterable

import click
from click.shell_completion import CompletionItem

from analyzer.core.errors import AnalyzerError

MODEL_FILES = (".py", ".pt2")
LIBRARIES = ("torchvision:", "timm:")
PROTECTED = ("_protected_args", "protected_args")  # A group's own arguments: from click 8.2, and before.


def _starting(names: Iterable[str], incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(name) for name in names if name.startswith(incomplete)]


def complete_variant(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Built-in networks, and after `@` the numbers that can be changed: `googlenet@inception_4a.reduce_5x5=`."""
    from analyzer.networks import VARIANTS

    name, at, change = incomplete.rpartition(",")[2].partition("@")
    before = incomplete.removesuffix(f"{name}{at}{change}")
    if not at:
        return _starting((f"{before}{variant}" for variant in VARIANTS), incomplete)
    return _starting((f"{before}{name}@{key}=" for key in _keys([name])), incomplete)


def complete_model(context: click.Context, parameter: click.Parameter | None, incomplete: str) -> list[CompletionItem]:
    """Built-in networks, models of an installed library after its name, and files."""
    library, colon, name = incomplete.partition(":")
    if f"{library}{colon}" in LIBRARIES:
        from analyzer.models.optional_libraries import library_names

        try:  # Bash completes what follows the colon.
            return _starting(library_names(library), name)
        except AnalyzerError:
            return []
    items = complete_variant(context, parameter or click.Argument(["models"]), incomplete)
    items += _starting((*LIBRARIES, "hf:"), incomplete)
    return [*items, CompletionItem(incomplete, type="file")]


def complete_module(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Modules of the built-in networks on the command line; of googlenet if there is none."""
    from analyzer.networks.variants import variant
    from analyzer.networks.walk import walk
    from analyzer.records.rows import prefixes

    steps = [step for name in _selected(context) for step in walk(variant(name).network, mode="training")]
    paths = dict.fromkeys(path for step in steps for path in prefixes(step.path))
    deeper = incomplete.count(".")
    return _starting((path for path in paths if path.count(".") <= deeper + 1), incomplete)


def complete_override(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return _starting((f"{key}=" for key in _keys(_selected(context))), incomplete)


def complete_columns(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from reports.counting.groups import COLUMNS

    return _starting(COLUMNS, incomplete)


def complete_claim(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from analyzer.claims import ledger

    return _starting((claim.id for claim in ledger()), incomplete)


def complete_device(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    from analyzer.timing.peaks.published import devices

    return _starting(("list", *devices()), incomplete)


def complete_filter(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """The column at the end of a filter."""
    from analyzer.database.columns import NAMES

    before = incomplete[: len(incomplete) - len(incomplete.split()[-1])] if incomplete[-1:].strip() else incomplete
    return _starting((f"{before}{name}" for name in NAMES), incomplete)


def complete_result(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Keys of stored results."""
    from analyzer.database.store import open_store

    try:
        with open_store(context.params.get("store"), create=False) as store:
            return _starting(store.find(incomplete), incomplete)
    except AnalyzerError:
        return []


def _selected(context: click.Context) -> list[str]:
    """The built-in networks among the words of the command line."""
    from analyzer.networks import VARIANTS

    words = [*(context.params.get("variants") or ()), *(context.params.get("models") or ()), *context.args]
    words += next((vars(context)[name] for name in PROTECTED if name in vars(context)), ())
    names = [name for word in words for name in str(word).split(",") if name.partition("@")[0] in VARIANTS]
    return [name.partition("@")[0] for name in names] or ["googlenet"]


def _keys(names: Iterable[str]) -> list[str]:
    from analyzer.networks.overrides import hyperparameters
    from analyzer.networks.variants import variant

    try:
        numbers = [number for name in names for number in hyperparameters(variant(name).network)]
    except AnalyzerError:
        return []
    return list(dict.fromkeys(f"{number.path}.{number.key}" for number in numbers))
