"""The task of a worker that counts a model by reference at many sizes; see `analyzer.scaling.countable_model`."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any, NamedTuple

from analyzer.core.errors import AnalyzerError, one_line
from analyzer.core.parse_inputs import parse_input
from analyzer.counting.api import count_module
from analyzer.counting.execution.batch_in_input import load
from analyzer.language_models.kv_cache import CACHES, cache_after, stored_bytes
from analyzer.models.failing_forward_errors import naming_the_model
from analyzer.models.references import Reference
from analyzer.records.metric_values import values_of
from analyzer.records.record_json import record_to_json
from analyzer.scaling.named_input_sizes import input_sizes, resized
from analyzer.worker.run_task import Send


class _Loaded(NamedTuple):
    key: tuple[str, tuple[str, ...], int]
    reference: Reference


_loaded: _Loaded | None = None  # A worker has one model; it is loaded by the first request.


@naming_the_model
def handle(request: Mapping[str, Any], send: Send) -> Mapping[str, Any]:
    """Without `sizes`, the final line has the model's sizes. With them, a record of that model is sent, or if `record`
    is false the final line has the values of the model or of `module`.

    With `cache`, the final line has the bytes that a language model keeps of a text of these sizes instead.
    """
    loaded = _load(request["reference"], request["inputs"], request["batch"])
    if request["sizes"] is None:
        return {"event": "done", "sizes": {"batch": request["batch"], **input_sizes(loaded.args, loaded.kwargs)}}
    sizes = dict(request["sizes"])
    if request["cache"]:
        return {"event": "done", "cache_bytes": _cache_bytes(loaded, {"batch": request["batch"], **sizes})}
    with_batch = loaded.at_batch(sizes.pop("batch", request["batch"]))
    args, kwargs = resized(*with_batch, sizes)
    record = count_module(
        loaded.model, args, kwargs, label=loaded.label, real=loaded.real, train=request["train"],
        memory=request["memory"],
    )  # fmt: skip
    if not request.get("record", True):
        return {"event": "done", "values": values_of(record, request["module"])}
    send({"event": "record", "record": record_to_json(record)})
    return {"event": "done"}


def _cache_bytes(loaded: Reference, sizes: Mapping[str, int]) -> int:
    takes_cache = any(name in inspect.signature(loaded.model.forward).parameters for name in CACHES)
    if "sequence" not in sizes or not takes_cache:
        raise AnalyzerError(f"{one_line(loaded.label)} keeps no KV cache; it is no language model of transformers")
    return stored_bytes(cache_after(loaded.model, sizes["batch"], sizes["sequence"]))


def _load(reference: str, inputs: list[str], batch: int) -> Reference:
    global _loaded
    key = (reference, tuple(inputs), batch)
    if _loaded is None or _loaded.key != key:
        _loaded = _Loaded(key, load(reference, [parse_input(text) for text in inputs], batch, any_batch=False))
    return _loaded.reference
