"""Which machine a case may run on."""

from __future__ import annotations

from pathlib import Path

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.records.sweep_result import Case
from analyzer.records.timings import Configuration
from analyzer.sweeps.cluster.placement import Machine, check_needs, matches, this_machine, unmet

H100 = Machine("node7", "AMD EPYC 9654 96-Core Processor", ("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3"))
LAPTOP = Machine("laptop", "Intel(R) Core(TM) i7-1185G7", ())


@pytest.mark.parametrize(
    ("pattern", "name", "expected"),
    [
        ("H100", "NVIDIA H100 80GB HBM3", True),
        ("h100", "NVIDIA H100 80GB HBM3", True),
        ("H1", "NVIDIA H100 80GB HBM3", False),
        ("AMD*", "AMD EPYC 9654 96-Core Processor", True),
        ("AMD*", "Intel(R) Core(TM) i7-1185G7", False),
        ("NVIDIA H100*", "NVIDIA H100 80GB HBM3", True),
        ("[ab", "NVIDIA H100", False),
    ],
)
def test_a_pattern_is_of_the_name_or_a_word(pattern: str, name: str, expected: bool) -> None:
    assert matches(pattern, name) is expected


def test_every_need_must_be_met() -> None:
    needs = {"gpu": "H100", "cpu": "AMD*", "host": "node*"}
    assert unmet(Case("nin", needs=needs), H100) == ""
    assert unmet(Case("nin", needs={"gpu": "A100"}), H100).startswith("gpu = 'A100': it has NVIDIA H100")
    assert unmet(Case("nin", needs=needs), LAPTOP) == "gpu = 'H100': it has none"


@pytest.mark.parametrize(("device", "fits"), [("cuda", True), ("cuda:1", True), ("cuda:2", False), ("cpu", True)])
def test_a_case_on_a_gpu_needs_that_many(device: str, fits: bool) -> None:
    case = Case("nin", configuration=Configuration(device=device))
    assert (unmet(case, H100) == "") is fits
    assert (unmet(case, LAPTOP) == "") is (device == "cpu")


def test_an_unknown_need_is_refused() -> None:
    with pytest.raises(AnalyzerError, match="'gpus'; nearest: gpu"):
        check_needs({"gpus": "H100"})


@pytest.mark.parametrize(
    ("visible", "expected"),
    [(None, ("A100", "H100")), ("1", ("1",)), ("", ()), ("-1", ())],
)
def test_gpus_are_those_that_the_worker_sees(
    visible: str | None, expected: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text('#!/bin/sh\ntest "$3" = --id && echo "$4" || printf "A100\\nH100\\n"\n')
    tool.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    if visible is None:
        monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    else:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert this_machine().gpus == expected
