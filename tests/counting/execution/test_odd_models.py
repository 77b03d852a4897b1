"""Models that are written in every way but the plain one: counted all the same, or refused in words."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from analyzer.core.errors import AnalyzerError
from analyzer.counting.execution.run import count_model
from analyzer.records.record import Count

MACS = 3 * 4 * 4  # One pass of the one layer below over three rows.


class One(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(4, 4)


def rows() -> Tensor:
    return torch.zeros(3, 4)


def sums(count: Count) -> tuple[int, int | None]:
    return count.totals.macs, count.totals.backward_macs


def held(model: nn.Module, args: Any, macs: int, backward: int, kwargs: Any = None) -> Count:
    """On meta and on real tensors alike; data gets no gradient, so a first layer's weight alone learns."""
    for train, expected in ((False, (macs, None)), (True, (macs, backward))):
        meta, real = (count_model(model, args, kwargs, train=train, on=on).count for on in ("meta", "real"))
        assert meta.rows == real.rows
        assert sums(meta) == expected
        assert meta.unknown_ops == {}
        assert meta.totals.params == sum(p.numel() for p in model.parameters())
    return real


# --- what goes in and what comes out ---------------------------------------------------------------------------------
class KeywordsOnly(One):
    def forward(self, *, x: Tensor) -> Tensor:
        return self.layer(x)


def test_keywords_only():
    held(KeywordsOnly(), (), MACS, MACS, {"x": rows()})


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


class Wraps(One):
    def __init__(self, wrapper: Any) -> None:
        super().__init__()
        self.wrapper = wrapper

    def forward(self, x: Tensor) -> Any:
        return self.wrapper(self.layer(x))


@pytest.mark.parametrize("name", WRAPPERS)
def test_outputs_of_every_kind_have_gradients(name):
    held(Wraps(WRAPPERS[name]), (rows(),), MACS, MACS)


@pytest.mark.parametrize("name", ["nothing", "a detached tensor"])
def test_a_model_without_a_gradient_is_counted_forward_and_says_so(name):
    wrapper = {"nothing": lambda y: None, "a detached tensor": lambda y: y.detach()}[name]
    found = count_model(Wraps(wrapper), (rows(),), train=True)
    assert sums(found.count) == (MACS, 0)
    assert found.notes == ("no gradient reaches a product: what the model returns holds no tensor that depends on one",)


class NestedLists(One):
    def forward(self, batch: Any) -> Tensor:
        return torch.cat([self.layer(x) for sample in batch for x in sample["images"]])


def test_tensors_deep_in_lists():
    held(NestedLists(), ([{"images": [torch.zeros(1, 4)]}, {"images": (torch.zeros(2, 4),)}],), MACS, MACS)


class WritesToItsInput(One):
    def forward(self, x: Tensor) -> Tensor:
        x.mul_(2)
        return self.layer(x)


def test_an_input_that_is_written_to_stays_as_it_was():
    source = torch.ones(3, 4)
    held(WritesToItsInput(), (source,), MACS, MACS)
    assert torch.equal(source, torch.ones(3, 4))


def test_an_input_that_learns_gets_no_gradient():
    source = torch.ones(3, 4, requires_grad=True)
    held(KeywordsOnly(), (), MACS, 2 * MACS, {"x": source})
    assert source.grad is None


class Hands(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x


def test_a_model_that_does_nothing():
    assert count_model(Hands(), (rows(),)).count.rows == ()
    assert count_model(nn.ReLU(), (rows(),), train=True).count.totals.flops == 3 * 4


def test_nested_tensors_are_counted_by_their_elements():
    """Rows of 3 and 2 elements: five, and no padding."""
    ragged = torch.nested.nested_tensor([torch.zeros(3, 4), torch.zeros(2, 4)], layout=torch.jagged)
    count = held(Wraps(lambda y: y), (ragged,), 5 * 4 * 4, 5 * 4 * 4)
    assert count.rows[0].inputs == ((5, 4),)


@pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype stage")
def test_the_older_nested_tensors_are_refused_in_words():
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
    """A complex product is one multiply-add here, as a product of any other type."""
    held(Complex(), (rows(),), MACS, MACS)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_other_types_change_bytes_and_nothing_else(dtype):
    count = held(Wraps(lambda y: y).to(dtype), (rows().to(dtype),), MACS, MACS)
    assert count.totals.bytes_read == dtype.itemsize * (3 * 4 + 4 * 4 + 4)
    assert count.totals.bytes_written == dtype.itemsize * 3 * 4


class Autocast(One):
    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            return self.layer(x)


def test_autocast_runs_on_real_tensors_where_it_has_an_effect():
    found = count_model(Autocast(), (rows(),), train=True)
    assert found.notes == ("counted on real tensors: on meta it raised RuntimeError: autocast has no effect on meta",)
    assert sums(found.count) == (MACS, MACS)
    assert found.count.totals.bytes_written == 2 * 3 * 4
    assert "__enter__" in vars(torch.autocast)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.mm(torch.zeros(2, 2), torch.zeros(2, 2)).dtype == torch.bfloat16


def test_autocast_around_the_count():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = count_model(Wraps(lambda y: y), (rows(),))
    assert found.count.totals.bytes_written == 2 * 3 * 4


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


class OwnFunction(One):
    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(4, 4))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(Product.apply(self.layer(x), self.weight))


