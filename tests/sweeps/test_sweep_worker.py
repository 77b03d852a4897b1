"""The worker of a sweep keeps the times of a configuration in a file until the other side has stored its row."""

from __future__ import annotations

import json
from multiprocessing import Pipe

import pytest

from analyzer.core.serialize import to_json
from analyzer.database.result_rows import encode
from analyzer.records.load_records import load_all
from analyzer.records.run_files import FOLDER
from analyzer.sweeps import sweep_worker
from analyzer.sweeps.run_configuration import Limits
from tests.sweeps.results import result


@pytest.mark.parametrize(("stored", "kept"), [(True, 0), (False, 1)])
def test_times_are_kept_until_the_row_is_stored(monkeypatch, stored, kept):
    timed = result("net", 0.01)

    def execute(case, *, journal, **settings):
        journal([timed.record])
        return encode(timed)

    monkeypatch.setattr(sweep_worker, "execute", execute)
    ours, theirs = Pipe()
    request = {"run": "r", "retries": 0, "limits": to_json(Limits()), "cases": [(timed.key, to_json(timed.case))]}
    if stored:
        ours.send_bytes(b"stored")
        sweep_worker._serve(theirs, json.loads(json.dumps(request)))
        assert sweep_worker.receive(ours)[1]["key"] == timed.key
    else:
        ours.close()  # An interrupted sweep closes the connection, also while a row arrives.
        with pytest.raises(KeyboardInterrupt):
            sweep_worker._serve(theirs, json.loads(json.dumps(request)))
    files = list(FOLDER.glob("unfinished-*.json"))
    assert len(files) == kept
    assert [record.measurement.timings for file in files for record in load_all(file)] == [
        timed.record.measurement.timings
    ] * kept
