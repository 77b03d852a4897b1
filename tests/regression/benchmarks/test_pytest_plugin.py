"""`pytest --analyze-check FILE` in a project of its own: pytest-benchmark measures, our outcomes decide."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.history.made import bench, written

# A fixed clock in the place of pytest-benchmark's: a call takes what the file says, to the nanosecond.
PROJECT = """
import json, pathlib, pytest

TIMES = json.loads(pathlib.Path(__file__).with_name("times.json").read_text())

class Clock:
    now = 0.0
    def __call__(self):
        return self.now

clock = Clock()

@pytest.mark.parametrize("name", sorted(TIMES))
def test_work(benchmark, name):
    benchmark._timer = clock
    calls = iter(range(10**9))
    def work():
        clock.now += TIMES[name] * (1 + 0.001 * (next(calls) % 3))
    benchmark.pedantic(work, rounds=30)
"""
NINE = {name: 1e-3 * (number + 1) for number, name in enumerate("abcdefghi")}


@pytest.fixture
def project(tmp_path):
    written(tmp_path, "test_work.py", PROJECT)
    written(tmp_path, "pyproject.toml", "")
    written(tmp_path, "times.json", json.dumps(NINE))
    return tmp_path


def pytest_in(project, *options):
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=project, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def base(project):
    done = pytest_in(project, "--benchmark-json", "base.json")
    assert done.returncode == 0, done.stdout
    return "base.json"


def test_the_same_again_passes_and_a_slower_one_fails(project, base):
    done = pytest_in(project, "--analyze-check", base)
    assert done.returncode == 0, done.stdout
    assert "analyze check" in done.stdout
    assert "regressed" not in done.stdout
    written(project, "times.json", json.dumps({**NINE, "c": 2 * NINE["c"]}))
    done = pytest_in(project, "--analyze-check", base)
    assert done.returncode == 1, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if line.rstrip().endswith("regressed") and "test_work" in line]
    assert "[c]" in line
    assert "9 passed" in done.stdout


def test_a_file_that_cannot_be_compared_is_said_before_anything_runs(project):
    written(project, "bare.json", bench({"b": 1e-3}, raw=False))
    for name, said in (("none.json", "cannot read 'none.json'"), ("bare.json", "--benchmark-save-data")):
        done = pytest_in(project, "--analyze-check", name)
        assert done.returncode == 4
        assert said in done.stderr
        assert "passed" not in done.stdout


def test_another_machines_file_is_said_before_anything_runs(project, base):
    data = json.loads((project / base).read_text())
    data["machine_info"]["cpu"]["brand_raw"] = "Another\n::error::no"
    written(project, "other.json", json.dumps(data))
    done = pytest_in(project, "--analyze-check", "other.json")
    assert done.returncode == 4
    assert "'other.json' is of another machine (processor Another\\n::error::no against " in done.stderr
    assert "passed" not in done.stdout


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--benchmark-disable", "benchmarks are disabled (--benchmark-disable, or by pytest-xdist)"),
        ("--benchmark-skip", "benchmarks are skipped (--benchmark-skip)"),
    ],
)
def test_what_measures_nothing_is_named(project, base, option, said):
    done = pytest_in(project, option, "--analyze-check", base)
    assert done.returncode == 0
    assert f"{said}; nothing was compared" in done.stdout


def test_a_list_of_tests_compares_nothing(project, base):
    done = pytest_in(project, "--collect-only", "--analyze-check", "none.json")
    assert done.returncode == 0
    assert "analyze check" not in done.stdout


def test_what_cannot_be_compared_after_all_fails(project, base):
    written(project, "times.json", json.dumps({**NINE, "c": 1e300}))
    done = pytest_in(project, "--analyze-check", base)
    assert done.returncode == 1, done.stdout
    assert "cannot compare: " in done.stdout
    assert "is no number of seconds" in done.stdout


def test_no_name_is_a_command_under_actions(project, base, monkeypatch):
    data = json.loads((project / base).read_text())
    data["benchmarks"][0]["fullname"] = "::error::no"
    written(project, "base.json", json.dumps(data))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = pytest_in(project, "--analyze-check", base)
    assert done.returncode == 0, done.stdout
    assert ": :error::no" in done.stdout
    assert not any(line.startswith("::") for line in done.stdout.splitlines())


def test_without_benchmarks_nothing_is_compared_and_nothing_fails(project, base):
    written(project, "test_work.py", "def test_nothing(): pass\n")
    done = pytest_in(project, "--analyze-check", base)
    assert done.returncode == 0
    assert "no benchmark ran; nothing was compared" in done.stdout


def test_a_run_that_failed_stays_failed_by_its_own_status(project, base):
    written(project, "test_work.py", PROJECT + "\ndef test_wrong():\n    assert False\n")
    assert pytest_in(project, "--analyze-check", base).returncode == 1


def test_without_pytest_benchmark_the_option_says_what_to_install(project, base):
    done = pytest_in(project, "-p", "no:benchmark", "--analyze-check", base)
    assert done.returncode == 4
    assert "pip install pytest-benchmark" in done.stderr