def test_a_function_with_a_backward_of_its_own():
    count = held(OwnFunction(), (rows(),), 3 * MACS, MACS + 2 * MACS + 2 * MACS)
    assert [(row.path, row.op, row.backward_macs) for row in count.rows] == [
        ("layer", "linear", MACS),
        ("", "matmul", 2 * MACS),
        ("layer", "linear", 2 * MACS),
    ]


class Mapped(One):
    def forward(self, x: Tensor) -> Tensor:
        return torch.func.vmap(self.layer)(x)


def test_vmap():
    """One row of a batch at a time for the user, the whole batch for torch."""
    count = held(Mapped(), (torch.zeros(5, 3, 4),), 5 * MACS, 5 * MACS)
    assert (count.rows[0].path, count.rows[0].op) == ("layer", "linear")


class Forces(One):
    """The gradient of an energy by the place of its atoms is part of the forward pass."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.clone().requires_grad_()
        energy = self.layer(x).pow(2).sum()
        return torch.autograd.grad(energy, x, create_graph=True)[0]


def test_gradients_in_the_forward_pass():
    found = count_model(Forces(), (rows(),), train=False)
    assert found.count.totals.macs == 2 * MACS, "the layer, and its gradient by the input"
    assert found.notes == (
        "counted under autograd, since the forward pass takes gradients: operators appear taken apart",
    )
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
    """What it computes again is no gradient, as with the scores of flash attention; gradients stand in their rows."""
    each = 3 * 4 * 8
    count = held(Checkpointed(reentrant), (rows(),), 4 * each, each + 3 * 2 * each)
    plain = count_model(Checkpointed(None), (rows(),), train=True).count
    assert count.rows == plain.rows


class Without(One):
    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            y = self.layer(x)
        return self.layer(y)


def test_no_grad_inside_has_no_gradient():
    count = held(Without(), (rows(),), 2 * MACS, MACS)
    assert [row.backward_macs for row in count.rows] == [0, MACS]


class Inference(One):
    def forward(self, x: Tensor) -> Tensor:
        with torch.inference_mode():
            y = self.layer(x)
        return self.layer(y.clone())


def test_inference_mode_inside():
    held(Inference(), (rows(),), 2 * MACS, MACS)


class Caches(One):
    """As rotary positions do: a table made by the first pass, kept for the next."""

    table: Tensor | None = None

    def forward(self, x: Tensor) -> Tensor:
        if self.table is None:
            self.table = torch.ones(4, device=x.device)
        return self.layer(x) * self.table


def test_a_table_cached_by_one_pass_does_not_reach_the_next():
    """One of inference mode would break autograd in the backward pass, and later in the user's own training."""
    model = Caches()
    held(model, (rows(),), MACS, MACS)
    assert model.table is None
    model(rows()).sum().backward()


class Grows(One):
    """A layer made in the forward pass has no place in the model that was lent."""

    def forward(self, x: Tensor) -> Tensor:
        if not hasattr(self, "extra"):
            self.extra = nn.Linear(4, 4)
        return self.extra(self.layer(x))


def test_a_layer_made_on_the_way():
    model = Grows()
    for on in ("meta", "real"):
        count = count_model(model, (rows(),), train=True, on=on).count
        assert sums(count) == (2 * MACS, MACS + 2 * MACS)
    assert not hasattr(model, "extra")


class Chooses(One):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cond(x.sum() >= 0, lambda y: self.layer(y), lambda y: y.sin(), (x,))


def test_a_conditional_operator_is_counted_by_the_branch_taken():
    found = count_model(Chooses(), (rows(),), train=False)
    assert found.count.totals.macs == MACS
    assert "counted on real tensors" in found.notes[0]
    assert count_model(Chooses(), (rows() - 1,), train=False).count.totals.macs == 0


class Scans(One):
    def forward(self, x: Tensor) -> Any:
        from torch._higher_order_ops import scan

        return scan(lambda state, y: (state + y, state * y), torch.zeros(4, device=x.device), x)[0]


