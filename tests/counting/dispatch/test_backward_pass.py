"""The backward pass: what autograd runs, from every output, of the pass that was counted."""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812 – torch's own name for it
from torch.nn.utils import parametrizations
from torch.overrides import handle_torch_function, has_torch_function
from torch.utils.checkpoint import checkpoint, create_selective_checkpoint_contexts

from analyzer.counting.execution.count_any_model import count_model
from tests.torch_releases import RELEASE

ON = pytest.mark.parametrize("on", ["meta", "real"])
BATCH, WIDTH = 2, 8
LAYER = BATCH * WIDTH * WIDTH  # MACs of a layer forward; backward for its weight, and for its input if that learns.
VECTOR = WIDTH * WIDTH  # MACs of a matrix times a vector.


class Layers(nn.Module):
    """A function of three linear layers and an input."""

    def __init__(self, function: Any) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Linear(WIDTH, WIDTH) for _ in range(3))
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self, x)


def _count(model: nn.Module, *args: Tensor, on: str = "auto") -> Any:
    return count_model(model, args or (torch.zeros(BATCH, WIDTH),), train=True, on=on)


def _backward(counted: Any) -> dict[str, int]:
    """Backward MACs by path, where there are any."""
    return _by_path(counted, "backward_macs")


def _recomputed(counted: Any) -> dict[str, int]:
    return _by_path(counted, "recomputed_macs")


def _by_path(counted: Any, metric: str) -> dict[str, int]:
    macs: Counter[str] = Counter()
    for row in counted.count.rows:
        macs[row.path] += getattr(row, metric) or 0
    return dict(+macs)


class Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return x @ weight

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        return gradients[0] @ weight.t(), x.t() @ gradients[0]


# A function, its MACs forward, its MACs backward, and whether operators are decomposed.
ASKING: dict[str, Any] = {
    "whether gradients are enabled": (
        lambda s, x: (s.a(x), s.b(x)) if s.training and torch.is_grad_enabled() else s.a(x),
        2 * LAYER,
        2 * LAYER,
        False,
    ),
    "whether a tensor has a gradient": (
        lambda s, x: (s.a(x), s.b(x)) if s.a(x).requires_grad else s.a(x),
        3 * LAYER,
        2 * LAYER,
        True,
    ),
    "in a function": (
        lambda s, x: s.a(x) @ s.b.weight if s.a(x).requires_grad else s.a(x),
        3 * LAYER,
        3 * LAYER,
        True,
    ),
    "a custom function of a parameter": (
        lambda s, x: Product.apply(s.a(x), s.b.weight) if torch.is_grad_enabled() else s.a(x),
        2 * LAYER,
        3 * LAYER,
        False,
    ),
}


@ON
@pytest.mark.parametrize("name", ASKING)
def test_the_counted_pass_is_the_one_that_training_runs(name, on):
    function, macs, backward_macs, decomposed = ASKING[name]
    counted = _count(Layers(function), on=on)
    assert (counted.count.totals.macs, counted.count.totals.backward_macs) == (macs, backward_macs)
    assert any("gradients enabled" in note for note in counted.notes) == decomposed


@ON
def test_the_counted_pass_finds_inference_mode_off(on):
    """The softmax has no MACs, so the passes do not differ in products."""
    asks = _count(Layers(lambda s, x: s.a(x) if torch.is_inference_mode_enabled() else s.a(x).softmax(-1)), on=on)
    plain = _count(Layers(lambda s, x: s.a(x).softmax(-1)), on=on)
    assert asks.count.totals == plain.count.totals
    assert not torch.is_inference_mode_enabled()
    assert torch.inference_mode()(torch.is_inference_mode_enabled)()


@pytest.mark.parametrize("register", ["register_hook", "register_post_accumulate_grad_hook"])
def test_hooks_on_gradients_of_parameters_have_a_strict_note(register):
    """They belong to the parameters, not to their stand-ins on meta."""
    model = Layers(lambda s, x: s.a(x))
    getattr(model.a.weight, register)(lambda value: None)
    assert [note.strict for note in _count(model, on="meta").notes if "a.weight" in note] == [True]
    assert not [note for note in _count(model, on="real").notes if "a.weight" in note]


@dataclass
class Output:
    value: Any


class Slots:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value


class NamedDict(dict[str, Any]):
    """A dictionary with attributes."""


def _with_attribute(value: Any) -> NamedDict:
    output = NamedDict()
    output.value = value  # type: ignore[attr-defined]
    return output


