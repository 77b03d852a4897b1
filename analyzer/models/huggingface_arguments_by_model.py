"""The arguments that a forward of transformers gets, by their names and by the type of the model."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from analyzer.models.huggingface_input_shapes import (
    MEL_FRAMES,
    Argument,
    Request,
    channels,
    codec_samples,
    grid_thw,
    image_sizes,
    images,
    input_features,
    mel_bins,
    mel_frames,
    merge_size,
    merged_patches,
    patch_positions,
    patch_size,
    patches,
    pixel_attention_mask,
    pixel_values,
    rows_and_columns,
    samples,
    shape_of,
    square_patches,
    text,
    tokens,
    video,
)


def zeros(*shape: int | str) -> Argument:
    """Zeros per sample; a name in the shape is an attribute of the configuration, "tokens" the length of the text."""
    return lambda request: request.zeros(*shape_of(request, shape))


def whole(*shape: int | str) -> Argument:
    return lambda request: request.whole(*shape_of(request, shape))


def ones(*shape: int | str) -> Argument:
    return lambda request: request.ones(*shape_of(request, shape))


def true(*shape: int | str) -> Argument:
    return lambda request: request.ones(*shape_of(request, shape)).bool()


def without_cache(request: Request) -> bool:
    return False


def nothing(request: Request) -> None:
    return None


def sizes_of_merged_squares(request: Request) -> Tensor:
    return torch.full((request.batch,), merge_size(request))


def image_positions(request: Request) -> Tensor:
    """Marks the positions at the start of the text that hold the image."""
    mask = positions_and_text(request)
    mask[:, : request.config.latent_query_num] = 1
    return mask


def positions_and_text(request: Request) -> Tensor:
    return request.whole(request.config.latent_query_num + tokens(request))


def one_row_per_square(request: Request) -> Tensor:
    """The grid in merged squares instead of patches."""
    return grid_thw(request) // torch.tensor([1, merge_size(request), merge_size(request)])


def half_of_the_image(request: Request) -> Tensor:
    """SegGPT puts the prompt above the image."""
    height, width = pixel_values(request).shape[-2:]
    return request.zeros(channels(request), height // 2, width)


def cubes(request: Request) -> Tensor:
    """36 patches of pixels with their channels last."""
    edge = patch_size(request)
    return torch.zeros(36 * request.batch, 2, edge, edge, channels(request), dtype=request.dtype)


def series(features: str) -> Argument:
    """A time series over the context and the lags before it, with as many features as the attributes give in sum."""

    def make(request: Request) -> Tensor:
        lags = max(request.find("lags_sequence", None) or [0])
        length = int(request.find("context_length prediction_length", 1)) + lags
        width = sum(int(request.find(name, 0)) for name in features.split())
        return request.zeros(length) if width == 1 and lags else request.zeros(length, max(width, 1))

    return make


def each(models: str, arguments: dict[str, Argument]) -> dict[str, dict[str, Argument]]:
    """The same arguments for several types of models."""
    return dict.fromkeys(models.split(), arguments)


ARGUMENTS: dict[str, Argument] = {
    "input_ids": text,
    "decoder_input_ids": text,
    "qformer_input_ids": text,
    "bbox": whole("tokens", 4),
    "entity_ids": whole(4),
    "entity_position_ids": whole(4, 4),
    "pixel_values": pixel_values,
    "pixel_values_videos": video,
    "image_sizes": image_sizes,
    "target_sizes": lambda request: torch.tensor([rows_and_columns(request)] * request.batch),
    "image_grid_thw": grid_thw,
    "grid_thw": grid_thw,
    "image_merge_sizes": sizes_of_merged_squares,
    "merge_sizes": sizes_of_merged_squares,
    "spatial_shapes": lambda request: torch.tensor([rows_and_columns(request)] * request.batch),
    "pixel_attention_mask": pixel_attention_mask,
    "pixel_position_ids": patch_positions,
    "image_position_ids": patch_positions,
    "aspect_ratio_ids": ones(1),
    "aspect_ratio_mask": ones(1, "max_num_tiles"),
    "visual_feats": zeros(36, "visual_feat_dim"),
    "visual_pos": zeros(36, "visual_pos_dim"),
    "visual_embeds": zeros(36, "visual_embedding_dim"),
    "input_values": samples,
    "input_features": input_features,
    "input_features_mask": lambda request: request.ones(mel_frames(request)),
    "feature_attention_mask": lambda request: request.ones(mel_frames(request)),
}
"""By argument: given to every forward that takes it."""

REQUIRED: dict[str, Argument] = {
    "inputs_embeds": zeros("tokens", "hidden_size"),
    "hidden_states": patches,
    "past_values": series("num_input_channels input_size"),
    "past_observed_mask": series("num_input_channels input_size"),
    "attention_mask": ones("tokens"),
}
"""By argument: given where forward has no default for it."""

CODEC: dict[str, Argument] = {"input_values": codec_samples}
SAMPLES_MASK: dict[str, Argument] = {"padding_mask": lambda request: request.ones(samples(request).shape[1])}
ONE_IMAGE: dict[str, Argument] = {"pixel_values": images(1)}
FRAMES_OF_CODES: dict[str, Argument] = CODEC | {
    "input_features": lambda request: request.zeros(50, mel_bins(request)),  # A code and a pair of frames for 20 ms.
    "input_features_mask": ones(50),
}
WITHOUT_CACHE: dict[str, Argument] = {"use_cache": without_cache}  # It fails without layers of attention.
IMAGE_POSITIONS: dict[str, Argument] = {
    "input_ids": positions_and_text,
    "image_embeds_position_mask": image_positions,
}

MODELS: dict[str, dict[str, Argument]] = {
    **each("bamba granitemoehybrid", WITHOUT_CACHE),
    **each(
        "dac encodec mimi mimi_encoder pe_audio pe_audio_encoder pe_audio_video pe_audio_video_encoder "
        "pocket_tts_audio_tokenizer pocket_tts_audio_tokenizer_encoder omniasr omniasr_audio omniasr_ctc "
        "vibevoice_acoustic_tokenizer vibevoice_asr wavtokenizer wavtokenizer_encoder xcodec",
        CODEC,
    ),
    **each("efficientloftr lightglue", {"pixel_values": images(2)}),
    **each(
        "fun_asr_nano fun_asr_nano_encoder",
        {"input_features": lambda request: request.zeros(MEL_FRAMES, 7 * mel_bins(request))},
    ),
    **each("granite4_vision llava_next llava_next_video llava_onevision", {"pixel_values": images(5)}),
    **each(
        "granite_speech5_ctc granite_speech5_encoder",
        {"input_features": lambda request: request.zeros(MEL_FRAMES // 2, 4 * mel_bins(request))},
    ),
    **each("idefics2 idefics3 modernvbert smolvlm ultravbert", ONE_IMAGE),
    **each(
        "inkling2 inkling2_loop inkling2_vision", {"pixel_values": merged_patches, "image_grid_thw": one_row_per_square}
    ),
    **each("kimi_k25 kimi_k25_vision", {"pixel_values": square_patches}),
    **each("timesformer tvp videomae vivit xclip", {"pixel_values": video}),
    **each("neucodec xcodec2", FRAMES_OF_CODES),
    "apertus1p5": SAMPLES_MASK,
    "kosmos-2": IMAGE_POSITIONS,
    "audio-spectrogram-transformer": {"input_values": zeros("max_length", "num_mel_bins")},
    "blip_2_qformer": {
        "query_embeds": zeros(32, "hidden_size"),
        "encoder_hidden_states": zeros(257, "encoder_hidden_size"),
    },
    "blt": WITHOUT_CACHE
    | {"patch_lengths": lambda request: torch.full((request.batch, tokens(request) // 4), 4)},  # Else by entropy.
    "clap": {
        "input_features": lambda request: request.zeros(1, MEL_FRAMES + 1, mel_bins(request)),
        "is_longer": true(1),
    },
    "csm": CODEC | {"input_values_cutoffs": lambda request: torch.full((request.batch, 1), samples(request).shape[1])},
    "decision_transformer": {
        "states": zeros(20, "state_dim"),
        "actions": zeros(20, "act_dim"),
        "rewards": zeros(20, 1),
        "returns_to_go": zeros(20, 1),
        "timesteps": whole(20),
        "attention_mask": ones(20),
    },
    "deepseek_vl_hybrid": {"high_res_pixel_values": zeros(3, 1024, 1024)},
    "dia": {
        "decoder_input_ids": lambda request: request.whole(tokens(request), request.config.decoder_config.num_channels)
    },
    "fuyu": {"pixel_values": lambda request: request.zeros(100, channels(request) * patch_size(request) ** 2)},
    "gemma3n_audio": {
        "audio_mel": input_features,
        "audio_mel_mask": lambda request: torch.zeros(request.batch, mel_frames(request), dtype=torch.bool),
    },
    "granite_docling": ONE_IMAGE | {"pixel_attention_mask": true(1)},
    "idefics": ONE_IMAGE | {"image_attention_mask": ones("tokens", 1)},
    "inkling_mm_model": {"pixel_values": cubes},
    "instructblipvideo": {"pixel_values": images(4)},
    "kosmos-2.5": IMAGE_POSITIONS
    | {"flattened_patches": lambda request: request.zeros(4096, 2 + channels(request) * patch_size(request) ** 2)},
    "kyutai_speech_to_text": {  # A token of text and one of each codebook.
        "input_ids": lambda request: request.whole(tokens(request), 1 + request.config.num_codebooks)
    },
    "mllama": {
        "pixel_values": lambda request: (
            pixel_values(request)[:, None, None]
            .expand(-1, 1, request.find("max_num_tiles", 4, ("vision_config",)), -1, -1, -1)
            .contiguous()
        )
    },
    "muse_glimmer_assistant": {
        "noise_embeds": zeros("block_size", "hidden_size"),
        "context_hidden_states": lambda request: request.zeros(
            tokens(request), request.config.hidden_size * len(request.config.target_layer_ids)
        ),
    },
    "muse_spark_audio": {"input_values": lambda request: request.zeros(10 * math.prod(request.config.patch_sizes))},
    "perceiver": {"inputs": zeros(256, "d_model")},
    "pi0": ONE_IMAGE
    | {
        "pixel_attention_mask": true(1),
        "action_embeds": lambda request: request.zeros(50, request.config.dit_config.hidden_size),
    },
    **each("mimi_decoder pocket_tts_audio_tokenizer_decoder", {"latents": zeros("hidden_size", 13)}),
    "omdet-turbo": {
        "classes_input_ids": lambda request: text(request).repeat(2, 1),
        "classes_attention_mask": lambda request: torch.ones_like(text(request)).repeat(2, 1),
        "tasks_input_ids": text,
        "tasks_attention_mask": ones("tokens"),
        "classes_structure": lambda request: torch.full((request.batch,), 2),
    },
    "oneformer": {"task_inputs": zeros("task_seq_len")},
    "seggpt": dict.fromkeys(("pixel_values", "prompt_pixel_values", "prompt_masks"), half_of_the_image),
    "speecht5": dict.fromkeys(("input_values", "decoder_input_values"), zeros("tokens", "hidden_size")),
    "t5gemma2": {"pixel_values": nothing},  # Its images have fewer patches than it pools.
    "timesfm": {
        "past_values": zeros("context_length"),
        "past_values_padding": whole("context_length"),
        "freq": whole(1),
    },
    "timesfm2_5": {"past_values": zeros("context_length")},
    "vibevoice": CODEC | SAMPLES_MASK,
    "vibevoice_acoustic_tokenizer_decoder": {"hidden_states": zeros("hidden_size", 8)},
    "vibevoice_acoustic_tokenizer_encoder": {"hidden_states": codec_samples},
    "voxtral_realtime": {"input_features": lambda request: request.zeros(mel_bins(request), 8 * tokens(request))},
    "xmod": {"lang_ids": whole()},
}
"""By model type, where the configuration gives no rule."""

MODALITIES = {
    "image": "pixel_values image_grid_thw image_sizes spatial_shapes image_position_ids pixel_attention_mask",
    "video": "pixel_values_videos video_grid_thw",
    "audio": "input_features input_values input_features_mask feature_attention_mask",
}
"""By modality: the arguments that carry it."""
