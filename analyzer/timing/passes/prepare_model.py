"""Prepares a model for one configuration: moved, converted, optionally compiled, with random inputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map_only

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.records.timings import Configuration
from analyzer.timing.passes.inputs import InputPool, Table, draw_inputs

NOTHING_TO_TRAIN = "there is nothing to train: no output of this model depends on a parameter that requires gradients"


class PreparedModel(Frozen):
    """`run` makes a forward pass, `loss` a forward pass and the loss; `eager` is the model before compilation.

    `run_eager` makes a pass of `eager` where `run` runs another module: an exported program as users run it.
    `first_call_s` is the time of the first call if the model has been called to prepare it. `new_inputs` draws the
    arguments of the next passes, if these are not `args` in each. `tables` are the embeddings that random ids index.
    """

    model: nn.Module
    eager: nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    run: Callable[[], Any]
    loss: Callable[[], Tensor]
    run_eager: Callable[[], Any]
    first_call_s: float | None = None
    new_inputs: InputPool | None = None
    tables: tuple[Table, ...] = ()


def prepare_model(
    model: nn.Module,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    configuration: Configuration,
    loss: Callable[[Any], Tensor] | None = None,
    deployed: nn.Module | None = None,
    ranges: Mapping[int | str, int] | None = None,
    given: bool = False,
    new_inputs: bool = False,
) -> PreparedModel:
    """Changes the model in place. `loss` maps its output to a loss; the default is the sum of all outputs.

    `deployed` is run in place of the model at inference. Token ids are drawn at random, below `ranges` (by position or
    name) or below the number of rows of the embedding that they index. `given` inputs keep their values; `new_inputs`
    are drawn anew for each pass.

    Parameters that the author froze stay frozen. Raises AnalyzerError for a configuration that the model cannot have.
    """
    dtype = getattr(torch, configuration.dtype)
    layout = torch.channels_last if configuration.layout == "channels_last" else torch.contiguous_format

    def random_input(tensor: Tensor) -> Tensor:
        # Normal numbers: zeros and denormals would not be typical of a network's inputs.
        if not tensor.is_floating_point():
            return tensor.to(configuration.device)
        values = tensor if given else torch.randn(tensor.shape)
        values = values.to(configuration.device, dtype)
        return values.contiguous(memory_format=layout) if tensor.dim() == 4 else values

    args, kwargs = tree_map_only(Tensor, random_input, (list(args), dict(kwargs)))
    images = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.dim() == 4]
    if layout is torch.channels_last and not images:
        raise AnalyzerError("channels_last needs an input with four dimensions; this model has none")
    model = model.to(device=configuration.device)
    # Not `to(dtype)`, which makes complex parameters real.
    model._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)  # type: ignore[no-untyped-call]
    model = model.to(memory_format=layout)  # type: ignore[call-overload]
    model.train(configuration.training)
    if not configuration.training:
        for parameter in model.parameters():  # Individually: a ScriptModule has no requires_grad_ method.
            parameter.requires_grad_(False)
    eager, objective = model, loss or sum_of_outputs
    drawn = None if given else draw_inputs(eager, args, kwargs, ranges or {})
    args, kwargs = (drawn.args, drawn.kwargs) if drawn else (args, kwargs)
    pool = InputPool(drawn.args, drawn.kwargs, drawn.draw) if drawn and new_inputs else None
    if deployed is not None and not configuration.training:
        model = deployed.to(device=configuration.device)
        model._apply(lambda t: t.to(dtype) if t.is_floating_point() else t)  # type: ignore[no-untyped-call]
    if configuration.compiled:
        model = torch.compile(model)  # type: ignore[assignment]

    def calls(called: nn.Module) -> Callable[[], Any]:
        if pool is None:
            return partial(called, *args, **kwargs)  # A function would take longer to call.

        def call_with_next() -> Any:
            next_args, next_kwargs = pool.next()
            return called(*next_args, **next_kwargs)

        return call_with_next

    run, separate = calls(model), deployed is not None and not configuration.training
    return PreparedModel(
        model, eager, args, kwargs, run, lambda: objective(run()), calls(eager) if separate else run,
        drawn.call_s if drawn else None, pool, drawn.tables if drawn else (),
    )  # fmt: skip


def sum_of_outputs(output: Any) -> Tensor:
    """The sum of every floating-point tensor of an output, by the same operators with and without gradients.

    One tensor, the usual output, is summed at once: a search and a stack took 4 % of a training step of a millisecond.
    """
    from analyzer.counting.dispatch.tensors import output_tensors

    tensors = [output] if isinstance(output, Tensor) and not output.is_nested else output_tensors(output)
    sums = [tensor.float().sum() for tensor in tensors if tensor.is_floating_point()]
    loss = sums[0] if len(sums) == 1 else torch.stack(sums).sum() if sums else torch.zeros(())
    if torch.is_grad_enabled() and not loss.requires_grad:
        raise AnalyzerError(NOTHING_TO_TRAIN)
    return loss
