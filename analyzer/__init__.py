"""Exact counts of parameters, multiply-adds and memory traffic for every module of a network.

    >>> import analyzer
    >>> record = analyzer.count("googlenet")
    >>> f"{record.totals.macs:,} multiply-adds, {record.totals.params:,} parameters"
    '1,582,671,872 multiply-adds, 6,998,552 parameters'

`print(record)` shows a table, and a notebook shows it with bars. `count` and `compare` of built-in networks, `measure`
and `load` do not import torch in this process; the other functions import it when they are called.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from analyzer.core import printable_results as _printable_results

if TYPE_CHECKING:
    from analyzer.core.errors import AnalyzerError as AnalyzerError
    from analyzer.core.errors import CannotMeasure as CannotMeasure
    from analyzer.core.errors import InputError as InputError
    from analyzer.core.printable_results import View as View
    from analyzer.counting.api import count as count
    from analyzer.counting.compare_models import compare as compare
    from analyzer.counting.operators.call import Call as Call
    from analyzer.counting.operators.call import Work as Work
    from analyzer.counting.operators.register import register as register
    from analyzer.counting.parameters import params as params
    from analyzer.database.api import History as History
    from analyzer.database.api import history as history
    from analyzer.models.spec_to_module import Outputs as Outputs
    from analyzer.models.spec_to_module import auxiliary_loss as auxiliary_loss
    from analyzer.models.spec_to_module import build as build
    from analyzer.models.spec_to_module import drop_auxiliary as drop_auxiliary
    from analyzer.records.comparison import ComparedMetric as ComparedMetric
    from analyzer.records.comparison import Comparison as Comparison
    from analyzer.records.crosscheck_result import Agreement as Agreement
    from analyzer.records.load_records import load as load
    from analyzer.records.load_records import load_all as load_all
    from analyzer.records.memory import Memory as Memory
    from analyzer.records.memory import ModuleMemory as ModuleMemory
    from analyzer.records.parameters import ModuleParameters as ModuleParameters
    from analyzer.records.parameters import Parameters as Parameters
    from analyzer.records.record import Record as Record
    from analyzer.records.rows import Count as Count
    from analyzer.records.rows import Module as Module
    from analyzer.records.rows import Row as Row
    from analyzer.records.rows import Totals as Totals
    from analyzer.records.timings import Configuration as Configuration
    from analyzer.records.timings import Measurement as Measurement
    from analyzer.records.timings import Timing as Timing
    from analyzer.records.training import TrainingSetup as TrainingSetup
    from analyzer.scaling.api import Scaling as Scaling
    from analyzer.scaling.api import scale as scale
    from analyzer.sweeps.api import sweep as sweep
    from analyzer.timing.driver.api import measure as measure

    __version__: str

_NAMES = {
    "analyzer.core.printable_results": "View",
    "analyzer.core.errors": "AnalyzerError CannotMeasure InputError",
    "analyzer.counting.api": "count",
    "analyzer.counting.compare_models": "compare",
    "analyzer.counting.operators.call": "Call Work",
    "analyzer.counting.operators.register": "register",
    "analyzer.counting.parameters": "params",
    "analyzer.database.api": "History history",
    "analyzer.models.spec_to_module": "Outputs auxiliary_loss build drop_auxiliary",
    "analyzer.records.crosscheck_result": "Agreement",
    "analyzer.records.comparison": "ComparedMetric Comparison",
    "analyzer.records.load_records": "load load_all",
    "analyzer.records.memory": "Memory ModuleMemory",
    "analyzer.records.parameters": "ModuleParameters Parameters",
    "analyzer.records.record": "Record",
    "analyzer.records.rows": "Count Module Row Totals",
    "analyzer.records.timings": "Configuration Measurement Timing",
    "analyzer.records.training": "TrainingSetup",
    "analyzer.scaling.api": "Scaling scale",
    "analyzer.sweeps.api": "sweep",
    "analyzer.timing.driver.api": "measure",
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names.split()}
__all__ = list(_MODULES)


def _renderer() -> _printable_results.Renderer:
    try:
        from reports import display
    except ImportError as error:  # The user's own `reports` comes first on the path.
        from analyzer.core.errors import AnalyzerError

        raise AnalyzerError(f"{error}: another `reports` hides macscope's; rename it to show results") from error
    return display


_printable_results.connect(_renderer)

if not TYPE_CHECKING:  # A type checker would accept any name.

    def __getattr__(name: str) -> Any:
        """Imports a public name on first use (PEP 562)."""
        if name == "__version__":
            from importlib.metadata import version

            value = version("macscope")
        elif name in _MODULES:
            from importlib import import_module

            value = getattr(import_module(_MODULES[name]), name)
        else:
            raise AttributeError(f"module 'analyzer' has no attribute {name!r}")
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES, "__version__"})
