"""Models that compute gradients in unusual ways, each with figures worked out by hand, in `LINEAR` and `TENSOR`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.autograd import Function
from torch.nn import functional as F  # noqa: N812 – torch's own name for it
from torch.utils.checkpoint import checkpoint, checkpoint_sequential

from tests.counting.dispatch.training_models import Forward

LINEAR = 2 * 8 * 8  # MACs of a layer of width 8 for two samples, and of each of its gradients.
TENSOR = 4 * 2 * 8  # Bytes of its output. The first layer's input is the model's and is not saved.
X = (torch.zeros(2, 8),)


class Case(NamedTuple):
    """MACs forward, backward and recomputed in layers; saved bytes in tensors, None where untested."""

    make: Callable[[], nn.Module]
    macs: float
    backward_macs: float
    saved: float | None
    recomputed_macs: float = 0
    args: tuple[Any, ...] = X


def linears(
    function: Callable[..., Any], prepare: Callable[[Any], None] = lambda model: None
) -> Callable[[], nn.Module]:
    def make() -> nn.Module:
        model = Forward(function, **{name: nn.Linear(8, 8) for name in "abcd"})
        prepare(model)
        return model

    return make


class Recomputing(Function):
    """A checkpoint by hand."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, layer: nn.Module) -> Tensor:
        ctx.layer = layer
        ctx.save_for_backward(x)
        return layer(x).detach()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        (x,) = ctx.saved_tensors
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = ctx.layer(x)
        y.backward(gradients[0])
        return x.grad, None


class Reversible(Function):
    """y1 = x1 + f(x2), y2 = x2 + g(y1): the backward pass computes both inputs from the outputs (Gomez et al. 2017)."""

    @staticmethod
    def forward(ctx: Any, x1: Tensor, x2: Tensor, f: nn.Module, g: nn.Module) -> Any:
        with torch.no_grad():
            y1 = x1 + f(x2)
            y2 = x2 + g(y1)
        ctx.f, ctx.g = f, g
        ctx.save_for_backward(y1, y2)
        return y1, y2

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        y1, y2 = ctx.saved_tensors
        with torch.enable_grad():
            y1 = y1.detach().requires_grad_()
            of_y1 = ctx.g(y1)
        of_y1.backward(gradients[1])
        first = gradients[0] + y1.grad
        with torch.enable_grad():
            x2 = (y2 - of_y1).detach().requires_grad_()
            of_x2 = ctx.f(x2)
        of_x2.backward(first)
        return first, gradients[1] + x2.grad, None, None


class ForwardAgain(Function):
    """The backward pass repeats the product of the forward pass, as fused attention does."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return torch.relu(x @ weight)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        gradient = gradients[0] * (x @ weight > 0)
        return gradient @ weight.t(), x.t() @ gradient


class TwoProducts(Function):
    """Two outputs, and gradients of those inputs that need them."""

    @staticmethod
    def forward(x: Tensor, weight: Tensor) -> Any:
        return x @ weight, x @ weight.t()

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Any:
        x, weight = ctx.saved_tensors
        first, second = gradients
        to_x = first @ weight.t() + second @ weight if ctx.needs_input_grad[0] else None
        return to_x, x.t() @ first + second.t() @ x if ctx.needs_input_grad[1] else None


class Reversed(Function):
    """Gradient reversal (Ganin and Lempitsky 2015)."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.view_as(x)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return -gradients[0]


def hooked(model: Any) -> None:
    model.b.register_full_backward_hook(lambda module, inputs, outputs: (inputs[0] @ model.c.weight.detach(),))


def extended(model: Any) -> None:
    model.a.register_forward_hook(lambda module, args, output: output @ model.c.weight)


def hook_on_a_tensor(s: Any, x: Tensor) -> Tensor:
    y = s.a(x)
    if y.requires_grad:
        y.register_hook(lambda gradient: gradient @ s.b.weight.detach())
    return s.c(y)


