"""The Python interface: what is there, what it takes, what it gives."""

from __future__ import annotations

import pytest

import analyzer
from analyzer.comparison import Comparison
from analyzer.record import Record


def test_every_public_name_is_there_and_listed():
    for name in analyzer.__all__:
        assert getattr(analyzer, name) is not None
        assert name in dir(analyzer)
    with pytest.raises(AttributeError, match="module 'analyzer' has no attribute 'nothing'"):
        _ = analyzer.nothing


def test_count_gives_a_record():
    record = analyzer.count("googlenet", input=(3, 320, 320), batch=4, train=True)
    assert isinstance(record, Record)
    assert (record.model, record.mode, record.dtype) == ("googlenet", "training", "float32")
    assert record.input == ((4, 3, 320, 320),)
    assert record.agreement is None
    assert record.overrides == {}


def test_input_defaults_to_the_networks_own():
    assert analyzer.count("alexnet").input == ((1, 3, 227, 227),)
    assert analyzer.count("googlenet").input == ((1, 3, 224, 224),)


@pytest.mark.parametrize("counter", ["closed_form", "dispatch"])
def test_the_record_names_its_counter(counter):
    record = analyzer.count("nin", counter=counter)
    assert record.count.counter == counter
    assert record.totals.macs == analyzer.count("nin").totals.macs


def test_verify_puts_the_agreement_into_the_record():
    record = analyzer.count("nin", input=(3, 64, 64), verify=True)
    assert record.count.counter == "closed_form"
    assert record.agreement.differences == ()


def test_compare_gives_a_comparison():
    found = analyzer.compare("nin", "alexnet", input=(3, 224, 224), batch=2, train=True)
    assert isinstance(found, Comparison)
    assert found.labels == ("nin", "alexnet")
    assert {record.input for record in found.records} == {((2, 3, 224, 224),)}
    assert {record.mode for record in found.records} == {"training"}


def test_unknown_names_are_refused():
    with pytest.raises(analyzer.AnalyzerError, match="unknown variant 'resnet'"):
        analyzer.count("resnet")
