"""Overrides: one number of a network spec changed, by path or by role, and exactly the rows that depend on it."""

from __future__ import annotations

import random
import re

import pytest

from analyzer.core.errors import AnalyzerError
from analyzer.counting.api import count
from analyzer.counting.closed_form.formulas import _row, count_steps
from analyzer.networks import VARIANTS, find
from analyzer.networks.googlenet import Inception
from analyzer.networks.overrides import Hyperparameter, apply_overrides, full_key, hyperparameters, parse_override
from analyzer.networks.spec import Auxiliary, Branches, Conv, Flatten, Linear, Network, Sequential
from analyzer.networks.walk import _block, walk


def numbers(network: Network) -> dict[str, int]:
    """Every hyperparameter by its full key."""
    return {f"{number.path}.{number.key}": number.value for number in hyperparameters(network)}


# --- the text --------------------------------------------------------------------------------------------------------
def test_parse():
    assert parse_override("inception_4a.reduce_5x5=32") == ("inception_4a.reduce_5x5", 32)
    assert parse_override(" conv4-1024.out=7 ") == ("conv4-1024.out", 7)
    assert parse_override("features.0.kernel=3") == ("features.0.kernel", 3)


MALFORMED = [
    "",
    "=",
    "conv1=3",
    "conv1.out",
    "conv1.out=",
    "conv1.out=x",
    "conv1.out=1.5",
    "conv1.out=-1",
    "conv1.out=0",
]


@pytest.mark.parametrize(
    "text", [*MALFORMED, "conv1.out=1=2", "a b.out=1", ".out=1", "conv1.out=1000000000000", "x.OUT=1"]
)
def test_malformed_settings(text):
    with pytest.raises(AnalyzerError, match=rf"malformed setting {re.escape(repr(text))}; wanted PATH\.KEY=NUMBER"):
        parse_override(text)


def test_a_setting_with_control_characters_stays_one_line():
    with pytest.raises(AnalyzerError) as caught:
        parse_override("conv1.out=3\nrm\x1b[2J")
    assert str(caught.value).isprintable()


# --- what can be set -------------------------------------------------------------------------------------------------
def test_every_number_of_googlenet():
    by_key = numbers(find("googlenet"))
    assert {key: by_key[key] for key in by_key if re.fullmatch(r"inception_4a\.\w+", key)} == {
        "inception_4a.out_1x1": 192,
        "inception_4a.reduce_3x3": 96,
        "inception_4a.out_3x3": 208,
        "inception_4a.reduce_5x5": 16,
        "inception_4a.out_5x5": 48,
        "inception_4a.pool_proj": 64,
    }
    assert [key for key in by_key if key.startswith("conv1.")] == [
        "conv1.conv.out", "conv1.conv.kernel", "conv1.conv.stride", "conv1.conv.groups",
    ]  # fmt: skip
    assert (by_key["pool1.kernel"], by_key["pool1.stride"]) == (3, 2)
    assert by_key["linear.out"] == by_key["aux2.linear.out"] == 1000
    assert not any(key.startswith(("norm", "dropout", "flatten")) for key in by_key)


def test_hyperparameters_have_path_role_key_and_value():
    listed = hyperparameters(find("googlenet-torchvision"))
    assert listed[0] == Hyperparameter("conv1.conv", "conv1.conv", "out", 64)
    assert Hyperparameter("conv2.conv", "conv2_reduce.conv", "kernel", 1) in listed
    assert Hyperparameter("inception4a", "inception_4a", "reduce_5x5", 16) in listed


@pytest.mark.parametrize(
    ("name", "key", "full"),
    [
        ("googlenet", "conv1.out", "conv1.conv.out"),
        ("googlenet", "conv1.conv.out", "conv1.conv.out"),
        ("googlenet", "inception_4a.reduce_5x5", "inception_4a.reduce_5x5"),
        ("googlenet-torchvision", "inception_4a.reduce_5x5", "inception4a.reduce_5x5"),
        ("googlenet-torchvision", "linear.out", "fc.out"),
        # A path has precedence over a role: the path `conv2` is the 1x1, the role `conv2` is `conv3`.
        ("googlenet-torchvision", "conv2.out", "conv2.conv.out"),
        ("googlenet-torchvision", "conv2.conv.out", "conv2.conv.out"),
        ("googlenet-torchvision", "conv2_reduce.conv.out", "conv2.conv.out"),
        ("googlenet-torchvision", "conv3.out", "conv3.conv.out"),
        ("alexnet-torchvision", "conv1.out", "features.0.out"),
        ("googlenet", "aux1.out", None),
        ("googlenet", "conv.out", None),
        ("googlenet", "out", None),
        ("googlenet", "", None),
        ("googlenet-naive", "inception_4a.reduce_5x5", None),
    ],
)
def test_a_key_names_one_number_by_its_full_path_or_none(name, key, full):
    assert full_key(find(name), key) == full


