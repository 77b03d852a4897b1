from __future__ import annotations

import pytest


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        ([], "MODEL"),
        (["hf:gpt2", "--tp", "2"], "--device"),
        (["hf:gpt2", "--shard", "8"], "--optimizer"),
        (["hf:gpt2", "--optimizer", "adamw", "--stage", "2"], "--shard"),
        (["gpt2"], "hf:NAME"),
        (["nothing/config.json"], "hf:NAME"),
        (["hf:gpt2", "--ep", "2"], "--device"),
        (["hf:gpt2", "--cache-dtype", "int3"], "int3"),
        (["hf:gpt2", "--tokens-per-s", "100"], "--device"),
        (["hf:gpt2", "--device", "abacus"], "abacus"),
        (["hf:gpt2", "--device", "Tesla T4", "--dtype", "bfloat16"], "bfloat16"),
        (["hf:gpt2", "--prompt", "0"], "--prompt"),
    ],
)
def test_bad_input_is_one_line_and_costs_no_work(analyze, arguments, word):
    outcome = analyze("llm", *arguments)
    assert (outcome.status, outcome.out) == (2, "")
    assert word in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_model_that_is_no_language_model_is_bad_input(analyze, tmp_path):
    (tmp_path / "net.py").write_text("from torch import nn\n\nNet = lambda: nn.Linear(2, 2)\n", encoding="utf-8")
    outcome = analyze("llm", f"{tmp_path}/net.py:Net", "--prompt", "4")
    assert outcome.status == 2
    assert outcome.err.count("\n") == 1
