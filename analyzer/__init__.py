"""Exact counts of parameters, multiply-adds and memory traffic for every module of a network.

    >>> import analyzer
    >>> record = analyzer.count("googlenet")
    >>> f"{record.totals.macs:,} multiply-adds, {record.totals.params:,} parameters"
    '1,582,671,872 multiply-adds, 6,998,552 parameters'

`count` and `compare` of built-in networks and `measure` do not import torch in this process. `build`, `auxiliary_loss`
and `drop_auxiliary` import it on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyzer.core.errors import AnalyzerError as AnalyzerError
    from analyzer.counting.api import compare as compare
    from analyzer.counting.api import count as count
    from analyzer.counting.operators.call import Call as Call
    from analyzer.counting.operators.call import Work as Work
    from analyzer.counting.operators.classify import register as register
    from analyzer.models.spec_to_module import Outputs as Outputs
    from analyzer.models.spec_to_module import auxiliary_loss as auxiliary_loss
    from analyzer.models.spec_to_module import build as build
    from analyzer.models.spec_to_module import drop_auxiliary as drop_auxiliary
    from analyzer.records.training import TrainingSetup as TrainingSetup
    from analyzer.timing.driver.measure import measure as measure

_MODULES = {
    "AnalyzerError": "analyzer.core.errors",
    "Call": "analyzer.counting.operators.call",
    "Outputs": "analyzer.models.spec_to_module",
    "TrainingSetup": "analyzer.records.training",
    "Work": "analyzer.counting.operators.call",
    "auxiliary_loss": "analyzer.models.spec_to_module",
    "build": "analyzer.models.spec_to_module",
    "compare": "analyzer.counting.api",
    "count": "analyzer.counting.api",
    "drop_auxiliary": "analyzer.models.spec_to_module",
    "measure": "analyzer.timing.driver.measure",
    "register": "analyzer.counting.operators.classify",
}
__all__ = list(_MODULES)


def __getattr__(name: str) -> Any:
    """Imports a public name on first use (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module 'analyzer' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
