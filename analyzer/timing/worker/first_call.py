"""The first call of a model in its process, the compilation of it, and compilations while it is timed."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import torch

from analyzer.records.timings import Configuration
from analyzer.timing.passes.prepare_model import PreparedModel


def time_first_call(prepared: PreparedModel, configuration: Configuration) -> float | None:
    """Seconds of the first forward pass, before compilation: allocation, loading of kernels, their choice.

    None for a model that raises here, which later passes report.
    """
    if prepared.first_call_s is not None:
        return prepared.first_call_s
    return _timed(lambda: prepared.eager(*prepared.args, **prepared.kwargs), configuration)


def time_compilation(prepared: PreparedModel, configuration: Configuration) -> float | None:
    """Seconds of the first call of the compiled model; None without compilation, or if it raises."""
    if not configuration.compiled:
        return None
    return _timed(prepared.loss if configuration.training else prepared.run, configuration)


def compilations() -> int:
    """How many graphs torch.compile has compiled in this process so far."""
    import sys

    utils = sys.modules.get("torch._dynamo.utils")
    return int(utils.counters["stats"]["unique_graphs"]) if utils else 0


def _nothing() -> None:
    pass


def _timed(call: Any, configuration: Configuration) -> float | None:
    synchronize: Callable[[], None] = torch.cuda.synchronize if configuration.device.startswith("cuda") else _nothing
    with nullcontext() if configuration.training else torch.inference_mode():
        synchronize()
        start = time.perf_counter()
        try:
            call()
        except Exception:
            return None
        synchronize()
    return time.perf_counter() - start
