"""Default inputs of transformers: tensors of text, images and sound with shapes from a configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias

import torch
from torch import Tensor

from analyzer.models.zero_inputs import zeros

Argument: TypeAlias = "Callable[[Request], Any]"

TOKENS = 128  # Tokens of text, or the maximum of the model if that is less.
SECONDS = 1  # Of sound as samples.
SAMPLING_RATE = 16_000
MEL_FRAMES = 1_000  # Frames of a spectrogram: 10 s at the usual hop of 10 ms.
VIDEO_FRAMES = 8
IMAGE_SIZE = 224

# By model type, where the configuration has no size, or none that works with its other sizes.
IMAGE_SIZES = {
    "aria": 1120,
    "depth_pro": 1536,
    "gemma4_vision": 768,
    "idefics3": 256,
    "inkling2": 240,
    "inkling2_loop": 240,
    "inkling2_vision": 240,
    "minimax_m3_vl": 672,
    "pe_audio_video": 336,
    "pe_audio_video_encoder": 336,
    "pe_video": 336,
    "pe_video_encoder": 336,
    "rf_detr": 560,
    "smolvlm": 256,
}
BINS = {"gemma4_audio": 128}
# Model types whose spectrograms are (bins, frames), as in Whisper, although their sizes do not show it.
BINS_FIRST = ("clvp", "glmasr", "glmasr_encoder", "voxtral_realtime", "voxtral_realtime_encoder")

# Where a configuration keeps the parts of a model.
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
        return zeros(self.batch, *shape, dtype=dtype or self.dtype)

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


def shape_of(request: Request, shape: tuple[int | str, ...]) -> list[int]:
    """Sizes by name: "tokens" is the length of the text, others are attributes of the configuration or its parts."""
    parts = VISION + AUDIO + TEXT
    names = {"tokens": tokens(request)}
    return [size if isinstance(size, int) else names.get(size) or request.find(size, 1, parts) for size in shape]


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
    return pair(request.find("image_size img_size input_size max_img_size", IMAGE_SIZE, VISION))


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
    return zeros(request.batch * math.prod(grid(request)), width, dtype=request.dtype)


def square_patches(request: Request) -> Tensor:
    """All patches of all images, as small images."""
    rows = patches(request)
    return rows.view(len(rows), channels(request), patch_size(request), patch_size(request))


def merged_patches(request: Request) -> Tensor:
    """One row of pixels per merged square of patches."""
    edge = patch_size(request) * merge_size(request)
    count = request.batch * math.prod(grid(request)) // merge_size(request) ** 2
    return zeros(count, edge, edge, channels(request), dtype=request.dtype)


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
    if request.kind in BINS:
        return BINS[request.kind]
    return int(request.find(MEL_BINS, 80, AUDIO))


def mel_frames(request: Request) -> int:
    """Whisper's encoder takes one length only: two frames of the spectrogram per position."""
    positions = request.find("max_source_positions", 0, AUDIO)
    return 2 * positions if mel_first(request) and positions else MEL_FRAMES


def mel_first(request: Request) -> bool:
    """Whether a spectrogram is (bins, frames)."""
    if request.kind in BINS_FIRST:
        return True
    return bool(request.find("max_source_positions n_window", 0, AUDIO) and request.find("num_mel_bins", 0, AUDIO))


def input_features(request: Request) -> Tensor:
    shape = mel_bins(request), mel_frames(request)
    return request.zeros(*(shape if mel_first(request) else reversed(shape)))