def test_of_two_spellings_of_one_number_the_later_wins():
    for changes, value in (
        ({"conv1.out": 16, "conv1.conv.out": 32}, 32),
        ({"conv1.conv.out": 32, "conv1.out": 16}, 16),
    ):
        network, recorded = apply_overrides(find("googlenet"), changes)
        assert recorded == {"conv1.conv.out": value}
        assert numbers(network)["conv1.conv.out"] == value


@pytest.mark.parametrize("name", VARIANTS)
def test_every_listed_number_can_be_set(name):
    """Errors list these keys, so they must be accepted."""
    network = find(name)
    by_key = numbers(network)
    assert by_key
    assert [key for key in by_key if full_key(network, key) != key] == []


@pytest.mark.parametrize("name", VARIANTS)
def test_setting_a_number_to_its_value_changes_nothing(name):
    network = find(name)
    before = count_steps(walk(network, mode="training")).rows
    for key, value in numbers(network).items():
        assert count_steps(walk(apply_overrides(network, {key: value})[0], mode="training")).rows == before


# --- effects on rows -------------------------------------------------------------------------------------------------
def rows(name: str, overrides: dict[str, int] | None = None, **settings_) -> dict[tuple[str, str], object]:
    return {(row.path, row.op): row for row in count(name, overrides=overrides, **settings_).rows}


def test_reduce_5x5_changes_three_rows_only():
    before, after = rows("googlenet"), rows("googlenet", {"inception_4a.reduce_5x5": 32})
    assert list(before) == list(after)
    assert [key for key in before if before[key] != after[key]] == [
        ("inception_4a.branch_5x5.reduce.conv", "conv2d"),
        ("inception_4a.branch_5x5.reduce.relu", "relu"),
        ("inception_4a.branch_5x5.conv", "conv2d"),
    ]
    reduce, _, conv = (after[key] for key in before if before[key] != after[key])
    assert (reduce.weights, reduce.biases, reduce.macs) == (480 * 32, 32, 14 * 14 * 32 * 480)
    assert (conv.weights, conv.biases, conv.macs) == (32 * 48 * 5 * 5, 48, 14 * 14 * 48 * 5 * 5 * 32)
    assert conv.outputs == before["inception_4a.branch_5x5.conv", "conv2d"].outputs
    # 16 more channels out of the reduction and into the 5x5.
    totals, base = count("googlenet", overrides={"inception_4a.reduce_5x5": 32}).totals, count("googlenet").totals
    assert totals.macs - base.macs == 14 * 14 * 16 * 480 + 14 * 14 * 48 * 5 * 5 * 16 == 5_268_480
    assert totals.params - base.params == 16 * (480 + 1) + 16 * 48 * 5 * 5


def test_a_wider_output_widens_the_next_input():
    after = rows("googlenet", {"inception_5b.out_1x1": 400})
    assert after["inception_5b", "cat"].outputs == ((1, 1024 + 16, 7, 7),)
    assert after["linear", "linear"].weights == 1040 * 1000


def test_kernel_and_stride():
    after = rows("googlenet", {"conv1.conv.kernel": 5, "conv1.stride": 4})
    conv = after["conv1.conv", "conv2d"]
    assert conv.outputs == ((1, 64, 56, 56),)
    assert conv.macs == 56 * 56 * 64 * 5 * 5 * 3


@pytest.mark.parametrize(
    ("name", "conv"),
    [("googlenet", "inception_4a.branch_5x5.conv"), ("googlenet-torchvision", "inception_4a.branch_5x5.conv")],
)
def test_kernel_and_groups_of_a_convolution_in_a_module_beside_the_width_of_the_module(name, conv):
    changes = {f"{conv}.kernel": 7, f"{conv}.groups": 4, "inception_4a.reduce_5x5": 32}
    record = count(name, overrides=changes)
    macs = {row.role: row.macs for row in record.rows}
    assert macs[conv] == 14 * 14 * 48 * 7 * 7 * 32 // 4
    path = next(row.path for row in record.rows if row.role == conv)
    assert record.overrides[f"{path}.kernel"] == 7
    assert full_key(find(name), f"{conv}.out") is None  # The width is the module's out_5x5.