def _normal(value: Tensor) -> Any:
    return torch.distributions.Normal(value, torch.ones_like(value), validate_args=False)


OUTPUTS: dict[str, Any] = {
    "dataclass": Output,
    "slots": Slots,
    "dict of lists": lambda value: {"scores": [Output(value)]},
    "deque": lambda value: deque([(value,)]),
    "attribute of a dict": _with_attribute,
    "distribution": _normal,
    "distribution of a distribution": lambda value: [
        torch.distributions.Independent(_normal(value), 1, validate_args=False)
    ],
}


@pytest.mark.parametrize("name", OUTPUTS)
def test_gradients_reach_outputs_in_any_object(name):
    counted = _count(Layers(lambda s, x: (OUTPUTS[name](s.a(x)), s.b(x))))
    assert _backward(counted) == {"a": LAYER, "b": LAYER}


# What adds no gradient of the first layer; the second layer learns.
@ON
@pytest.mark.parametrize("vector", [False, True])
@pytest.mark.parametrize(
    "function",
    [lambda run, x: run(x).detach(), lambda run, x: torch.no_grad()(run)(x), lambda run, x: (run(x), 0)[1]],
    ids=["detached", "no_grad", "unused"],
)
def test_products_without_a_gradient_add_nothing(function, vector, on):
    model = Layers(lambda s, x: s.b(x) + function(lambda y: s.a.weight @ y[0] if vector else s.a(y), x))
    counted = _count(model, on=on)
    assert counted.count.totals.macs == LAYER + (VECTOR if vector else LAYER)
    assert counted.count.totals.backward_macs == LAYER


def test_spectral_norm_learns_through_the_norm_and_not_its_power_iteration():
    model = parametrizations.spectral_norm(nn.Linear(8, 6))
    totals = _count(model).count.totals
    # The layer; W · v and Wᵀ · u; the norm u · (W · v).
    assert totals.macs == 2 * 48 + 2 * 48 + 48 + 6
    # The layer's weight; through the norm an outer product and a scaled vector.
    assert totals.backward_macs == 2 * 48 + 48 + 6


COMPLEX: dict[str, Any] = {
    "convolution": (nn.Conv1d(3, 5, 3, dtype=torch.cfloat), (2, 3, 10), 2 * 5 * 8 * 9),
    "padded": (nn.Conv1d(3, 5, 3, padding="same", dtype=torch.cfloat), (2, 3, 10), 2 * 5 * 10 * 9),
    "grouped": (nn.Conv2d(4, 8, 3, groups=2, dtype=torch.cfloat), (1, 4, 6, 6), 8 * 16 * 18),
    "transposed": (nn.ConvTranspose1d(3, 5, 3, dtype=torch.cfloat), (2, 3, 10), 2 * 3 * 10 * 15),
}


@ON
@pytest.mark.parametrize("name", COMPLEX)
def test_a_complex_convolution_is_one_product(name, on):
    layer, shape, macs = COMPLEX[name]
    first = nn.Conv1d(3, 3, 1, dtype=torch.cfloat) if len(shape) == 3 else nn.Identity()
    counted = _count(nn.Sequential(first, layer), torch.zeros(shape, dtype=torch.cfloat), on=on)
    inner = shape[0] * 3 * 3 * shape[2] if len(shape) == 3 else 0
    assert counted.count.totals.macs == macs + inner
    assert _backward(counted) == ({"0": inner, "1": 2 * macs} if inner else {"1": macs})


def _overridable(a: Tensor, b: Tensor) -> Tensor:
    """A function of a library that tensor subclasses may replace."""
    if has_torch_function((a, b)):
        return handle_torch_function(_overridable, (a, b), a, b)
    return torch.einsum("ij,jk->ik", a, b)


def _triplet(a: Tensor, b: Tensor) -> Tensor:
    return F.triplet_margin_with_distance_loss(a, b.t(), a, distance_function=torch.linalg.vecdot)


# A function of a (3, 1) and b (1, 3), and its MACs forward. torch multiplies elementwise where a sum has one element.
PYTHON_FUNCTIONS: dict[str, Any] = {
    "einsum": (_overridable, 9),
    "recursive": (lambda a, b: _overridable(_overridable(a, b), a), 9 + 9),
    "a loss with a distance": (_triplet, 3 + 3),
}


