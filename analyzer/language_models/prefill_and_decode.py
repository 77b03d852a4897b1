"""A language model counted at one prompt and one length of generation, and what follows from these counts."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.core.errors import AnalyzerError, CannotMeasure, one_line
from analyzer.core.frozen import Frozen
from analyzer.core.serialize import from_json, to_json
from analyzer.language_models.architecture import Architecture
from analyzer.language_models.attention_conventions import Convention, attention_macs, forward_macs, saved_by_absorption
from analyzer.language_models.idle_experts import idle_expert_macs
from analyzer.records.record import Record
from analyzer.records.record_json import record_from_json
from analyzer.records.training import TrainingSetup
from analyzer.worker import client

TASK = "analyzer.language_models.language_model_task"
TYPES = {"float32": 4, "bfloat16": 2, "float16": 2}
CACHE_BITS = {"float32": 32, "bfloat16": 16, "float16": 16, "fp8": 8, "int8": 8, "int4": 4}
GROUPED = ("int8", "int4")  # Types whose numbers share scales and zero points in groups; fp8 has a scale per layer.
CACHE_GROUP = 64
LENGTHS = tuple(1 << power for power in range(7, 14))  # Of the curves in a report: 128 to 8,192 tokens.


class LanguageModel(Frozen):
    """Exact counts of the prefill of `prompt` tokens, of the last of `decode` steps, and of a training step.

    Prefill and decode are of `batch` sequences, training of one sequence of `prompt` tokens. `cache_bytes` are those
    after the last step; `bytes_per_token` by how much a cache grows at its second token, both at `cache_dtype`,
    with a scale and a zero point for each `cache_group` numbers.
    `last_logits`: the prefill computes the output layer for the last token only. `curve` has the same model at other
    lengths: prefill of `prompt` tokens, and the next step.
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
    cache_dtype: str = ""
    cache_group: int = 0
    curve: tuple[LanguageModel, ...] = ()

    @property
    def context(self) -> int:
        """The tokens in the cache at the last step of decoding."""
        return self.prompt + self.decode - 1

    def prefill_macs(self, convention: Convention = "full") -> int:
        """Of the whole batch."""
        idle = 0
        if convention == "needed":
            idle = idle_expert_macs(self.prefill.rows, self.architecture, self.batch * self.prompt)
        return forward_macs(self.prefill, self.architecture, convention) - idle

    def decode_macs(self, convention: Convention = "full") -> int:
        """Of one step for the whole batch. A new token needs every key in the cache, so masks leave out nothing.

        `needed` leaves out the products of multi-head latent attention that repeat in each step, and idle experts.
        """
        if convention != "needed":
            return self.step.totals.macs
        idle = idle_expert_macs(self.step.rows, self.architecture, self.batch)
        return self.step.totals.macs - saved_by_absorption(self.step.rows, self.architecture) - idle

    def training_macs(self, convention: Convention = "full") -> int:
        """Of forward and backward of one sequence."""
        whole = int(self.training.totals.value("step_macs") or 0)
        rows = self.training.rows
        in_step = attention_macs(rows, self.architecture, "full", step=True)
        idle = idle_expert_macs(rows, self.architecture, self.prompt, step=True) if convention == "needed" else 0
        return whole - in_step + attention_macs(rows, self.architecture, convention, step=True) - idle

    @property
    def computes_all_experts(self) -> bool:
        """Whether more experts run than the tokens choose."""
        return idle_expert_macs(self.training.rows, self.architecture, self.prompt) > 0

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


def count_language_model(
    reference: str, *, batch: int, prompt: int, decode: int, dtype: str | None = None, cache_dtype: str | None = None,
    cache_group: int = CACHE_GROUP, curve: Sequence[int] = (), setup: TrainingSetup | None = None,
    limit_s: float | None = None,
) -> LanguageModel:  # fmt: skip
    """Builds the model from its configuration in a worker and counts it there; nothing is downloaded.

    `cache_dtype` is one of CACHE_BITS, by default the type of the model's own cache; as many numbers as `cache_group`
    share a scale and a zero point in types of GROUPED. `curve` are further lengths.
    With `setup` the training record has the memory of such a step.
    Raises AnalyzerError if it is no causal language model of transformers, CannotMeasure if it cannot be counted.
    """
    if dtype is not None and dtype not in TYPES:
        raise AnalyzerError(f"no type {dtype}; wanted one of {', '.join(TYPES)}")
    if cache_dtype is not None and cache_dtype not in CACHE_BITS:
        raise AnalyzerError(f"no type {cache_dtype} of a cache; wanted one of {', '.join(CACHE_BITS)}")
    context = prompt + decode - 1
    request = {
        "reference": reference, "batch": batch, "prompt": prompt, "context": context, "dtype": dtype,
        "cache_bits": CACHE_BITS[cache_dtype] if cache_dtype else None, "curve": list(curve),
        "cache_group": cache_group if cache_dtype in GROUPED else None,
        "setup": to_json(setup) if setup else None,
    }  # fmt: skip
    reply = client.ask(TASK, request, limit_s or client.LIMIT_S, model=reference)
    if reply.end != "done":
        raise reply.error(one_line(reference))
    try:
        records = {line["name"]: record_from_json(line["record"]) for line in reply.lines if line["event"] == "record"}
        architecture = from_json(Architecture, reply.last("architecture")["architecture"])
        caches = {line["name"]: int(line["bytes"]) for line in reply.lines if line["event"] == "cache"}
        (last,) = (line["last"] for line in reply.lines if line.get("name") == "prefill")
        model = LanguageModel(
            reference, batch, prompt, decode, architecture, records["prefill"], records["decode"], records["training"],
            caches["context"], caches["token"], bool(last),
            cache_dtype or architecture.dtype, cache_group if cache_dtype in GROUPED else 0,
        )  # fmt: skip
        return model.replace(curve=tuple(
            model.replace(
                prompt=length, decode=1, prefill=records[f"prefill {length}"], step=records[f"decode {length}"],
                cache_bytes=caches[f"{length}"],
            )
            for length in curve
        ))  # fmt: skip
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise CannotMeasure(f"{one_line(reference)}: its worker's reply cannot be read: {one_line(error)}") from None


def count_lengths(reference: str, *, limit_s: float | None = None) -> LanguageModel:
    """A model whose `curve` has LENGTHS, as far as it has positions. Raises as `count_language_model`."""
    model = count_language_model(reference, batch=1, prompt=LENGTHS[0], decode=1, curve=LENGTHS, limit_s=limit_s)
    positions = model.architecture.positions or LENGTHS[-1]
    return model.replace(curve=tuple(at for at in model.curve if at.prompt <= positions))
