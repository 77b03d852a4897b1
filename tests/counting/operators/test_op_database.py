"""Every operator of torch's own test database: shape rules, MACs on meta and on real tensors, and refused inputs.

torch's `op_db` has about 650 entries with samples of valid and of refused arguments. Importing it takes three seconds,
so these tests are slow, and nothing is imported where slow tests are deselected.
"""

from __future__ import annotations

import re
import warnings
from contextlib import suppress
from itertools import islice, product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from analyzer.counting.dispatch.counter import record_rows
from analyzer.counting.dispatch.tensors import tensors_of
from analyzer.counting.operators.classify import lookup
from analyzer.counting.shape_rules.infer import infer
from tests.counting.op_database import operators

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]
SAMPLES = 3
# An operator whose result depends on values, or that has no meta kernel, cannot run on meta or on fake tensors.
CANNOT_RUN = (RuntimeError, ValueError, TypeError, IndexError, NotImplementedError, AssertionError)
TYPES = (torch.float32, torch.int64, torch.bool, torch.complex64)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "operator" not in metafunc.fixturenames:
        return
    chosen: list[Any] = []
    if "not slow" not in metafunc.config.getoption("markexpr"):
        refusals = metafunc.function.__name__.startswith("test_refused")
        chosen = [
            operator
            for operator in operators()
            if not operator.name.startswith("jiterator")  # On CUDA only.
            and (not refusals or operator.error_inputs_func is not None)
        ]
    names = [f"{operator.name}-{operator.variant_test_name}".rstrip("-") for operator in chosen]
    metafunc.parametrize("operator", chosen, ids=names)


@pytest.fixture(autouse=True)
def no_warnings() -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def samples(operator: Any) -> list[tuple[Any, ...]]:
    """(input, positional, named) of several valid calls, in the first of our types that the operator has."""
    dtype = next((kind for kind in TYPES if kind in operator.dtypes), None)
    found = islice(operator.sample_inputs("cpu", dtype), SAMPLES) if dtype else ()
    return [(sample.input, sample.args, sample.kwargs) for sample in found]


def on_meta(value: Any) -> Any:
    def move(leaf: Any) -> Any:
        if not isinstance(leaf, Tensor) or leaf.layout != torch.strided:
            return leaf
        return torch.empty_strided(leaf.shape, leaf.stride(), dtype=leaf.dtype, device="meta")

    return tree_map(move, value)


def as_fake(value: Any) -> Any:
    mode = FakeTensorMode()
    return tree_map(lambda leaf: mode.from_tensor(leaf) if isinstance(leaf, Tensor) else leaf, value)


def described(value: Any) -> list[Any]:
    return [(tuple(leaf.shape), leaf.dtype) for leaf in tree_leaves(value) if isinstance(leaf, Tensor)]


class RuleChecker(TorchDispatchMode):
    """Runs every operator by torch's meta kernel and compares the shape rule's answer, where it has one."""

    def __init__(self) -> None:
        super().__init__()
        self.differences: list[Any] = []

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        name = lookup(func).name
        try:
            answer = infer(name, args, kwargs)
        except RuntimeError as error:
            answer = error
        try:
            result = func(*args, **kwargs)
        except Exception:
            if answer is not NotImplemented and not isinstance(answer, RuntimeError):
                self.differences.append((name, described(answer), "torch raises"))
            raise
        if name == "aten::native_batch_norm":  # The rule follows the CPU kernel, which saves nothing outside training.
            result, answer = result[0], answer if answer is NotImplemented else answer[0]
        if answer is not NotImplemented and (
            isinstance(answer, RuntimeError) or described(answer) != described(result)
        ):
            self.differences.append((name, answer, described(result)))
        return result


def test_shape_rules_agree_with_torchs_meta_kernels(operator):
    """In inference mode composite operators are dispatched whole, otherwise as their parts."""
    checker = RuleChecker()
    for sample, grad_mode in product(samples(operator), (torch.inference_mode, torch.no_grad)):
        source, args, kwargs = on_meta(sample)
        with suppress(*CANNOT_RUN), grad_mode(), checker:
            operator(source, *args, **kwargs)
    assert checker.differences == []


def counted(operator: Any, sample: Any) -> tuple[int, dict[str, int]]:
    source, args, kwargs = sample
    with record_rows(nn.Identity()) as recorder:
        if recorder.origins.active:  # Otherwise each view of an argument lists the objects of the process.
            recorder.origins.learn(tensors_of(sample))
        operator(source, *args, **kwargs)
    count = recorder.count()
    return count.totals.macs, dict(count.unknown_ops)


def test_macs_on_meta_and_on_fake_tensors_are_those_of_real_tensors(operator):
    for sample, place in product(samples(operator), (on_meta, as_fake)):
        try:
            elsewhere = counted(operator, place(sample))
        except CANNOT_RUN:
            continue
        assert elsewhere == counted(operator, sample), place


# What cannot be refused on meta: overlapping memory and storages (a meta tensor has none), values out of bounds or that
# are no probabilities, another device (all are on meta), and types of multinomial's `out`.
UNSEEN_ON_META = re.compile(
    "single memory location|out of bounds|multinomial|probability|same device|requiring a storage"
)


def refusal(function: Any) -> Exception | None:
    try:
        function()
    except Exception as error:
        return error
    return None


def test_refused_inputs_are_refused(operator):
    for error_input in operator.error_inputs("cpu"):
        sample = error_input.sample_input
        call = (sample.input, sample.args, sample.kwargs)
        with torch.inference_mode():
            error = refusal(lambda call=call: operator(call[0], *call[1], **call[2]))
        if error is None:
            continue  # torch itself refuses these under autograd only.
        assert refusal(lambda call=call: counted(operator, call)), error
        refused = refusal(lambda call=call: counted(operator, on_meta(call)))
        assert refused or UNSEEN_ON_META.search(str(error)), error