@ON
@pytest.mark.parametrize("name", PYTHON_FUNCTIONS)
def test_products_within_python_functions_of_torch(name, on):
    function, macs = PYTHON_FUNCTIONS[name]
    model = nn.Module()
    model.a, model.b = nn.Parameter(torch.zeros(3, 1)), nn.Parameter(torch.zeros(1, 3))
    model.forward = lambda: function(model.a, model.b)
    counted = count_model(model, (), train=True, on=on)
    assert (counted.count.totals.macs, counted.count.totals.backward_macs) == (macs, 2 * macs)
    assert counted.notes == ()


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.LSTM(5, 4, batch_first=True, bidirectional=True), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.rnn(x)[0])


class CallsLstm(Recurrent):
    def forward(self, x: Tensor) -> Tensor:
        states = x.new_zeros(2, 2, 4)
        weights = [weight for weights in self.rnn.all_weights for weight in weights]
        return self.head(torch._VF.lstm(x, (states, states), weights, True, 1, 0.0, self.training, True, True)[0])


FORMS: dict[str, Any] = {
    "module": Recurrent,
    "function": CallsLstm,
    "exported": lambda: torch.export.export(Recurrent(), (torch.zeros(2, 6, 5),)).module(),
    "TorchScript": lambda: torch.jit.script(Recurrent()),
}


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning", "ignore:The tensor attributes:UserWarning")
@pytest.mark.parametrize("on", ["auto", "real"])
@pytest.mark.parametrize("name", FORMS)
def test_recurrent_layers_learn_in_every_form(name, on):
    totals = _count(FORMS[name](), torch.zeros(2, 6, 5), on=on).count.totals
    # 12 steps of two samples in two directions: gates from the input and the state; the head.
    assert totals.macs == 12 * 2 * 16 * (5 + 4) + 12 * 8 * 3
    # Both weights and the head's; states, of which the first are no variables; the head's input.
    assert totals.backward_macs == 12 * 2 * 16 * (5 + 4) + 10 * 2 * 16 * 4 + 2 * 12 * 8 * 3


class Attention(nn.Module):
    def __init__(self, learns: str) -> None:
        super().__init__()
        self.heads = nn.ParameterList(nn.Parameter(torch.zeros(2, 3, 5, 4), name in learns) for name in "qkv")

    def forward(self, x: Tensor) -> Tensor:
        return F.scaled_dot_product_attention(*self.heads)


@ON
@pytest.mark.parametrize("learns", ["qkv", "q", "k", "v"])
def test_attention_has_the_gradients_that_are_needed(learns, on):
    product = 2 * 3 * 5 * 5 * 4
    # One product for each of the three, and that of the scores, which queries and keys need.
    wanted = product * (len(learns) + (learns != "v"))
    assert _count(Attention(learns), on=on).count.totals.backward_macs == wanted


@ON
@pytest.mark.parametrize("reentrant", [False, True])
def test_recomputed_products_are_neither_forward_nor_backward(reentrant, on):
    def function(s: Layers, x: Tensor) -> Tensor:
        return s.c(checkpoint(lambda y: F.linear(torch.relu(s.b(y)), s.a.weight), s.a(x), use_reentrant=reentrant))

    counted = _count(Layers(function), on=on)
    assert counted.count.totals.macs == 4 * LAYER
    # The first use of a has an input that does not learn.
    assert counted.count.totals.backward_macs == 7 * LAYER
    assert _backward(counted) == {"a": LAYER, "b": 2 * LAYER, "": 2 * LAYER, "c": 2 * LAYER}
    # Without reentry torch stops at the last tensor that it needs, before the last product.
    assert _recomputed(counted) == {"b": LAYER} | ({"": LAYER} if reentrant else {})
    recomputed = sum(_recomputed(counted).values())
    assert counted.count.totals.step["step_macs"] == (4 + 7) * LAYER + recomputed
    assert counted.count.totals.step["step_flops"] == counted.count.totals.flops + 2 * (7 * LAYER + recomputed)


@pytest.mark.parametrize("reentrant", [False, True])
def test_a_checkpoint_in_a_model_that_asks_for_devices_runs_on_meta(reentrant):
    """torch compares the devices of what it computes again."""

    def function(s: Layers, x: Tensor) -> Tensor:
        assert x.device.type == "cpu"
        part = lambda y: s.c(torch.relu(s.b(y)) + torch.ones(8, device=s.b.weight.device))  # noqa: E731
        return checkpoint(part, s.a(x), use_reentrant=reentrant)

    counted = _count(Layers(function))
    assert counted.notes == ()
    assert _backward(counted) == {"a": LAYER, "b": 2 * LAYER, "c": 2 * LAYER}


