"""A scheduler and two workers at addresses of their own, as on three machines."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.sweeps.cluster.fleets import Fleet, kill, wait_for
from tests.sweeps.cluster.namespaces import NotPermitted, network
from tests.sweeps.cluster.test_driver import Sweep, counted, sleeping_model

pytest.importorskip("distributed")


@pytest.mark.slow
def test_a_sweep_completes_although_a_machine_is_lost(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    model = sleeping_model(tmp_path, 0.5)
    with ExitStack() as stack:
        try:
            hosts = stack.enter_context(network(3))
        except NotPermitted as error:
            pytest.skip(f"no network namespaces: {error}")
        fleet = stack.enter_context(Fleet(tmp_path))
        (address, prefix), *others = hosts
        fleet.start_scheduler(prefix=prefix, host=address, port=8786)
        assert fleet.address == f"tcp://{address}:8786"
        workers = [fleet.start_worker(f"--host={host}", "--no-nanny", prefix=start) for host, start in others]
        wait_for(lambda: fleet.joined() == 2)
        with Sweep(fleet, counted(6, model)) as sweep:
            wait_for(lambda: len(sweep.rows) >= 1)
            kill(workers[0].pid)
    assert sweep.error is None
    assert sweep.keys == sorted(key for key, _ in counted(6, model))
    assert {row["status"] for row in sweep.rows} == {"ok"}
