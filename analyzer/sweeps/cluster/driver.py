"""Runs a sweep on a Dask cluster: Dask distributes; which worker a case may go to is decided here, in the driver."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from analyzer.core.serialize import to_json
from analyzer.core.signals import ignore_sigint
from analyzer.sweeps.cluster.connection import connect
from analyzer.sweeps.cluster.dask_worker import OWN_MEMORY
from analyzer.sweeps.cluster.fleet import Fleet
from analyzer.sweeps.cluster.model_files import model_file, shipment
from analyzer.sweeps.cluster.placement import check_needs
from analyzer.sweeps.cluster.send_jobs import Dispatch
from analyzer.sweeps.cluster.software import software
from analyzer.sweeps.run_configuration import Limits, ignore, machine_memory
from analyzer.sweeps.run_locally import Job

ANSWER_S = 15.0  # For workers that are there at the start.


def run(
    jobs: Sequence[Job],
    address: str,
    *,
    run: str,
    retries: int = 0,
    limits: Limits = Limits(),  # noqa: B008 – frozen
    on_row: Callable[[Mapping[str, Any]], None],
    progress: Callable[[str], None] = ignore,
    notify: Callable[[str], None] = ignore,
) -> None:
    """Executes every job on the cluster at `address` and passes its row to `on_row`, in any order, as `run_local` does.

    Counts come first, then times in random order, one at a time on each machine. A job whose worker is lost runs again
    elsewhere, at most MAX_KILLED times. `notify` receives which workers are not used and which jobs wait for another
    worker. Raises AnalyzerError for a model that cannot be sent, CannotMeasure if the scheduler does not answer or is
    lost and if no worker can be used, and KeyboardInterrupt; what ran then is stopped.
    """
    models = dict.fromkeys(case.model for _, case in jobs)
    shipments = {model: shipment(model) for model in models if model_file(model)}
    for _, case in jobs:
        check_needs(case.needs)
    if limits.memory_bytes == machine_memory():
        limits = limits.replace(memory_bytes=OWN_MEMORY)
    settings = {"run": run, "retries": retries, "limits": to_json(limits)}
    ours = software(model for model in models if model not in shipments)
    with connect(address, notify) as client:
        fleet = Fleet(client, ours, notify)
        fleet.update()
        fleet.collect(ANSWER_S)
        fleet.require_usable()
        dispatch = Dispatch(client, fleet, address, settings, shipments, on_row, progress, notify)
        try:
            dispatch.run(jobs)
        finally:
            with ignore_sigint():
                dispatch.close()
