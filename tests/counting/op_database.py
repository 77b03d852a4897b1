"""torch's database of operators with valid arguments, `op_db`."""

from __future__ import annotations

import warnings
from typing import Any


def operators() -> list[Any]:
    """All operators of `op_db`; not at import, which takes seconds.

    It looks in the stack for the unittest that asks for arguments, of which there is none here. In a process that has
    imported thousands of modules that takes longer than the test.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from torch.testing._internal import common_utils
        from torch.testing._internal.common_methods_invocations import op_db
        from torch.testing._internal.opinfo import core
    for module in (common_utils, core):
        if hasattr(module, "extract_test_fn"):  # Not in all releases.
            module.extract_test_fn = lambda: None
    return op_db
