"""Unusually written models: counted like plain ones, or refused with an AnalyzerError."""

from __future__ import annotations

import dataclasses
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.utils.checkpoint import checkpoint

import analyzer
from analyzer.core.errors import AnalyzerError
from analyzer.counting.execution.copy_arguments import clone, copy_arguments
from analyzer.counting.execution.count_any_model import count_model
from analyzer.records.rows import Count
from tests.torch_releases import needs_torch

MACS = 3 * 4 * 4  # OneLayer's product over three rows.


class OneLayer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)


def rows() -> Tensor:
    return torch.zeros(3, 4)


def sums(count: Count) -> tuple[int, int | None]:
    return count.totals.macs, count.totals.backward_macs


def check(model: nn.Module, args: Any, macs: int, backward: int, kwargs: Any = None) -> Count:
    """The same on meta and on real tensors; inputs get no gradient, so a first layer has its weight's only."""
    for train, expected in ((False, (macs, None)), (True, (macs, backward))):
        meta, real = (count_model(model, args, kwargs, train=train, on=on).count for on in ("meta", "real"))
        assert meta.rows == real.rows
        assert sums(meta) == expected
        assert meta.unknown_ops == {}
        assert meta.totals.params == sum(p.numel() for p in model.parameters())
    return real


# --- inputs and outputs ----------------------------------------------------------------------------------------------
class KeywordsOnly(OneLayer):
    def forward(self, *, x: Tensor) -> Tensor:
        return self.layer(x)


def test_keywords_only():
    check(KeywordsOnly(), (), MACS, MACS, {"x": rows()})


@dataclasses.dataclass
class Output:
    loss: Tensor
    rest: Any = None


class Slotted:
    __slots__ = ("loss",)

    def __init__(self, loss: Tensor) -> None:
        self.loss = loss


WRAPPERS: dict[str, Any] = {
    "a dataclass": lambda y: Output(y.sum(), [y]),
    "a class with slots": Slotted,
    "dicts in dicts": lambda y: {"a": {"b": (y,)}, "name": "x", "nothing": None, "number": 3},
    "a list of tuples": lambda y: [(1, y), "text"],
    "a scalar": lambda y: y.sum(),
}


class Wraps(OneLayer):
    def __init__(self, wrapper: Any) -> None:
        super().__init__()
        self.wrapper = wrapper

    def forward(self, x: Tensor) -> Any:
        return self.wrapper(self.layer(x))


@pytest.mark.parametrize("name", WRAPPERS)
def test_gradients_start_from_outputs_of_every_kind(name):
    check(Wraps(WRAPPERS[name]), (rows(),), MACS, MACS)


@pytest.mark.parametrize("name", ["nothing", "a detached tensor"])
def test_a_model_without_a_gradient_is_counted_forward_with_a_note(name):
    wrapper = {"nothing": lambda y: None, "a detached tensor": lambda y: y.detach()}[name]
    result = count_model(Wraps(wrapper), (rows(),), train=True)
    assert sums(result.count) == (MACS, 0)
    assert ["no gradient" in note for note in result.notes] == [True]


class NestedLists(OneLayer):
    def forward(self, batch: Any) -> Tensor:
        return torch.cat([self.layer(x) for sample in batch for x in sample["images"]])


def test_tensors_deep_in_lists():
    check(NestedLists(), ([{"images": [torch.zeros(1, 4)]}, {"images": (torch.zeros(2, 4),)}],), MACS, MACS)


