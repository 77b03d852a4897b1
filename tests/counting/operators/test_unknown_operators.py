"""Three sets: an operator has a formula, is known to be free, or is unknown: named with its calls and its modules."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import analyzer
from analyzer.counting.execution.count_any_model import count_model
from analyzer.counting.operators import classify
from analyzer.counting.operators.attention_and_recurrent import BLOCKS
from analyzer.counting.operators.classify import Kind, lookup
from analyzer.counting.operators.convolutions_and_linear import CONVOLUTIONS_AND_LINEAR
from analyzer.counting.operators.distances_and_lookups import DISTANCES_AND_LOOKUPS
from analyzer.counting.operators.flops_without_macs import OPERATIONS
from analyzer.counting.operators.free_and_view_operators import FREE, GRADIENTS, NOT_ARITHMETIC, VIEWS
from analyzer.counting.operators.matrix_products import EINSUM_AND_MATMUL, SPARSE
from analyzer.counting.operators.quantized import QUANTIZED
from analyzer.records.record_json import record_from_json, record_to_json
from tests.torch_releases import RELEASE, needs_torch

# An operator of another library and its gradient, both without a formula.
LIBRARY = "macscope_test"


@torch.library.custom_op(f"{LIBRARY}::mix", mutates_args=())
def mix(x: Tensor, weight: Tensor) -> Tensor:
    return x @ weight


@torch.library.custom_op(f"{LIBRARY}::mix_backward", mutates_args=())
def mix_backward(gradient: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return gradient @ weight.T, x.T @ gradient


@mix.register_fake
def _(x: Tensor, weight: Tensor) -> Tensor:
    return x.new_empty(x.shape[0], weight.shape[1])


@mix_backward.register_fake
def _(gradient: Tensor, x: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
    return torch.empty_like(x), torch.empty_like(weight)


def keep(ctx: Any, inputs: tuple[Tensor, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


mix.register_autograd(lambda ctx, gradient: mix_backward(gradient, *ctx.saved_tensors), setup_context=keep)


class Mixes(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return mix(x, self.weight)


class Whole(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.parts = nn.ModuleList(Mixes() for _ in range(5))
        self.weight = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        for part in self.parts:
            x = part(x)
        return mix(x, self.weight)


@pytest.fixture
def formulas() -> Iterator[None]:
    """What is registered in a test is forgotten after it."""
    before = dict(classify._formulas)
    yield
    classify._formulas.clear()
    classify._formulas.update(before)
    classify._known.clear()


ARGS = (torch.zeros(3, 4),)
PLACES = pytest.mark.parametrize("on", ["meta", "real"])


@PLACES
def test_an_unknown_operator_is_named_with_calls_and_modules(on):
    counted = count_model(Mixes(), ARGS, train=False, on=on)
    assert counted.count.unknown_ops == {f"{LIBRARY}::mix": 1}
    assert counted.notes == (f"{LIBRARY}::mix has no formula; 1 call in the model itself",)
    counted = count_model(Whole(), ARGS, train=False, on=on)
    assert counted.count.unknown_ops == {f"{LIBRARY}::mix": 6}
    assert counted.notes == (f"{LIBRARY}::mix has no formula; 6 calls in parts.0, parts.1, parts.2, 3 more",)
    assert [row.op for row in counted.count.rows] == [f"{LIBRARY}::mix"] * 6
    assert counted.count.totals.macs == 0


@PLACES
def test_an_unknown_gradient_is_named_too(on):
    counted = count_model(Mixes(), ARGS, train=True, on=on)
    assert counted.count.unknown_ops == {f"{LIBRARY}::mix": 1, f"{LIBRARY}::mix_backward": 1}
    assert f"{LIBRARY}::mix_backward has no formula; 1 call in the model itself" in counted.notes


@PLACES
def test_an_unknown_gradient_is_of_the_module_whose_forward_made_it(on):
    counted = count_model(Whole(), ARGS, train=True, on=on).count
    assert counted.unknown_ops == {f"{LIBRARY}::mix": 6, f"{LIBRARY}::mix_backward": 6}
    calls = {**{f"parts.{index}": 1 for index in range(5)}, "": 1}
    assert counted.unknown_in == {f"{LIBRARY}::mix": calls, f"{LIBRARY}::mix_backward": calls}


def test_the_record_has_calls_and_modules_and_so_has_its_json(formulas):
    record = analyzer.count(Whole(), ARGS)
    assert record.unknown_ops == {f"{LIBRARY}::mix": 6}
    assert record.count.unknown_in == {f"{LIBRARY}::mix": {**{f"parts.{index}": 1 for index in range(5)}, "": 1}}
    assert record.count.uncounted == f"{LIBRARY}::mix 6 (parts.0, parts.1, parts.2, 3 more)"
    data = record_to_json(record)
    assert data["unknown_ops"] == {f"{LIBRARY}::mix": 6}
    assert data["unknown_in"][f"{LIBRARY}::mix"]["parts.4"] == 1
    assert record_from_json(json.loads(json.dumps(data))) == record
    assert "unknown_in" not in record_to_json(analyzer.count(nn.Linear(4, 4), ARGS))


UNKNOWN_NET = """
import torch

