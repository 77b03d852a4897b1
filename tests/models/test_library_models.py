"""torchvision, timm and transformers by reference, if installed: default inputs, published counts, no download."""

from __future__ import annotations

import json
from typing import Any

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.core.parse_inputs import parse_input
from analyzer.counting.api import count_reference

# These libraries warn of deprecations in each other.
pytestmark = pytest.mark.filterwarnings("ignore")


def needs(library: str) -> Any:
    return pytest.importorskip(library, reason=f"{library} is not installed: pip install '.[zoo]'")


@pytest.fixture(autouse=True)
def no_network(monkeypatch):
    """A download fails at once."""
    import socket

    def refuse(*args: Any) -> Any:
        raise AssertionError("a reference asked the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)


# --- torchvision -----------------------------------------------------------------------------------------------------
def test_resnet50_as_published():
    needs("torchvision")
    record = count_reference("torchvision:resnet50")
    assert record.input == ((1, 3, 224, 224),)
    assert (record.totals.macs, record.totals.params) == (4_089_184_256, 25_557_032)
    assert (record.unknown_ops, record.notes) == ({}, ())


def test_resnet50_in_training():
    """Two products per layer in the backward pass, one for the first convolution: the image needs no gradient."""
    needs("torchvision")
    totals = count_reference("torchvision:resnet50", batch=2, train=True).totals
    assert totals.macs == 2 * 4_089_184_256
    assert totals.backward_macs == 2 * totals.macs - 2 * (112 * 112 * 64 * 7 * 7 * 3)


@pytest.mark.parametrize(
    ("name", "macs", "params"),
    [
        # Patches, 12 layers of 197 tokens, and a head; with scores and values of attention, as published.
        (
            "vit_b_16",
            196 * 768 * 3 * 16 * 16 + 12 * (197 * 768 * (4 * 768 + 2 * 3072) + 2 * 197 * 197 * 768) + 768 * 1000,
            86_567_656,
        ),
        ("alexnet", 714_188_480, 61_100_840),
        ("mobilenet_v2", 300_774_272, 3_504_872),
    ],
)
def test_other_models_of_torchvision(name, macs, params):
    needs("torchvision")
    record = count_reference(f"torchvision:{name}")
    assert (record.totals.macs, record.totals.params) == (macs, params)
    assert record.unknown_ops == {}


@pytest.mark.parametrize(
    ("name", "gmacs", "params"), [("raft_large", 211.007, 5_257_536), ("raft_small", 47.655, 990_162)]
)
def test_optical_flow_as_published(name, gmacs, params):
    """Both published numbers result at 512 x 512, and at no other size we tried."""
    needs("torchvision")
    record = count_reference(f"torchvision:{name}")
    assert record.input == ((1, 3, 512, 512), (1, 3, 512, 512))
    assert (round(record.totals.macs / 1e9, 3), record.totals.params) == (gmacs, params)


def test_a_name_that_torchvision_does_not_have():
    needs("torchvision")
    with pytest.raises(AnalyzerError, match="torchvision has no model 'resnet51'; nearest: resnet50"):
        count_reference("torchvision:resnet51")


def test_an_input_of_another_size():
    needs("torchvision")
    record = count_reference("torchvision:resnet50", inputs=[parse_input("3x448x448")])
    head = 2048 * 1000
    assert record.totals.macs == 4 * (4_089_184_256 - head) + head


# --- timm ------------------------------------------------------------------------------------------------------------
def test_a_vision_transformer_of_timm():
    needs("timm")
    record = count_reference("timm:vit_base_patch16_224")
    layers = 12 * (197 * 768 * (4 * 768 + 2 * 3072) + 2 * 197 * 197 * 768)
    assert record.totals.macs == 196 * 768 * 3 * 16 * 16 + layers + 768 * 1000
    assert record.totals.params == 86_567_656
    assert (record.unknown_ops, record.notes) == ({}, ())


@pytest.mark.parametrize("name", ["efficientnet_b0", "convnext_tiny", "swin_tiny_patch4_window7_224", "mixer_b16_224"])
def test_families_of_timm_on_meta(name):
    needs("timm")
    record = count_reference(f"timm:{name}")
    assert record.totals.macs > 10**8
    assert (record.unknown_ops, record.notes) == ({}, ())


# --- transformers ----------------------------------------------------------------------------------------------------
TOKENS = 128


def layer_macs(width: int, hidden: int, tokens: int = TOKENS, *, matrices: int = 2) -> int:
    """Four projections, scores and values, and the matrices of the feed-forward layer."""
    return tokens * width * (4 * width + matrices * hidden) + 2 * tokens * tokens * width


def test_gpt2():
    needs("transformers")
    record = count_reference("hf:gpt2")
    assert record.input == ((1, TOKENS),)
    assert record.totals.macs == 12 * layer_macs(768, 3072)
    assert record.totals.params == 124_439_808
    assert record.unknown_ops == {}
    assert any("hf:gpt2+lm" in note for note in record.notes)
    with_head = count_reference("hf:gpt2+lm")
    assert with_head.totals.macs - record.totals.macs == TOKENS * 768 * 50_257
    assert with_head.notes == ()


def test_bert():
    """A pooler reads the first token."""
    needs("transformers")
    record = count_reference("hf:bert")
    assert record.totals.macs == 12 * layer_macs(768, 3072) + 768 * 768
    assert record.totals.params == 109_482_240


def test_vit():
    needs("transformers")
    record = count_reference("hf:vit")
    assert record.input == ((1, 3, 224, 224),)
    patches, pooler = 196 * 768 * 3 * 16 * 16, 768 * 768
    assert record.totals.macs == patches + 12 * layer_macs(768, 3072, 197) + pooler


def test_an_encoder_and_decoder():
    """T5: eight heads of 64; the decoder attends twice. Its embedding is shared."""
    needs("transformers")
    record = count_reference("hf:t5", train=True)
    assert record.input == ((1, TOKENS), (1, TOKENS))
    attention = 4 * TOKENS * 512 * 512 + 2 * TOKENS * TOKENS * 512
    feed = 2 * TOKENS * 512 * 2048
    macs = 6 * (attention + feed) + 6 * (2 * attention + feed)
    assert record.totals.macs == macs
    assert record.totals.backward_macs == 2 * macs
    assert record.totals.params == 60_506_624


@pytest.mark.parametrize("name", ["whisper", "clip", "wav2vec2", "mixtral", "deberta-v2"])
def test_audio_image_and_mixture_models_on_meta(name):
    """Audio and image inputs, grouped products, and a check of token values for a warning: all on meta."""
    needs("transformers")
    record = count_reference(f"hf:{name}")
    assert record.totals.macs > 10**9
    assert (record.unknown_ops, record.notes) == ({}, ())


def test_a_mixture_counts_the_chosen_experts():
    """Two experts of eight for every token; the router is a matrix."""
    needs("transformers")
    record = count_reference("hf:mixtral")
    width, hidden, narrow = 4096, 14336, 1024  # Keys and values have 8 heads of 128.
    attention = TOKENS * (2 * width * width + 2 * width * narrow) + 2 * TOKENS * TOKENS * width
    experts = TOKENS * (2 * 3 * width * hidden + width * 8)
    assert record.totals.macs == 32 * (attention + experts)
    assert record.totals.params == 46_571_720_704


def test_a_name_that_transformers_does_not_have():
    needs("transformers")
    with pytest.raises(AnalyzerError, match=r"no configuration 'gpt-22'; nearest: gpt2.*nothing is downloaded"):
        count_reference("hf:gpt-22")


LLAMA = {
    "model_type": "llama",
    "architectures": ["LlamaForCausalLM"],
    "hidden_size": 8192,
    "intermediate_size": 28672,
    "num_hidden_layers": 80,
    "num_attention_heads": 64,
    "num_key_value_heads": 8,
    "vocab_size": 128256,
    "max_position_embeddings": 8192,
    "torch_dtype": "bfloat16",
}


@pytest.fixture
def llama(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps(LLAMA), encoding="utf-8")
    return tmp_path


def llama_macs(tokens: int = TOKENS) -> int:
    width, narrow = 8192, 1024
    attention = tokens * (2 * width * width + 2 * width * narrow) + 2 * tokens * tokens * width
    return 80 * (attention + tokens * 3 * width * 28672) + tokens * width * 128256


def test_a_folder_with_a_configuration_of_seventy_billion(llama):
    needs("transformers")
    record = count_reference(f"hf:{llama}", train=True)
    assert record.totals.params == 70_553_706_496
    assert record.totals.macs == llama_macs()
    assert record.totals.backward_macs == 2 * llama_macs()
    assert record.dtype == "bfloat16"


def test_other_tokens_and_a_batch(llama):
    needs("transformers")
    record = count_reference(f"hf:{llama}", inputs=[parse_input("input_ids=32:int64")], batch=3)
    assert record.totals.macs == 3 * llama_macs(32)


def test_a_wrong_input_of_a_large_model_is_refused_and_not_built(llama):
    """On real tensors it would take 131 GiB."""
    needs("transformers")
    with pytest.raises(AnalyzerError, match=r"cannot run on meta .* needs 131\.4 GiB"):
        count_reference(f"hf:{llama}", inputs=[parse_input("input_ids=32:float32")])
