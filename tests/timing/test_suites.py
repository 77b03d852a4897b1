"""The suites that `make bench` runs: they still do, and carry what their figures are of and where they were taken."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICK = ("--benchmark-only", "--benchmark-max-time=0.01", "--benchmark-min-rounds=1", "-p", "no:cacheprovider")


@pytest.fixture(scope="module")
def ran(tmp_path_factory):
    """Benchmarks by name: all of the reports, the smallest network, one counter."""
    pytest.importorskip("pytest_benchmark", reason="pytest-benchmark comes with the extra `bench`")
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    chosen = ["benchmarks", "-k", "test_reports or nin-1 or closed", *QUICK, f"--benchmark-json={file}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *chosen],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:]
    return {one["name"]: one for one in json.loads(file.read_text())["benchmarks"]}


def test_every_one_says_of_how_many_macs_and_where(ran):
    assert {"test_forward[nin-1-cpu]", "test_googlenet[ours: closed form]", "test_page", "test_json"} <= set(ran)
    for one in ran.values():
        assert one["extra_info"]["macs"] > 10**9
        assert one["extra_info"]["environment"]["torch"]["version"]


def test_a_network_says_its_batch_and_its_device(ran):
    told = ran["test_forward[nin-1-cpu]"]["extra_info"]
    assert (told["macs"], told["batch"], told["device"]) == (1_100_188_800, 1, "cpu")
