"""Imports of a command: counting and readers import no torch, and `--verify` none of torch's slow parts."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.torch_releases import IMPORTS_SYMPY

HEAVY = {"torch", "fvcore", "pandas", "plotly", "numpy", "jinja2", "scipy", "sklearn", "hypothesis"}
# Reading the metadata of every installed package costs more than a count.
METADATA = {"importlib.metadata"}
TWO = ("--variant", "googlenet-no-reduction", "--variant", "googlenet", "--module", "inception_4a.branch_5x5")

RUNNER = """
import json, sys
from analyzer.cli import main
status = main(sys.argv[1:])
print(json.dumps({"status": status, "modules": sorted(sys.modules)}), file=sys.stderr)
"""


@pytest.fixture
def imported(environment, tmp_path):
    """A function that runs analyze in a new process, with warnings as errors, and returns the imported modules."""

    def run(*arguments: str, warnings: str = "error") -> set[str]:
        done = subprocess.run(
            [sys.executable, "-W", warnings, "-c", RUNNER, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            encoding="utf-8",
            timeout=120,
            check=True,
        )
        outcome = json.loads(done.stderr.splitlines()[-1])
        assert outcome["status"] == 0
        assert done.stdout or "-o" in arguments
        return set(outcome["modules"])

    return run


@pytest.mark.parametrize(
    "arguments",
    [
        ("--variant", "googlenet"),
        ("--variant", "googlenet", "--train", "--depth", "4", "--set", "conv1.out=32", "--strict"),
        ("--variant", "googlenet@inception_4a.reduce_5x5=32", "--input", "3x320x320", "--batch", "8"),
        ("--variant", "googlenet", "--format", "json"),
        ("conventions",),
        ("--variant", "googlenet", "--format", "csv"),
        ("--variant", "googlenet", "--format", "md", "-o", "out"),
        ("--variant", "googlenet", "--format", "latex"),
        TWO,
        (*TWO, "--format", "json"),
        ("check", "--variant", "googlenet"),
        ("check", "--variant", "googlenet", "--update", "--format", "json"),
        ("check", "--variant", "googlenet", "--format", "md", "--junit", "out.xml"),
        ("--help",),
        ("list", "--help"),
        (),
    ],
    ids=" ".join,
)
def test_counting_imports_nothing_heavy(imported, arguments):
    assert not (HEAVY | METADATA) & imported(*arguments)


@pytest.mark.parametrize("arguments", [("list",), ("list", "--format", "json"), ("--version",)], ids=" ".join)
def test_a_full_listing_may_read_package_metadata_only(imported, arguments):
    assert HEAVY & imported(*arguments) == set()


def test_a_report_draws_without_the_slow_packages(imported):
    assert not (HEAVY - {"jinja2"}) & imported("report", "--variant", "googlenet,alexnet", "-o", "page.html")


def test_only_the_counted_network_is_imported(imported):
    modules = imported("--variant", "googlenet")
    assert "analyzer.networks.googlenet" in modules
    assert not {"analyzer.networks.alexnet", "analyzer.networks.nin", "analyzer.records.comparison"} & modules


@IMPORTS_SYMPY
def test_verify_imports_torch_without_its_slow_parts(imported):
    modules = imported("--variant", "googlenet", "--input", "3x64x64", "--verify", warnings="default")
    assert {"torch", "fvcore"} <= modules
    assert not {"torch._dynamo", "sympy", "pandas", "plotly", "torchvision"} & modules


@IMPORTS_SYMPY
@pytest.mark.parametrize("options", [("--counter", "dispatch"), ("--train", "--memory")], ids=" ".join)
def test_the_dispatch_counter_imports_neither_fvcore_nor_slow_parts(imported, options):
    """The backward pass neither: torch imports sympy to compare the shapes of gradients and outputs."""
    modules = imported("--variant", "googlenet", *options)
    assert "torch" in modules
    assert not {"fvcore", "torch._dynamo", "sympy", "pandas", "plotly"} & modules


def test_importing_the_package_imports_nothing_heavy(environment, tmp_path):
    """Nor does explaining and showing a reconciliation."""
    script = (
        "import analyzer, sys; dir(analyzer); from analyzer.reconcile import explain, run_peers; "
        "from reports import reconcile; print(*sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert not HEAVY & set(done.stdout.split())
