"""Architectures of torchvision, timm and transformers by name, with their default input. Nothing is downloaded."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import nn

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted

Inputs: TypeAlias = tuple[list[Any], dict[str, Any]]
Library: TypeAlias = Callable[[str], tuple[Callable[[], nn.Module], Callable[[nn.Module, int], Inputs]]]

TOKENS = 128  # Sequence length, or the maximum of the model if that is less.


def torchvision(name: str) -> tuple[Callable[[], nn.Module], Callable[[nn.Module, int], Inputs]]:
    """`torchvision:resnet50`, with the input of its published weights."""
    models = _imported("torchvision.models", "torchvision")
    known = models.list_models()
    if name not in known:
        raise AnalyzerError(f"torchvision has no model {quoted(name)}; {nearest(name, known)}")
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
            return [[torch.zeros(3, 800, 800) for _ in range(batch)]], {}
        if name in models.list_models(module=models.optical_flow):
            # torchvision gives no size; at this one the counts are the published ones.
            return [torch.zeros(batch, 3, 512, 512), torch.zeros(batch, 3, 512, 512)], {}
        size = _published_size(models, name)
        return [torch.zeros(batch, 3, *size)], {}

    return lambda: builder(**settings), inputs


def _published_size(models: Any, name: str) -> tuple[int, ...]:
    """The crop at which the default weights were evaluated; video models take clips of 16 frames."""
    weights = models.get_model_weights(name).DEFAULT
    transforms = weights.transforms.keywords if hasattr(weights.transforms, "keywords") else {}
    crop = transforms.get("crop_size", transforms.get("resize_size", 224))
    height, width = (crop[0], crop[-1]) if isinstance(crop, list | tuple) else (crop, crop)
    if name in models.list_models(module=models.video):
        return (16, height, width)
    return (height, width)


def timm(name: str) -> tuple[Callable[[], nn.Module], Callable[[nn.Module, int], Inputs]]:
    """`timm:vit_base_patch16_224`, at the input size of its configuration."""
    library = _imported("timm", "timm")
    if not library.is_model(name):
        raise AnalyzerError(f"timm has no model {quoted(name)}; {nearest(name, library.list_models())}")

    def inputs(model: nn.Module, batch: int) -> Inputs:
        settings: Any = getattr(model, "pretrained_cfg", None) or getattr(model, "default_cfg", {})
        shape = settings.get("test_input_size") if settings.get("fixed_input_size") is None else None
        return [torch.zeros(batch, *(settings.get("input_size") or shape or (3, 224, 224)))], {}

    return lambda: library.create_model(name, pretrained=False), inputs


def huggingface(name: str) -> tuple[Callable[[], nn.Module], Callable[[nn.Module, int], Inputs]]:
    """`hf:gpt2` is an architecture in its default configuration; `hf:FOLDER` reads config.json in the folder."""
    library = _imported("transformers", "transformers")
    if (Path(name) / "config.json").is_file():
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

    def make() -> nn.Module:
        # `_from_config` uses the dtype of the configuration.
        model: nn.Module = factory._from_config(config) if factory else library.AutoModel.from_config(config)
        for module in model.modules():
            # It reads token values to warn of padding, which fails on meta.
            if hasattr(module, "warn_if_padding_and_no_attention_mask"):
                vars(module)["warn_if_padding_and_no_attention_mask"] = lambda *args, **kwargs: None
        return model

    def inputs(model: nn.Module, batch: int) -> Inputs:
        main = getattr(model, "main_input_name", "input_ids")
        if main == "pixel_values":
            return [], {main: _image(config, batch)}
        max_tokens = getattr(getattr(config, "text_config", config), "max_position_embeddings", None) or TOKENS
        tokens = torch.zeros(batch, min(TOKENS, max_tokens), dtype=torch.int64)
        extra: dict[str, Any] = {"decoder_input_ids": tokens} if getattr(config, "is_encoder_decoder", False) else {}
        if hasattr(model, "vision_model") and hasattr(model, "text_model"):
            extra["pixel_values"] = _image(config.vision_config, batch)
        if main == "input_values":
            return [], {main: torch.zeros(batch, 16_000), **extra}  # One second at 16 kHz.
        if main == "input_features" and hasattr(config, "num_mel_bins") and hasattr(config, "max_source_positions"):
            # Two frames of the spectrogram per position.
            return [], {main: torch.zeros(batch, config.num_mel_bins, 2 * config.max_source_positions), **extra}
        return [], {main: tokens, **extra}

    return make, inputs


def _image(config: Any, batch: int) -> torch.Tensor:
    size = getattr(config, "image_size", 224)
    height, width = size if isinstance(size, list | tuple) else (size, size)
    return torch.zeros(batch, getattr(config, "num_channels", 3), height, width)


def _imported(module: str, extra: str) -> Any:
    from importlib import import_module

    try:
        return import_module(module)
    except ImportError as error:
        raise AnalyzerError(
            f"{extra} does not import here ({one_line(error)}); install it with: pip install 'macscope[zoo]'"
        ) from None


LIBRARIES: dict[str, Library] = {"torchvision": torchvision, "timm": timm, "hf": huggingface}
