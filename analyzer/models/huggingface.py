"""Architectures of transformers by name, or by the config.json of a folder. Nothing is downloaded."""

from __future__ import annotations

import inspect
import math
import os
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, nearest, quoted
from analyzer.models.huggingface_input_shapes import Request, image_size
from analyzer.models.huggingface_inputs import default_inputs
from analyzer.models.optional_libraries import imported
from analyzer.models.values_on_meta import KnownValues, Literals, known_values

LM = "+lm"
PLACEHOLDERS = ("image_token_id", "image_token_index", "video_token_id", "video_token_index", "audio_token_id")


def huggingface(name: str) -> tuple[Callable[[], nn.Module], Callable[[nn.Module, int], Any]]:
    """`hf:gpt2` is an architecture in its default configuration; `hf:FOLDER` reads config.json in the folder.

    `hf:gpt2+lm` has the output layer of a language model, which the base model lacks.
    """
    library = imported("transformers")
    with_head = name.endswith(LM) and not os.path.exists(name)  # noqa: PTH110 – `Path.exists` raises for a long name
    name = name.removesuffix(LM) if with_head else name
    if os.path.isfile(Path(name) / "config.json"):  # noqa: PTH113
        config = library.AutoConfig.from_pretrained(name, local_files_only=True)
    elif name in library.CONFIG_MAPPING:
        config = library.AutoConfig.for_model(name)
    else:
        known = list(library.CONFIG_MAPPING.keys())
        raise AnalyzerError(
            f"no configuration {quoted(name)}; {nearest(name, known)}; "
            "a folder with config.json works too; nothing is downloaded"
        )
    architecture = (getattr(config, "architectures", None) or [None])[0]
    factory = getattr(library, architecture) if architecture and hasattr(library, architecture) else None
    if with_head:
        factory = lm_class(config)
        if factory is None:
            raise AnalyzerError(f"{quoted(name)} has no language model in transformers; leave out {LM}")
    give_placeholders(config)

    def make() -> nn.Module:
        with keep_numbers() as numbers:
            # `_from_config` uses the dtype of the configuration.
            model: nn.Module = factory._from_config(config) if factory else library.AutoModel.from_config(config)
            numbers(model)
        for module in model.modules():
            # It reads token values to warn of padding, which fails on meta.
            if hasattr(module, "warn_if_padding_and_no_attention_mask"):
                vars(module)["warn_if_padding_and_no_attention_mask"] = lambda *args, **kwargs: None
            fit_sections(module)
        return model

    def inputs(model: nn.Module, batch: int) -> tuple[list[Any], dict[str, Any]]:
        parameters = [
            parameter
            for parameter in inspect.signature(model.forward).parameters.values()
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        ]
        required = [parameter.name for parameter in parameters if parameter.default is parameter.empty]
        arguments = [parameter.name for parameter in parameters]
        dtype = getattr(model, "dtype", torch.float32)
        features = partial(feature_count, model)
        request = Request(config, batch, arguments, required, dtype=dtype, features=features)
        if "inference_session" in required:
            return [], {"inference_session": video_session(model, request), "frame_idx": 0}
        return [], default_inputs(request)

    return make, inputs


def lm_class(config: Any) -> Any:
    """The class of an architecture with the output layer of a language model; None if it has none."""
    library = imported("transformers")
    for kind in ("SEQ_TO_SEQ_CAUSAL_LM", "MASKED_LM", "CAUSAL_LM"):
        mapping = getattr(library, f"MODEL_FOR_{kind}_MAPPING", {})
        if type(config) in mapping:
            return mapping[type(config)]
    return None


def head_note(reference: str, model: nn.Module) -> tuple[str, ...]:
    """A note for the base model of a language model, `hf:gpt2`, whose output layer may be much of its work."""
    config = getattr(model, "config", None)
    if not reference.startswith("hf:") or config is None or reference.endswith(LM):
        return ()
    full = lm_class(config)
    if full is None or isinstance(model, full) or type(model).__name__.endswith(("LMHeadModel", "Generation")):
        return ()
    output_layer: Any = getattr(model, "get_output_embeddings", None)
    if output_layer is None or output_layer() is not None:
        return ()
    return (f"the output layer is left out; {reference}{LM} has it",)