def gradient_penalty(s: Any, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(s.a(x).sum(), x, create_graph=True)
    return gradient.square().mean()


def two_layer_penalty(s: Any, x: Tensor) -> Tensor:
    x = x.detach().requires_grad_()
    y = s.b(torch.tanh(s.a(x)))
    (gradient,) = torch.autograd.grad(y.sum(), x, create_graph=True)
    return y.mean() + gradient.square().mean()


def maml(s: Any, x: Tensor) -> Tensor:
    (gradient,) = torch.autograd.grad(F.linear(x, s.a.weight).square().mean(), s.a.weight, create_graph=True)
    return F.linear(x, s.a.weight - 0.1 * gradient)


def trains_itself(s: Any, x: Tensor) -> Tensor:
    y = s.a(x)
    y.sum().backward()
    return y.detach()


def retains_the_graph(s: Any, x: Tensor) -> Tensor:
    y = s.a(x)
    first = torch.autograd.grad(y.sum(), s.a.weight, retain_graph=True)[0]
    second = torch.autograd.grad(y.square().sum(), s.a.weight, retain_graph=True)[0]
    return y + F.linear(x, (first + second).detach())


def runge_kutta(s: Any, x: Tensor) -> Tensor:
    first = s.a(x)
    second = s.a(x + first / 2)
    third = s.a(x + second / 2)
    return x + (first + 2 * second + 2 * third + s.a(x + third)) / 6


class Equilibrium(nn.Module):
    """A fixed point whose gradient is a fixed point too, in a hook (Bai et al. 2019)."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Linear(8, 8)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            z = torch.tanh(self.a(torch.tanh(self.a(x))))
        z = torch.tanh(self.a(z))
        start = z.clone().detach()
        if z.requires_grad:
            start.requires_grad_()
            again = torch.tanh(self.a(start))
            z.register_hook(lambda g: torch.autograd.grad(again, start, g, retain_graph=True)[0] + g)
        else:
            torch.tanh(self.a(start))
        return z


def adversaries(s: Any, x: Tensor) -> Any:
    fake = s.a(x)
    return s.b(fake), s.b(fake.detach()), s.b(x)


def teacher(s: Any, x: Tensor) -> Tensor:
    with torch.no_grad():
        wanted = s.b(x)
    return (s.a(x) - wanted).abs().mean()


def saved_as_half(s: Any, x: Tensor) -> Tensor:
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor.half(), lambda tensor: tensor.float()):
        return s.b(torch.relu(s.a(x)))


def experts(s: Any, x: Tensor) -> Tensor:
    shares = F.softmax(s.router(x), -1)
    return sum(shares[:, place : place + 1] * expert(x) for place, expert in enumerate(s.experts))  # type: ignore[return-value]


def mixture() -> nn.Module:
    return Forward(experts, router=nn.Linear(8, 3), experts=nn.ModuleList(nn.Linear(8, 8) for _ in range(3)))


def sequence(length: int) -> nn.Module:
    return nn.Sequential(*[nn.Linear(8, 8) for _ in range(length)])


def each_checkpointed(s: Any, x: Tensor) -> Tensor:
    for layer in s.layers:
        x = checkpoint(layer, x, use_reentrant=False)
    return x


def dora() -> nn.Module:
    """A frozen weight plus a product of rank 2, divided by its norm, which has no gradient (Liu et al. 2024)."""

    def forward(s: Any, x: Tensor) -> Tensor:
        weight = s.base.weight + s.b @ s.a
        return F.linear(x, s.m * (weight / weight.norm(dim=0, keepdim=True).detach()))

    parts = {name: nn.Parameter(torch.zeros(shape)) for name, shape in {"a": (2, 8), "b": (8, 2), "m": (1, 8)}.items()}
    return Forward(forward, base=nn.Linear(8, 8, bias=False).requires_grad_(False), **parts)


def hypernetwork() -> nn.Module:
    """The layer's output for the first sample gives a filter of three taps."""
    return Forward(lambda s, x: F.conv1d(x[:, None], s.a(x[:1])[:, None, :3]), a=nn.Linear(8, 8))


def ensemble() -> nn.Module:
    weights = nn.Parameter(torch.zeros(3, 8, 8))
    return Forward(lambda s, x: torch.vmap(lambda weight: x @ weight)(s.weights), weights=weights)


def tangents(s: Any, x: Tensor) -> Tensor:
    return torch.func.vjp(lambda z: torch.tanh(s.a(z)), x)[1](torch.ones_like(x))[0]


def mixture_of_normals(s: Any, x: Tensor) -> Any:
    shares = torch.distributions.Categorical(logits=s.a(x), validate_args=False)
    parts = torch.distributions.Normal(s.b(x), F.softplus(s.c(x)), validate_args=False)
    return torch.distributions.MixtureSameFamily(shares, parts, validate_args=False)


def squashed(s: Any, x: Tensor) -> Any:
    normal = torch.distributions.Normal(s.a(x), s.b(x).exp(), validate_args=False)
    return torch.distributions.TransformedDistribution(
        normal, [torch.distributions.TanhTransform()], validate_args=False
    )


def two_in_a_checkpoint(reentrant: bool) -> Callable[..., Any]:
    return lambda s, x: checkpoint(lambda y: (s.b(y), s.c(y)), s.a(x), use_reentrant=reentrant)


CASES: dict[str, Case] = {
    # What a model can ask.
    "asks for inference mode": Case(
        linears(lambda s, x: s.a(x) if torch.is_inference_mode_enabled() else (s.a(x), s.b(x))), 2, 2, 0
    ),
    "asks whether a parameter is of inference": Case(
        linears(lambda s, x: s.a(x) if s.a.weight.is_inference() else (s.a(x), s.b(x))), 2, 2, 0
    ),
    # Custom functions.
    "checkpoint by hand": Case(linears(lambda s, x: Recomputing.apply(s.a(x), s.b)), 2, 3, 1, 1),
    "reversible": Case(linears(lambda s, x: (y := s.c(x), Reversible.apply(y, y, s.a, s.b))[1]), 3, 5, None, 2),
    "forward product in the backward pass": Case(linears(lambda s, x: ForwardAgain.apply(s.a(x), s.b.weight)), 2, 4, 1),
    "two products": Case(linears(lambda s, x: TwoProducts.apply(s.a(x), s.b.weight)), 3, 5, 1),
    "two products of an input that does not learn": Case(
        linears(lambda s, x: TwoProducts.apply(x, s.b.weight)), 2, 2, 0
    ),
    "gradient reversal": Case(linears(lambda s, x: (y := s.a(x), (s.b(y), s.c(Reversed.apply(y))))[1]), 3, 5, 1),
    # Hooks: a product with a gradient, or with an output.
    "hook on a tensor": Case(linears(hook_on_a_tensor), 2, 4, 1),
    "hook on the gradients of a module": Case(linears(lambda s, x: s.b(s.a(x)), hooked), 2, 4, 1),
    "hook on the output of a module": Case(linears(lambda s, x: s.b(s.a(x)), extended), 3, 5, 2),
    # Gradients in the forward pass. Of a layer: the product with the weight, forward; its weight's gradient, backward.
    "gradient penalty": Case(linears(gradient_penalty), 2, 1, None),
    # Forward two layers and both inputs' gradients. Backward, through gradients: both weights and the gradient between
    # them; through outputs: both weights and both inputs, since x is made to require a gradient.
    "gradient penalty of two layers": Case(linears(two_layer_penalty), 4, 7, None),
    # Forward the layer, its gradient and the layer with new weights; backward the new weights, the gradient's own
    # gradient, and the old weights.
    "MAML": Case(linears(maml), 3, 3, None),
    "trains itself": Case(linears(trains_itself), 2, 0, 0),
    "retains the graph": Case(linears(retains_the_graph), 4, 1, None),
    "torch.func.vjp": Case(linears(tangents), 2, 3, None),
    # Two layers: three calls without gradients, in the backward pass a product with the weight and a weight gradient.
    "equilibrium": Case(Equilibrium, 4, 2, None),
    # Distributions and other outputs.
    "mixture distribution": Case(linears(mixture_of_normals), 3, 3, None),
    "transformed distribution": Case(linears(squashed), 2, 2, 1),
    "sample": Case(
        linears(lambda s, x: torch.distributions.Normal(s.a(x), 1.0, validate_args=False).rsample()), 1, 1, 0
    ),
    "loss": Case(
        linears(lambda s, x: F.cross_entropy(s.b(s.a(x)), torch.zeros(2, dtype=torch.long, device=x.device))),
        2,
        3,
        None,
    ),
    "loss and logits": Case(linears(lambda s, x: {"loss": (y := s.b(s.a(x))).square().mean(), "logits": y}), 2, 3, 2),
    "losses": Case(linears(lambda s, x: [F.mse_loss(layer(x), x) for layer in (s.a, s.b)]), 2, 2, 2),
    "an output and the same detached": Case(linears(lambda s, x: (y := s.a(x), y.detach())), 1, 1, 0),
    # Where gradients stop.
    "teacher": Case(linears(teacher), 2, 1, 1),
    "inference mode inside": Case(linears(lambda s, x: s.b(torch.inference_mode()(s.a)(x).clone())), 2, 1, 1),
    "gradients enabled within no_grad": Case(
        linears(lambda s, x: torch.no_grad()(lambda: torch.enable_grad()(s.b)(s.a(x)))()), 2, 1, 1
    ),
    "straight through": Case(linears(lambda s, x: (y := s.a(x), s.b(y + (y.round() - y).detach()))[1]), 2, 3, 1),
    "adversaries": Case(linears(adversaries), 4, 5, 1),
    # Layers called again, and weights that are computed.
    "siamese": Case(linears(lambda s, x: (s.a(x) - s.a(x.flip(0))).abs().sum()), 2, 2, 2),
    "Runge-Kutta": Case(linears(runge_kutta), 4, 7, 3),
    "functional_call": Case(
        linears(lambda s, x: torch.func.functional_call(s.a, {"weight": 2 * s.a.weight, "bias": s.a.bias}, (x,))),
        1,
        1,
        0,
    ),
    "ensemble": Case(ensemble, 3, 3, 0),
    # One sample; 2 x 6 outputs of 3 taps, of which only the filter learns.
    "hypernetwork": Case(hypernetwork, (64 + 36) / LINEAR, (64 + 36) / LINEAR, 32 / TENSOR),
    # Forward b · a and the layer; backward the layer's weight and a gradient for each factor. Saved: the norm and the
    # divided weight.
    "DoRA": Case(dora, 2, 3, (32 + 256) / TENSOR),
    "experts": Case(mixture, 3 + 48 / LINEAR, 3 + 48 / LINEAR, None),
    # Checkpoints. Without reentry, torch stops at the last tensor that it needs.
    "checkpoint with two outputs": Case(linears(two_in_a_checkpoint(reentrant=False)), 3, 5, 1, 1),
    "reentrant with two outputs": Case(linears(two_in_a_checkpoint(reentrant=True)), 3, 5, 1, 2),
    "reentrant without a gradient of its input": Case(
        linears(lambda s, x: s.b(x) + checkpoint(s.a, x, use_reentrant=True)), 2, 1, None
    ),
    "checkpoint_sequential": Case(
        lambda: Forward(lambda s, x: checkpoint_sequential(s.m, 2, x, use_reentrant=False), m=sequence(4)), 4, 7, 2, 1
    ),
    "each layer checkpointed": Case(lambda: Forward(each_checkpointed, layers=sequence(4)), 4, 7, 3, 0),
    "saved as half": Case(linears(saved_as_half), 2, 3, None),
    "parallel": Case(lambda: nn.DataParallel(sequence(2)), 2, 3, 1),
    "input that learns": Case(linears(lambda s, x: s.a(x)), 1, 2, 0, args=(torch.zeros(2, 8, requires_grad=True),)),
}
