"""Architectures of torchvision, timm and transformers by name, with their default input. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

from torch import nn

from analyzer.core.errors import UnknownModel, nearest, quoted
from analyzer.core.parse_inputs import LIBRARIES
from analyzer.models.huggingface import huggingface
from analyzer.models.optional_libraries import imported
from analyzer.models.zero_inputs import zeros

Inputs: TypeAlias = tuple[list[Any], dict[str, Any]]
Library: TypeAlias = Callable[[str], tuple[Callable[..., nn.Module], Callable[[nn.Module, int], Inputs]]]


def torchvision(name: str) -> tuple[Callable[..., nn.Module], Callable[[nn.Module, int], Inputs]]:
    """`torchvision:resnet50`, with the input of its published weights."""
    models = imported("torchvision.models")
    known = models.list_models()
    name = name if name in known else name.lower()
    if name not in known:
        raise UnknownModel(f"torchvision has no model {quoted(name)}; {nearest(name, known)}")
    builder = models.get_model_builder(name)
    settings: dict[str, Any] = {"weights": None}
    if name in ("googlenet", "inception_v3"):
        settings["init_weights"] = False
    if name.startswith("vit_"):
        settings["image_size"] = _published_size(models, name)[0]  # A vision transformer is built for one image size.
    if name in models.list_models(module=models.detection) + models.list_models(module=models.segmentation):
        settings["weights_backbone"] = None
    if name.startswith(("fcn_", "deeplabv3_")):
        settings["aux_loss"] = True  # As in the published weights.

    def inputs(model: nn.Module, batch: int) -> Inputs:
        if name in models.list_models(module=models.detection):
            return [[zeros(3, 800, 800) for _ in range(batch)]], {}
        if name in models.list_models(module=models.optical_flow):
            # torchvision gives no size; at this size the counts equal the published ones.
            return [zeros(batch, 3, 512, 512), zeros(batch, 3, 512, 512)], {}
        size = _published_size(models, name)
        return [zeros(batch, 3, *size)], {}

    return partial(builder, **settings), inputs


def _published_size(models: Any, name: str) -> tuple[int, ...]:
    """The crop at which the default weights were evaluated; video models take clips of 16 frames."""
    weights = models.get_model_weights(name).DEFAULT
    transforms = weights.transforms.keywords if hasattr(weights.transforms, "keywords") else {}
    crop = transforms.get("crop_size", transforms.get("resize_size", 224))
    height, width = (crop[0], crop[-1]) if isinstance(crop, list | tuple) else (crop, crop)
    if name in models.list_models(module=models.video):
        return (16, height, width)
    return (height, width)


def timm(name: str) -> tuple[Callable[..., nn.Module], Callable[[nn.Module, int], Inputs]]:
    """`timm:vit_base_patch16_224`, at the input size of its configuration."""
    library = imported("timm")
    name = name if library.is_model(name) else name.lower()
    if not library.is_model(name):
        raise UnknownModel(f"timm has no model {quoted(name)}; {nearest(name, library.list_models())}")

    def inputs(model: nn.Module, batch: int) -> Inputs:
        settings: Any = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", {})
        shape = settings.get("test_input_size") if settings.get("fixed_input_size") is None else None
        return [zeros(batch, *(settings.get("input_size") or shape or (3, 224, 224)))], {}

    return partial(library.create_model, name, pretrained=False), inputs


BY_NAME: dict[str, Library] = dict(zip(LIBRARIES, (torchvision, timm, huggingface), strict=True))
