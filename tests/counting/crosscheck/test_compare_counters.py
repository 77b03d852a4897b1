"""Three counters agree on every variant in both modes, and a wrong figure in any of them is a difference."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count
from analyzer.counting.closed_form.formulas import count_steps
from analyzer.counting.crosscheck.compare_counters import METRICS, compare_counts
from analyzer.counting.crosscheck.fvcore import FvcoreCount, count_with_fvcore
from analyzer.counting.execution.built_in_network import BuiltNetwork
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
    Sequential,
)
from analyzer.networks.walk import walk
from analyzer.records.crosscheck_result import Agreement, Difference
from analyzer.records.rows import Count

MODES = pytest.mark.parametrize("train", [False, True], ids=["inference", "training"])
VARIANT = pytest.mark.parametrize("name", VARIANTS)


@pytest.mark.parametrize(
    "name", [name if name in ("googlenet", "nin") else pytest.param(name, marks=pytest.mark.slow) for name in VARIANTS]
)
@MODES
def test_three_counters_agree_on_every_variant(name, train):
    """All three on real tensors, at 64x64 for speed."""
    record = count(name, input=(3, 64, 64), train=train, verify=True)
    agreement = record.agreement
    assert agreement is not None
    assert agreement.counters == ("closed_form", "dispatch", "fvcore")
    assert agreement.differences == ()
    assert len(agreement.rows) == len(record.rows)
    assert all(row.agrees and len(set(row.macs.values())) == 1 for row in agreement.rows)
    assert sum(row.macs["fvcore"] for row in agreement.rows) == record.totals.macs
    assert sum(row.activations["fvcore"] for row in agreement.rows) == record.totals.activations


@pytest.mark.slow
@pytest.mark.parametrize("name", ["googlenet", "alexnet"])
@MODES
def test_three_counters_agree_at_the_networks_default_size(name, train):
    record = count(name, train=train, verify=True)
    assert record.input == ((1, *find(name).input),)
    assert record.agreement is not None
    assert record.agreement.differences == ()


@VARIANT
@MODES
@pytest.mark.parametrize(
    "size", [(75, 130), *(pytest.param(size, marks=pytest.mark.slow) for size in (None, (225, 225), (299, 331)))]
)
def test_closed_form_and_dispatch_agree_on_meta(name, train, size):
    """Rows in the same order, equal in every field. At odd sizes ceil mode leaves windows partly outside, and fully
    connected layers are built for the size."""
    closed, dispatch = (
        count(name, input=size and (3, *size), train=train, batch=2, counter=counter)
        for counter in ("closed_form", "dispatch")
    )
    assert (closed.count.counter, dispatch.count.counter) == ("closed_form", "dispatch")
    assert dispatch.rows == closed.rows
    assert dispatch.unknown_ops == {}


def test_one_network_is_built_for_all_questions(monkeypatch):
    from analyzer.counting.execution import built_in_network

    calls = []
    construct = built_in_network.construct
    monkeypatch.setattr(
        built_in_network, "construct", lambda *args, **named: calls.append(1) or construct(*args, **named)
    )
    record = count("nin", input=(3, 64, 64), train=True, verify=True, counter="dispatch", memory=True)
    assert calls == [1]
    alone = count("nin", input=(3, 64, 64), train=True, memory=True)
    assert (record.rows, record.memory) == (alone.rows, alone.memory)


def test_operators_that_fvcore_does_not_count_are_named():
    lacks = count("googlenet-torchvision", input=(3, 64, 64), verify=True).agreement.lacks
    assert list(lacks) == ["fvcore"]
    assert "max_pool2d 13" in lacks["fvcore"]
    assert "batch_norm" in lacks["fvcore"]


# --- unusual specs ---------------------------------------------------------------------------------------------------
def auxiliary(width: int = 2) -> Auxiliary:
    return Auxiliary({"flatten": Flatten(), "fc": Linear(width)})


HEAD = {"flatten": Flatten(), "linear": Linear(2)}
CORNERS: dict[str, dict[str, Node]] = {
    "one auxiliary": {"conv": Conv(4, 3), "aux1": auxiliary(), **HEAD},
    "three auxiliaries": {"conv": Conv(4, 3), "aux1": auxiliary(), "aux2": auxiliary(), "aux3": auxiliary(), **HEAD},
    "an auxiliary within a part": {
        "part": Sequential({"conv": Conv(4, 3), "aux1": auxiliary(), "relu": ReLU()}),
        **HEAD,
    },
    "an auxiliary as a branch": {"fork": Branches({"conv": Conv(4, 3), "aux1": Auxiliary({"c": Conv(2, 3)})}), **HEAD},
    "an auxiliary within an auxiliary": {"conv": Conv(4, 3), "aux1": Auxiliary({"aux2": auxiliary(), **HEAD}), **HEAD},
    "nothing": {},
    "an empty part": {"part": Sequential({}), **HEAD},
    "an empty branch": {"fork": Branches({"same": Sequential({}), "conv": Conv(2, 1)}), **HEAD},
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
def test_unusual_specs_are_counted_as_they_run_or_refused(case, train):
    """Both counters agree, or the spec is refused with an AnalyzerError: no other error, no difference."""
    network = Network("corner", case, "this test", CORNERS[case], (3, 8, 8))
    mode = "training" if train else "inference"
    try:
        steps = walk(network, batch=2, mode=mode)
        dispatch = BuiltNetwork(network, steps, train=train).count("cpu")
    except AnalyzerError:
        return  # Tests of the walk check the message.
    assert dispatch.rows == count_steps(steps, mode).rows


# --- a wrong figure is a difference ----------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def counts() -> tuple[Count, Count, FvcoreCount]:
    """The three counts of a small AlexNet in training with its backward pass: all equal."""
    steps = walk(find("alexnet"), (3, 67, 67), mode="training")
    built = BuiltNetwork(find("alexnet"), steps, train=True)
    model, source = built.on("cpu")
    fvcore = count_with_fvcore(model, [source])
    return count_steps(steps, "training"), built.count(), fvcore


def changed(count_: Count, path: str, **changes: object) -> Count:
    rows = tuple(row.replace(**changes) if row.path == path else row for row in count_.rows)
    assert rows != count_.rows
    return count_.replace(rows=rows)


def value_of(count_: Count, path: str, metric: str) -> object:
    return next(getattr(row, metric) for row in count_.rows if row.path == path)


def disagreeing(agreement: Agreement) -> list[str]:
    return [row.path for row in agreement.rows if not row.agrees]


def test_equal_counts_have_no_differences(counts):
    assert compare_counts(*counts).differences == ()
    assert counts[0].totals.backward_macs == counts[1].totals.backward_macs > counts[0].totals.macs


PER_AXIS = ("kernel", "stride", "padding", "sources")
WRONG = {
    metric: lambda value: (value or 0) + 1 for metric in METRICS if metric not in ("inputs", "outputs", *PER_AXIS)
} | {
    **{metric: lambda value: (*(value or ()), 1) for metric in PER_AXIS},
    "inputs": lambda shapes: ((*shapes[0][:3], shapes[0][3] + 1),),
    "outputs": lambda shapes: ((*shapes[0][:3], shapes[0][3] + 1),),
    "backward_macs, missing": lambda value: None,
}


@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("counter", ["closed_form", "dispatch"])
def test_a_wrong_figure_in_one_counter_is_a_difference(counts, case, counter):
    closed, dispatch, fvcore = counts
    metric = case.partition(",")[0]
    right = value_of(closed, "conv3", metric)
    wrong = WRONG[case](right)
    if counter == "closed_form":
        closed = changed(closed, "conv3", **{metric: wrong})
    else:
        dispatch = changed(dispatch, "conv3", **{metric: wrong})
    expected = [Difference("conv3", metric, {"closed_form": right, "dispatch": right, counter: wrong})]
    if counter == "closed_form" and metric in ("macs", "activations"):  # The closed form is also compared with fvcore.
        expected.append(Difference("conv3", metric, {"closed_form": wrong, "fvcore": right}))
    agreement = compare_counts(closed, dispatch, fvcore)
    assert list(agreement.differences) == expected
    assert disagreeing(agreement) == ["conv3"]


@pytest.mark.parametrize("path", ["fc7", "relu3", "norm1"])
def test_a_missing_row_is_a_difference(counts, path):
    closed, dispatch, fvcore = counts
    without = dispatch.replace(rows=tuple(row for row in dispatch.rows if row.path != path))
    agreement = compare_counts(closed, without, fvcore)
    values = {"closed_form": value_of(closed, path, "op"), "dispatch": None}
    assert agreement.differences == (Difference(path, "op", values),)
    assert disagreeing(agreement) == [path]


def test_an_extra_row_is_a_difference(counts):
    closed, dispatch, fvcore = counts
    second = next(row for row in dispatch.rows if row.path == "fc7").replace(call=2)
    agreement = compare_counts(closed, dispatch.replace(rows=(*dispatch.rows, second)), fvcore)
    assert agreement.differences == (Difference("fc7", "op", {"closed_form": None, "dispatch": "linear"}),)


def test_another_operator_at_the_same_path_is_a_difference(counts):
    closed, dispatch, fvcore = counts
    agreement = compare_counts(closed, changed(dispatch, "relu1", op="sigmoid"), fvcore)
    assert agreement.differences == (
        Difference("relu1", "op", {"closed_form": "relu", "dispatch": None}),
        Difference("relu1", "op", {"closed_form": None, "dispatch": "sigmoid"}),
    )


@pytest.mark.parametrize(
    ("path", "figure"), [("conv2", lambda n: n + 1), ("fc6", lambda n: None), ("elsewhere", lambda n: 5)]
)
@pytest.mark.parametrize("metric", ["macs", "activations"])
def test_a_wrong_missing_or_extra_figure_of_fvcore_is_a_difference(counts, metric, path, figure):
    closed, dispatch, fvcore = counts
    right = dict(getattr(fvcore, metric))
    wrong = {**right, path: figure(right.get(path))}
    figures = {key: n for key, n in wrong.items() if n is not None}
    agreement = compare_counts(closed, dispatch, fvcore.replace(**{metric: figures}))
    values = {"closed_form": right.get(path, 0), "fvcore": figures.get(path, 0)}
    assert agreement.differences == (Difference(path, metric, values),)
    assert disagreeing(agreement) == ([path] if path in right else [])
