"""Records: sums, modules, restriction to one module, the frame."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count
from analyzer.records.record import (
    ROW_KEYS,
    SUMMED_KEYS,
    TOTAL_KEYS,
    Count,
    Module,
    Record,
    Row,
    Totals,
    modules,
    prefixes,
    restrict,
    total,
    under,
    unknown_module,
)


def row(path: str, *, role: str | None = None, macs: int = 0, op: str = "conv2d", **figures: int) -> Row:
    zeros = dict.fromkeys(ROW_KEYS[6:], 0)
    shapes = {"inputs": ((1, 2),), "outputs": ((1, 3),)}
    return Row(path=path, role=role or path, op=op, call=1, **shapes, **{**zeros, "macs": macs, **figures})


def record(*rows: Row, name: str = "net", **settings: object) -> Record:
    return Record(model=name, input=((1, 2),), mode="inference", count=Count("closed_form", rows), **settings)


def test_the_keys_are_the_contracts():
    """DESIGN's JSON: a row's keys in order, and the totals'."""
    assert ROW_KEYS == (
        "path", "role", "op", "call", "inputs", "outputs", "params", "weights", "biases", "macs", "flops",
        "activations", "bytes_read", "bytes_written", "backward_macs",
    )  # fmt: skip
    assert SUMMED_KEYS == ("params", "macs", "flops", "activations", "bytes_read", "bytes_written")
    assert (*SUMMED_KEYS, "backward_macs") == TOTAL_KEYS


def test_totals_are_sums():
    rows = [
        row("a", params=1, macs=2, flops=3, activations=4, bytes_read=5, bytes_written=6),
        row("b", params=10, macs=20, flops=30, activations=40, bytes_read=50, bytes_written=60),
    ]
    rows = [one.replace(backward_macs=None) for one in rows]
    assert total(rows) == Totals(11, 22, 33, 44, 55, 66)
    assert total([]) == Totals(0, 0, 0, 0, 0, 0)
    # A backward pass that was not counted is unknown, one that was is a sum.
    assert total(rows).backward_macs is None
    assert total([one.replace(backward_macs=7) for one in rows]) == Totals(11, 22, 33, 44, 55, 66, 14)
    assert record(*rows).totals == Count("any", tuple(rows)).totals == total(rows)


def test_intensity_is_flops_per_byte():
    totals = Totals(0, 0, 300, 0, 50, 100)
    assert totals.traffic == 150
    assert totals.intensity == 2.0
    assert Totals(0, 0, 300, 0, 0, 0).intensity == 0.0


def test_prefixes():
    assert prefixes("a.b.c") == ["a", "a.b", "a.b.c"]
    assert prefixes("a") == ["a"]
    assert prefixes("") == []


def test_modules_are_all_prefixes_in_the_order_they_first_run():
    found = modules([row("a.x", macs=1), row("a.y", macs=2), row("b", macs=4), row("a", op="cat", macs=8)])
    assert [module.path for module in found] == ["a", "a.x", "a.y", "b"]
    assert [module.totals.macs for module in found] == [1 + 2 + 8, 1, 2, 4]
    assert isinstance(found[0], Module)


def test_a_module_reads_what_its_first_row_reads_and_makes_what_its_last_makes():
    found = {module.path: module for module in count("googlenet").modules}
    assert found["inception_4a"].inputs == ((1, 480, 14, 14),)
    assert found["inception_4a"].outputs == ((1, 512, 14, 14),)
    assert found["inception_4a.branch_5x5"].outputs == ((1, 48, 14, 14),)


@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "alexnet-torchvision", "nin"])
@pytest.mark.parametrize("train", [False, True])
def test_top_level_modules_add_up_to_the_network(name, train):
    whole = count(name, train=train)
    top = [module.totals for module in whole.modules if "." not in module.path]
    for key in TOTAL_KEYS if train else SUMMED_KEYS:
        assert sum(getattr(totals, key) for totals in top) == getattr(whole.totals, key)


def test_roles_of_modules():
    found = {module.path: module.role for module in count("googlenet-torchvision", train=True).modules}
    assert found["conv2"] == "conv2_reduce"
    assert found["conv3"] == "conv2"
    assert found["inception4a"] == "inception_4a"
    assert found["inception4a.branch3"] == "inception_4a.branch_5x5"
    assert found["inception4a.branch3.0"] == "inception_4a.branch_5x5.reduce"
    assert found["aux1.fc2"] == "aux1.linear"
    assert found["fc"] == "linear"
    assert all(module.role == module.path for module in count("googlenet", train=True).modules)


def test_under_takes_a_path_or_a_role_and_whole_segments_only():
    one = row("inception4a.branch3.1.conv", role="inception_4a.branch_5x5.conv")
    for module in ("inception4a", "inception4a.branch3", "inception_4a", "inception_4a.branch_5x5", one.path, one.role):
        assert under(one, module)
    for module in ("inception4", "inception_4a.branch", "branch3", "inception4a.branch_5x5", "conv", ""):
        assert not under(one, module)


def test_restrict_keeps_the_networks_totals_beside_the_modules():
    whole = count("googlenet")
    part = restrict(whole, "inception_4a.branch_5x5")
    assert [one.path for one in part.rows] == [
        f"inception_4a.branch_5x5.{name}" for name in ("reduce.conv", "reduce.relu", "conv", "relu")
    ]
    assert part.totals.macs == 5_268_480
    assert part.network_totals == whole.totals
    assert part.module == "inception_4a.branch_5x5"
    assert (part.model, part.input, part.mode) == (whole.model, whole.input, whole.mode)
    assert whole.module is None
    by_role = restrict(count("googlenet-torchvision"), "inception_4a.branch_5x5")
    assert {one.path.rpartition(".")[0] for one in by_role.rows} == {f"inception4a.branch3.{n}" for n in "01"}
    assert restrict(whole, "nowhere").rows == ()


def test_a_name_that_is_one_modules_path_and_anothers_role_means_one_of_them():
    """torchvision's `conv2` is the 1x1; its role `conv2` is the 3x3. Their sum is no module of any network."""
    found = restrict(count("googlenet-torchvision"), "conv2")
    assert len({one.path.partition(".")[0] for one in found.rows}) == 1


def test_an_unknown_module_names_the_nearest():
    error = unknown_module("inception_4a.branch_7x7", [count("googlenet")])
    assert isinstance(error, AnalyzerError)
    assert str(error).startswith("no module 'inception_4a.branch_7x7' in googlenet; nearest: inception_4a.branch_")


def test_labels():
    assert record().label == "net"
    assert record(overrides={"conv1.out": 32, "linear.out": 10}).label == "net@conv1.out=32,linear.out=10"


def test_the_frame_has_a_row_an_operator_and_the_jsons_columns():
    whole = count("alexnet")
    frame = whole.frame()
    assert tuple(frame.columns) == ROW_KEYS[:-1]
    assert tuple(count("alexnet", train=True).frame().columns) == ROW_KEYS
    assert len(frame) == len(whole.rows)
    for key in SUMMED_KEYS:
        assert int(frame[key].sum()) == getattr(whole.totals, key)
    assert list(frame["path"]) == [one.path for one in whole.rows]
    assert frame.set_index("path").loc["fc6", "macs"] == 256 * 6 * 6 * 4096


def test_records_are_values():
    assert count("nin") == count("nin")
    assert count("nin") != count("nin", batch=2)
    assert count("nin") != count("nin", train=True)
