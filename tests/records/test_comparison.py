"""Records side by side: aligned by role, every figure against the first, None where a side has no such module."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import compare, count
from analyzer.records.comparison import TOTAL, Line, compare_records
from analyzer.records.record import SUMMED_KEYS, TOTAL_KEYS, prefixes, restrict, total, under


# --- one line --------------------------------------------------------------------------------------------------------
def test_difference_and_ratio_are_to_the_first():
    line = Line("a", "macs", {"first": 200, "other": 50})
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
def test_a_missing_side_has_neither(first, other, difference, ratio):
    line = Line("a", "macs", {"first": first, "other": other})
    assert line.difference == difference
    assert line.ratio == ratio


# --- alignment -------------------------------------------------------------------------------------------------------
def lines(*names: str, **settings: object) -> dict[tuple[str, str, str], Line]:
    return {(line.path, line.metric, list(line.values)[-1]): line for line in compare(*names, **settings).lines}


def test_totals():
    totals = compare("googlenet", "alexnet").totals
    assert set(totals) == set(SUMMED_KEYS)
    assert set(compare("googlenet", "alexnet", train=True).totals) == set(TOTAL_KEYS)
    assert totals["params"].pair == (6_998_552, 60_965_224)
    assert totals["macs"].difference == 724_406_816 - 1_582_671_872
    assert totals["params"].ratio == 60_965_224 / 6_998_552


def test_every_module_and_metric_has_a_line():
    found = compare("googlenet", "googlenet-naive")
    assert len(found.lines) == len(found.modules) * len(SUMMED_KEYS)
    assert next(iter(found.modules)) == TOTAL


def test_the_backward_pass_has_lines_where_one_side_has_it():
    found = compare("googlenet", "nin", train=True)
    assert len(found.lines) == len(found.modules) * len(TOTAL_KEYS)
    totals = found.totals["backward_macs"]
    assert totals.pair == tuple(record.totals.backward_macs for record in found.records)
    assert totals.ratio == count("nin", train=True).totals.backward_macs / totals.pair[0]
    mixed = compare_records([count("googlenet", train=True), count("nin")])
    assert mixed.totals["backward_macs"].pair == (totals.pair[0], None)
    assert mixed.totals["backward_macs"].difference is mixed.totals["backward_macs"].ratio is None


def test_modules_are_aligned_by_role():
    found = lines("googlenet", "googlenet-torchvision")
    paper, theirs = count("googlenet"), count("googlenet-torchvision")
    for role, path in (
        ("conv2", "conv3"),
        ("conv2_reduce", "conv2"),
        ("inception_4a.branch_5x5", "inception4a.branch3"),
        ("linear", "fc"),
    ):
        own = total([row for row in theirs.rows if row.path == path or row.path.startswith(f"{path}.")])
        line = found[role, "macs", "googlenet-torchvision"]
        assert line.pair == (restrict(paper, role).totals.macs, own.macs), role
    assert not any(path.startswith("inception4") for path, _, _ in found)


def test_a_module_of_one_side_only_has_none_on_the_other():
    found = lines("googlenet", "googlenet-no-reduction")
    reduce = found["inception_4a.branch_5x5.reduce", "macs", "googlenet-no-reduction"]
    assert reduce.pair == (14 * 14 * 16 * 480, None)
    assert reduce.difference is reduce.ratio is None
    only = lines("googlenet", "googlenet-fc-head")["fc", "macs", "googlenet-fc-head"]
    assert only.pair == (None, 7 * 7 * 1024 * 1024)
    norm = lines("googlenet", "alexnet")["norm1", "macs", "alexnet"]
    assert norm.pair == (0, 0)  # There, and without multiply-adds: no None.


def test_the_story_of_the_5x5_branch():
    line = lines("googlenet-no-reduction", "googlenet")["inception_4a.branch_5x5", "macs", "googlenet"]
    assert line.pair == (112_896_000, 5_268_480)
    assert f"{1 / line.ratio:.1f}" == "21.4"


def test_sums_are_of_all_rows_below_a_role():
    found = compare("googlenet", "googlenet-torchvision", train=True)
    for index, record in enumerate(found.records):
        for role, sums in found.modules.items():
            rows = [row for row in record.rows if role == TOTAL or role in prefixes(row.role)]
            assert sums[index] == (total(rows) if rows else None)


def test_three_records_are_each_held_against_the_first():
    found = compare("googlenet", "alexnet", "nin")
    macs = [line for line in found.lines if (line.path, line.metric) == (TOTAL, "macs")]
    assert [list(line.values) for line in macs] == [["googlenet", "alexnet"], ["googlenet", "nin"]]
    assert [line.pair[1] for line in macs] == [count("alexnet").totals.macs, count("nin").totals.macs]
    assert found.totals["macs"].values == macs[0].values  # `totals` is the first against the second.


def test_the_order_keeps_each_networks_own():
    """A module that only a later network has stands after what precedes it there."""
    roles = list(compare("googlenet", "googlenet-fc-head").modules)
    assert roles.index("inception_5b") < roles.index("flatten") < roles.index("fc") < roles.index("dropout")
    for name in ("googlenet-no-reduction", "googlenet-separable-stem", "googlenet-torchvision", "nin"):
        together = list(compare("googlenet", name).modules)
        own = list(dict.fromkeys(role for row in count(name).rows for role in prefixes(row.role)))
        assert [role for role in together if role in own] == own


def test_a_change_stands_beside_its_own_network():
    plain, changed = count("googlenet"), count("googlenet", overrides={"inception_4a.reduce_5x5": 32})
    found = compare_records([plain, changed])
    assert found.labels == ("googlenet", "googlenet@inception_4a.reduce_5x5=32")
    assert found.totals["macs"].difference == 5_268_480
    differing = {line.path for line in found.lines if line.metric == "macs" and line.difference}
    assert differing == {
        TOTAL,
        "inception_4a",
        "inception_4a.branch_5x5",
        "inception_4a.branch_5x5.reduce",
        "inception_4a.branch_5x5.reduce.conv",
        "inception_4a.branch_5x5.conv",
    }


def test_parts_of_networks_compare_too():
    records = [restrict(count(name), "inception_4a") for name in ("googlenet", "googlenet-naive")]
    found = compare_records(records)
    assert found.totals["macs"].pair == tuple(record.totals.macs for record in records)
    assert all(path == TOTAL or path.startswith("inception_4a") for path in found.modules)
    assert all(under(row, "inception_4a") for record in records for row in record.rows)


# --- frame, refusals -------------------------------------------------------------------------------------------------
def test_the_frame_is_the_lines():
    found = compare("googlenet", "alexnet")
    frame = found.frame()
    assert list(frame.columns) == [
        "path", "metric", "first", "first_value", "model", "value", "difference", "ratio",
    ]  # fmt: skip
    assert len(frame) == len(found.lines)
    (row,) = frame[(frame.path == TOTAL) & (frame.metric == "params")].to_dict("records")
    assert (row["first"], row["first_value"]) == ("googlenet", 6_998_552)
    assert (row["model"], row["value"]) == ("alexnet", 60_965_224)
    assert row["difference"] == 60_965_224 - 6_998_552
    missing = frame[frame.path == "inception_3a"]
    assert missing["value"].isna().all()
    assert missing["difference"].isna().all()


def test_one_record_is_no_comparison():
    with pytest.raises(AnalyzerError, match="a comparison needs at least two models, got 1"):
        compare("googlenet")
    with pytest.raises(AnalyzerError, match="got 0"):
        compare_records([])


def test_the_same_record_twice_is_refused():
    with pytest.raises(AnalyzerError, match=r"nin is given twice; change one with nin@PATH\.KEY=NUMBER"):
        compare("googlenet", "nin", "nin")
