"""Runs in a peer's own process: builds the model, runs the peer and writes its result to a file.

Its output, exceptions and side effects do not affect the main process.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import nn

from analyzer.core.errors import one_line
from analyzer.core.inputs import image_shape, parse_input
from analyzer.core.serialize import to_json
from analyzer.reconcile.adapters import ADAPTERS
from analyzer.reconcile.peers import PEERS, PeerResult


class ModelCall(NamedTuple):
    """A model on real tensors in eval mode, and its arguments."""

    model: nn.Module
    args: Any
    kwargs: Mapping[str, Any]


def main(peer: str, request: str, result_file: str) -> None:
    """`request` describes the model as JSON: reference or variant, inputs, batch."""
    try:
        result = run_peer(peer, build_model(**json.loads(request)))
    except (Exception, SystemExit) as error:
        first_line = (str(error).strip().splitlines() or [""])[0]
        result = PeerResult(peer, "failed", one_line(f"{type(error).__name__}: {first_line}")[:300])
    part = Path(f"{result_file}.part")
    part.write_text(json.dumps(to_json(result)), encoding="utf-8")
    part.rename(result_file)  # Atomic: the parent never reads half a result.


def build_model(*, reference: str | None, variant: str | None, inputs: list[str], batch: int) -> ModelCall:
    """The model with storage; a variant's weights are zeros, since counts do not depend on them."""
    parsed = [parse_input(text) for text in inputs]
    if variant is None:
        from analyzer.models.references import resolve

        resolved = resolve(str(reference), parsed, batch)
        model = resolved.real() if resolved.real else resolved.model
        return ModelCall(model.eval(), resolved.args, resolved.kwargs)
    from analyzer.models.spec_to_module import construct
    from analyzer.networks.variants import variants
    from analyzer.networks.walk import walk

    network = variants([variant])[0].network
    steps = walk(network, image_shape(parsed), batch=batch, mode="inference")
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
