"""Three counters agree on every variant in both modes, and whatever one of them has wrong is seen."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count
from analyzer.counting.closed_form import formulas as closed_form
from analyzer.counting.crosscheck.agreement import EVERYTHING, agree
from analyzer.counting.crosscheck.fvcore import Trace
from analyzer.counting.execution.built import dispatched
from analyzer.networks import VARIANTS, find
from analyzer.networks.spec import (
    LRN,
    AdaptiveAvgPool,
    Auxiliary,
    BatchNorm,
    Branches,
    Conv,
    Dropout,
    Flatten,
    Linear,
    Network,
    Node,
    ReLU,
    Sequence,
)
from analyzer.networks.walk import walk
from analyzer.records.agreement import Agreement, Difference
from analyzer.records.record import ROW_KEYS, Count

MODES = pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
EVERY = pytest.mark.parametrize("name", VARIANTS)


@EVERY
@MODES
def test_three_counters_agree_on_every_variant(name, train):
    """All three on real tensors, at 64x64 so that the naive modules and VGG-16 take no time either."""
    record = count(name, input=(3, 64, 64), train=train, verify=True)
    assert record.agreement is not None
    assert record.agreement.counters == ("closed_form", "dispatch", "fvcore")
    assert record.agreement.differences == ()
    assert len(record.agreement.figures) == len(record.rows)
    assert all(figure.agrees for figure in record.agreement.figures)
    assert all(len(set(figure.macs.values())) == 1 for figure in record.agreement.figures)
    assert sum(figure.macs["fvcore"] for figure in record.agreement.figures) == record.totals.macs
    assert sum(figure.activations["fvcore"] for figure in record.agreement.figures) == record.totals.activations


@pytest.mark.parametrize("name", ["googlenet", "alexnet"])
@MODES
def test_three_counters_agree_at_the_networks_own_size(name, train):
    record = count(name, train=train, verify=True)
    assert record.input == ((1, *find(name).input),)
    assert record.agreement is not None
    assert record.agreement.differences == ()


@EVERY
@MODES
def test_closed_form_and_dispatch_agree_at_the_networks_own_size(name, train):
    """On meta, where nothing is computed: rows in the same order, equal in every field."""
    closed, ran = (count(name, train=train, batch=2, counter=counter) for counter in ("closed_form", "dispatch"))
    assert (closed.count.counter, ran.count.counter) == ("closed_form", "dispatch")
    assert ran.rows == closed.rows
    assert ran.unknown_ops == {}


@EVERY
@pytest.mark.parametrize("size", [(225, 225), (320, 320), (299, 331), (75, 130)])
def test_odd_sizes_agree(name, size):
    """Where ceil mode leaves windows partly outside, and the fully connected layers are built for what arrives."""
    for train in (False, True):
        closed, ran = (
            count(name, input=(3, *size), train=train, counter=counter) for counter in ("closed_form", "dispatch")
        )
        assert ran.rows == closed.rows


@EVERY
@MODES
def test_meta_and_real_tensors_give_the_same_rows(name, train):
    network = find(name)
    steps = walk(network, (3, 67, 93), batch=2, mode="training" if train else "inference")
    meta, real = (dispatched(network, steps, train=train, device=device) for device in ("meta", "cpu"))
    assert meta == real
    assert len(meta.rows) == len(steps)


def test_what_fvcore_lacks_is_named():
    lacks = count("googlenet-torchvision", input=(3, 64, 64), verify=True).agreement.lacks
    assert list(lacks) == ["fvcore"]
    assert "no formula for these operators (calls)" in lacks["fvcore"]
    assert "max_pool2d 13" in lacks["fvcore"]
    assert "batch_norm" in lacks["fvcore"]


# --- corners of the tables' words ------------------------------------------------------------------------------------
def exit_(width: int = 2) -> Auxiliary:
    return Auxiliary({"flatten": Flatten(), "fc": Linear(width)})


HEAD = {"flatten": Flatten(), "linear": Linear(2)}
CORNERS: dict[str, dict[str, Node]] = {
    "one exit": {"conv": Conv(4, 3), "aux1": exit_(), **HEAD},
    "three exits": {"conv": Conv(4, 3), "aux1": exit_(), "aux2": exit_(), "aux3": exit_(), **HEAD},
    "an exit within a part": {"part": Sequence({"conv": Conv(4, 3), "aux1": exit_(), "relu": ReLU()}), **HEAD},
    "an exit as a branch": {"fork": Branches({"conv": Conv(4, 3), "aux1": Auxiliary({"c": Conv(2, 3)})}), **HEAD},
    "an exit within an exit": {"conv": Conv(4, 3), "aux1": Auxiliary({"aux2": exit_(), **HEAD}), **HEAD},
    "nothing": {},
    "an empty part": {"part": Sequence({}), **HEAD},
    "an empty branch": {"fork": Branches({"same": Sequence({}), "conv": Conv(2, 1)}), **HEAD},
    "a dropout of nothing": {"drop": Dropout(0.0), **HEAD},
    "a dropout of everything": {"drop": Dropout(1.0), **HEAD},
    "a norm of features": {**HEAD, "norm": BatchNorm()},
    "a response norm of features": {**HEAD, "norm": LRN()},
    "flat twice": {"once": Flatten(), **HEAD},
    "a single branch": {"fork": Branches({"relu": ReLU()}), **HEAD},
    "an average over no more than there is": {"pool": AdaptiveAvgPool(9), **HEAD},
}


@pytest.mark.parametrize("case", CORNERS)
@MODES
def test_corners_are_counted_as_they_run_or_refused(case, train):
    """Either both counters say the same of it, or it is refused in a line; no other error, no difference."""
    network = Network("corner", case, "this test", CORNERS[case], (3, 8, 8))
    mode = "training" if train else "inference"
    try:
        steps = walk(network, batch=2, mode=mode)
        ran = dispatched(network, steps, train=train, device="cpu")
    except AnalyzerError:
        return  # Refused: what it says is for the tests of the walk.
    assert ran.rows == closed_form.count(steps, mode).rows


# --- agreement can fail ----------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def counts() -> tuple[Count, Count, Trace]:
    """What the three counters say of a small AlexNet in training, backward pass and all: all equal."""
    from analyzer.counting.crosscheck.fvcore import trace
    from analyzer.counting.execution import built as verification

    network = find("alexnet")
    steps = walk(network, (3, 67, 67), mode="training")
    model, source = verification._ready(network, steps, train=True, device="cpu")
    return closed_form.count(steps, "training"), dispatched(network, steps, train=True), trace(model, [source])


def changed(count_: Count, path: str, **changes: object) -> Count:
    rows = tuple(row.replace(**changes) if row.path == path else row for row in count_.rows)
    assert rows != count_.rows
    return count_.replace(rows=rows)


def disagreeing(agreement: Agreement) -> Iterator[str]:
    return (figure.path for figure in agreement.figures if not figure.agrees)


def test_equal_counts_have_no_differences(counts):
    assert agree(*counts).differences == ()
    assert counts[0].totals.backward_macs == counts[1].totals.backward_macs > counts[0].totals.macs


def test_every_field_of_a_row_is_compared():
    """What is not compared identifies the row; `role` is a name that the table gives and dispatch is told."""
    assert {*EVERYTHING, "path", "op", "call", "role"} == set(ROW_KEYS)


NUMBERS = [key for key in EVERYTHING if key not in ("inputs", "outputs")]


@pytest.mark.parametrize("metric", NUMBERS)
@pytest.mark.parametrize("side", ["closed_form", "dispatch"])
def test_one_unit_in_one_figure_is_a_difference(counts, metric, side):
    closed, ran, third = counts
    right = getattr(next(row for row in closed.rows if row.path == "conv3"), metric)
    if side == "closed_form":
        closed = changed(closed, "conv3", **{metric: right + 1})
        values = {"closed_form": right + 1, "dispatch": right}
    else:
        ran = changed(ran, "conv3", **{metric: right + 1})
        values = {"closed_form": right, "dispatch": right + 1}
    agreement = agree(closed, ran, third)
    found = [difference for difference in agreement.differences if "dispatch" in difference.values]
    assert found == [Difference("conv3", metric, values)]
    # fvcore has its own say where it can: the closed form is held against it too.
    against = [difference for difference in agreement.differences if "fvcore" in difference.values]
    seen = side == "closed_form" and metric in ("macs", "activations")
    wrong = Difference("conv3", metric, {"closed_form": right + 1, "fvcore": right})
    assert against == ([wrong] if seen else [])
    assert list(disagreeing(agreement)) == ["conv3"]


@pytest.mark.parametrize("side", ["closed_form", "dispatch"])
def test_a_backward_pass_that_only_one_has_counted_is_a_difference(counts, side):
    closed, ran, third = counts
    right = next(row for row in closed.rows if row.path == "conv3").backward_macs
    values = {"closed_form": right, "dispatch": right, side: None}
    if side == "closed_form":
        closed = changed(closed, "conv3", backward_macs=None)
    else:
        ran = changed(ran, "conv3", backward_macs=None)
    agreement = agree(closed, ran, third)
    assert agreement.differences == (Difference("conv3", "backward_macs", values),)
    assert list(disagreeing(agreement)) == ["conv3"]


@pytest.mark.parametrize("metric", ["inputs", "outputs"])
def test_a_wrong_shape_is_a_difference(counts, metric):
    closed, ran, third = counts
    right = getattr(next(row for row in closed.rows if row.path == "pool1"), metric)
    wrong = ((*right[0][:3], right[0][3] + 1),)
    agreement = agree(closed, changed(ran, "pool1", **{metric: wrong}), third)
    assert agreement.differences == (Difference("pool1", metric, {"closed_form": right, "dispatch": wrong}),)


@pytest.mark.parametrize("path", ["fc7", "relu3", "norm1"])
def test_a_missing_row_is_a_difference(counts, path):
    closed, ran, third = counts
    op = next(row.op for row in closed.rows if row.path == path)
    without = ran.replace(rows=tuple(row for row in ran.rows if row.path != path))
    agreement = agree(closed, without, third)
    assert agreement.differences == (Difference(path, "op", {"closed_form": op, "dispatch": None}),)
    assert list(disagreeing(agreement)) == [path]


def test_a_row_too_many_is_a_difference(counts):
    closed, ran, third = counts
    second = next(row for row in ran.rows if row.path == "fc7").replace(call=2)
    agreement = agree(closed, ran.replace(rows=(*ran.rows, second)), third)
    assert agreement.differences == (Difference("fc7", "op", {"closed_form": None, "dispatch": "linear"}),)


def test_another_operator_under_the_same_path_is_a_difference(counts):
    closed, ran, third = counts
    agreement = agree(closed, changed(ran, "relu1", op="sigmoid"), third)
    assert agreement.differences == (
        Difference("relu1", "op", {"closed_form": "relu", "dispatch": None}),
        Difference("relu1", "op", {"closed_form": None, "dispatch": "sigmoid"}),
    )


@pytest.mark.parametrize("metric", ["macs", "activations"])
def test_one_unit_in_fvcores_figure_is_a_difference(counts, metric):
    closed, ran, third = counts
    right = getattr(third, metric)["conv2"]
    agreement = agree(closed, ran, third.replace(**{metric: {**getattr(third, metric), "conv2": right + 1}}))
    assert agreement.differences == (Difference("conv2", metric, {"closed_form": right, "fvcore": right + 1}),)
    assert list(disagreeing(agreement)) == ["conv2"]


def test_what_only_fvcore_counts_is_a_difference(counts):
    closed, ran, third = counts
    agreement = agree(closed, ran, third.replace(macs={**third.macs, "elsewhere": 5}))
    assert agreement.differences == (Difference("elsewhere", "macs", {"closed_form": 0, "fvcore": 5}),)


def test_what_fvcore_misses_is_a_difference(counts):
    closed, ran, third = counts
    right = third.macs["fc6"]
    without = {path: n for path, n in third.macs.items() if path != "fc6"}
    agreement = agree(closed, ran, third.replace(macs=without))
    assert agreement.differences == (Difference("fc6", "macs", {"closed_form": right, "fvcore": 0}),)
