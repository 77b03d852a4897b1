"""`pytest --analyze-check FILE` in a separate project: pytest-benchmark measures, analyze check decides."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from xml.etree import ElementTree as Xml

import pytest

from tests.trends.bench_files import bench, written

pytestmark = pytest.mark.slow  # Every test runs pytest in a child process, most of them twice.

# A simulated clock replaces pytest-benchmark's: a call takes exactly the time in the file.
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


def run_pytest(project, *options):
    # Under pytest-xdist the child would take itself for a worker, and pytest-benchmark disables itself there.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=project, env=environment, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


@pytest.fixture
def base(project):
    done = run_pytest(project, "--benchmark-json", "base.json")
    assert done.returncode == 0, done.stdout
    return "base.json"


def test_an_equal_run_passes_and_a_slower_run_fails(project, base):
    done = run_pytest(project, "--analyze-check", base)
    assert done.returncode == 0, done.stdout
    assert "analyze check" in done.stdout
    assert "1 regressed" not in done.stdout
    written(project, "times.json", json.dumps({**NINE, "c": 2 * NINE["c"]}))
    done = run_pytest(project, "--analyze-check", base)
    assert done.returncode == 1, done.stdout
    (line,) = [line for line in done.stdout.splitlines() if " regressed " in line and "test_work" in line]
    assert "[c]" in line
    assert "9 passed" in done.stdout


def test_an_unusable_file_is_reported_before_any_test_runs(project):
    written(project, "bare.json", bench({"b": 1e-3}, raw=False))
    (project / "folder").mkdir()
    for name, noun in (("folder", "cannot read 'folder'"), ("bare.json", "--benchmark-save-data")):
        done = run_pytest(project, "--analyze-check", name)
        assert done.returncode == 4
        assert noun in done.stderr
        assert "passed" not in done.stdout


def test_a_first_run_without_a_file_passes(project, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    done = run_pytest(project, "--analyze-check", "none.json", "--junit-xml", "tests.xml")
    assert done.returncode == 0
    assert "9 passed" in done.stdout
    (setting,) = Xml.parse(project / "tests.xml").getroot().iter("property")
    assert setting.get("name") == "analyze-check"
    summary = (project / "summary.md").read_text()
    for text in (done.stdout, done.stderr, setting.get("value"), summary):
        assert "no 'none.json' yet" in text
    assert "::notice title=analyze check::" in done.stderr


def test_another_machines_file_is_reported_before_any_test_runs(project, base):
    data = json.loads((project / base).read_text())
    data["machine_info"]["cpu"]["brand_raw"] = "Another\n::error::no"
    written(project, "other.json", json.dumps(data))
    done = run_pytest(project, "--analyze-check", "other.json")
    assert done.returncode == 4
    assert "'other.json' is from another machine (processor Another\\n::error::no against " in done.stderr
    assert "passed" not in done.stdout


@pytest.mark.parametrize(("option", "noun"), [("--benchmark-disable", "disabled"), ("--benchmark-skip", "skipped")])
def test_a_session_that_measures_nothing_passes(project, base, option, noun):
    done = run_pytest(project, option, "--analyze-check", base)
    assert done.returncode == 0
    assert f"benchmarks are {noun}" in done.stdout
    assert "nothing was compared" in done.stdout


def test_collecting_tests_compares_nothing(project, base):
    done = run_pytest(project, "--collect-only", "--analyze-check", "none.json")
    assert done.returncode == 0
    assert "analyze check" not in done.stdout


def test_a_run_that_cannot_be_compared_fails(project, base):
    written(project, "times.json", json.dumps({**NINE, "c": 1e300}))
    done = run_pytest(project, "--analyze-check", base)
    assert done.returncode == 1, done.stdout
    assert "cannot compare: " in done.stdout


def test_under_actions_no_name_is_a_command(project, base, monkeypatch):
    data = json.loads((project / base).read_text())
    data["benchmarks"][0]["fullname"] = "::error::no"
    written(project, "base.json", json.dumps(data))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    done = run_pytest(project, "--analyze-check", base)
    assert done.returncode == 0, done.stdout
    assert ": :error::no" in done.stdout
    assert not any(line.startswith("::") for line in done.stdout.splitlines())


def test_the_outcome_is_in_junit_annotations_and_the_summary(project, base, monkeypatch):
    written(project, "times.json", json.dumps({**NINE, "c": 2 * NINE["c"]}))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(project / "summary.md"))
    done = run_pytest(project, "--analyze-check", base, "--junit-xml", "tests.xml")
    assert done.returncode == 1, done.stdout
    assert "::error title=test_work.py%3A%3Atest_work[c]%3A regressed::" in done.stderr
    assert "Benchmarks failed: 8 unchanged, 1 regressed" in (project / "summary.md").read_text()
    suite = Xml.parse(project / "tests.xml").getroot().find("testsuite")
    (failure,) = suite.findall("testcase/failure")
    assert "regressed" in failure.get("message") + (failure.text or "")
    assert suite.get("failures") == "1"


def test_a_session_without_benchmarks_passes(project, base):
    written(project, "test_work.py", "def test_nothing(): pass\n")
    done = run_pytest(project, "--analyze-check", base)
    assert done.returncode == 0
    assert "no benchmark ran; nothing was compared" in done.stdout


def test_a_failed_session_keeps_its_status(project, base):
    written(project, "test_work.py", PROJECT + "\ndef test_wrong():\n    assert False\n")
    assert run_pytest(project, "--analyze-check", base).returncode == 1


def test_without_pytest_benchmark_the_option_is_an_error(project, base):
    done = run_pytest(project, "-p", "no:benchmark", "--analyze-check", base)
    assert done.returncode == 4
    assert "pip install pytest-benchmark" in done.stderr
