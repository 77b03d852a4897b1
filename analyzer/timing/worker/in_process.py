"""Times a module that exists only in this process: `analyzer.measure(module, input="3x224x224")`.

A module cannot be sent to a fresh process without pickle, which could run any code when it is read. One process has one
memory layout, so its interval describes the spread of its own samples only; a note says so.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, error_text
from analyzer.counting.api import count_module
from analyzer.counting.execution.restore import restore_settings
from analyzer.records.record_json import record_to_json
from analyzer.timing.clock.clocks import clock_of
from analyzer.timing.passes.prepare import prepare_model
from analyzer.timing.request import Request
from analyzer.timing.worker.main import measure_prepared
from analyzer.worker.reply import Reply

NOTE = (
    "timed in this process, not in fresh ones: another process may differ by about 10 % through its memory layout, "
    "which the interval does not include"
)


def measure_module(model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], request: Request) -> Reply:
    """The reply that a worker would send. The module is copied, and settings of torch are restored.

    Raises AnalyzerError for a module that cannot be copied, and what the module raises.
    """
    configuration = request.configuration
    try:
        copied = copy.deepcopy(model)
    except Exception as error:
        raise AnalyzerError(
            f"cannot copy a {type(model).__name__} to time it: {type(error).__name__}: {error_text(error)}; time it by "
            "reference, 'net.py:Net'"
        ) from error
    threads = torch.get_num_threads()
    lines: list[Mapping[str, Any]] = []
    with restore_settings():
        try:
            torch.set_num_threads(configuration.threads)
            prepared = prepare_model(copied, args, kwargs, configuration, given=True)
            train = True if configuration.training else None
            record = count_module(prepared.eager, prepared.args, prepared.kwargs, train=train)
            clock = clock_of(configuration.device)
            sent = json.loads(json.dumps(record_to_json(record)))  # As it would arrive from a worker.
            done = measure_prepared(prepared, sent, request, clock, lines.append)
        finally:
            torch.set_num_threads(threads)
    return Reply((*map(dict, lines), {**done, "note": NOTE}), "done")
