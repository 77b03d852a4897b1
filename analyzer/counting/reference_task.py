"""The task of a worker that counts a model by reference; see `analyzer.counting.count_in_worker`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from analyzer.core.errors import AnalyzerError, InputError
from analyzer.core.parse_inputs import Input, parse_input
from analyzer.core.serialize import from_json, to_json
from analyzer.counting.api import reference_counter
from analyzer.counting.execution.batch_in_input import load  # The server imports it before it forks.
from analyzer.counting.execution.input_advice import advised
from analyzer.counting.parameters import params
from analyzer.models.failing_forward_errors import naming_the_model
from analyzer.models.references import Reference
from analyzer.records.record_json import record_to_json
from analyzer.records.training import TrainingSetup
from analyzer.worker.run_task import Send


def _load(reference: str, inputs: Sequence[Input], batch: int | None, typed_batch: int | None) -> Reference:
    """The model at `batch`, its inputs read as they were typed with `typed_batch`; at the batch read if None."""
    if typed_batch is None or not inputs:
        return load(reference, inputs, batch or typed_batch or 1, any_batch=False)
    loaded = load(reference, inputs, typed_batch)
    if batch is None:
        return loaded
    args, kwargs = loaded.at_batch(batch)
    return loaded._replace(args=args, kwargs=kwargs)


@naming_the_model
def handle(request: Mapping[str, Any], send: Send) -> Mapping[str, Any]:
    """Loads the model once and sends a record for each of `passes`; the final line has the error of a pass but the
    first, which then is the last one. Of a model that needs an input, parameters are sent before the error."""
    reference, loaded = request["reference"], None
    inputs: list[Input] = []
    try:
        inputs = [parse_input(text) for text in request["inputs"]]
        loaded = _load(reference, inputs, request["batch"], request["typed_batch"])
        count = reference_counter(loaded)
        for number, (train, memory) in enumerate(request["passes"]):
            try:
                setup = from_json(TrainingSetup, memory) if isinstance(memory, dict) else memory
                send({"event": "record", "record": record_to_json(count(train=train, memory=setup))})
            except AnalyzerError as error:
                if not number:
                    raise
                return {"event": "done", "error": str(error)}
    except InputError as error:
        if loaded and error.example:  # Without an input, its parameters can be shown.
            parameters = params(loaded.model).replace(model=loaded.label)
            send({"event": "parameters", "parameters": to_json(parameters), "example": error.example})
        elif loaded:
            raise advised(error, loaded, inputs, request["batch"] or request["typed_batch"] or 1) from error.__cause__
        raise
    return {"event": "done"}
