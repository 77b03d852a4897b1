"""Default inputs of transformers: the arguments that a forward takes, with shapes from the configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

Argument: TypeAlias = "Callable[[Request], Any]"

TOKENS = 128  # Tokens of text, or the maximum of the model if that is less.
SECONDS = 1  # Of sound as samples.
SAMPLING_RATE = 16_000
MEL_FRAMES = 1_000  # Frames of a spectrogram: 10 s at the usual hop of 10 ms.
VIDEO_FRAMES = 8
ENTITIES = 4
IMAGE_SIZE = 224

VISION = ("vision_config", "image_config", "video_config", "backbone_config", "image_model_config", "detector_config")
AUDIO = (
    "audio_config",
    "audio_encoder_config",
    "speech_config",
    "encoder_config",
    "asr_config",
    "semantic_model_config",
)
TEXT = ("text_config", "vlm_config", "decoder_config", "language_config")


class Request:
    """What default inputs depend on: a configuration, the batch, the arguments that `forward` takes, and a dtype.

    `features(name, inputs)` is the number of tokens into which the model turns the images or the sound of `inputs`,
    or None if it cannot tell without values.
    """

    def __init__(
        self,
        config: Any,
        batch: int,
        arguments: Iterable[str],
        required: Iterable[str] = (),
        *,
        dtype: torch.dtype = torch.float32,
        features: Callable[[str, Mapping[str, Any]], int | None] = lambda kind, inputs: None,
    ) -> None:
        self.config, self.batch, self.dtype, self.features = config, batch, dtype, features
        self.arguments, self.required = frozenset(arguments), frozenset(required)
        self.kind = str(getattr(config, "model_type", ""))

    def find(self, names: str, default: Any, among: tuple[str, ...] = ()) -> Any:
        """The first of the space-separated attributes that is set, in the configuration or in its parts."""
        value = _find(self.config, names.split(), among)
        return default if value is None else value

    def zeros(self, *shape: int, dtype: torch.dtype | None = None) -> Tensor:
        return torch.zeros(self.batch, *shape, dtype=dtype or self.dtype)

    def whole(self, *shape: int) -> Tensor:
        return self.zeros(*shape, dtype=torch.int64)

    def ones(self, *shape: int) -> Tensor:
        return torch.ones(self.batch, *shape, dtype=torch.int64)

    def takes(self, *names: str) -> bool:
        return not self.arguments.isdisjoint(names)


def _find(config: Any, names: Iterable[str], among: tuple[str, ...]) -> Any:
    for name in names:
        value = getattr(config, name, None)
        if value is not None:
            return value
    for part in among:
        inner = getattr(config, part, None)
        if inner is not None and not isinstance(inner, dict):
            value = _find(inner, names, among)
            if value is not None:
                return value
    return None


# --- text ------------------------------------------------------------------------------------------------------------
def tokens(request: Request) -> int:
    limit = request.find("max_position_embeddings max_sequence_length n_positions max_target_positions", TOKENS, TEXT)
    return min(TOKENS, limit) if isinstance(limit, int) and limit > 0 else TOKENS


def text(request: Request) -> Tensor:
    return request.whole(tokens(request))


def per_token(*shape: int) -> Argument:
    return lambda request: request.whole(tokens(request), *shape)


# --- images ----------------------------------------------------------------------------------------------------------
def pair(value: Any) -> tuple[int, int]:
    """Height and width of a size that is a number, a pair, or a dict."""
    if isinstance(value, Mapping):
        value = [value.get("height", value.get("shortest_edge")), value.get("width", value.get("shortest_edge"))]
    if isinstance(value, list | tuple):
        return int(value[0]), int(value[-1])
    return int(value), int(value)


def image_size(request: Request) -> tuple[int, int]:
    if request.kind in IMAGE_SIZES:
        return pair(IMAGE_SIZES[request.kind])
    return pair(request.find("image_size img_size input_size", IMAGE_SIZE, VISION))


def channels(request: Request) -> int:
    return int(request.find("num_channels in_channels in_chans image_channels", 3, VISION))


def patch_size(request: Request) -> int:
    return pair(request.find("patch_size", 16, VISION))[0]


def merge_size(request: Request) -> int:
    return pair(request.find("spatial_merge_size merge_size merge_kernel_size", 1, VISION))[0]


def grid(request: Request) -> tuple[int, int, int]:
    """Frames, rows and columns of patches; rows and columns in whole multiples of the squares that are merged."""
    unit = merge_size(request) * patch_size(request)
    height, width = (max(1, round(edge / unit)) * merge_size(request) for edge in image_size(request))
    return 1, height, width


def grid_thw(request: Request) -> Tensor:
    return torch.tensor([grid(request)] * request.batch)


def patches(request: Request) -> Tensor:
    """All patches of all images, a row each."""
    depth = pair(request.find("temporal_patch_size patch_temporal", 1, VISION))[0]
    width = channels(request) * depth * patch_size(request) ** 2
    return torch.zeros(request.batch * math.prod(grid(request)), width, dtype=request.dtype)


def square_patches(request: Request) -> Tensor:
    """All patches of all images, as small images."""
    rows = patches(request)
    return rows.view(len(rows), channels(request), patch_size(request), patch_size(request))


def merged_patches(request: Request) -> Tensor:
    """One row of pixels per merged square of patches."""
    edge = patch_size(request) * merge_size(request)
    count = request.batch * math.prod(grid(request)) // merge_size(request) ** 2
    return torch.zeros(count, edge, edge, channels(request), dtype=request.dtype)


def image_position_mask(request: Request) -> Tensor:
    """Marks the positions at the start of the text that hold the image."""
    mask = request.whole(request.config.latent_query_num + tokens(request))
    mask[:, : request.config.latent_query_num] = 1
    return mask


def image(request: Request) -> Tensor:
    return request.zeros(channels(request), *image_size(request))


def images(count: int) -> Argument:
    """Several images each, of ones: some models take an image of zeros for padding and leave it out."""
    return lambda request: request.zeros(count, channels(request), *image_size(request)) + 1


def video(request: Request) -> Tensor:
    frames = request.find("num_frames frames_per_clip num_image_with_embedding", VIDEO_FRAMES, VISION)
    return request.zeros(frames, channels(request), *image_size(request))


def pixel_values(request: Request) -> Tensor:
    if request.takes("image_grid_thw", "grid_thw"):
        return patches(request)
    if request.takes("spatial_shapes", "pixel_position_ids", "image_position_ids"):
        return request.zeros(math.prod(rows_and_columns(request)), channels(request) * patch_size(request) ** 2)
    return image(request)


def image_sizes(request: Request) -> Tensor | None:
    """The size of each image before padding; an encoder for images of one size does not take it."""
    if request.kind in ("llava", "vipllava"):
        return None
    return torch.tensor([image_size(request)] * request.batch)


def rows_and_columns(request: Request) -> tuple[int, int]:
    height, width = (edge // patch_size(request) for edge in image_size(request))
    return height, width


def pixel_attention_mask(request: Request) -> Tensor | None:
    return request.ones(math.prod(rows_and_columns(request))) if request.takes("spatial_shapes") else None


def patch_positions(request: Request) -> Tensor:
    height, width = rows_and_columns(request)
    positions = torch.cartesian_prod(torch.arange(height), torch.arange(width)).flip(-1)
    return positions.expand(request.batch, -1, -1).contiguous()


# --- sound -----------------------------------------------------------------------------------------------------------
def samples(request: Request) -> Tensor:
    return request.zeros(SECONDS * request.find("sampling_rate sample_rate", SAMPLING_RATE, AUDIO))


def codec_samples(request: Request) -> Tensor:
    """Codecs take a dimension of channels."""
    return samples(request).unsqueeze(1)


MEL_BINS = (
    "num_mel_bins feature_projection_input_dim input_feat_per_channel input_feat_size input_dim feature_size input_size"
)


def mel_bins(request: Request) -> int:
    if request.kind in MEL_BINS_OF:
        return MEL_BINS_OF[request.kind]
    return int(request.find(MEL_BINS, 80, AUDIO))


def mel_frames(request: Request) -> int:
    """Whisper's encoder takes one length only: two frames of the spectrogram per position."""
    positions = request.find("max_source_positions", 0, AUDIO)
    return 2 * positions if mel_first(request) and positions else MEL_FRAMES


