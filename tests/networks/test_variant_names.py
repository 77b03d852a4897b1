"""Variants as a command line names them: shared overrides of `--set`, overrides of one variant."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count, count_variant
from analyzer.networks import find
from analyzer.networks.variants import variant, variants


def test_a_name_without_overrides():
    (googlenet,) = variants(["googlenet"])
    assert googlenet.network is find("googlenet")
    assert googlenet.overrides == {}
    assert variant("googlenet").network is find("googlenet")


def test_a_setting_applies_to_every_variant_that_has_its_key():
    key, torchvision_key = "inception_4a.reduce_5x5", "inception4a.reduce_5x5"
    selected = variants(["googlenet", "googlenet-naive", "googlenet-torchvision", "alexnet"], [f"{key}=32"])
    assert [chosen.overrides for chosen in selected] == [{key: 32}, {}, {torchvision_key: 32}, {}]
    assert selected[1].network is find("googlenet-naive")
    assert selected[3].network is find("alexnet")
    records = [count_variant(chosen) for chosen in selected]
    assert [record.overrides for record in records] == [chosen.overrides for chosen in selected]
    assert records[0].totals.macs - count("googlenet").totals.macs == 5_268_480
    assert [record.label for record in records][:2] == [f"googlenet@{key}=32", "googlenet-naive"]


def test_a_setting_that_no_variant_has_lists_the_keys():
    with pytest.raises(AnalyzerError) as caught:
        variants(["googlenet-naive", "alexnet"], ["inception_4a.reduce_5x5=32"])
    for text in ("'inception_4a.reduce_5x5'", "googlenet-naive, alexnet", "inception_4a.out_1x1"):
        assert text in str(caught.value)


def test_two_values_for_one_number_are_an_error():
    (googlenet,) = variants(["googlenet"], ["conv1.out=48", "linear.out=10", "conv1.out=48"])
    assert googlenet.overrides == {"conv1.conv.out": 48, "linear.out": 10}
    with pytest.raises(AnalyzerError, match=r"conv1\.out is set to 32 and to 48"):
        variants(["googlenet"], ["conv1.out=32", "linear.out=10", "conv1.out=48"])


def test_an_override_in_a_name():
    plain, changed = variants(["googlenet", "googlenet@inception_4a.reduce_5x5=32"])
    assert plain.overrides == {}
    assert changed.overrides == {"inception_4a.reduce_5x5": 32}
    before, after = count_variant(plain), count_variant(changed)
    assert after.label == "googlenet@inception_4a.reduce_5x5=32"
    assert after.totals.macs - before.totals.macs == 14 * 14 * 16 * 480 + 14 * 14 * 48 * 5 * 5 * 16


def test_an_override_in_a_name_has_precedence_over_a_setting():
    first, second = variants(["alexnet", "alexnet@fc8.out=10,conv1.out=48"], ["fc8.out=20"])
    assert first.overrides == {"fc8.out": 20}
    assert second.overrides == {"fc8.out": 10, "conv1.out": 48}


def test_an_override_in_a_name_must_exist():
    with pytest.raises(AnalyzerError, match=r"no number 'inception_4a\.out_1x1' in alexnet; "):
        variants(["googlenet", "alexnet@inception_4a.out_1x1=3"])


@pytest.mark.parametrize(
    "text", ["googlenet@", "googlenet@conv1.out", "googlenet@conv1.out=1,", "googlenet@@conv1.out=1"]
)
def test_malformed_changes(text):
    with pytest.raises(AnalyzerError, match=r"malformed setting|no number"):
        variants([text])


def test_an_unknown_variant_with_changes():
    with pytest.raises(AnalyzerError, match="unknown variant 'googlenut'; nearest: googlenet"):
        variants(["googlenut@conv1.out=3"])
