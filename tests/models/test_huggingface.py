"""Default inputs of transformers: the table by itself, and small models of every kind of input."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from analyzer.core.parse_inputs import parse_input
from analyzer.counting.api import count_reference
from analyzer.models.huggingface import fit_sections, video_session
from analyzer.models.huggingface_arguments_by_model import ARGUMENTS, MODALITIES, MODELS, REQUIRED
from analyzer.models.huggingface_input_shapes import TOKENS, Request
from analyzer.models.huggingface_inputs import default_inputs


def shapes(
    config: Any, *arguments: str, batch: int = 1, required: tuple[str, ...] = (), **options: Any
) -> dict[str, Any]:
    inputs = default_inputs(Request(config, batch, arguments + required, required, **options))
    return {name: tuple(value.shape) for name, value in inputs.items()}


# --- the table, without transformers ---------------------------------------------------------------------------------
def test_text_is_128_tokens_or_as_many_as_the_model_has_positions():
    assert shapes(SimpleNamespace(), "input_ids", "attention_mask") == {"input_ids": (1, TOKENS)}
    config = SimpleNamespace(text_config=SimpleNamespace(max_position_embeddings=77))
    assert shapes(config, "input_ids", "decoder_input_ids", batch=3) == {
        "input_ids": (3, 77),
        "decoder_input_ids": (3, 77),
    }


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (SimpleNamespace(), (1, 3, 224, 224)),
        (SimpleNamespace(image_size=[64, 32], num_channels=1), (1, 1, 64, 32)),
        (SimpleNamespace(vision_config=SimpleNamespace(image_size={"height": 48, "width": 96})), (1, 3, 48, 96)),
    ],
)
def test_an_image_has_the_size_of_the_configuration_or_of_its_vision_part(config, shape):
    assert shapes(config, "pixel_values") == {"pixel_values": shape}


def test_patches_of_images_with_their_grid():
    """A 56 × 84 image of 14 × 14 patches, two frames deep; the grid is even, for squares of 2 × 2."""
    vision = SimpleNamespace(image_size=[56, 84], patch_size=14, temporal_patch_size=2, spatial_merge_size=2)
    config = SimpleNamespace(vision_config=vision, image_token_id=9)
    request = Request(config, 2, ["input_ids", "pixel_values", "image_grid_thw", "mm_token_type_ids"])
    inputs = default_inputs(request)
    assert inputs["image_grid_thw"].tolist() == [[1, 4, 6]] * 2
    assert inputs["pixel_values"].shape == (2 * 4 * 6, 3 * 2 * 14 * 14)
    squares = 4 * 6 // 4
    assert inputs["input_ids"].tolist() == [[9] * squares + [0] * TOKENS] * 2
    assert inputs["mm_token_type_ids"].tolist() == [[1] * squares + [0] * TOKENS] * 2


def test_patches_in_rows_with_their_shapes_and_mask():
    config = SimpleNamespace(vision_config=SimpleNamespace(image_size=64, patch_size=16))
    assert shapes(config, "pixel_values", "spatial_shapes", "pixel_attention_mask") == {
        "pixel_values": (1, 16, 3 * 16 * 16),
        "spatial_shapes": (1, 2),
        "pixel_attention_mask": (1, 16),
    }


@pytest.mark.parametrize(
    ("config", "shape"),
    [
        (SimpleNamespace(num_mel_bins=80, max_source_positions=1500), (1, 80, 3000)),  # Two frames per position.
        (SimpleNamespace(encoder_config=SimpleNamespace(num_mel_bins=128)), (1, 1000, 128)),
        (SimpleNamespace(feature_projection_input_dim=160), (1, 1000, 160)),
    ],
)
def test_spectrograms(config, shape):
    assert shapes(config, "input_features") == {"input_features": shape}


def test_a_second_of_sound_with_a_dimension_of_channels_for_codecs():
    assert shapes(SimpleNamespace(), "input_values") == {"input_values": (1, 16_000)}
    codec = SimpleNamespace(model_type="encodec", sampling_rate=24_000)
    assert shapes(codec, "input_values") == {"input_values": (1, 1, 24_000)}


def test_a_video_takes_the_place_of_an_image_only_where_there_is_none():
    config = SimpleNamespace(num_frames=4, image_size=32)
    assert shapes(config, "pixel_values_videos") == {"pixel_values_videos": (1, 4, 3, 32, 32)}
    assert shapes(config, "pixel_values", "pixel_values_videos") == {"pixel_values": (1, 3, 32, 32)}


def test_time_series_cover_the_context_and_its_lags():
    patched = SimpleNamespace(context_length=32, num_input_channels=3)
    assert shapes(patched, required=("past_values",)) == {"past_values": (1, 32, 3)}
    lagged = SimpleNamespace(context_length=32, input_size=1, lags_sequence=[1, 7])
    assert shapes(lagged, required=("past_values",)) == {"past_values": (1, 39)}


def test_arguments_without_a_default_are_given():
    config = SimpleNamespace(hidden_size=8)
    assert shapes(config, "inputs_embeds", "input_ids") == {"input_ids": (1, TOKENS)}
    assert shapes(config, required=("inputs_embeds",)) == {"inputs_embeds": (1, TOKENS, 8)}


def test_as_many_placeholders_as_the_model_has_features():
    config = SimpleNamespace(image_token_id=5)
    request = Request(config, 2, ["input_ids", "pixel_values"], features=lambda modality, inputs: 6)
    assert default_inputs(request)["input_ids"].tolist() == [[5] * 3 + [0] * TOKENS] * 2


def test_images_that_do_not_fit_the_model_are_left_out():
    def refuse(modality: str, inputs: Any) -> int:
        raise ValueError("features of another width")

    config = SimpleNamespace(image_token_id=5, num_query_tokens=32)
    assert shapes(config, "input_ids", "pixel_values", features=refuse) == {"input_ids": (1, TOKENS)}
    kept = shapes(config, "input_ids", required=("pixel_values",), features=refuse)
    assert kept["input_ids"] == (1, 32 + TOKENS)


def test_a_model_without_its_tower_gets_no_images():
    config = SimpleNamespace(vision_config=None, image_token_id=5)
    assert shapes(config, "input_ids", "pixel_values") == {"input_ids": (1, TOKENS)}


def test_floating_inputs_have_the_dtype_of_the_model():
    request = Request(SimpleNamespace(), 1, ["input_ids", "pixel_values"], dtype=torch.bfloat16)
    dtypes = {name: value.dtype for name, value in default_inputs(request).items()}
    assert dtypes == {"input_ids": torch.int64, "pixel_values": torch.bfloat16}


class TrackerVideoInferenceSession:
    """As the sessions of transformers, which are in the module of their model."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.points: list[Any] = []

    def obj_id_to_idx(self, number: int) -> int:
        return number - 1

    def add_point_inputs(self, *inputs: Any) -> None:
        self.points.append(inputs)


