"""What runs in a peer's own process: the model is built, the peer asked, its answer written to a file.

Whatever the peer prints, raises or leaves behind stays in that process.
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
from analyzer.core.inputs import image, parse_input
from analyzer.reconcile.adapters import ADAPTERS
from analyzer.reconcile.opinion import PEERS, Opinion, to_json


class Asked(NamedTuple):
    """A model on real tensors in eval mode, and what it is called with."""

    model: nn.Module
    args: Any
    kwargs: Mapping[str, Any]


def main(peer: str, question: str, answer: str) -> None:
    """`question` is the model as JSON: reference or variant, inputs, batch. `answer` is the file to write."""
    try:
        asked = build(**json.loads(question))
        opinion = ask(peer, asked)
    except (Exception, SystemExit) as error:
        said = str(error).strip().splitlines()
        opinion = Opinion(peer, "failed", one_line(f"{type(error).__name__}: {said[0] if said else ''}")[:300])
    part = Path(f"{answer}.part")
    part.write_text(json.dumps(to_json(opinion)), encoding="utf-8")
    part.rename(answer)


def build(*, reference: str | None, variant: str | None, inputs: list[str], batch: int) -> Asked:
    """The model with storage; a variant's weights are zeros, on which no count depends."""
    fed = [parse_input(text) for text in inputs]
    if variant is None:
        from analyzer.models.references import resolve

        found = resolve(str(reference), fed, batch)
        model = found.real() if found.real else found.model
        return Asked(model.eval(), found.args, found.kwargs)
    from analyzer.models.builder import construct
    from analyzer.networks.variants import variants
    from analyzer.networks.walk import walk

    (chosen,) = variants([variant])
    steps = walk(chosen.network, image(fed), batch=batch, mode="inference")
    model = construct(chosen.network, steps, train=False).to_empty(device="cpu")
    for tensor in [*model.parameters(), *model.buffers()]:
        tensor.data.zero_()
    return Asked(model, [torch.zeros(steps[0].inputs[0])], {})


def ask(peer: str, asked: Asked) -> Opinion:
    """One peer's opinion of a model; whatever the peer raises goes through."""
    said = ADAPTERS[peer](asked.model, asked.args, asked.kwargs)
    return Opinion(peer, "ok", "", _version(PEERS[peer].package), said.total, tuple(said.rows))


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return ""