@ON
@pytest.mark.parametrize("reentrant", [False, True])
def test_checkpoints_within_checkpoints(reentrant, on):
    def function(s: Layers, x: Tensor) -> Tensor:
        inner = lambda y: checkpoint(nn.Sequential(s.b, nn.ReLU(), s.c), y, use_reentrant=reentrant)  # noqa: E731
        return checkpoint(inner, s.a(x), use_reentrant=reentrant)

    counted = _count(Layers(function), on=on)
    assert _backward(counted) == {"a": LAYER, "b": 2 * LAYER, "c": 2 * LAYER}
    # The outer checkpoint runs both layers again, and so does the inner one. Without reentry the outer stops where it
    # has the input of the inner one, which stops where it has the input of the last layer.
    assert _recomputed(counted) == ({"b": 2 * LAYER, "c": 2 * LAYER} if reentrant else {"b": LAYER})


@ON
@pytest.mark.parametrize("reentrant", [False, True])
def test_functions_that_disable_gradients_in_checkpoints(reentrant, on):
    """A checkpoint inside one with reentry is a function that disables gradients, in no module."""

    def inner(s: Layers, y: Tensor) -> Tensor:
        return F.linear(torch.relu(F.linear(y, s.b.weight)), s.c.weight)

    counted = _count(
        Layers(
            lambda s, x: checkpoint(
                lambda y: checkpoint(inner, s, y, use_reentrant=reentrant), s.a(x), use_reentrant=reentrant
            )
        ),
        on=on,
    )
    assert _backward(counted) == {"a": LAYER, "": 4 * LAYER}
    assert _recomputed(counted) == {"": (4 if reentrant else 1) * LAYER}
    counted = _count(
        Layers(
            lambda s, x: checkpoint(
                lambda y: torch.relu(s.b(y) + torch.no_grad()(F.linear)(y, s.c.weight)),
                s.a(x),
                use_reentrant=reentrant,
            )
        ),
        on=on,
    )
    assert _backward(counted) == {"a": LAYER, "b": 2 * LAYER}
    assert _recomputed(counted) == {"b": LAYER, "": LAYER}


# Operators whose results a selective checkpoint keeps, and the layers that run again. The third layer is the last in
# the checkpoint: its result is no input of a gradient.
SELECTIONS: dict[str, Any] = {
    "nothing": ([], {"b": LAYER}),
    "layers": ([torch.ops.aten.addmm.default], {}),
    "products": ([torch.ops.aten.mm.default], {"b": LAYER}),
}


@ON
@pytest.mark.parametrize("name", SELECTIONS)
def test_selective_checkpoints_recompute_what_they_do_not_keep(name, on):
    kept, recomputed = SELECTIONS[name]
    contexts = partial(create_selective_checkpoint_contexts, kept)

    def function(s: Layers, x: Tensor) -> Tensor:
        part = nn.Sequential(s.b, nn.ReLU(), s.c)
        return checkpoint(part, s.a(x), use_reentrant=False, context_fn=contexts)

    counted = _count(Layers(function), on=on)
    assert counted.count.totals.macs == 3 * LAYER
    assert _backward(counted) == {"a": LAYER, "b": 2 * LAYER, "c": 2 * LAYER}
    assert _recomputed(counted) == recomputed


def _library() -> Any:
    library = torch.library.Library("backward_tests", "DEF")
    for name in ("forth", "back"):
        library.define(f"{name}(Tensor x) -> Tensor")
        for key in ("CPU", "Meta"):
            library.impl(name, lambda x: x.clone(), key)
    torch.library.register_autograd(
        "backward_tests::forth", lambda context, gradient: torch.ops.backward_tests.back(gradient), lib=library
    )
    return library


@ON
def test_an_unknown_operator_of_the_backward_pass_is_named_with_its_module(on):
    if on == "real" and RELEASE < (2, 10):
        pytest.skip("torch 2.9 fails with std::bad_alloc in a Python kernel that a backward pass calls")
    library = _library()
    counted = _count(nn.Sequential(Layers(lambda s, x: torch.ops.backward_tests.forth(s.a(x)))), on=on)
    assert library is not None
    assert counted.count.unknown_ops == {"backward_tests::forth": 1, "backward_tests::back": 1}
    assert counted.count.callers("backward_tests::back") == "0"
