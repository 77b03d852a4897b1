"""Times a module in memory: in fresh processes, to which it is sent, or in this one where it cannot be sent."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from analyzer.core.errors import AnalyzerError
from analyzer.timing.driver.processes import RunWorker, run_worker
from analyzer.timing.request import Request
from analyzer.timing.worker.sent_module import UNREADABLE, write_module
from analyzer.worker.reply import Reply

if TYPE_CHECKING:
    from torch import nn

    from analyzer.timing.driver.time_configurations import TimedRun

TimeRequest: TypeAlias = Callable[[Request, RunWorker], "TimedRun"]


def time_module(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    request: Request,
    time_request: TimeRequest,
    alone: Request,
) -> TimedRun | Reply:
    """The run of fresh processes with this process's import path, or this one's reply to `alone`; a note says why.

    Raises what `time_request` raises, and AnalyzerError for a module that can be
    neither sent nor copied.
    """
    with tempfile.TemporaryDirectory(prefix="macscope-") as folder:
        path = Path(folder) / "module.pickle"
        reason = write_module(path, model, args, kwargs)
        if not reason:
            try:
                return time_request(request.replace(module=str(path)), partial(run_worker, path=sys.path))
            except AnalyzerError as error:
                reason = str(error)
                if UNREADABLE not in reason:
                    raise
    from analyzer.timing.worker.in_process import measure_in_process

    return measure_in_process(model, args, kwargs, alone, reason[reason.index(UNREADABLE) :])