class Tracker(nn.Module):
    """A model of this module."""


def test_a_video_tracker_gets_a_session_with_a_frame_and_a_point():
    session = video_session(Tracker(), Request(SimpleNamespace(image_size=32), 1, ()))
    assert session.options["video"].shape == (1, 3, 32, 32)
    assert [inputs[:2] for inputs in session.points] == [(0, 0)]
    assert session.obj_with_new_inputs == [1]


@pytest.mark.parametrize(
    ("sections", "size", "fitted"),
    [([8, 12, 12], 32, [8, 12, 12]), ([8, 12, 12], 64, [16, 24, 24]), ([8, 12, 12], 11, [3, 4, 4])],
)
def test_sections_of_a_rotary_embedding_cover_its_frequencies(sections, size, fitted):
    module = SimpleNamespace(mrope_section=sections, inv_freq=torch.zeros(size))
    fit_sections(module)
    assert module.mrope_section == fitted


def test_every_entry_can_be_called():
    assert all(callable(make) for table in (ARGUMENTS, REQUIRED, *MODELS.values()) for make in table.values())
    assert {name for names in MODALITIES.values() for name in names.split()} - ARGUMENTS.keys() == {"video_grid_thw"}


# --- small models ----------------------------------------------------------------------------------------------------
TEXT = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "num_key_value_heads": 2,
    "vocab_size": 50,
}
VISION = {
    "hidden_size": 8,
    "intermediate_size": 24,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "image_size": 32,
    "patch_size": 8,
}
AUDIO = {"d_model": 8, "encoder_layers": 1, "encoder_attention_heads": 2, "encoder_ffn_dim": 16, "num_mel_bins": 16}
LLAVA = {
    "model_type": "llava",
    "image_token_index": 49,
    "text_config": {"model_type": "llama", **TEXT},
    "vision_config": {"model_type": "clip_vision_model", **VISION},
}


