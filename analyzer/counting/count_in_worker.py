"""Counts models by reference in worker processes, so that their code cannot end or change this one. No torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeAlias

from analyzer.core.errors import CannotMeasure, one_line
from analyzer.core.serialize import from_json, to_json
from analyzer.records.parameters import NeedsInput, Parameters
from analyzer.records.record import Record
from analyzer.records.record_json import record_from_json
from analyzer.records.training import TrainingSetup
from analyzer.worker import client

TASK = "analyzer.counting.reference_task"
Pass: TypeAlias = tuple[bool, bool | TrainingSetup]  # (train, memory), as in `analyzer.count`.


def count_passes(
    reference: str,
    passes: Sequence[Pass],
    *,
    inputs: Sequence[str] = (),
    batch: int | None = 1,
    typed_batch: int | None = None,
    limit_s: float | None = None,
) -> tuple[list[Record], str]:
    """A record per pass; if one but the first cannot be counted, those before it and the error.

    `inputs` are as on the command line, typed with `typed_batch` if that is not None: then sizes may have another batch
    in front, at which the model is counted if `batch` is None.

    Raises AnalyzerError, NeedsInput for a model without an input, CannotMeasure if the model ended its process or ran
    for longer than `limit_s` seconds (10 minutes if None), and KeyboardInterrupt.
    """
    request = {
        "reference": reference,
        "passes": [(train, to_json(memory)) for train, memory in passes],
        "inputs": list(inputs),
        "batch": batch,
        "typed_batch": typed_batch,
    }
    reply = client.ask(TASK, request, limit_s or client.LIMIT_S, model=reference)
    if reply.end != "done":
        error = reply.error(one_line(reference))
        if line := reply.last("parameters"):
            raise NeedsInput(error, line["example"], from_json(Parameters, line["parameters"]))
        raise error
    try:
        records = [record_from_json(line["record"]) for line in reply.lines if line["event"] == "record"]
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CannotMeasure(f"{one_line(reference)}: its worker's reply cannot be read: {one_line(error)}") from None
    failure = str(reply.last("done").get("error", ""))
    if len(records) != len(passes) and not (records and failure):
        raise CannotMeasure(f"{one_line(reference)}: its worker's reply has {len(records)} of {len(passes)} records")
    return records, failure


def count_in_worker(
    reference: str,
    *,
    inputs: Sequence[str] = (),
    batch: int | None = None,
    typed_batch: int | None = None,
    train: bool = False,
    memory: bool | TrainingSetup = False,
    limit_s: float | None = None,
) -> Record:
    """The record of one pass; see `count_passes`."""
    (record,), _ = count_passes(
        reference, [(train, memory)], inputs=inputs, batch=batch, typed_batch=typed_batch, limit_s=limit_s
    )
    return record
