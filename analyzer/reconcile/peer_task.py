"""The task of a worker that runs one peer: builds the model, runs the peer and returns its result.

Its output, exceptions and side effects do not affect the main process.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NamedTuple

import torch
from torch import nn

from analyzer.core.errors import error_text
from analyzer.core.parse_inputs import image_shape, parse_input
from analyzer.core.serialize import to_json
from analyzer.reconcile.adapters import ADAPTERS
from analyzer.reconcile.peers import PEERS, PeerResult
from analyzer.worker.run_task import Send


class ModelCall(NamedTuple):
    """A model on real tensors in eval mode, and its arguments."""

    model: nn.Module
    args: Any
    kwargs: Mapping[str, Any]


def handle(request: Mapping[str, Any], send: Send) -> Mapping[str, Any]:
    """`request` names the peer and the model: reference or variant, inputs, batch."""
    peer, model = request["peer"], {name: value for name, value in request.items() if name != "peer"}
    try:
        result = run_peer(peer, build_model(**model))
    except (Exception, SystemExit) as error:
        result = PeerResult(peer, "failed", f"{type(error).__name__}: {error_text(error)}")
    return {"event": "done", "result": to_json(result)}


def build_model(*, reference: str | None, variant: str | None, inputs: list[str], batch: int) -> ModelCall:
    """The model with storage; a variant's weights are zeros, since counts do not depend on them."""
    parsed = [parse_input(text) for text in inputs]
    if variant is None:
        from analyzer.counting.execution.batch_in_input import load

        resolved = load(str(reference), parsed, batch)
        model = resolved.real() if resolved.real else resolved.model
        return ModelCall(model.eval(), resolved.args, resolved.kwargs)
    from analyzer.models.spec_to_module import construct
    from analyzer.networks.variants import variants
    from analyzer.networks.walk import walk

    network = variants([variant])[0].network
    steps = walk(network, image_shape(parsed, batch), batch=batch, mode="inference")
    model = construct(network, steps, train=False).to_empty(device="cpu")
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data.zero_()
    return ModelCall(model, [torch.zeros(steps[0].inputs[0])], {})


def run_peer(peer: str, call: ModelCall) -> PeerResult:
    """One peer's result for a model; the peer's exceptions propagate."""
    counted = ADAPTERS[peer](*call)
    try:
        package_version = version(PEERS[peer].package)
    except PackageNotFoundError:
        package_version = ""
    return PeerResult(peer, "ok", "", package_version, counted.total, tuple(counted.rows))