def mel_first(request: Request) -> bool:
    if request.kind.startswith("glmasr"):
        return True
    return bool(request.find("max_source_positions n_window", 0, AUDIO) and request.find("num_mel_bins", 0, AUDIO))


def input_features(request: Request) -> Tensor:
    shape = mel_bins(request), mel_frames(request)
    return request.zeros(*(shape if mel_first(request) else reversed(shape)))


# --- tables ----------------------------------------------------------------------------------------------------------
ARGUMENTS: dict[str, Argument] = {
    "input_ids": text,
    "decoder_input_ids": text,
    "qformer_input_ids": text,
    "bbox": per_token(4),
    "pixel_values": pixel_values,
    "pixel_values_videos": video,
    "image_sizes": image_sizes,
    "target_sizes": lambda request: torch.tensor([rows_and_columns(request)] * request.batch),
    "visual_feats": lambda request: request.zeros(36, request.config.visual_feat_dim),
    "visual_pos": lambda request: request.zeros(36, request.config.visual_pos_dim),
    "visual_embeds": lambda request: request.zeros(36, request.config.visual_embedding_dim),
    "entity_ids": lambda request: request.whole(ENTITIES),
    "entity_position_ids": lambda request: request.whole(ENTITIES, 4),
    "aspect_ratio_ids": lambda request: request.ones(1),
    "aspect_ratio_mask": lambda request: request.ones(1, request.find("max_num_tiles", 4, VISION)),
    "image_grid_thw": grid_thw,
    "grid_thw": grid_thw,
    "spatial_shapes": lambda request: torch.tensor([rows_and_columns(request)] * request.batch),
    "pixel_attention_mask": pixel_attention_mask,
    "pixel_position_ids": patch_positions,
    "image_position_ids": patch_positions,
    "input_values": samples,
    "input_features": input_features,
    "input_features_mask": lambda request: request.ones(mel_frames(request)),
    "feature_attention_mask": lambda request: request.ones(mel_frames(request)),
}
"""By argument: given to every forward that takes it."""

