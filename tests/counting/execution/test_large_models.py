"""Models of tens of billions of parameters from a config.json: counts equal arithmetic, memory is that of an import."""

from __future__ import annotations

from typing import Any

import pytest

from analyzer.counting.api import count_reference
from benchmarks import large_models

pytestmark = pytest.mark.filterwarnings("ignore")  # transformers warns of its own deprecations.

TOKENS = 128


def attention(width: int, narrow: int) -> int:
    """The weights of queries and output, width x width, and of keys and values, width x narrow."""
    return 2 * width * width + 2 * width * narrow


def pairs(width: int) -> int:
    """Scores and values of all pairs of tokens."""
    return 2 * TOKENS * TOKENS * width


def llama() -> tuple[int, int]:
    """Keys and values have 8 heads of 128; two norms of one weight a channel a layer, and one at the end."""
    width, layers, words = 8192, 80, 128256
    layer = attention(width, 8 * 128) + 3 * width * 28672
    params = 2 * words * width + layers * (layer + 2 * width) + width
    return params, layers * (TOKENS * layer + pairs(width)) + TOKENS * width * words


def mixtral() -> tuple[int, int]:
    """Eight experts stand, two run for each token; the router is a matrix of width x 8."""
    width, layers, words = 6144, 56, 32768
    expert, router = 3 * width * 16384, width * 8
    params = 2 * words * width + layers * (attention(width, 8 * 128) + 8 * expert + router + 2 * width) + width
    layer = TOKENS * (attention(width, 8 * 128) + 2 * expert + router) + pairs(width)
    return params, layers * layer + TOKENS * width * words


def falcon() -> tuple[int, int]:
    """The head is the embedding; keys and values have 8 heads of 64; no biases but those of the norms, two a layer."""
    width, layers, words = 8192, 60, 65024
    layer = attention(width, 8 * 64) + 2 * width * 4 * width
    params = words * width + layers * (layer + 2 * 2 * width) + 2 * width
    return params, layers * (TOKENS * layer + pairs(width)) + TOKENS * width * words


def neox() -> tuple[int, int]:
    """Published with 20,554,567,680: every matrix but embedding and head has a bias, 3 + 1 + 4 + 1 widths a layer."""
    width, layers, words = 6144, 44, 50432
    layer = attention(width, width) + 2 * width * 4 * width
    params = 2 * words * width + layers * (layer + 9 * width + 2 * 2 * width) + 2 * width
    return params, layers * (TOKENS * layer + pairs(width)) + TOKENS * width * words


ARITHMETIC = {"llama-70b": llama, "mixtral-8x22b": mixtral, "falcon-40b": falcon, "gpt-neox-20b": neox}
PARAMS = {
    "llama-70b": 70_553_706_496,
    "mixtral-8x22b": 140_630_071_296,
    "falcon-40b": 41_303_293_952,
    "gpt-neox-20b": 20_554_567_680,
}


@pytest.fixture
def transformers() -> Any:
    return pytest.importorskip("transformers", reason="transformers is not installed: pip install '.[zoo]'")


def test_every_configuration_has_its_arithmetic():
    assert set(large_models.CONFIGS) == set(ARITHMETIC)
    assert {name: params()[0] for name, params in ARITHMETIC.items()} == PARAMS


@pytest.mark.parametrize("name", ARITHMETIC)
def test_the_count_is_the_arithmetic(name, tmp_path, transformers):
    params, macs = ARITHMETIC[name]()
    record = count_reference(f"hf:{large_models.write(name, tmp_path)}")
    assert (record.totals.params, record.totals.macs) == (params, macs)
    assert (record.unknown_ops, record.notes, record.dtype) == ({}, (), "bfloat16")


@pytest.mark.slow
@pytest.mark.parametrize(("name", "mode"), [("llama-70b", "training"), ("mixtral-8x22b", "inference")])
def test_memory_is_near_that_of_an_import(name, mode, tmp_path, transformers):
    """At most 1.5 times `import torch`, or at most 0.1 times it above building the model with transformers alone.

    With a CPU build of torch, which takes a third of the memory, transformers alone takes 1.7 times."""
    folder = large_models.write(name, tmp_path)
    plain = large_models.run_python("-c", "import torch")
    build, count = large_models.run_transformers(folder), large_models.run_analyze(folder, mode)
    assert count.peak_bytes <= max(1.5 * plain.peak_bytes, build.peak_bytes + 0.1 * plain.peak_bytes)
    assert count.seconds < 60
