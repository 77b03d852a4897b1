"""Times a module that cannot be sent to a fresh process, such as an instance of a class in a function.

One process has one memory layout, so its interval describes the spread of its own samples only; a note says so.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, error_text
from analyzer.counting.execution.torch_settings import restore_settings
from analyzer.timing.clock.clocks import clock_of
from analyzer.timing.passes.prepare_model import prepare_model
from analyzer.timing.request import Request
from analyzer.timing.worker.load_model import arguments, count_reference
from analyzer.timing.worker.timing_task import measure_prepared
from analyzer.worker.reply import Reply

NOTE = (
    "timed in this process, not in fresh ones: {}. Another process may differ by about 10 % through its memory layout, "
    "which the interval does not include"
)


def measure_in_process(
    model: nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any], request: Request, reason: str
) -> Reply:
    """The reply that a worker would send, and a note with the reason. The module is copied, and settings of torch are
    restored.

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
    gpus = range(torch.cuda.device_count()) if configuration.device.startswith("cuda") else ()
    with restore_settings(), torch.random.fork_rng(gpus):
        try:
            torch.set_num_threads(configuration.threads)
            args, kwargs, options = arguments(request, args, kwargs)
            prepared = prepare_model(copied, args, kwargs, configuration, new_inputs=request.new_inputs, **options)
            clock = clock_of(configuration.device)
            sent = json.loads(json.dumps(count_reference(prepared, request)))  # As it would arrive from a worker.
            done = measure_prepared(prepared, sent, request, clock, lines.append)
        finally:
            torch.set_num_threads(threads)
    return Reply((*map(dict, lines), {**done, "note": NOTE.format(reason)}), "done")
