"""The default inputs of a model of transformers: text with its images or sound."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch

from analyzer.models.huggingface_arguments_by_model import ARGUMENTS, MODALITIES, MODELS, REQUIRED
from analyzer.models.huggingface_input_shapes import AUDIO, VISION, Request, merge_size, rows_and_columns


def default_inputs(request: Request) -> dict[str, Any]:
    """The keyword arguments of one forward pass: text with its images or sound, and a placeholder for each feature."""
    table = {name: make for name, make in REQUIRED.items() if name in request.required}
    table |= {name: make for name, make in ARGUMENTS.items() if name in request.arguments}
    if "pixel_values" in table:
        table.pop("pixel_values_videos", None)
    table |= MODELS.get(request.kind, {})
    for modality, part in (("image", "vision_config"), ("audio", "audio_config")):
        if getattr(request.config, part, part) is None:  # The model has been left without its tower.
            table = {name: make for name, make in table.items() if name not in MODALITIES[modality].split()}
    inputs = {name: make(request) for name, make in table.items()}
    inputs = {name: value for name, value in inputs.items() if value is not None}
    return with_placeholders(request, inputs) if "input_ids" in inputs else inputs


def with_placeholders(request: Request, inputs: dict[str, Any]) -> dict[str, Any]:
    """Puts the token of images or sound before the text, as often as the model has features for it.

    Images or sound that the model cannot take in this configuration are left out.
    """
    ids, types = [inputs["input_ids"]], [torch.zeros_like(inputs["input_ids"])]
    for number, (modality, names) in enumerate(MODALITIES.items(), 1):
        token = request.find(f"{modality}_token_id {modality}_token_index", None)
        if not isinstance(token, int) or not any(name in inputs for name in names.split()):
            continue
        count = None
        try:
            count = request.features(modality, inputs)
        except Exception:
            if request.required.isdisjoint(names.split()):
                inputs = {name: value for name, value in inputs.items() if name not in names.split()}
                continue
        if count is None:
            count = expected_features(request, modality, inputs)
        ids.insert(-1, torch.full((request.batch, count // request.batch), token))
        types.insert(-1, torch.full((request.batch, count // request.batch), number))
    inputs["input_ids"] = torch.cat(ids, 1)
    if request.takes("mm_token_type_ids"):
        inputs["mm_token_type_ids"] = torch.cat(types, 1)
    if request.takes("moe_mm_token_type_ids"):
        inputs["moe_mm_token_type_ids"] = (torch.cat(types, 1) > 0).long()
    return inputs


def expected_features(request: Request, modality: str, inputs: Mapping[str, Any]) -> int:
    """The number of features by the configuration, for the whole batch."""
    if modality == "image" and "image_grid_thw" in inputs:
        return int(inputs["image_grid_thw"].prod(-1).sum()) // merge_size(request) ** 2
    positions = request.find("max_source_positions", 0, AUDIO)
    if modality == "audio" and positions:
        return request.batch * int(positions) // 2
    names = f"{modality}_seq_length {modality}_seq_len mm_tokens_per_{modality} {modality}_soft_tokens_per_image"
    count = request.find(f"{names} num_{modality}_tokens vision_soft_tokens_per_image num_query_tokens", None, VISION)
    return request.batch * int(count or math.prod(rows_and_columns(request)))
