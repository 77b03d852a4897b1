"""Comparisons: modules aligned by role, every metric against the first record, None for a missing module."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count
from analyzer.counting.compare_models import compare
from analyzer.records.comparison import TOTAL, ComparedMetric, compare_records
from analyzer.records.record import restrict
from analyzer.records.rows import STEP_KEYS, SUMMED_KEYS, prefixes, total, under


# --- one metric ------------------------------------------------------------------------------------------------------
def test_difference_and_ratio_are_to_the_first():
    line = ComparedMetric("a", "macs", {"first": 200, "other": 50})
    assert line.pair == (200, 50)
    assert line.difference == -150
    assert line.ratio == 0.25


@pytest.mark.parametrize(
    ("first", "other", "difference", "ratio"),
    [
        (None, 5, None, None),
        (5, None, None, None),
        (None, None, None, None),
        (0, 5, 5, None),
        (0, 0, 0, None),
        (5, 0, -5, 0.0),
        (None, 0, None, None),
        (0, None, None, None),
    ],
)
def test_without_both_values_there_is_no_difference(first, other, difference, ratio):
    line = ComparedMetric("a", "macs", {"first": first, "other": other})
    assert line.difference == difference
    assert line.ratio == ratio


# --- alignment -------------------------------------------------------------------------------------------------------
def lines(*names: str, **settings: object) -> dict[tuple[str, str, str], ComparedMetric]:
    return {(line.path, line.metric, list(line.values)[-1]): line for line in compare(*names, **settings).metrics}


def test_totals():
    totals = compare("googlenet", "alexnet").totals
    assert set(totals) == set(SUMMED_KEYS)
    training = {*SUMMED_KEYS, "backward_macs", *STEP_KEYS}
    assert set(compare("googlenet", "alexnet", train=True).totals) == training
    assert totals["params"].pair == (6_998_552, 60_965_224)
    assert totals["macs"].difference == 724_406_816 - 1_582_671_872
    assert totals["params"].ratio == 60_965_224 / 6_998_552


def test_every_module_and_metric_is_compared():
    comparison = compare("googlenet", "googlenet-naive")
    assert len(comparison.metrics) == len(comparison.modules) * len(SUMMED_KEYS)
    assert next(iter(comparison.modules)) == TOTAL


def test_backward_macs_are_compared_if_one_record_has_them():
    comparison = compare("googlenet", "nin", train=True)
    assert len(comparison.metrics) == len(comparison.modules) * len((*SUMMED_KEYS, "backward_macs", *STEP_KEYS))
    totals = comparison.totals["backward_macs"]
    assert totals.pair == tuple(record.totals.backward_macs for record in comparison.records)
    assert totals.ratio == count("nin", train=True).totals.backward_macs / totals.pair[0]
    mixed = compare_records([count("googlenet", train=True), count("nin")])
    assert mixed.totals["backward_macs"].pair == (totals.pair[0], None)
    assert mixed.totals["backward_macs"].difference is mixed.totals["backward_macs"].ratio is None


def test_modules_are_aligned_by_role():
    metrics = lines("googlenet", "googlenet-torchvision")
    paper, torchvision = count("googlenet"), count("googlenet-torchvision")
    for role, path in (
        ("conv2", "conv3"),
        ("conv2_reduce", "conv2"),
        ("inception_4a.branch_5x5", "inception4a.branch3"),
        ("linear", "fc"),
    ):
        module = total([row for row in torchvision.rows if row.path == path or row.path.startswith(f"{path}.")])
        line = metrics[role, "macs", "googlenet-torchvision"]
        assert line.pair == (restrict(paper, role).totals.macs, module.macs), role
    assert not any(path.startswith("inception4") for path, _, _ in metrics)


def test_a_module_that_one_record_lacks_is_none():
    metrics = lines("googlenet", "googlenet-no-reduction")
    reduce = metrics["inception_4a.branch_5x5.reduce", "macs", "googlenet-no-reduction"]
    assert reduce.pair == (14 * 14 * 16 * 480, None)
    assert reduce.difference is reduce.ratio is None
    only = lines("googlenet", "googlenet-fc-head")["fc", "macs", "googlenet-fc-head"]
    assert only.pair == (None, 7 * 7 * 1024 * 1024)
    norm = lines("googlenet", "alexnet")["norm1", "macs", "alexnet"]
    assert norm.pair == (0, 0)  # Both have it, without multiply-adds.


def test_sums_are_of_all_rows_below_a_role():
    comparison = compare("googlenet", "googlenet-torchvision", train=True)
    for index, record in enumerate(comparison.records):
        for role, sums in comparison.modules.items():
            rows = [row for row in record.rows if role == TOTAL or role in prefixes(row.role)]
            assert sums[index] == (total(rows) if rows else None)


def test_three_records_are_compared_with_the_first():
    comparison = compare("googlenet", "alexnet", "nin")
    macs = [line for line in comparison.metrics if (line.path, line.metric) == (TOTAL, "macs")]
    assert [list(line.values) for line in macs] == [["googlenet", "alexnet"], ["googlenet", "nin"]]
    assert [line.pair[1] for line in macs] == [count("alexnet").totals.macs, count("nin").totals.macs]
    assert comparison.totals["macs"].values == macs[0].values  # `totals` is the first against the second.


def test_modules_keep_the_order_of_each_network():
    """A module that only a later network has follows the module before it there."""
    roles = list(compare("googlenet", "googlenet-fc-head").modules)
    assert roles.index("inception_5b") < roles.index("flatten") < roles.index("fc") < roles.index("dropout")
    for name in ("googlenet-no-reduction", "googlenet-separable-stem", "googlenet-torchvision", "nin"):
        merged = list(compare("googlenet", name).modules)
        roles = list(dict.fromkeys(role for row in count(name).rows for role in prefixes(row.role)))
        assert [role for role in merged if role in roles] == roles


def test_restricted_records_are_compared():
    records = [restrict(count(name), "inception_4a") for name in ("googlenet", "googlenet-naive")]
    comparison = compare_records(records)
    assert comparison.totals["macs"].pair == tuple(record.totals.macs for record in records)
    assert all(path == TOTAL or path.startswith("inception_4a") for path in comparison.modules)
    assert all(under(row, "inception_4a") for record in records for row in record.rows)


# --- frame, refusals -------------------------------------------------------------------------------------------------
def test_frame():
    comparison = compare("googlenet", "alexnet")
    frame = comparison.frame()
    assert list(frame.columns) == [
        "path", "metric", "first", "first_value", "model", "value", "difference", "ratio",
    ]  # fmt: skip
    assert len(frame) == len(comparison.metrics)
    (row,) = frame[(frame.path == TOTAL) & (frame.metric == "params")].to_dict("records")
    assert (row["first"], row["first_value"]) == ("googlenet", 6_998_552)
    assert (row["model"], row["value"]) == ("alexnet", 60_965_224)
    assert row["difference"] == 60_965_224 - 6_998_552
    missing = frame[frame.path == "inception_3a"]
    assert missing["value"].isna().all()
    assert missing["difference"].isna().all()


def test_fewer_than_two_records_are_refused():
    with pytest.raises(AnalyzerError, match="at least two models, got 1"):
        compare("googlenet")
    with pytest.raises(AnalyzerError, match="got 0"):
        compare_records([])


def test_the_same_record_twice_is_refused():
    with pytest.raises(AnalyzerError, match="nin is given twice"):
        compare("googlenet", "nin", "nin")
