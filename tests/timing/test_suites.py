"""The benchmarks of `make bench` run, and record what they measured and on which machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
QUICK = ("--benchmark-only", "--benchmark-max-time=0.01", "--benchmark-min-rounds=1", "-p", "no:cacheprovider")
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def benchmarks(tmp_path_factory):
    """Benchmarks by name: those of the reports, the smallest network and one counter."""
    pytest.importorskip("pytest_benchmark", reason="pytest-benchmark comes with the extra `bench`")
    file = tmp_path_factory.mktemp("bench") / "bench.json"
    selection = ["benchmarks", "-k", "result or nin-1 or closed", *QUICK, f"--benchmark-json={file}"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    pytest_run = subprocess.run(
        [sys.executable, "-m", "pytest", *selection], cwd=ROOT, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert pytest_run.returncode == 0, pytest_run.stdout[-2000:]
    return {benchmark["name"]: benchmark["extra_info"] for benchmark in json.loads(file.read_text())["benchmarks"]}


def test_every_benchmark_records_macs_and_environment(benchmarks):
    assert {
        "test_forward[nin-1-cpu]",
        "test_googlenet[ours: closed form]",
        "test_result[page]",
        "test_result[json]",
    } <= set(benchmarks)
    for extra_info in benchmarks.values():
        assert extra_info["macs"] > 10**9
        assert extra_info["environment"]["torch"]["version"]


def test_a_network_records_batch_and_device(benchmarks):
    extra_info = benchmarks["test_forward[nin-1-cpu]"]
    assert [extra_info[key] for key in ("macs", "batch", "device")] == [1_100_188_800, 1, "cpu"]
