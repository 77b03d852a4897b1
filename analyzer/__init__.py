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
    from analyzer.api import compare as compare
    from analyzer.api import count as count
    from analyzer.builder import Outputs as Outputs
    from analyzer.builder import auxiliary_loss as auxiliary_loss
    from analyzer.builder import build as build
    from analyzer.builder import drop_auxiliary as drop_auxiliary
    from analyzer.counting.registry import register as register
    from analyzer.counting.work import Call as Call
    from analyzer.counting.work import Work as Work
    from analyzer.errors import AnalyzerError as AnalyzerError
    from analyzer.timing.measure import measure as measure

_HOMES = {
    "AnalyzerError": "analyzer.errors",
    "Call": "analyzer.counting.work",
    "Outputs": "analyzer.builder",
    "auxiliary_loss": "analyzer.builder",
    "build": "analyzer.builder",
    "compare": "analyzer.api",
    "count": "analyzer.api",
    "drop_auxiliary": "analyzer.builder",
    "measure": "analyzer.timing.measure",
    "register": "analyzer.counting.registry",
    "Work": "analyzer.counting.work",
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