class WritesToItsInput(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        return self.layer(x)


def test_an_input_that_the_model_writes_to_is_unchanged():
    source = torch.ones(3, 4)
    check(WritesToItsInput(), (source,), MACS, MACS)
    assert torch.equal(source, torch.ones(3, 4))


def test_an_input_that_requires_gradients_gets_none():
    source = torch.ones(3, 4, requires_grad=True)
    check(KeywordsOnly(), (), MACS, 2 * MACS, {"x": source})
    assert source.grad is None


class Identity(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_a_model_without_operators():
    assert count_model(Identity(), (rows(),)).count.rows == ()
    assert count_model(nn.ReLU(), (rows(),), train=True).count.totals.flops == 3 * 4


@needs_torch(2, 10, "nested tensors cannot be copied")
def test_jagged_nested_tensors_are_counted_by_their_values():
    """3 and 2 rows: five, no padding."""
    ragged = torch.nested.nested_tensor([torch.zeros(3, 4), torch.zeros(2, 4)], layout=torch.jagged)
    count = check(Wraps(lambda y: y), (ragged,), 5 * 4 * 4, 5 * 4 * 4)
    assert count.rows[0].inputs == ((5, 4),)


@needs_torch(2, 10, "nested tensors cannot be copied")
def test_nested_tensors_in_arguments_are_copied_every_time():
    """Their values are tensors made for the question: an id of a dead tensor once passed for a shared tensor."""
    for _ in range(200):  # One copy in four failed.
        ragged = torch.nested.nested_tensor([torch.zeros(3, 4), torch.zeros(2, 4)], layout=torch.jagged)
        (copied, inside), _ = copy_arguments([ragged, [ragged]], {}, clone)
        assert copied is inside[0]
        assert copied is not ragged
        assert torch.equal(copied.values(), ragged.values())


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
def test_strided_nested_tensors_are_refused():
    with pytest.raises(AnalyzerError, match="Wraps does not run on nested float32"):
        count_model(Wraps(lambda y: y), (torch.nested.nested_tensor([torch.zeros(3, 4), torch.zeros(2, 4)]),))


# --- types -----------------------------------------------------------------------------------------------------------
class Complex(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 4, dtype=torch.complex64))

    def forward(self, x: Tensor) -> Tensor:
        return x.to(torch.complex64) @ self.weight


def test_complex_numbers():
    """A complex multiply-add is one MAC."""
    check(Complex(), (rows(),), MACS, MACS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_change_bytes_only(dtype):
    count = check(Wraps(lambda y: y).to(dtype), (rows().to(dtype),), MACS, MACS)
    assert count.totals.bytes_read == dtype.itemsize * (3 * 4 + 4 * 4 + 4)
    assert count.totals.bytes_written == dtype.itemsize * 3 * 4


class Autocast(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layer(x)


def test_autocast_runs_on_real_tensors_where_it_has_an_effect():
    result = count_model(Autocast(), (rows(),), train=True)
    assert ["autocast" in note for note in result.notes] == [True]
    assert sums(result.count) == (MACS, MACS)
    assert result.count.totals.bytes_written == 2 * 3 * 4
    assert "__enter__" in vars(torch.autocast)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.mm(torch.zeros(2, 2), torch.zeros(2, 2)).dtype == torch.bfloat16


def test_autocast_around_the_count():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = count_model(Wraps(lambda y: y), (rows(),))
    assert result.count.totals.bytes_written == 2 * 3 * 4


# --- autograd and functions of functions -----------------------------------------------------------------------------
class Product(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor) -> Tensor:
        context.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        x, weight = context.saved_tensors
        return gradients[0] @ weight.T, x.T @ gradients[0]


class CustomFunction(OneLayer):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(Product.apply(self.layer(x), self.weight))


def test_a_custom_autograd_function():
    count = check(CustomFunction(), (rows(),), 3 * MACS, MACS + 2 * MACS + 2 * MACS)
    assert [(row.path, row.op, row.backward_macs) for row in count.rows] == [
        ("layer", "linear", MACS),
        ("", "matmul", 2 * MACS),
        ("layer", "linear", 2 * MACS),
    ]


class Mapped(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return torch.func.vmap(self.layer)(x)


def test_vmap():
    """The user's function sees a sample, torch's operators the whole batch."""
    count = check(Mapped(), (torch.zeros(5, 3, 4),), 5 * MACS, 5 * MACS)
    assert (count.rows[0].path, count.rows[0].op) == ("layer", "linear")


class Ensemble(nn.Module):
    """Runs three layers as one by vmap, as in torch's tutorial on ensembles."""

    def __init__(self) -> None:
        super().__init__()
        self.members = nn.ModuleList(nn.Linear(7, 5) for _ in range(3))

    def forward(self, x: Tensor) -> Tensor:
        state = torch.func.stack_module_state(list(self.members))
        run = lambda *state: torch.func.functional_call(self.members[0], state, (x,))  # noqa: E731
        return torch.func.vmap(run)(*state)


def test_an_ensemble_by_vmap():
    macs = 3 * 2 * 7 * 5
    check(Ensemble(), (torch.zeros(2, 7),), macs, macs)


class Stacked(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.zeros(3, 5, 7))

    def forward(self, x: Tensor) -> Tensor:
        return torch.func.vmap(lambda weight: nn.functional.linear(x, weight))(self.weights)


def test_vmap_over_a_parameter():
    check(Stacked(), (torch.zeros(2, 7),), 3 * 2 * 7 * 5, 3 * 2 * 7 * 5)


class Forces(OneLayer):
    """The forward pass includes the gradient of an energy by atom positions."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        energy = self.layer(x).pow(2).sum()
        return torch.autograd.grad(energy, x, create_graph=True)[0]


def test_gradients_in_the_forward_pass():
    result = count_model(Forces(), (rows(),), train=False)
    assert result.count.totals.macs == 2 * MACS, "the layer, and its gradient by the input"
    assert ["under autograd" in note for note in result.notes] == [True]
    trained = count_model(Forces(), (rows(),), train=True).count
    # Of the gradient's product both sides; through the energy, of the layer both sides, since its input learns there.
    assert trained.totals.macs == 2 * MACS
    assert trained.totals.backward_macs == 2 * MACS + 2 * MACS


class Checkpointed(nn.Module):
    def __init__(self, reentrant: bool | None) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
        self.second = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 4))
        self.reentrant = reentrant

    def forward(self, x: Tensor) -> Tensor:
        if self.reentrant is None:
            return self.second(self.first(x))
        return checkpoint(self.second, self.first(x), use_reentrant=self.reentrant)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_changes_no_count(reentrant):
    """The recomputed forward is no gradient, and gradients are in the rows of their layers."""
    each = 3 * 4 * 8
    count = check(Checkpointed(reentrant), (rows(),), 4 * each, each + 3 * 2 * each)
    plain = count_model(Checkpointed(None), (rows(),), train=True).count
    # The recomputed MACs have a column of their own.
    same = [row.replace(recomputed_macs=None, sources=None) for row in count.rows]
    assert same == [row.replace(recomputed_macs=None, sources=None) for row in plain.rows]


class Without(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.layer(x)
        return self.layer(y)


def test_no_grad_inside_has_no_gradient():
    count = check(Without(), (rows(),), 2 * MACS, MACS)
    assert [row.backward_macs for row in count.rows] == [0, MACS]


class Inference(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode():
            y = self.layer(x)
        return self.layer(y.clone())


def test_inference_mode_inside():
    check(Inference(), (rows(),), 2 * MACS, MACS)


class Caches(OneLayer):
    """Keeps a table that the first pass computes for later passes, like rotary positions."""

    table: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.ones(4, device=x.device)
        return self.layer(x) * self.table


def test_a_table_cached_by_one_pass_does_not_reach_the_next():
    """An inference tensor in the cache would break the backward pass, and later the user's training."""
    model = Caches()
    check(model, (rows(),), MACS, MACS)
    assert model.table is None
    model(rows()).sum().backward()


class Grows(OneLayer):
    """Creates a layer in the forward pass."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "extra"):
            self.extra = nn.Linear(4, 4)
        return self.extra(self.layer(x))


def test_a_layer_created_in_the_forward_pass():
    model = Grows()
    for on in ("meta", "real"):
        count = count_model(model, (rows(),), train=True, on=on).count
        assert sums(count) == (2 * MACS, MACS + 2 * MACS)
    assert not hasattr(model, "extra")


class Chooses(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() >= 0, lambda y: self.layer(y), lambda y: y.sin(), (x,))


def test_a_conditional_operator_is_counted_by_the_branch_taken():
    result = count_model(Chooses(), (rows(),), train=False)
    assert result.count.totals.macs == MACS
    assert result.notes[0].startswith("counted on meta with the values")
    assert count_model(Chooses(), (rows() - 1,), train=False).count.totals.macs == 0


def test_the_branch_taken_has_gradients():
    """As in `torch.cond`, also of parameters that a branch finds in its closure. The input has no gradient."""
    assert sums(count_model(Chooses(), (rows(),), train=True).count) == (MACS, MACS)


# --- compiled, traced and wrapped models -----------------------------------------------------------------------------
def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU())


@pytest.mark.filterwarnings("ignore:.*`torch.jit.*` is deprecated")
@pytest.mark.parametrize("kind", ["scripted", "traced"])
def test_torchscript(kind):
    """Script modules run no hooks, so operators have the path of the model itself."""
    model = torch.jit.script(plain()) if kind == "scripted" else torch.jit.trace(plain(), rows())
    before = [(id(p), p.device.type) for p in model.parameters()]
    count = check(model, (rows(),), MACS, MACS)
    assert [(row.path, row.op, row.params) for row in count.rows] == [("", "linear", 4 * 4 + 4), ("", "relu", 0)]
    assert [(id(p), p.device.type) for p in model.parameters()] == before
    assert all(module.training for module in model.modules())


def test_a_graph_module():
    count = check(torch.fx.symbolic_trace(plain()), (rows(),), MACS, MACS)
    assert [row.path for row in count.rows] == ["0", "1"]


class CompiledInside(nn.Module):
    def __init__(self, how: str) -> None:
        super().__init__()
        self.inner = plain()
        if how == "wrapped":
            self.inner = torch.compile(self.inner)
        elif how == "in place":
            self.inner.compile()
        self.how = how

    def forward(self, x: Tensor) -> Tensor:
        if self.how == "in forward":
            return torch.compile(lambda y: self.inner(y))(x)
        return self.inner(x)


def test_a_compiled_model_counts_as_its_eager_self():
    model = plain()
    assert count_model(torch.compile(model), (rows(),)).count.rows == count_model(model, (rows(),)).count.rows


@pytest.mark.parametrize("how", ["wrapped", "in place", "in forward"])
def test_a_compiled_part_counts_as_its_eager_self(how):
    compiles = torch.compile
    count = check(CompiledInside(how), (rows(),), MACS, MACS)
    assert [(row.path, row.op) for row in count.rows] == [("inner.0", "linear"), ("inner.1", "relu")]
    assert torch.compile is compiles


def test_data_parallel_leaves_no_rows_of_its_own():
    count = count_model(nn.DataParallel(nn.Linear(4, 4)), (rows(),), on="real").count
    assert [(row.path, row.op) for row in count.rows] == [("module", "linear")]


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_layers_are_materialized_in_a_copy():
    model = nn.Sequential(nn.LazyConv2d(5, 3), nn.Flatten(), nn.LazyLinear(7))
    count = count_model(model, (torch.zeros(2, 3, 8, 8),), train=True).count
    conv, linear = 2 * 5 * 6 * 6 * 9 * 3, 2 * 7 * (5 * 6 * 6)
    assert sums(count) == (conv + linear, conv + 2 * linear)
    assert isinstance(model[0], nn.LazyConv2d)
    assert torch.nn.parameter.is_lazy(model[2].weight)


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_norms_are_materialized_too():
    model = nn.Sequential(nn.LazyConv2d(5, 3), nn.LazyBatchNorm2d(), nn.Flatten(), nn.LazyLinear(7))
    count = count_model(model, (torch.zeros(2, 3, 8, 8),), train=True).count
    conv, linear = 2 * 5 * 6 * 6 * 9 * 3, 2 * 7 * (5 * 6 * 6)
    assert sums(count) == (conv + linear, conv + 2 * linear)
    assert count.totals.params == 5 * 27 + 5 + 2 * 5 + 7 * 5 * 36 + 7
    assert torch.nn.parameter.is_lazy(model[1].running_mean)


class Optional(OneLayer):
    """Calls its lazy layers in training only."""

    def __init__(self) -> None:
        super().__init__()
        self.head, self.norm = nn.LazyLinear(5), nn.LazyBatchNorm1d()

    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return self.norm(self.head(y)) if self.training else y


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_a_lazy_layer_that_is_not_called_has_no_parameters():
    model = Optional().eval()
    count = count_model(model, (rows(),)).count
    assert (sums(count), count.totals.params) == ((MACS, None), 4 * 4 + 4)
    trained = count_model(model, (rows(),), train=True).count
    assert sums(trained) == (MACS + 3 * 4 * 5, MACS + 2 * 3 * 4 * 5)
    assert trained.totals.params == 4 * 4 + 4 + 5 * 4 + 5 + 2 * 5
    assert torch.nn.parameter.is_lazy(model.head.weight)


def scripted(model: nn.Module) -> nn.Module:
    return torch.jit.script(model.eval())


@pytest.mark.filterwarnings("ignore:.*`torch.jit.*` is deprecated")
@pytest.mark.parametrize("wrapper", [lambda model: model, nn.Sequential], ids=["alone", "inside"])
def test_frozen_torchscript_has_no_mode_and_no_parameters(wrapper):
    model = wrapper(torch.jit.freeze(scripted(plain())))
    for train in (None, False, True):
        count = count_model(model, (rows(),), train=train).count
        assert (count.totals.macs, count.totals.params) == (MACS, 0)
        assert not count.totals.backward_macs
    assert analyzer.count(model, rows()).totals.macs == MACS


@pytest.mark.filterwarnings("ignore:.*`torch.jit.*` is deprecated")
def test_torchscript_that_hides_its_convolutions_is_refused():
    """Their oneDNN kernels do not pass the dispatcher: the count would be 0."""
    model = torch.jit.optimize_for_inference(scripted(nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU())))
    with pytest.raises(AnalyzerError, match="optimize_for_inference"):
        count_model(model, (torch.zeros(2, 3, 8, 8),))


@pytest.mark.parametrize("wrapper", [lambda model: model, nn.Sequential], ids=["alone", "inside"])
def test_the_module_of_an_exported_program_counts_in_training_too(wrapper):
    """Its mode is that of the export: torch refuses `train()`."""
    model = wrapper(torch.export.export(nn.Sequential(nn.Linear(4, 5), nn.Linear(5, 3)), (rows(),)).module())
    first, second = 3 * 4 * 5, 3 * 5 * 3
    count = count_model(model, (rows(),), train=True).count
    assert sums(count) == (first + second, first + 2 * second)


class Deep(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return self.inner(x)


@pytest.mark.parametrize("on", ["meta", "real"])
def test_modules_nested_200_deep(on):
    """Torch alone runs them: hooks must not exceed Python's recursion limit."""
    model: nn.Module = nn.Linear(4, 4)
    for _ in range(200):
        model = Deep(model)
    limit = sys.getrecursionlimit()
    assert sums(count_model(model, (rows(),), train=True, on=on).count) == (MACS, MACS)
    assert sys.getrecursionlimit() == limit


# --- layouts ---------------------------------------------------------------------------------------------------------
class Layout(nn.Module):
    def __init__(self, layer: nn.Module, before: Any, after: Any) -> None:
        super().__init__()
        self.layer, self.before, self.after = layer, before, after

    def forward(self, x: Tensor) -> Tensor:
        return self.after(self.layer(self.before(x)))


def same(x: Tensor) -> Tensor:
    return x


CONV = 2 * 8 * 6 * 6 * 9 * 3


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="torch without oneDNN")
@pytest.mark.parametrize("after", [Tensor.to_dense, Tensor.relu], ids=["dense", "mkldnn"])
@pytest.mark.parametrize("given", [False, True], ids=["made in forward", "given"])
def test_the_layout_of_onednn(after, given):
    model = Layout(nn.Conv2d(3, 8, 3), same if given else Tensor.to_mkldnn, after)
    source = torch.zeros(2, 3, 8, 8)
    count = count_model(model, (source.to_mkldnn() if given else source,)).count
    assert (count.totals.macs, count.totals.params, count.as_if_dense) == (CONV, 8 * 27 + 8, {})


@pytest.mark.filterwarnings("ignore:Sparse CSR tensor support is in beta state")
@pytest.mark.parametrize("after", [Tensor.to_sparse, Tensor.to_sparse_csr])
def test_sparse_outputs(after):
    model = Layout(nn.Linear(4, 4), same, after)
    assert sums(count_model(model, (torch.ones(3, 4),), train=True).count) == (MACS, MACS)


def test_a_jagged_tensor_made_in_forward_is_counted_by_its_values():
    """Two rows and three: five, no padding."""
    ragged = Layout(nn.Linear(4, 4), lambda x: torch.nested.nested_tensor_from_jagged(x, torch.tensor([0, 2, 5])), same)
    assert sums(count_model(ragged, (torch.zeros(5, 4),), train=True).count) == (5 * 4 * 4, 5 * 4 * 4)


def test_a_model_that_exits_is_an_error():
    def leave(y: Tensor) -> Tensor:
        raise SystemExit(3)

    with pytest.raises(AnalyzerError, match="SystemExit: 3"):
        count_model(Wraps(leave), (rows(),))


# --- arguments -------------------------------------------------------------------------------------------------------
@dataclasses.dataclass
class Cache:
    """An object with tensors that grows with every pass, like a key-value cache."""

    states: list[Tensor]


class Extends(OneLayer):
    def forward(self, x: Tensor, cache: Cache) -> Tensor:
        cache.states.append(self.layer(x))
        return torch.cat(cache.states)


class Refuses(Cache):
    def __deepcopy__(self, memo: Any) -> Any:
        raise RuntimeError("no copies")


class GivesItself(Cache):
    def __deepcopy__(self, memo: Any) -> Any:
        return self


class Locked(Cache):
    def __init__(self, states: list[Tensor]) -> None:
        super().__init__(states)
        self.lock = threading.Lock()


class SlottedCache:
    __slots__ = ("lock", "states")

    def __init__(self, states: list[Tensor]) -> None:
        self.states, self.lock = states, threading.Lock()


@dataclasses.dataclass(frozen=True)
class FrozenCache:
    states: list[Tensor]
    source: Any = dataclasses.field(default_factory=lambda: (number for number in range(3)))


@pytest.mark.parametrize("kind", [Cache, Refuses, GivesItself, Locked, SlottedCache, FrozenCache])
def test_objects_in_arguments_are_copied(kind):
    cache = kind([torch.ones(2, 4)])
    count = check(Extends(), (rows(),), MACS, MACS, {"cache": cache})
    assert next(row for row in count.rows if row.op == "cat").outputs == ((2 + 3, 4),)
    assert len(cache.states) == 1
    assert torch.equal(cache.states[0], torch.ones(2, 4))


class ExtendsFirst(Extends):
    def forward(self, x: Tensor, caches: Any) -> Tensor:
        return super().forward(x, next(iter(caches.values() if isinstance(caches, dict) else caches)))


class OfTwo(list[Any]):
    """A list whose constructor takes its items apart."""

    def __init__(self, first: Any, second: Any) -> None:
        super().__init__([first, second])


class TupleOfTwo(tuple[Any, ...]):
    def __new__(cls, first: Any, second: Any) -> TupleOfTwo:
        return super().__new__(cls, (first, second))


class DictOfTwo(dict[str, Any]):
    def __init__(self, first: Any, second: Any) -> None:
        super().__init__(first=first, second=second)


@pytest.mark.parametrize("kind", [Cache, Refuses, GivesItself, Locked])
@pytest.mark.parametrize("container", [OfTwo, TupleOfTwo, DictOfTwo, lambda *caches: list(caches)])
def test_containers_of_objects_in_arguments_are_copied(container, kind):
    cache = kind([torch.ones(2, 4)])
    check(ExtendsFirst(), (rows(), container(cache, cache)), MACS, MACS)
    assert len(cache.states) == 1


def test_tensors_inside_an_argument_are_inputs_of_the_record_and_of_its_memory():
    record = analyzer.count(Extends(), (rows(), Locked([torch.ones(2, 4)])), memory=True)
    assert record.input == ((3, 4), (2, 4))
    assert record.memory is not None
    assert record.memory.inputs == 4 * (3 * 4 + 2 * 4)


def test_the_same_tensor_twice_stays_the_same_and_a_generator_is_passed_on():
    class Same(OneLayer):
        def forward(self, x: Tensor, pair: Any, *, keep: Any) -> Tensor:
            assert pair[0] is x
            assert keep is keep_alive
            return self.layer(x)

    keep_alive = (number for number in range(3))  # A generator cannot be copied.
    x = rows()
    check(Same(), (x, (x,)), MACS, MACS, {"keep": keep_alive})


@pytest.mark.parametrize("train", [False, True])
def test_every_pass_gets_the_items_of_a_generator(train):
    """The first pass, which fails on meta, would otherwise leave fewer of them."""

    class Loops(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 8)

        def forward(self, batches: Iterator[Tensor]) -> list[Tensor]:
            return [self.layer(x) for x in batches if int(self.layer(x).isnan().sum()) == 0]

    record = analyzer.count(Loops(), [(torch.ones(2, 8) for _ in range(3))], train=train, memory=True)
    assert record.totals.macs == 3 * 2 * (2 * 8 * 8)
    assert record.input == ((2, 8),) * 3


def test_a_jacobian_in_the_forward_pass_is_counted():
    class Jacobian(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(8, 4)

        def forward(self, x: Tensor) -> Tensor:
            return torch.autograd.functional.jacobian(self.layer, x)

    # The layer, and the gradient of its input for each of the 4 outputs.
    assert analyzer.count(Jacobian(), torch.ones(1, 8)).totals.macs == (1 + 4) * 8 * 4


class Tangent(OneLayer):
    """The tangent of a layer by forward-mode differentiation."""

    def forward(self, x: Tensor) -> Tensor:
        with forward_ad.dual_level():
            dual = forward_ad.make_dual(x, torch.ones_like(x))
            return forward_ad.unpack_dual(self.layer(dual)).tangent


def test_forward_mode_differentiation_is_counted():
    """torch computes the layer, and its derivative by the input and by the weight, whose tangent is zero."""
    result = count_model(Tangent(), (rows(),), train=False)
    assert result.count.totals.macs == 3 * MACS
    assert ["under autograd" in note for note in result.notes] == [True]


class AsksForInference(OneLayer):
    def forward(self, x: Tensor) -> Tensor:
        y = self.layer(x)
        return y if y.is_inference() or torch.is_inference(y) else self.layer(y)


def test_training_has_no_inference_tensors():
    assert count_model(AsksForInference(), (rows(),), train=True).count.totals.macs == 2 * MACS