@pytest.fixture
def counted(tmp_path):
    """Counts a model by its configuration."""
    pytest.importorskip("transformers", reason="transformers is not installed: pip install '.[zoo]'")

    def count(config: dict[str, Any], **options: Any) -> Any:
        (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
        return count_reference(f"hf:{tmp_path}", **options)

    return count


def layer_macs(width: int, hidden: int, tokens: int, *, matrices: int = 2) -> int:
    """Four projections, scores and values, and the matrices of the feed-forward layer."""
    return tokens * width * (4 * width + matrices * hidden) + 2 * tokens * tokens * width


def patch_macs(patches: int, channels: int = 3, edge: int = 8, width: int = 8) -> int:
    return patches * width * channels * edge * edge


# The libraries warn of deprecations in each other.
pytestmark = pytest.mark.filterwarnings("ignore")


def test_text_and_its_image(counted):
    """CLIP's encoder on 16 patches and a class token, which is dropped; a projector; a LLaMA on 16 + 128 tokens."""
    record = counted(LLAVA)
    vision = patch_macs(16) + layer_macs(8, 24, 17)
    projector = 16 * (8 * 16 + 16 * 16)
    assert record.input == ((1, 16 + TOKENS), (1, 3, 32, 32))
    assert record.totals.macs == vision + projector + layer_macs(16, 32, 16 + TOKENS, matrices=3)
    assert counted(LLAVA, batch=3).totals.macs == 3 * record.totals.macs


def test_an_input_of_the_user_replaces_the_default_ones(counted):
    record = counted(LLAVA, inputs=[parse_input("input_ids=10:int64")])
    assert record.totals.macs == layer_macs(16, 32, 10, matrices=3)


def test_two_towers(counted):
    text = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2}
    config = {
        "model_type": "clip",
        "projection_dim": 4,
        "text_config": {**text, "vocab_size": 50, "max_position_embeddings": 20},
        "vision_config": VISION,
    }
    record = counted(config, batch=2)
    towers = layer_macs(16, 32, 20) + patch_macs(16) + layer_macs(8, 24, 17)
    projections = 4 * (16 + 8)
    assert record.totals.macs == 2 * (towers + projections) + 2 * 2 * 4  # Every text with every image.


def test_a_spectrogram_as_an_image(counted):
    """AST: patches of 16 x 16 every 10 frames and bins, with two tokens of its own."""
    config = {
        "model_type": "audio-spectrogram-transformer",
        **{key: VISION[key] for key in ("hidden_size", "intermediate_size", "num_hidden_layers")},
        "num_attention_heads": 2,
        "max_length": 100,
        "num_mel_bins": 32,
    }
    record = counted(config)
    patches = ((32 - 16) // 10 + 1) * ((100 - 16) // 10 + 1)
    assert record.input == ((1, 100, 32),)
    assert record.totals.macs == patch_macs(patches, 1, 16) + layer_macs(8, 24, patches + 2)


def test_a_video(counted):
    """VideoMAE: tubes of two frames."""
    config = {"model_type": "videomae", **VISION, "num_frames": 4, "tubelet_size": 2}
    tokens = 2 * 16
    record = counted(config)
    assert record.input == ((1, 4, 3, 32, 32),)
    assert record.totals.macs == 2 * patch_macs(tokens) + layer_macs(8, 24, tokens)


@pytest.mark.parametrize(
    "config",
    [
        {
            "model_type": "qwen2_vl",
            "text_config": {**TEXT, "rope_parameters": {"rope_type": "default", "mrope_section": [1, 1, 2]}},
            "vision_config": {"depth": 1, "embed_dim": 8, "hidden_size": 16, "num_heads": 2, "patch_size": 8},
            "image_token_id": 49,
        },
        {
            "model_type": "idefics3",
            "image_token_id": 49,
            "scale_factor": 2,
            "text_config": {"model_type": "llama", **TEXT},
            "vision_config": {**VISION, "patch_size": 32},
        },
        {
            "model_type": "qwen2_audio",
            "audio_token_index": 49,
            "text_config": {"model_type": "qwen2", **TEXT},
            "audio_config": {**AUDIO, "max_source_positions": 40},
        },
        {
            "model_type": "siglip2",
            "text_config": {**TEXT, "max_position_embeddings": 20, "projection_size": 8},
            "vision_config": VISION,
        },
        {"model_type": "bros", **TEXT, "hidden_size": 64},
        {"model_type": "lxmert", **TEXT, "x_layers": 1, "r_layers": 1, "l_layers": 1},
        {"model_type": "encodec", "num_filters": 4, "hidden_size": 8, "codebook_dim": 8, "codebook_size": 8},
        {"model_type": "dac", "encoder_hidden_size": 4, "decoder_hidden_size": 32, "codebook_size": 8},
        {"model_type": "speech_to_text", "d_model": 16, "encoder_layers": 1, "decoder_layers": 1},
        {"model_type": "patchtst", "context_length": 16, "d_model": 8, "num_hidden_layers": 1, "ffn_dim": 8},
    ],
    ids=lambda config: config["model_type"],
)
def test_whole_models_of_other_kinds(counted, config):
    """Nothing is left out of the count but the heads that a forward pass does not run."""
    record = counted(config)
    assert record.totals.macs > 0
    unused = sum(row.params for row in record.rows if row.op == "unused")
    assert unused < 0.1 * record.totals.params
