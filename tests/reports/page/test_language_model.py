"""The page of `analyze llm`: its sections, and that its charts have the numbers of the counts."""

from __future__ import annotations

from analyzer.counting.api import count_variant
from analyzer.language_models.prefill_and_decode import LanguageModel
from analyzer.language_models.time_bounds import Device, Parallel, decode_bound
from analyzer.networks.variants import variant
from analyzer.records.rows import Count
from reports.language_models import Setting
from reports.page.build import page as report_page
from reports.page.sections.language_model import page, sections
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


def test_sections_in_a_report_of_two_models():
    """Each model has its own section with its own ids, after those of the networks."""
    curve = tuple(served(length) for length in (512, 1024))
    models = [served(512).replace(reference=name, curve=curve) for name in ("hf:a", "hf:<b>")]
    built = report_page([count_variant(variant("alexnet"))], results=sections(models))
    text = html(built, "none")
    assert text.count('id="lengths"') == text.count('id="lengths1"') == 1
    assert "hf:&lt;b&gt;" in text
    assert "<b>" not in text.split("lengths1", 1)[1].split("</h2>", 1)[0]