class Part(torch.nn.Module):
    def forward(self, x):
        return torch.linalg.svdvals(x)

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.left, self.right = Part(), Part()

    def forward(self, x):
        return self.left(x) + self.right(x) + self.left(x)
"""


def test_the_command_names_calls_and_modules_everywhere(analyze, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "net.py").write_text(UNKNOWN_NET, encoding="utf-8")
    model = ("--model", "net.py:Net", "--input", "8x8")
    named = "aten::_linalg_svd 3 (left, right)"
    lenient, strict = analyze(*model), analyze(*model, "--strict")
    assert (lenient.status, strict.status) == (0, 1)
    assert lenient.out == strict.out
    assert named in " ".join(lenient.out.split())
    assert f"--strict: no formula for operators (calls): {named}" in " ".join(strict.err.split())
    (record,) = json.loads(analyze(*model, "--format", "json").out)["records"]
    assert record["unknown_ops"] == {"aten::_linalg_svd": 3}
    assert record["unknown_in"] == {"aten::_linalg_svd": {"left": 2, "right": 1}}
    assert named in " ".join(analyze(*model, "--model", "net.py:Part").out.split())


@PLACES
def test_register_a_function_of_shapes(formulas, on):
    """It may return multiply-adds alone, or both figures."""
    analyzer.register(f"{LIBRARY}::mix", lambda call: call.args[0][0] * call.args[1][0] * call.args[1][1])
    analyzer.register(f"{LIBRARY}::mix_backward", lambda call: analyzer.Work(2 * 3 * 4 * 4, 4 * 3 * 4 * 4))
    count = count_model(Mixes(), ARGS, train=True, on=on).count
    assert count.unknown_ops == {}
    assert (count.totals.macs, count.totals.flops, count.totals.backward_macs) == (3 * 4 * 4, 2 * 3 * 4 * 4, 2 * 48)
    whole = count_model(Whole(), ARGS, train=True, on=on).count
    assert [row.backward_macs for row in whole.rows] == [2 * 48] * 6


def test_a_formula_sees_shapes_settings_and_results(formulas):
    seen = []

    def formula(call: analyzer.Call) -> analyzer.Work:
        seen.append(call)
        return analyzer.Work(flops=7)

    analyzer.register("aten::erfinv", formula)

    class Erfinv(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return torch.erfinv(x)

    assert count_model(Erfinv(), ARGS, on="meta").count.totals.flops == 7
    assert (seen[0].args, seen[0].outputs) == (((3, 4),), ((3, 4),))


def test_registering_replaces_what_was_known(formulas):
    analyzer.register("aten::linear", lambda call: 1)
    assert count_model(nn.Linear(4, 4), ARGS).count.totals.macs == 1


def test_registrations_do_not_outlive_their_test():
    assert f"{LIBRARY}::mix" not in classify._formulas
    assert count_model(nn.Linear(4, 4), ARGS).count.totals.macs == 3 * 4 * 4


@pytest.mark.parametrize("name", ["mix", "aten.linear", "", 5])
def test_a_name_without_its_library_is_refused(name, formulas):
    with pytest.raises(analyzer.AnalyzerError, match="wanted NAMESPACE::NAME"):
        analyzer.register(name, lambda call: 1)


def test_a_formula_that_is_no_function_is_refused(formulas):
    with pytest.raises(
        analyzer.AnalyzerError, match=r"the formula of mylib::mix is 5; wanted a function that takes a Call"
    ):
        analyzer.register("mylib::mix", 5)  # type: ignore[arg-type]


# --- the sets themselves ---------------------------------------------------------------------------------------------
ALL = {
    **CONVOLUTIONS_AND_LINEAR,
    **EINSUM_AND_MATMUL,
    **DISTANCES_AND_LOOKUPS,
    **SPARSE,
    **QUANTIZED,
    **BLOCKS,
    **OPERATIONS,
}
# Registered by other libraries, or by modules of torch that are not imported yet.
ELSEWHERE = {
    "torchvision",
    "torchao",
    "bitsandbytes",
    "higher_order",
    "torch_attn",
    "transformers",
    "quantized_decomposed",
}


@needs_torch(2, 13, "operators of later releases are named too")
@pytest.mark.parametrize("names", [set(ALL), set(FREE), set(NOT_ARITHMETIC), set(VIEWS), set(GRADIENTS)])
def test_every_name_is_an_operator_of_this_torch(names):
    def exists(name: str) -> bool:
        namespace, _, operator = name.partition("::")
        packets = getattr(torch.ops, namespace)
        # Some operators have no functional form, such as `copy_sparse_to_sparse_`.
        return namespace in ELSEWHERE or hasattr(packets, operator) or hasattr(packets, f"{operator}_")

    assert sorted(name for name in names if not exists(name)) == []


def test_no_name_is_in_two_sets():
    assert not set(ALL) & FREE
    assert not set(ALL) & NOT_ARITHMETIC


OPERATORS: dict[str, tuple[Any, Kind]] = {
    "a product": (torch.ops.aten.mm.default, "formula"),
    "elementwise by torch's tag": (torch.ops.aten.erfinv.default, "formula"),
    "a choice, which torch tags too": (torch.ops.aten.where.self, "free"),
    "a view": (torch.ops.aten.transpose.int, "view"),
    "a view by another name": (torch.ops.aten._unsafe_view.default, "view"),
    "a copy": (torch.ops.aten.clone.default, "free"),
    "made of others": (torch.ops.aten.chain_matmul.default, "composite"),
    "made of others, with a formula by its equation": (torch.ops.aten.einsum.default, "formula"),
    "in place, by its functional form": (torch.ops.aten.addmm_.default, "formula"),
    "a view in place": (torch.ops.aten.transpose_.default, "view"),
    "an out variant": (torch.ops.aten.gelu.out, "formula"),
    "a gradient without MACs": (torch.ops.aten.gelu_backward.default, "free"),
    "a profiler's mark": (torch.ops.profiler._record_function_exit.default, "free"),
    "an optimizer's step, in place and without a result": (torch.ops.aten._fused_adam_.default, "unknown"),
    "a question": (torch.ops.aten.equal.default, "free"),
    "unknown": (torch.ops.aten._linalg_svd.default, "unknown"),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_which_set_an_operator_is_in(name):
    operator, kind = OPERATORS[name]
    if name == "a profiler's mark" and RELEASE < (2, 11):
        pytest.skip("torch up to 2.10 has this operator as a composite, which is free by its parts")
    assert lookup(operator).kind is kind