def test_other_higher_order_operators_are_unknown_by_name():
    found = count_model(Scans(), (rows(),), train=False)
    assert found.count.unknown_ops == {"higher_order::scan": 1}
    assert "higher_order::scan has no formula; 1 call in the model itself" in found.notes


# --- made by tools ---------------------------------------------------------------------------------------------------
def plain() -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, 4), nn.ReLU())


@pytest.mark.filterwarnings("ignore:.*`torch.jit.*` is deprecated")
@pytest.mark.parametrize("kind", ["scripted", "traced"])
def test_torchscript(kind):
    """Its modules run no hooks, so operators stand under the model itself."""
    model = torch.jit.script(plain()) if kind == "scripted" else torch.jit.trace(plain(), rows())
    before = [(id(p), p.device.type) for p in model.parameters()]
    count = held(model, (rows(),), MACS, MACS)
    assert [(row.path, row.op, row.params) for row in count.rows] == [("", "linear", 4 * 4 + 4), ("", "relu", 0)]
    assert [(id(p), p.device.type) for p in model.parameters()] == before
    assert all(module.training for module in model.modules())


def test_a_graph_module():
    count = held(torch.fx.symbolic_trace(plain()), (rows(),), MACS, MACS)
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
        if self.how == "on the way":
            return torch.compile(lambda y: self.inner(y))(x)
        return self.inner(x)


@pytest.mark.parametrize("how", ["wrapped", "in place", "on the way"])
def test_a_compiled_part_counts_as_its_eager_self(how):
    compiles = torch.compile
    count = held(CompiledInside(how), (rows(),), MACS, MACS)
    assert [(row.path, row.op) for row in count.rows] == [("inner.0", "linear"), ("inner.1", "relu")]
    assert torch.compile is compiles


def test_data_parallel_leaves_no_rows_of_its_own():
    count = count_model(nn.DataParallel(nn.Linear(4, 4)), (rows(),), on="real").count
    assert [(row.path, row.op) for row in count.rows] == [("module", "linear")]


@pytest.mark.filterwarnings("ignore:Lazy modules are a new feature")
def test_lazy_layers_take_their_sizes_from_a_copy():
    model = nn.Sequential(nn.LazyConv2d(5, 3), nn.Flatten(), nn.LazyLinear(7))
    count = count_model(model, (torch.zeros(2, 3, 8, 8),), train=True).count
    conv, linear = 2 * 5 * 6 * 6 * 9 * 3, 2 * 7 * (5 * 6 * 6)
    assert sums(count) == (conv + linear, conv + 2 * linear)
    assert isinstance(model[0], nn.LazyConv2d)
    assert torch.nn.parameter.is_lazy(model[2].weight)


class Copied(One):
    """A parameter that is written to, given other data, or replaced."""

    def __init__(self, how: str) -> None:
        super().__init__()
        self.how = how

    @torch.no_grad()
    def change(self) -> None:
        weight = self.layer.weight
        if self.how == "added to":
            weight.add_(1)
        elif self.how == "a part of it":
            weight.t()[1:].mul_(3)
        elif self.how == "among others":
            torch._foreach_add_([weight, self.layer.bias], 1.0)
        elif self.how == "as an output":
            torch.add(weight, 1.0, out=weight)
        elif self.how == "other data":
            weight.data = torch.ones_like(weight)
        elif self.how == "replaced":
            self.layer.weight = nn.Parameter(weight * 2)
        elif self.how == "frozen":
            weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        self.change()
        return self.layer(x)


@pytest.mark.parametrize("train", [None, True])
@pytest.mark.parametrize("on", ["auto", "real"])
@pytest.mark.parametrize(
    "how", ["added to", "a part of it", "among others", "as an output", "other data", "replaced", "frozen"]
)
def test_a_model_that_changes_its_own_parameters(how, on, train):
    model = Copied(how)
    before = [(p, p.data_ptr(), p.detach().clone(), p.requires_grad) for p in model.parameters()]
    assert count_model(model, (rows(),), train=train, on=on).count.totals.macs == MACS
    for parameter, (same, start, value, learns) in zip(model.parameters(), before, strict=True):
        assert parameter is same
        assert (parameter.data_ptr(), parameter.requires_grad, parameter.grad) == (start, learns, None)
        assert torch.equal(parameter, value)


def test_a_model_that_exits_is_an_error_and_not_the_end():
    def leave(y: Tensor) -> Tensor:
        raise SystemExit(3)

    with pytest.raises(AnalyzerError, match="SystemExit: 3"):
        count_model(Wraps(leave), (rows(),))
