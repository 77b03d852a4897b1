"""The exact gate misses nothing and cries at nothing: every figure of every layer, by one, in both directions."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.counting.api import count
from analyzer.networks import VARIANTS
from analyzer.regression.counts import baseline
from analyzer.regression.counts.gate import hold, judged
from analyzer.regression.counts.snapshot import LAYER_METRICS, Layer, Snapshot, snapshot
from analyzer.regression.verdict import PRECEDENCE, Verdict, worst
from tests.regression.made import layer, model

SNAPSHOTS = {
    (name, mode): snapshot(count(name, train=mode == "training", memory=mode == "inference"))
    for name in VARIANTS
    for mode in ("inference", "training")
}
PATHS = st.sampled_from(["a", "b", "a.b", "total", "", "<script>", "b\n", "::error::x"])


@st.composite
def drawn(draw: st.DrawFn) -> Snapshot:
    keys = draw(st.lists(st.tuples(PATHS, st.sampled_from(["conv2d", "relu"]), st.integers(1, 3)), unique=True))
    figures = st.dictionaries(st.sampled_from(LAYER_METRICS), st.integers(1, 10**12))
    layers = tuple(Layer(*key, draw(figures)) for key in keys)
    return Snapshot("training", ((1, 3),), "float32", layers, draw(st.none() | st.integers(0, 10**9)))


def with_figure(one: Snapshot, index: int, metric: str, value: int) -> Snapshot:
    changed = one.layers[index]
    figures = {**changed.figures, metric: value}
    return one.replace(layers=(*one.layers[:index], changed.replace(figures=figures), *one.layers[index + 1 :]))


def differing(verdicts: tuple[Verdict, ...]) -> set[tuple[str, int, str, str]]:
    return {(v.path, v.call, v.metric, v.outcome) for v in verdicts if v.differs}


# --- nothing is missed, nothing is made up ---------------------------------------------------------------------------
@settings(max_examples=400)
@given(st.sampled_from(sorted(SNAPSHOTS)), st.data())
def test_a_figure_of_a_layer_off_by_one_is_found_and_nothing_else(key, data):
    before = SNAPSHOTS[key]
    index = data.draw(st.integers(0, len(before.layers) - 1))
    metric = data.draw(st.sampled_from([m for m in LAYER_METRICS if key[1] == "training" or m != "backward_macs"]))
    value = before.layers[index].figures.get(metric, 0)
    step = data.draw(st.sampled_from([1, -1] if value else [1]))
    found = hold("net", key[1], before, with_figure(before, index, metric, value + step))
    said = "regressed" if step > 0 else "improved"
    place = before.layers[index]
    assert differing(found.verdicts) == {(place.path, place.call, metric, said), ("total", 0, metric, said)}
    assert found.outcome == said
    assert (found.added, found.removed, found.moved) == ((), (), ())


@settings(max_examples=200)
@given(drawn(), st.data())
def test_the_same_of_drawn_models_with_odd_names(before, data):
    if not before.layers:
        return
    index = data.draw(st.integers(0, len(before.layers) - 1))
    metric = data.draw(st.sampled_from(LAYER_METRICS))
    value = before.layers[index].figures.get(metric, 0)
    found = hold("net", "training", before, with_figure(before, index, metric, value + 1))
    assert len([v for v in found.verdicts if v.differs and v.call]) == 1
    assert found.outcome == "regressed"


@pytest.mark.parametrize("key", SNAPSHOTS, ids=" ".join)
def test_equal_counts_are_unchanged_there_and_back(key):
    """0 false alarms: against itself, and against what a file kept of it in another order."""
    name, mode = key
    before = baseline.load(baseline.dump({name: {mode: SNAPSHOTS[key]}}))[name][mode]
    found = hold(name, mode, before, SNAPSHOTS[key])
    assert {v.outcome for v in found.verdicts} == {"unchanged"}
    assert differing(found.verdicts) == set()
    assert not found.differs


@given(drawn(), drawn())
def test_what_differs_is_found_from_both_sides(one, other):
    there, back = hold("net", "training", one, other), hold("net", "training", other, one)
    turned = {
        "regressed": "improved",
        "improved": "regressed",
        "unchanged": "unchanged",
        "incomparable": "incomparable",
    }
    assert sorted((v.path, v.op, v.call, v.metric, v.outcome) for v in there.verdicts if not v.call) == sorted(
        (v.path, v.op, v.call, v.metric, turned[v.outcome]) for v in back.verdicts if not v.call
    )
    assert len(there.added) == len(back.removed)
    assert there.differs == back.differs == (differing(there.verdicts) != set() or bool(there.moved or there.added))


@pytest.mark.parametrize("change", ["inception_4a.reduce_5x5=17", "inception_3b.out_1x1=129", "conv1.out=65"])
def test_a_channel_more_grows_its_own_layer(change):
    key, _, number = change.partition("=")
    grown = snapshot(count("googlenet", overrides={key: int(number)}))
    before = snapshot(count("googlenet"))
    found = hold("googlenet", "inference", before, grown)
    module = change.split(".")[0]
    assert found.outcome == "regressed"
    assert any(v.path.startswith(module) and v.metric == "macs" and v.outcome == "regressed" for v in found.verdicts)
    assert "improved" not in {v.outcome for v in found.verdicts}


# --- layers ----------------------------------------------------------------------------------------------------------
def test_changes_that_cancel_are_a_regression_and_an_improvement():
    before = model(layer("a", macs=10), layer("b", macs=10))
    after = model(layer("a", macs=10 + 3), layer("b", macs=10 - 3))
    found = hold("net", "inference", before, after)
    assert differing(found.verdicts) == {("a", 1, "macs", "regressed"), ("b", 1, "macs", "improved")}
    assert found.outcome == "regressed"


def test_calls_of_one_module_cancel_no_more_than_layers_do():
    before = model(layer("a", macs=10), layer("a", call=2, macs=10))
    after = model(layer("a", macs=11), layer("a", call=2, macs=9))
    assert hold("net", "inference", before, after).outcome == "regressed"


def test_an_added_layer_is_growth_from_nothing_and_a_removed_one_an_improvement():
    one, two = model(layer("a", macs=10)), model(layer("a", macs=10), layer("b", macs=5, params=1))
    found = hold("net", "inference", one, two)
    assert found.added == (("b", "conv2d", 1),)
    (macs,) = [v for v in found.verdicts if v.path == "b" and v.metric == "macs"]
    assert (macs.before, macs.after, macs.ratio, macs.outcome) == (None, 5, None, "regressed")
    back = hold("net", "inference", two, one)
    assert back.removed == (("b", "conv2d", 1),)
    assert back.outcome == "improved"


def test_an_added_layer_that_costs_nothing_is_a_call_more():
    found = hold("net", "inference", model(layer("a")), model(layer("a"), layer("b", "cat")))
    assert [(v.metric, v.op, v.before, v.after, v.outcome) for v in found.verdicts if v.differs] == [
        ("calls", "", 1, 2, "regressed"),
        ("calls", "cat", 0, 1, "regressed"),
    ]


def test_kinds_of_operators_that_cancel_show():
    found = hold("net", "inference", model(layer("a", "relu")), model(layer("a", "gelu")))
    assert {(v.op, v.outcome) for v in found.verdicts if v.metric == "calls"} == {
        ("", "unchanged"),
        ("gelu", "regressed"),
        ("relu", "improved"),
    }


def test_another_name_alone_fails_nothing():
    found = hold("net", "inference", model(layer("old", macs=3)), model(layer("new", macs=3)))
    assert found.moved == ((("old", "conv2d", 1), ("new", "conv2d", 1)),)
    assert (found.outcome, found.added, found.removed) == ("unchanged", (), ())
    assert found.differs


def test_another_name_and_one_more_is_an_addition_and_a_removal():
    found = hold("net", "inference", model(layer("old", macs=3)), model(layer("new", macs=4)))
    assert (found.moved, found.outcome) == ((), "regressed")
    assert {(v.path, v.before, v.after) for v in found.verdicts if v.call} == {("old", 3, None), ("new", None, 4)}


def test_a_layer_called_total_is_not_the_total():
    found = hold("net", "inference", model(layer("total", macs=3)), model(layer("total", macs=4)))
    assert [(v.path, v.call) for v in found.verdicts if v.differs] == [("total", 0), ("total", 1)]


# --- totals without layers -------------------------------------------------------------------------------------------
def test_the_peak_is_compared_though_no_layer_has_one():
    before = model(layer("a", macs=3), peak=100)
    assert hold("net", "inference", before, before.replace(peak_memory=101)).outcome == "regressed"
    assert hold("net", "inference", before, before.replace(peak_memory=99)).outcome == "improved"


def test_a_peak_that_is_no_longer_known_is_incomparable():
    before = model(layer("a", macs=3), peak=100)
    found = hold("net", "inference", before, before.replace(peak_memory=None))
    assert [v.metric for v in found.verdicts if v.outcome == "incomparable"] == ["peak_memory"]
    assert hold("net", "inference", before.replace(peak_memory=None), before.replace(peak_memory=None)).outcome == (
        "unchanged"
    )


def test_unknown_operators_are_a_difference_without_tolerance():
    found = hold("net", "inference", model(odd=1), model(odd=2, other=1), tolerance=9.0)
    unknown = [(v.op, v.before, v.after, v.outcome) for v in found.verdicts if v.metric == "unknown_ops"]
    assert unknown == [("odd", 1, 2, "regressed"), ("other", 0, 1, "regressed")]
    assert hold("net", "inference", model(odd=1), model()).outcome == "improved"


def test_gradients_that_are_all_gone_are_an_improvement():
    before, after = (model(layer("a", **f), mode="training", peak=None) for f in ({"backward_macs": 5}, {}))
    assert hold("net", "training", before, after).outcome == "improved"


def test_other_settings_are_incomparable_and_named():
    before = model(layer("a", macs=3))
    other = hold("net", "inference", before, before.replace(input=((1, 3, 9, 9),)))
    assert other.reason == "its input is 1x3x9x9, and 1x3x8x8 in the baseline"
    assert {v.outcome for v in other.verdicts} == {"incomparable"}
    assert not other.missing
    half = hold("net", "inference", before, before.replace(dtype="float16"))
    assert half.reason == "it is float16, and float32 in the baseline"


# --- tolerance -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "after", "tolerance", "outcome"),
    [
        (30, 33, 0.1, "unchanged"),  # 10 % of 30 is 3, though 0.1 * 30 is 3.0000000000000004 to a computer.
        (30, 34, 0.1, "regressed"),
        (10**15, 10**15 + 1, 0.0, "regressed"),
        (10**18, 10**18 + 1, 0.0, "regressed"),  # A double does not tell these two apart.
        (100, 99, 0.5, "improved"),
        (0, 10, 0.1, "unchanged"),  # From nothing: a tenth of the whole, 100.
        (0, 11, 0.1, "regressed"),
        (0, 1, 0.0, "regressed"),
        (7, 7, 0.0, "unchanged"),
    ],
)
def test_growth_within_the_tolerance(before, after, tolerance, outcome):
    assert judged(before, after, slack=Fraction(repr(tolerance)), whole=100) == outcome


def test_growth_within_the_tolerance_is_still_shown():
    found = hold("net", "inference", model(layer("a", macs=100)), model(layer("a", macs=101)), tolerance=0.01)
    assert found.outcome == "unchanged"
    assert differing(found.verdicts) == {("a", 1, "macs", "unchanged"), ("total", 0, "macs", "unchanged")}


# --- budgets ---------------------------------------------------------------------------------------------------------
def test_a_budget_is_kept_up_to_itself():
    one = model(layer("a", macs=100))
    for limit, outcome in ((100, "unchanged"), (99, "regressed"), (99.5, "regressed"), (1.6e9, "unchanged")):
        found = hold("net", "inference", one, one, budgets={"macs": limit})
        (budget,) = [v for v in found.verdicts if v.budget is not None]
        assert (budget.before, budget.after, budget.budget, budget.outcome) == (None, 100, limit, outcome)


def test_a_budget_needs_no_baseline_and_knows_no_tolerance():
    found = hold("net", "inference", None, model(layer("a", macs=100)), tolerance=9.0, budgets={"macs": 99})
    assert found.outcome == "regressed"


def test_a_budget_of_the_backward_pass_is_one_of_training():
    one = model(layer("a", macs=1, backward_macs=2), mode="training", peak=None)
    budgets = {"macs": 0, "backward_macs": 1}
    assert [v.metric for v in hold("n", "training", one, one, budgets=budgets).verdicts if v.budget is not None] == [
        "backward_macs"
    ]


def test_a_budget_without_a_figure_is_incomparable():
    found = hold("net", "inference", None, model(peak=None), budgets={"peak_memory": 5})
    assert [v.outcome for v in found.verdicts if v.budget is not None] == ["incomparable"]


def test_the_worst_outcome_stands_for_all():
    assert worst([]) == "unchanged"
    assert worst(reversed(PRECEDENCE)) == "regressed"
    assert worst(["improved", "unchanged"]) == "improved"
