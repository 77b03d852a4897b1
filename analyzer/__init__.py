"""Where a network's compute goes: exact counts of parameters, multiply-adds and bytes, module by module.

    >>> import analyzer
    >>> record = analyzer.count("googlenet")
    >>> f"{record.totals.macs:,} multiply-adds, {record.totals.params:,} parameters"
    '1,582,671,872 multiply-adds, 6,998,552 parameters'

`count` and `compare` need no torch, and `measure` leaves it to fresh processes; `build`, `auxiliary_loss` and
`drop_auxiliary` import it when first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyzer.core.errors import AnalyzerError as AnalyzerError
    from analyzer.counting.api import compare as compare
    from analyzer.counting.api import count as count
    from analyzer.counting.operators.call import Call as Call
    from analyzer.counting.operators.call import Work as Work
    from analyzer.counting.operators.registry import register as register
    from analyzer.models.builder import Outputs as Outputs
    from analyzer.models.builder import auxiliary_loss as auxiliary_loss
    from analyzer.models.builder import build as build
    from analyzer.models.builder import drop_auxiliary as drop_auxiliary
    from analyzer.timing.driver.measure import measure as measure

_HOMES = {
    "AnalyzerError": "analyzer.core.errors",
    "Call": "analyzer.counting.operators.call",
    "Outputs": "analyzer.models.builder",
    "auxiliary_loss": "analyzer.models.builder",
    "build": "analyzer.models.builder",
    "compare": "analyzer.counting.api",
    "count": "analyzer.counting.api",
    "drop_auxiliary": "analyzer.models.builder",
    "measure": "analyzer.timing.driver.measure",
    "register": "analyzer.counting.operators.registry",
    "Work": "analyzer.counting.operators.call",
}
__all__ = [
    "AnalyzerError",
    "Call",
    "Outputs",
    "Work",
    "auxiliary_loss",
    "build",
    "compare",
    "count",
    "drop_auxiliary",
    "measure",
    "register",
]


def __getattr__(name: str) -> Any:
    """Imports what is asked for, and nothing before it is asked for."""
    if name not in _HOMES:
        raise AttributeError(f"module 'analyzer' has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
