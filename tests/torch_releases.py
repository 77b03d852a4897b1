"""Marks of tests that need a later release of torch than the oldest supported one."""

import pytest
import torch
from torch.torch_version import TorchVersion

RELEASE = TorchVersion(torch.__version__)


def needs_torch(major: int, minor: int, reason: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif((major, minor) > RELEASE, reason=f"torch {torch.__version__}: {reason}")


IMPORTS_SYMPY = needs_torch(2, 11, "torch itself imports sympy and torch._dynamo")
NO_WEIGHT_NORM_ON_META = needs_torch(2, 10, "no meta kernel for the gradient of weight norm")
UNFLATTENS_SEQUENTIAL = needs_torch(2, 8, "torch.export.unflatten refuses an exported Sequential")
GROUPED_MM = pytest.mark.skipif(not hasattr(torch.nn.functional, "grouped_mm"), reason="torch has no grouped_mm")