REQUIRED: dict[str, Argument] = {
    "inputs_embeds": lambda request: request.zeros(tokens(request), request.find("hidden_size d_model", 0, TEXT)),
    "hidden_states": patches,
    "attention_mask": lambda request: request.ones(tokens(request)),
}
"""By argument: given where forward has no default for it."""

MODELS: dict[str, dict[str, Argument]] = {
    "apertus1p5": {"padding_mask": lambda request: torch.ones_like(samples(request), dtype=torch.int64)},
    "audio-spectrogram-transformer": {
        "input_values": lambda request: request.zeros(request.config.max_length, request.config.num_mel_bins)
    },
    "blip_2_qformer": {
        "query_embeds": lambda request: request.zeros(32, request.config.hidden_size),
        "encoder_hidden_states": lambda request: request.zeros(257, request.config.encoder_hidden_size),
    },
    "granite_docling": {
        "pixel_values": images(1),
        "pixel_attention_mask": lambda request: torch.ones(request.batch, 1, dtype=torch.bool),
    },
    "granite_speech5_encoder": {
        "input_features": lambda request: request.zeros(MEL_FRAMES // 2, 4 * mel_bins(request))
    },
    "idefics": {
        "pixel_values": images(1),
        "image_attention_mask": lambda request: request.ones(tokens(request), 1),
    },
    "inkling2": {
        "pixel_values": merged_patches,
        "image_grid_thw": lambda request: grid_thw(request) // torch.tensor([1, *[merge_size(request)] * 2]),
    },
    "llava_next": {"pixel_values": images(5)},
    "mimi_decoder": {"latents": lambda request: request.zeros(request.config.hidden_size, 13)},
    "mllama": {
        "pixel_values": lambda request: request.zeros(
            1, request.find("max_num_tiles", 4, VISION), channels(request), *image_size(request)
        ),
    },
    "muse_glimmer_assistant": {
        "noise_embeds": lambda request: request.zeros(request.config.block_size, request.config.hidden_size),
        "context_hidden_states": lambda request: request.zeros(
            tokens(request), request.config.hidden_size * len(request.config.target_layer_ids)
        ),
    },
    "seggpt": {
        name: lambda request: request.zeros(channels(request), image_size(request)[0] // 2, image_size(request)[1])
        for name in ("pixel_values", "prompt_pixel_values", "prompt_masks")
    },
    "speecht5": {
        "input_values": lambda request: request.zeros(tokens(request), request.config.hidden_size),
        "decoder_input_values": lambda request: request.zeros(tokens(request), request.config.hidden_size),
    },
    "timesfm": {
        "past_values": lambda request: request.zeros(request.config.context_length),
        "past_values_padding": lambda request: request.whole(request.config.context_length),
        "freq": lambda request: request.whole(1),
    },
    "timesfm2_5": {"past_values": lambda request: [torch.zeros(request.config.context_length)] * request.batch},
    "muse_spark_audio": {"input_values": lambda request: request.zeros(10 * math.prod(request.config.patch_sizes))},
    "inkling_mm_model": {
        "pixel_values": lambda request: torch.zeros(
            36 * request.batch, 2, patch_size(request), patch_size(request), channels(request), dtype=request.dtype
        )
    },
    "instructblipvideo": {"pixel_values": images(4)},
    "kosmos-2": {"image_embeds_position_mask": image_position_mask},
    "kosmos-2.5": {
        "flattened_patches": lambda request: request.zeros(4096, 2 + channels(request) * patch_size(request) ** 2),
        "image_embeds_position_mask": image_position_mask,
    },
    "clap": {
        "input_features": lambda request: request.zeros(1, 1001, mel_bins(request)),
        "is_longer": lambda request: torch.ones(request.batch, 1, dtype=torch.bool),
    },
    "clvp": {"input_features": lambda request: request.zeros(request.find("feature_size", 80, AUDIO), MEL_FRAMES)},
    "csm": {
        "input_values": codec_samples,
        "input_values_cutoffs": lambda request: torch.full((request.batch, 1), samples(request).shape[1]),
    },
    "decision_transformer": {
        "states": lambda request: request.zeros(20, request.config.state_dim),
        "actions": lambda request: request.zeros(20, request.config.act_dim),
        "rewards": lambda request: request.zeros(20, 1),
        "returns_to_go": lambda request: request.zeros(20, 1),
        "timesteps": lambda request: request.whole(20),
        "attention_mask": lambda request: request.ones(20),
    },
    "deepseek_vl_hybrid": {"high_res_pixel_values": lambda request: request.zeros(3, 1024, 1024)},
    "efficientloftr": {"pixel_values": images(2)},
    "fuyu": {"pixel_values": lambda request: request.zeros(100, channels(request) * patch_size(request) ** 2)},
    "fun_asr_nano": {"input_features": lambda request: request.zeros(MEL_FRAMES, 7 * mel_bins(request))},
    "gemma3n_audio": {
        "audio_mel": input_features,
        "audio_mel_mask": lambda request: torch.zeros(request.batch, MEL_FRAMES, dtype=torch.bool),
    },
    "lightglue": {"pixel_values": images(2)},
}
"""By model type, where the configuration gives no rule."""

for name in ("csm", "dac", "encodec", "mimi", "mimi_encoder", "xcodec"):
    MODELS.setdefault(name, {})["input_values"] = codec_samples
for name in ("idefics2", "idefics3", "smolvlm"):
    MODELS[name] = {"pixel_values": images(1)}
for name in ("kimi_k25", "kimi_k25_vision"):
    MODELS[name] = {"pixel_values": square_patches}
for name in ("timesformer", "tvp", "videomae", "vivit", "xclip"):
    MODELS[name] = {"pixel_values": video}
for name in ("bamba", "blt"):
    MODELS[name] = {"use_cache": lambda request: False}  # Their caches fail without layers of attention.
for kind, like in (
    ("granite4_vision", "llava_next"),
    ("llava_next_video", "llava_next"),
    ("llava_onevision", "llava_next"),
    ("fun_asr_nano_encoder", "fun_asr_nano"),
    ("granite_speech5_ctc", "granite_speech5_encoder"),
    ("inkling2_loop", "inkling2"),
    ("inkling2_vision", "inkling2"),
):
    MODELS[kind] = MODELS[like]
for name in ("kosmos-2", "kosmos-2.5"):
    MODELS[name]["input_ids"] = lambda request: request.whole(request.config.latent_query_num + tokens(request))

IMAGE_SIZES: dict[str, Any] = {
    "aria": 1120,
    "depth_pro": 1536,
    "gemma4_vision": 768,
    "idefics3": 256,
    "inkling2": 240,
    "rf_detr": 560,
    "smolvlm": 256,
}
"""By model type, where the configuration has no image size that works."""

MEL_BINS_OF = {"gemma4_audio": 128}

MODALITIES = {
    "image": "pixel_values image_grid_thw image_sizes spatial_shapes image_position_ids pixel_attention_mask",
    "video": "pixel_values_videos video_grid_thw",
    "audio": "input_features input_values input_features_mask feature_attention_mask",
}
"""By modality: the arguments that carry it, the tensors of values first."""


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
    inputs = {name: make(request) for name, make in table.items() if make is not None}
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
        try:
            count = request.features(modality, inputs)
        except Exception:
            if not request.required.isdisjoint(names.split()):
                count = None
            else:
                inputs = {name: value for name, value in inputs.items() if name not in names.split()}
                continue
        count = expected_features(request, modality, inputs) if count is None else count
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
