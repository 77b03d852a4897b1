"""Numbers and units, and the words of multiply-adds, stay on one line of the page."""

from __future__ import annotations

import re

import pytest

from analyzer.counting.api import count_variant
from analyzer.networks.variants import variant
from reports.page.build import page
from reports.page.no_break_spaces import keep_together
from reports.page.write import html

BREAKS = re.compile(r"[\d.,]+ (?:[%×]|[kMGT]B?|B|[mµ]?s|FLOP/B)(?![\w-])")


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("14.6 % of 1.583 G multiply-adds", "14.6_% of 1.583_G multiply=adds"),
        ("Multiply-adds", "Multiply=adds"),
        ("± 3 % in 4.17 ms, 38.2 MB, 9 FLOP/B", "±_3_% in 4.17_ms, 38.2_MB, 9_FLOP/B"),
        ("24 × block, 2 GB/s", "24_× block, 2_GB/s"),
        ("4 samples of 3 Modules, a 5 M-model", "4 samples of 3 Modules, a 5 M-model"),
    ],
)
def test_only_the_space_before_a_unit_and_the_hyphen_of_multiply_adds_are_kept(text, kept):
    assert keep_together(text).replace("\u00a0", "_").replace("\u2011", "=") == kept


def test_no_sentence_note_or_prose_of_a_page_breaks_before_a_unit():
    records = [count_variant(variant(name), memory=True, train=True) for name in ("googlenet", "alexnet")]
    text = html(page(records), "none")
    body = re.sub(r"<(script|style|pre|table(?! class=\"prose)).*?</\1", "", text, flags=re.DOTALL)
    wrapping = [*re.findall(r"<(?:p|h[1-3]|dd|dt|summary|small|td|th)\b[^>]*>([^<]*)", body),
                *re.findall(r"<small[^>]*>([^<]*)", text)]  # fmt: skip
    assert len(wrapping) > 100
    assert [part for part in wrapping if "ultiply-add" in part] == []
    assert [match[0] for part in wrapping for match in BREAKS.finditer(part)] == []
    assert "analyze report" in text


def test_a_command_is_not_changed():
    command = "analyze report googlenet --batch 8 s"
    assert f">{command}</pre>" in html(page([count_variant(variant("nin"))], command=command), "none")