def give_placeholders(config: Any) -> None:
    """Gives a configuration without tokens for images or sound the last token of its vocabulary."""
    text = getattr(config, "text_config", config)
    for part in (config, text):
        for attribute in PLACEHOLDERS:
            if getattr(part, attribute, 0) is None:
                setattr(part, attribute, getattr(text, "vocab_size", 1) - 1)


def fit_sections(module: Any) -> None:
    """Makes the sections of a rotary embedding in three dimensions cover its frequencies.

    The default of GLM-4V is for a rotation of half of each head, which its default configuration does not ask for.
    """
    sections, frequencies = getattr(module, "mrope_section", None), getattr(module, "inv_freq", None)
    if isinstance(sections, list) and len(sections) == 3 and isinstance(frequencies, torch.Tensor):
        size = len(frequencies)
        if sum(sections) != size:
            module.mrope_section = [size - 2 * (3 * size // 8), 3 * size // 8, 3 * size // 8]


def video_session(model: nn.Module, request: Request) -> Any:
    """The state of a tracker of the SAM family: one frame of a video, and a point on one object there."""
    names = vars(sys.modules[type(model).__module__])
    session_class = next(value for name, value in names.items() if name.endswith("VideoInferenceSession"))
    height, width = image_size(request)
    frame = torch.zeros(1, 3, height, width, dtype=request.dtype)
    session = session_class(video=frame, video_height=height, video_width=width, dtype=request.dtype)
    if hasattr(session, "add_point_inputs"):
        point = {"point_coords": torch.zeros(1, 1, 1, 2), "point_labels": torch.ones(1, 1, 1, dtype=torch.int32)}
        session.add_point_inputs(session.obj_id_to_idx(1), 0, point)
        session.obj_with_new_inputs = [1]
    return session


@contextmanager
def keep_numbers() -> Iterator[Callable[[nn.Module], None]]:
    """Yields a function that gives buffers without dimensions, such as strides, their value where it is known.

    Built on meta they would have none, and the length of a padding depends on them.
    """
    values = KnownValues(max_elements=1)

    def keep(model: nn.Module) -> None:
        for module in model.modules():
            for name, buffer in module.named_buffers(recurse=False):
                value = values.value(buffer)
                if buffer.is_meta and buffer.ndim == 0 and value is not None:
                    module._buffers[name] = value

    with values, Literals(values):
        yield keep


def feature_count(model: Any, modality: str, inputs: Mapping[str, Any]) -> int | None:
    """How many tokens a model makes of its images or sound, found by a run on meta; None if it has no method for it.

    Raises whatever the model raises for these inputs, and ValueError if its tokens do not fit between those of text,
    as in a configuration whose parts have been left at defaults that do not belong together.
    """
    name = f"get_{modality}_features"
    encode = getattr(model, name, None) or getattr(getattr(model, "base_model", None), name, None)
    if encode is None or not any(parameter.is_meta for parameter in model.parameters()):
        return None
    accepted = inspect.signature(encode).parameters
    given = {name: value for name, value in inputs.items() if name in accepted and name != "input_ids"}
    with torch.no_grad(), warnings.catch_warnings(), known_values(given) as moved:
        warnings.simplefilter("ignore")
        features = encode(**moved)
    if not isinstance(features, torch.Tensor | tuple | list):
        pooled = getattr(features, "pooler_output", None)
        features = features.last_hidden_state if pooled is None else pooled
    tensors = [features] if isinstance(features, torch.Tensor) else list(features)
    width = model.get_input_embeddings().weight.shape[-1]
    if any(tensor.shape[-1] != width for tensor in tensors):
        raise ValueError(f"features of width {tensors[0].shape[-1]} do not fit embeddings of width {width}")
    return sum(math.prod(tensor.shape[:-1]) for tensor in tensors)
