"""Each setting that a model changes during a count is as before afterwards, also if the count fails."""

from __future__ import annotations

import random
import sys
import warnings
from contextlib import nullcontext
from itertools import product

import numpy as np
import pytest
import sympy  # noqa: F401 – torch up to 2.8 imports it while it counts, and the import adds filters of warnings.
import torch
from torch import Tensor, nn
from torch.nn.modules import module as torch_module
from torch.overrides import BaseTorchFunctionMode
from torch.utils._python_dispatch import BaseTorchDispatchMode

import analyzer
from analyzer.core.errors import AnalyzerError
from tests.torch_releases import RELEASE

# Calls that a forward pass may make, and what reads the setting.
CHANGES = {
    "default type": (lambda: torch.set_default_dtype(torch.float64), torch.get_default_dtype),
    "default device": (lambda: torch.set_default_device("meta"), torch.get_default_device),
    "gradients": (lambda: torch.set_grad_enabled(False), torch.is_grad_enabled),
    "autocast": (lambda: torch.set_autocast_enabled("cpu", True), lambda: torch.is_autocast_enabled("cpu")),
    "autocast type": (
        lambda: torch.set_autocast_dtype("cpu", torch.float16), lambda: torch.get_autocast_dtype("cpu"),
    ),
    "autocast cache": (lambda: torch.set_autocast_cache_enabled(False), torch.is_autocast_cache_enabled),
    "deterministic": (
        lambda: torch.use_deterministic_algorithms(True, warn_only=True), torch.get_deterministic_debug_mode,
    ),
    "threads": (lambda: torch.set_num_threads(torch.get_num_threads() + 1), torch.get_num_threads),
    "anomaly": (lambda: torch.autograd.set_detect_anomaly(True), torch.is_anomaly_enabled),
    "precision": (lambda: torch.set_float32_matmul_precision("medium"), torch.get_float32_matmul_precision),
    "warnings": (lambda: torch.set_warn_always(True), torch.is_warn_always_enabled),
    "oneDNN": (lambda: torch._C._set_mkldnn_enabled(False), torch._C._get_mkldnn_enabled),
    "cuDNN": (lambda: torch._C._set_cudnn_benchmark(True), torch._C._get_cudnn_benchmark),
    "attention": (lambda: torch.backends.cuda.enable_math_sdp(False), torch.backends.cuda.math_sdp_enabled),
    "function mode": (lambda: BaseTorchFunctionMode().__enter__(), torch._C._len_torch_function_stack),
    "dispatch mode": (lambda: BaseTorchDispatchMode().__enter__(), torch._C._len_torch_dispatch_stack),
    "inference mode": (lambda: torch.inference_mode().__enter__(), torch.is_inference_mode_enabled),
    "hooks": (
        lambda: torch_module.register_module_forward_hook(lambda *args: None),
        lambda: len(torch_module._global_forward_hooks),
    ),
    "torch's generator": (lambda: torch.manual_seed(5), lambda: torch.get_rng_state().tolist()),
    "NumPy's generator": (lambda: np.random.seed(5), lambda: np.random.get_state()[1].tolist()),
    "Python's generator": (lambda: random.seed(5), random.getstate),
    "recursion limit": (lambda: sys.setrecursionlimit(4321), sys.getrecursionlimit),
    "filters of warnings": (lambda: warnings.simplefilter("ignore", ResourceWarning), lambda: warnings.filters[:]),
}  # fmt: skip
if RELEASE < (2, 11):  # torch itself crashes after a dispatch mode that was entered and not left.
    del CHANGES["dispatch mode"]


class Changes(nn.Linear):
    """Changes some settings in the middle of a pass, and may fail afterwards."""

    def __init__(self, names: tuple[str, ...], fails: bool) -> None:
        super().__init__(4, 4)
        self.names, self.fails = names, fails

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x)
        for name in self.names:
            CHANGES[name][0]()
        if self.fails:
            raise ValueError("no luck")
        return y


@pytest.mark.parametrize(
    ("names", "train", "fails"),
    [*(((name,), True, False) for name in CHANGES), *product([tuple(CHANGES)], (False, True), (False, True))],
    ids=str,
)
def test_each_setting_that_a_model_changes_is_restored(names, train, fails):
    model = Changes(names, fails)
    before = {name: read() for name, (_, read) in CHANGES.items()}
    with pytest.raises(AnalyzerError) if fails else nullcontext():
        totals = analyzer.count(model, input="4", batch=2, train=train).totals
        assert totals.macs == 2 * 4 * 4
    assert {name: read() for name, (_, read) in CHANGES.items()} == before
