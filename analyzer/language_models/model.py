"""A language model counted at one prompt and one length of generation, and what follows from these counts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line
from analyzer.core.frozen import Frozen
from analyzer.language_models.architecture import Architecture
from analyzer.language_models.attention import Convention, attention_macs
from analyzer.records.record import Record
from analyzer.records.record_json import record_from_json
from analyzer.worker import client

TASK = "analyzer.counting.language_model_worker"
TYPES = {"float32": 4, "bfloat16": 2, "float16": 2}


class LanguageModel(Frozen):
    """Exact counts of the prefill of `prompt` tokens, of the last of `decode` steps, and of a training step.

    Prefill and decode are of `batch` sequences, training of one sequence of `prompt` tokens. `cache_bytes` are those
    after the last step; `bytes_per_token` by how much a cache grows at its second token. `last_logits`: the prefill
    computes the output layer for the last token only.
    """

    reference: str
    batch: int
    prompt: int
    decode: int
    architecture: Architecture
    prefill: Record
    step: Record
    training: Record
    cache_bytes: int
    bytes_per_token: int
    last_logits: bool

    @property
    def context(self) -> int:
        """The tokens in the cache at the last step of decoding."""
        return self.prompt + self.decode - 1

    def prefill_macs(self, convention: Convention = "whole") -> int:
        """Of the whole batch."""
        rows, whole = self.prefill.rows, self.prefill.totals.macs
        masked = attention_macs(rows, self.architecture, convention)
        return whole - attention_macs(rows, self.architecture, "whole") + masked

    @property
    def decode_macs(self) -> int:
        """Of one step for the whole batch. A new token needs every key in the cache, so all conventions are equal."""
        return self.step.totals.macs

    def training_macs(self, convention: Convention = "whole") -> int:
        """Of forward and backward of one sequence."""
        whole = int(self.training.totals.value("step_macs") or 0)
        rows = self.training.rows
        in_step = attention_macs(rows, self.architecture, "whole", step=True)
        return whole - in_step + attention_macs(rows, self.architecture, convention, step=True)

    @property
    def weight_bytes(self) -> int:
        return self.architecture.parameter_bytes

    @property
    def activation_bytes(self) -> int:
        """The peak of the prefill without parameters and cache."""
        memory = self.prefill.memory
        return memory.activations if memory else 0

    def memory_bytes(self, batch: int) -> int:
        """Weights, and cache and activations in proportion to the batch."""
        return self.weight_bytes + batch * (self.cache_bytes + self.activation_bytes) // self.batch

    def largest_batch(self, capacity: int) -> int:
        """The largest batch whose weights, cache and activations fit; 0 if the weights alone do not."""
        each = (self.cache_bytes + self.activation_bytes) / self.batch
        return max(int((capacity - self.weight_bytes) // each), 0) if each else 0


def count_language_model(
    reference: str, *, batch: int, prompt: int, decode: int, dtype: str | None = None, limit_s: float | None = None
) -> LanguageModel:
    """Builds the model from its configuration in a worker and counts it there; nothing is downloaded.

    Raises AnalyzerError if it is no causal language model of transformers, CannotMeasure if it cannot be counted.
    """
    if dtype is not None and dtype not in TYPES:
        raise AnalyzerError(f"no type {dtype}; wanted one of {', '.join(TYPES)}")
    context = prompt + decode - 1
    request = {"reference": reference, "batch": batch, "prompt": prompt, "context": context, "dtype": dtype}
    reply = client.ask(TASK, request, limit_s or client.LIMIT_S, model=reference)
    if reply.end != "done":
        raise reply.error(one_line(reference))
    try:
        records = {line["name"]: record_from_json(line["record"]) for line in reply.lines if line["event"] == "record"}
        architecture = _architecture(reply.last("architecture")["architecture"])
        sizes = reply.last("cache")["bytes"]
        (last,) = (line["last"] for line in reply.lines if line.get("name") == "prefill")
        return LanguageModel(
            reference, batch, prompt, decode, architecture, records["prefill"], records["decode"], records["training"],
            int(sizes["context"]), int(sizes["two"]) // batch - int(sizes["one"]) // batch, bool(last),
        )  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CannotMeasure(f"{one_line(reference)}: its worker's reply cannot be read: {one_line(error)}") from None


def _architecture(data: Mapping[str, Any]) -> Architecture:
    return Architecture(**{**data, "windowed_layers": tuple(data["windowed_layers"])})
