"""The comparison of counts misses nothing and raises no false alarm: every count of every layer, by one, both ways."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.counting.api import count
from analyzer.networks import VARIANTS
from analyzer.records.rows import TRAINING_KEYS
from analyzer.regression.counts import baseline_json
from analyzer.regression.counts.compare_with_baseline import classify, compare
from analyzer.regression.counts.snapshot import LAYER_METRICS, Layer, Snapshot, snapshot
from analyzer.regression.outcome import Change, worst
from tests.regression.snapshots import layer, model

SNAPSHOTS = {
    (name, mode): snapshot(count(name, train=mode == "training", memory=mode == "inference"))
    for name in VARIANTS
    for mode in ("inference", "training")
}
PATHS = st.sampled_from(["a", "b", "a.b", "total", "", "<script>", "b\n", "::error::x"])


@st.composite
def snapshots(draw: st.DrawFn) -> Snapshot:
    keys = draw(st.lists(st.tuples(PATHS, st.sampled_from(["conv2d", "relu"]), st.integers(1, 3)), unique=True))
    counts = st.dictionaries(st.sampled_from(LAYER_METRICS), st.integers(1, 10**12))
    layers = tuple(Layer(*key, draw(counts)) for key in keys)
    return Snapshot("training", ((1, 3),), "float32", layers, draw(st.none() | st.integers(0, 10**9)))


def with_count(before: Snapshot, index: int, metric: str, value: int) -> Snapshot:
    changed = before.layers[index]
    changed = changed.replace(counts={**changed.counts, metric: value})
    return before.replace(layers=(*before.layers[:index], changed, *before.layers[index + 1 :]))


def differing(changes: tuple[Change, ...]) -> set[tuple[str, int, str, str]]:
    return {(change.path, change.call, change.metric, change.outcome) for change in changes if change.differs}


# --- no misses, no false alarms --------------------------------------------------------------------------------------
@settings(max_examples=400)
@given(st.sampled_from(sorted(SNAPSHOTS)), st.data())
def test_a_count_off_by_one_is_reported_for_its_layer_alone(key, data):
    before = SNAPSHOTS[key]
    index = data.draw(st.integers(0, len(before.layers) - 1))
    metric = data.draw(st.sampled_from([m for m in LAYER_METRICS if key[1] == "training" or m not in TRAINING_KEYS]))
    place = before.layers[index]
    value = place.counts.get(metric, 0)
    step = data.draw(st.sampled_from([1, -1] if value else [1]))
    check = compare("net", key[1], before, with_count(before, index, metric, value + step))
    outcome = "regressed" if step > 0 else "improved"
    assert differing(check.changes) == {(place.path, place.call, metric, outcome), ("total", 0, metric, outcome)}
    assert check.outcome == outcome
    assert (check.added, check.removed, check.moved) == ((), (), ())


@pytest.mark.parametrize("key", SNAPSHOTS, ids=" ".join)
def test_equal_counts_are_unchanged_also_through_a_file(key):
    name, mode = key
    stored = baseline_json.load(baseline_json.dump({name: {mode: SNAPSHOTS[key]}}))[name][mode]
    check = compare(name, mode, stored, SNAPSHOTS[key])
    assert {change.outcome for change in check.changes} == {"unchanged"}
    assert not check.differs


@given(snapshots(), snapshots())
def test_the_reverse_comparison_reports_the_opposite(first, second):
    there, back = compare("net", "training", first, second), compare("net", "training", second, first)
    opposite = {"regressed": "improved", "improved": "regressed"}
    assert sorted((c.path, c.op, c.call, c.metric, c.outcome) for c in there.changes if not c.call) == sorted(
        (c.path, c.op, c.call, c.metric, opposite.get(c.outcome, c.outcome)) for c in back.changes if not c.call
    )
    assert len(there.added) == len(back.removed)
    assert there.differs == back.differs == (differing(there.changes) != set() or bool(there.moved or there.added))


# --- layers ----------------------------------------------------------------------------------------------------------
def test_changes_that_cancel_are_a_regression_and_an_improvement():
    before = model(layer("a", macs=10), layer("b", macs=10))
    check = compare("net", "inference", before, model(layer("a", macs=10 + 3), layer("b", macs=10 - 3)))
    assert differing(check.changes) == {("a", 1, "macs", "regressed"), ("b", 1, "macs", "improved")}
    assert check.outcome == "regressed"


def test_calls_of_one_module_do_not_cancel():
    before = model(layer("a", macs=10), layer("a", call=2, macs=10))
    after = model(layer("a", macs=11), layer("a", call=2, macs=9))
    assert compare("net", "inference", before, after).outcome == "regressed"


def test_an_added_layer_is_growth_and_a_removed_layer_an_improvement():
    small, large = model(layer("a", macs=10)), model(layer("a", macs=10), layer("b", macs=5, params=1))
    check = compare("net", "inference", small, large)
    assert check.added == (("b", "conv2d", 1),)
    (macs,) = [change for change in check.changes if change.path == "b" and change.metric == "macs"]
    assert (macs.before, macs.after, macs.ratio, macs.outcome) == (None, 5, None, "regressed")
    back = compare("net", "inference", large, small)
    assert (back.removed, back.outcome) == ((("b", "conv2d", 1),), "improved")


def test_an_added_layer_without_counts_is_an_additional_call():
    check = compare("net", "inference", model(layer("a")), model(layer("a"), layer("b", "cat")))
    assert [(c.metric, c.op, c.before, c.after, c.outcome) for c in check.changes if c.differs] == [
        ("calls", "", 1, 2, "regressed"),
        ("calls", "cat", 0, 1, "regressed"),
    ]


def test_another_kind_of_operator_shows_although_the_number_of_calls_is_equal():
    check = compare("net", "inference", model(layer("a", "relu")), model(layer("a", "gelu")))
    outcomes = {(change.op, change.outcome) for change in check.changes if change.metric == "calls"}
    assert outcomes == {("", "unchanged"), ("gelu", "regressed"), ("relu", "improved")}


# Paths of conv2d layers with their MACs before and after → pairs of moved paths, removed and added paths.
RENAMED = {
    "renamed": ({"old": 3}, {"new": 3}, [("old", "new")], [], []),
    "equal layers are matched in order": (
        {"a.0": 3, "a.1": 3}, {"b.0": 3, "b.1": 3}, [("a.0", "b.0"), ("a.1", "b.1")], [], [],
    ),
    "of equal layers the last is the removed one": ({"a.0": 3, "a.1": 3}, {"b": 3}, [("a.0", "b")], ["a.1"], []),
    "with other counts it is another layer": ({"old": 3}, {"new": 4}, [], ["old"], ["new"]),
}  # fmt: skip


@pytest.mark.parametrize("case", RENAMED)
def test_a_renamed_layer_is_moved(case):
    before, after, moved, removed, added = RENAMED[case]
    sides = (model(*(layer(path, macs=macs) for path, macs in side.items())) for side in (before, after))
    check = compare("net", "inference", *sides)
    assert [(old[0], new[0]) for old, new in check.moved] == moved
    assert [path for path, _, _ in check.removed] == removed
    assert [path for path, _, _ in check.added] == added
    assert (check.outcome == "unchanged") == (not removed)


def test_a_layer_named_total_is_not_the_total():
    check = compare("net", "inference", model(layer("total", macs=3)), model(layer("total", macs=4)))
    assert [(change.path, change.call) for change in check.changes if change.differs] == [("total", 0), ("total", 1)]


@pytest.mark.parametrize(
    ("before", "after", "outcome"), [(100, 101, "regressed"), (100, 99, "improved"), (100, None, "incomparable")]
)
def test_peak_memory_is_compared_as_a_total(before, after, outcome):
    check = compare("net", "inference", model(peak=before), model(peak=after))
    assert [change.outcome for change in check.changes if change.metric == "peak_memory"] == [outcome]


def test_unknown_operators_have_no_tolerance():
    check = compare("net", "inference", model(odd=1), model(odd=2, other=1), tolerance=lambda metric: 9.0)
    unknown = [(c.op, c.before, c.after, c.outcome) for c in check.changes if c.metric == "unknown_ops"]
    assert unknown == [("odd", 1, 2, "regressed"), ("other", 0, 1, "regressed")]
    assert compare("net", "inference", model(odd=1), model()).outcome == "improved"


def test_a_training_pass_that_lost_its_gradients_improved():
    before, after = (model(layer("a", **c), mode="training", peak=None) for c in ({"backward_macs": 5}, {}))
    assert compare("net", "training", before, after).outcome == "improved"


@pytest.mark.parametrize(
    ("changed", "reason"),
    [({"input": ((1, 3, 9, 9),)}, "its input is 1x3x9x9, but 1x3x8x8"), ({"dtype": "float16"}, "float16, but float32")],
)
def test_another_input_or_type_is_incomparable(changed, reason):
    before = model(layer("a", macs=3))
    check = compare("net", "inference", before, before.replace(**changed))
    assert reason in check.reason
    assert {change.outcome for change in check.changes} == {"incomparable"}
    assert not check.missing


# --- tolerance -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("before", "after", "tolerance", "outcome"),
    [
        (30, 33, 0.1, "unchanged"),  # 10 % of 30 is 3, although 0.1 * 30 is 3.0000000000000004 in floating point.
        (30, 34, 0.1, "regressed"),
        (10**18, 10**18 + 1, 0.0, "regressed"),  # Equal as floating-point numbers.
        (100, 99, 0.5, "improved"),
        (0, 10, 0.1, "unchanged"),  # From 0: 10 % of the model's total, 100.
        (0, 11, 0.1, "regressed"),
        (0, 1, 0.0, "regressed"),
        (7, 7, 0.0, "unchanged"),
    ],
)
def test_growth_within_the_tolerance(before, after, tolerance, outcome):
    assert classify(before, after, tolerance=Fraction(repr(tolerance)), model_total=100) == outcome


def test_growth_within_the_tolerance_is_still_reported():
    check = compare(
        "net", "inference", model(layer("a", macs=100)), model(layer("a", macs=101)), tolerance=lambda metric: 0.01
    )
    assert check.outcome == "unchanged"
    assert differing(check.changes) == {("a", 1, "macs", "unchanged"), ("total", 0, "macs", "unchanged")}


# --- budgets ---------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    ("limit", "outcome"), [(100, "unchanged"), (99, "regressed"), (99.5, "regressed"), (1.6e9, "unchanged")]
)
def test_a_budget_is_kept_up_to_its_limit(limit, outcome):
    current = model(layer("a", macs=100))
    check = compare("net", "inference", current, current, budgets={"macs": limit})
    (budget,) = [change for change in check.changes if change.budget is not None]
    assert (budget.before, budget.after, budget.budget, budget.outcome) == (None, 100, limit, outcome)


def test_a_budget_needs_no_baseline_and_has_no_tolerance():
    check = compare(
        "net", "inference", None, model(layer("a", macs=100)), tolerance=lambda metric: 9.0, budgets={"macs": 99}
    )
    assert check.outcome == "regressed"


def test_a_budget_of_the_backward_pass_applies_to_training():
    current = model(layer("a", macs=1, backward_macs=2), mode="training", peak=None)
    check = compare("n", "training", current, current, budgets={"macs": 0, "backward_macs": 1})
    assert [change.metric for change in check.changes if change.budget is not None] == ["backward_macs"]


def test_a_budget_without_a_value_is_incomparable():
    check = compare("net", "inference", None, model(peak=None), budgets={"peak_memory": 5})
    assert [change.outcome for change in check.changes if change.budget is not None] == ["incomparable"]


def test_the_worst_outcome_stands_for_all():
    assert worst([]) == "unchanged"
    for first, second in pairwise(["regressed", "incomparable", "inconclusive", "improved", "unchanged"]):
        assert worst([second, first]) == first