def test_an_override_of_a_head_has_no_effect_at_inference():
    assert count("googlenet", overrides={"aux1.fc.out": 10}).totals == count("googlenet").totals
    assert count("googlenet", overrides={"aux1.fc.out": 10}, train=True).totals != (
        count("googlenet", train=True).totals
    )


def test_several_numbers():
    changed = {"linear.out": 10, "aux1.linear.out": 10, "aux2.linear.out": 10}
    after = count("googlenet", overrides=changed, train=True)
    assert after.totals.params == count("googlenet", train=True).totals.params - 3 * 990 * (1024 + 1)
    assert after.overrides == changed


# --- unknown keys and bad values -------------------------------------------------------------------------------------
def test_an_unknown_key_lists_the_keys_of_its_row():
    with pytest.raises(AnalyzerError) as caught:
        count("googlenet", overrides={"inception_4a.reduce_7x7": 32})
    assert "no number 'inception_4a.reduce_7x7' in googlenet" in str(caught.value)
    assert str(caught.value).endswith(", ".join(f"inception_4a.{key}" for key in Inception.keys))
    with pytest.raises(AnalyzerError, match=r"no number 'inceptoin_4a.out_1x1' in googlenet; nearest: inception_4a"):
        count("googlenet", overrides={"inceptoin_4a.out_1x1": 32})
    # Three layers of the head have an `out`.
    with pytest.raises(AnalyzerError, match=r"aux1 has aux1\.pool\.kernel.*aux1\.linear\.out"):
        count("googlenet", overrides={"aux1.out": 10}, train=True)


@pytest.mark.parametrize(
    "key", ["conv1.bias", "norm1.size", "dropout.p", "conv1.relu.out", "conv1", "", ".", "conv1..out"]
)
def test_other_keys_are_refused(key):
    with pytest.raises(AnalyzerError, match="no number"):
        apply_overrides(find("googlenet"), {key: 2})[0]


@pytest.mark.parametrize("value", [0, -1])
def test_numbers_below_one_are_refused(value):
    with pytest.raises(AnalyzerError, match=f"conv1.out is {value}; wanted"):
        apply_overrides(find("googlenet"), {"conv1.out": value})[0]


def test_an_override_that_does_not_fit_names_the_layer():
    with pytest.raises(AnalyzerError, match=r"googlenet\.pool3 with input 3x224x224: a .* window does not fit"):
        count("googlenet", overrides={"conv1.stride": 32})


@pytest.mark.parametrize("name", VARIANTS)
def test_counts_that_share_blocks_equal_those_from_scratch(name):
    """Blocks and rows are kept between variants: random changes, counted one after another and each from scratch."""
    choose = random.Random(name)
    keys = [f"{number.path}.{number.key}" for number in hyperparameters(find(name))]
    channels, height, width = find(name).input

    def value(key):
        return choose.randint(1, 5) if key.endswith(("kernel", "stride", "groups")) else 8 * choose.randint(1, 40)

    settings = [
        {
            "overrides": {key: value(key) for key in choose.sample(keys, choose.randint(1, 3))},
            "input": (channels, height + choose.choice([0, 32]), width),
            "batch": choose.randint(1, 3),
            "train": choose.random() < 0.3,
        }
        for _ in range(25)
    ]

    def counted(setting):
        try:
            return count(name, **setting)
        except AnalyzerError as error:
            return str(error)

    shared = [counted(setting) for setting in settings]
    for setting, record in zip(settings, shared, strict=True):
        _block.cache_clear()
        _row.cache_clear()
        assert counted(setting) == record
    assert sum(not isinstance(record, str) for record in shared) >= 10


# --- nested nodes ----------------------------------------------------------------------------------------------------
def test_nested_nodes_keep_their_type_and_roles():
    inner = Branches({"0": Conv(4, 1), "1": Sequential({"c": Conv(5, 1)})}, {"0": "left", "1": "right"})
    rows_ = {"block": inner, "aux1": Auxiliary({"flatten": Flatten(), "fc": Linear(3)})}
    network = Network("own", "t", "s", rows_, (3, 8, 8))
    changed = apply_overrides(network, {"block.right.out": 6, "aux1.out": 4})[0]
    assert changed.rows == {
        "block": Branches({"0": Conv(4, 1), "1": Sequential({"c": Conv(6, 1)})}, {"0": "left", "1": "right"}),
        "aux1": Auxiliary({"flatten": Flatten(), "fc": Linear(4)}),
    }
