"""The page of `analyze llm`: its sections, and that its charts have the numbers of the counts."""

from __future__ import annotations

from analyzer.language_models.model import LanguageModel
from analyzer.language_models.serving import Device, Parallel, decode_bound
from analyzer.records.rows import Count
from reports.language_models import Setting
from reports.page.sections.language_model import page
from reports.page.write import html
from tests.language_models.test_formulas import served


def trained(prompt: int, batch: int = 1) -> LanguageModel:
    """With gradients of twice the forward pass."""
    model = served(prompt, batch)
    rows = tuple(row.replace(backward_macs=2 * row.macs) for row in model.prefill.rows)
    return model.replace(training=model.prefill.replace(count=Count("dispatch", rows)))


def test_charts_over_the_length():
    lengths = (512, 1024, 2048)
    model = trained(2048, batch=4).replace(curve=tuple(served(length, batch=4) for length in lengths))
    device = Device("H100", 989.5e12, 3.35e12, 80 * 10**9)
    built = page(model, Setting(device, Parallel(2)))
    assert [section.id for section in built.sections] == ["sizes", "costs", "lengths"]
    compute, memory, times = built.charts
    whole, masked, _ = (trace["y"] for trace in compute.figure["data"])
    assert all(more > fewer for more, fewer in zip(whole, masked, strict=True))
    assert memory.figure["data"][0]["y"] == [at.cache_bytes for at in model.curve]
    assert times.figure["data"][1]["y"] == [decode_bound(at, device, Parallel(2)).seconds for at in model.curve]
    text = html(built, "none")
    assert "Over the length of the text" in text
    assert len(text) < 150_000


def test_without_other_lengths_there_is_no_chart():
    built = page(trained(16), Setting())
    assert [section.id for section in built.sections] == ["sizes", "costs"]
    assert built.charts == ()
