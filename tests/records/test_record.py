"""Records: sums, modules, restriction to one module, the frame."""

from __future__ import annotations

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count
from analyzer.records.record import Record, restrict, unknown_module_error
from analyzer.records.rows import (
    ROW_KEYS,
    SUMMED_KEYS,
    TOTAL_KEYS,
    TRAINING_KEYS,
    Count,
    Module,
    Row,
    Totals,
    modules,
    prefixes,
    total,
    under,
)


def row(path: str, *, role: str | None = None, macs: int = 0, op: str = "conv2d", **metrics: int) -> Row:
    zeros = dict.fromkeys(ROW_KEYS[6:16], 0)
    shapes = {"inputs": ((1, 2),), "outputs": ((1, 3),)}
    return Row(path=path, role=role or path, op=op, call=1, **shapes, **{**zeros, "macs": macs, **metrics})


def record(*rows: Row, name: str = "net", **settings: object) -> Record:
    return Record(model=name, input=((1, 2),), mode="inference", count=Count("closed_form", rows), **settings)


def test_the_keys_are_the_contracts():
    """DESIGN's JSON: a row's keys in order, and the totals'."""
    assert ROW_KEYS == (
        "path", "role", "op", "call", "inputs", "outputs", "params", "weights", "biases", "macs", "flops",
        "activations", "bytes_read", "bytes_written", "backward_macs", "recomputed_macs",
        "kernel", "stride", "padding", "groups", "sources",
    )  # fmt: skip
    assert SUMMED_KEYS == ("params", "macs", "flops", "activations", "bytes_read", "bytes_written")
    assert (*SUMMED_KEYS, *TRAINING_KEYS) == TOTAL_KEYS
    assert TRAINING_KEYS == ("backward_macs", "recomputed_macs")


def test_totals_are_sums():
    rows = [
        row("a", params=1, macs=2, flops=3, activations=4, bytes_read=5, bytes_written=6),
        row("b", params=10, macs=20, flops=30, activations=40, bytes_read=50, bytes_written=60),
    ]
    rows = [each.replace(backward_macs=None, recomputed_macs=None) for each in rows]
    assert total(rows) == Totals(11, 22, 33, 44, 55, 66)
    assert total([]) == Totals(0, 0, 0, 0, 0, 0)
    # A backward pass that was not counted is unknown, one that was is a sum.
    assert total(rows).backward_macs is None
    assert total([each.replace(backward_macs=7) for each in rows]) == Totals(11, 22, 33, 44, 55, 66, 14)
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
    listed = modules([row("a.x", macs=1), row("a.y", macs=2), row("b", macs=4), row("a", op="cat", macs=8)])
    assert [module.path for module in listed] == ["a", "a.x", "a.y", "b"]
    assert [module.totals.macs for module in listed] == [1 + 2 + 8, 1, 2, 4]
    assert isinstance(listed[0], Module)


def test_a_module_has_the_inputs_of_its_first_row_and_the_outputs_of_its_last():
    by_path = {module.path: module for module in count("googlenet").modules}
    assert by_path["inception_4a"].inputs == ((1, 480, 14, 14),)
    assert by_path["inception_4a"].outputs == ((1, 512, 14, 14),)
    assert by_path["inception_4a.branch_5x5"].outputs == ((1, 48, 14, 14),)


@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "alexnet-torchvision", "nin"])
@pytest.mark.parametrize("train", [False, True])
def test_top_level_modules_add_up_to_the_network(name, train):
    whole = count(name, train=train)
    top = [module.totals for module in whole.modules if "." not in module.path]
    for key in (*SUMMED_KEYS, "backward_macs") if train else SUMMED_KEYS:
        assert sum(getattr(totals, key) for totals in top) == getattr(whole.totals, key)


def test_roles_of_modules():
    by_path = {module.path: module.role for module in count("googlenet-torchvision", train=True).modules}
    assert by_path["conv2"] == "conv2_reduce"
    assert by_path["conv3"] == "conv2"
    assert by_path["inception4a"] == "inception_4a"
    assert by_path["inception4a.branch3"] == "inception_4a.branch_5x5"
    assert by_path["inception4a.branch3.0"] == "inception_4a.branch_5x5.reduce"
    assert by_path["aux1.fc2"] == "aux1.linear"
    assert by_path["fc"] == "linear"
    assert all(module.role == module.path for module in count("googlenet", train=True).modules)


def test_a_modules_role_is_never_deeper_than_its_path():
    """`a` holds one row only, whose role is two segments deep above it; the role of `a` has one segment, like `a`."""
    by_path = {module.path: module.role for module in modules([row("a.conv", role="x.y.conv")])}
    assert by_path == {"a": "x", "a.conv": "x.y"}


def test_under_takes_a_path_or_a_role_and_whole_segments_only():
    conv = row("inception4a.branch3.1.conv", role="inception_4a.branch_5x5.conv")
    names = ("inception4a", "inception4a.branch3", "inception_4a", "inception_4a.branch_5x5", conv.path, conv.role)
    for module in names:
        assert under(conv, module)
    for module in ("inception4", "inception_4a.branch", "branch3", "inception4a.branch_5x5", "conv", ""):
        assert not under(conv, module)


def test_restrict_keeps_the_totals_of_the_network():
    whole = count("googlenet")
    part = restrict(whole, "inception_4a.branch_5x5")
    assert [row.path for row in part.rows] == [
        f"inception_4a.branch_5x5.{name}" for name in ("reduce.conv", "reduce.relu", "conv", "relu")
    ]
    assert part.totals.macs == 5_268_480
    assert part.network_totals == whole.totals
    assert part.module == "inception_4a.branch_5x5"
    assert (part.model, part.input, part.mode) == (whole.model, whole.input, whole.mode)
    assert whole.module is None
    by_role = restrict(count("googlenet-torchvision"), "inception_4a.branch_5x5")
    assert {row.path.rpartition(".")[0] for row in by_role.rows} == {f"inception4a.branch3.{n}" for n in "01"}
    assert restrict(whole, "nowhere").rows == ()


def test_a_path_has_precedence_over_a_role():
    """In torchvision's network the path `conv2` is the 1x1 and the role `conv2` the 3x3."""
    restricted = restrict(count("googlenet-torchvision"), "conv2")
    assert {row.path.partition(".")[0] for row in restricted.rows} == {"conv2"}


def test_an_unknown_module_names_the_nearest():
    error = unknown_module_error("inception_4a.branch_7x7", [count("googlenet")])
    assert isinstance(error, AnalyzerError)
    assert str(error).startswith("no module 'inception_4a.branch_7x7' in googlenet; nearest: inception_4a.branch_")


def test_labels():
    assert record().label == "net"
    assert record(overrides={"conv1.out": 32, "linear.out": 10}).label == "net@conv1.out=32,linear.out=10"


def test_the_frame_has_one_row_per_operator_and_the_jsons_keys():
    whole = count("alexnet")
    frame = whole.frame()
    assert tuple(frame.columns) == ROW_KEYS[:14] + ROW_KEYS[16:]
    assert tuple(count("alexnet", train=True).frame().columns) == ROW_KEYS[:15] + ROW_KEYS[16:]
    assert len(frame) == len(whole.rows)
    for key in SUMMED_KEYS:
        assert int(frame[key].sum()) == getattr(whole.totals, key)
    assert list(frame["path"]) == [row.path for row in whole.rows]
    assert frame.set_index("path").loc["fc6", "macs"] == 256 * 6 * 6 * 4096
