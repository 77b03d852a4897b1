from __future__ import annotations

import pytest

import analyzer
from analyzer.networks import VARIANTS
from analyzer.scaling.derivation import METRICS, derive, number
from reports.explain import derivation_text, table


def test_the_5x5_convolution_of_inception_4a():
    record = analyzer.count("googlenet")
    (row,) = [row for row in record.rows if row.path == "inception_4a.branch_5x5.conv"]
    assert derivation_text(derive(row, "macs")) == (
        "batch · out channels · out height · out width · in channels · kernel height · kernel width"
        " = 1 · 48 · 14 · 14 · 16 · 5 · 5 = 3,763,200"
    )
    assert derivation_text(derive(row, "params")).endswith("= 48 · 16 · 5 · 5 + 48 = 19,248")


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("metric", METRICS)
def test_every_number_of_a_built_in_network_has_a_derivation(name, metric):
    record = analyzer.count(name, batch=2, train=True)
    for row in record.rows:
        if number(row, metric):
            derived = derive(row, metric)
            assert derived.terms, row
            assert sum(term.value for term in derived.terms) == number(row, metric)


def test_a_number_that_does_not_follow_from_the_shapes_has_none():
    record = analyzer.count("nin")
    row = record.rows[0].replace(macs=record.rows[0].macs + 1)
    assert derive(row, "macs").terms == ()
    assert derivation_text(derive(row, "macs")) == f"{row.macs:,}"


def test_modules_of_torch():
    from torch import nn

    layer = nn.TransformerEncoderLayer(64, 4, 128, batch_first=True)
    net = nn.Sequential(layer, nn.Flatten(), nn.Linear(10 * 64, 5))
    record = analyzer.count(net.eval(), input="10x64", batch=3)
    derived = [derive(row, "macs") for row in record.rows if row.macs]
    assert all(item.terms for item in derived)
    (attention,) = [item for item in derived if "attention" in item.row.op]
    # 4 heads of 16: 10 · 10 pairs of tokens in 3 · 4 heads, 16 products for a score and 16 for its weighted value.
    assert attention.value == 2 * 12 * 10 * 10 * 16
    transposed = analyzer.count(nn.ConvTranspose2d(6, 4, 3, stride=2, groups=2), input="6x8x8")
    assert derive(transposed.rows[0], "macs").terms


def test_the_sum_is_the_module():
    from analyzer.records.record import restrict

    record = restrict(analyzer.count("googlenet"), "inception_4a")
    assert table(record, "macs").rows[-1] == ("sum", f"{record.totals.macs:,}")


@pytest.mark.parametrize(("kind", "gates"), [("LSTM", 4), ("GRU", 3), ("RNN", 1)])
@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_recurrent_layers(kind, gates, layers, bidirectional):
    """Each gate multiplies the input and the hidden state; layers above the first have the output as input."""
    from torch import nn

    layer = getattr(nn, kind)(24, 32, layers, bidirectional=bidirectional, batch_first=True)
    record = analyzer.count(layer, input="5x24", batch=2)
    directions = 1 + bidirectional
    (row,) = [row for row in record.rows if row.weights]
    weights = gates * directions * 32 * ((24 + 32) + (layers - 1) * (32 * directions + 32))
    assert row.macs == 2 * 5 * weights
    for metric, terms in (("params", min(layers, 2) + 1), ("macs", min(layers, 2))):
        derived = derive(row, metric)
        assert len(derived.terms) == terms
        assert all(len(term.factors) > 1 or term.name == "biases" for term in derived.terms)
        assert derived.terms[0].factors[-1].name == "(inputs + hidden)"


def test_weights_of_norms_are_no_matrix():
    from torch import nn

    (row,) = analyzer.count(nn.LayerNorm(64), input="10x64").rows
    assert derivation_text(derive(row, "params")) == "elements + biases = 64 + 64 = 128"
