"""Frozen data to JSON and back by its annotations; a wrong type is refused and named."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.core.frozen import Frozen
from analyzer.core.serialize import from_json, to_json


class Inner(Frozen):
    size: int
    label: str | None = None


class Outer(Frozen):
    name: str
    ratio: float = 1.0
    flag: bool = False
    shape: tuple[int, ...] = ()
    inners: tuple[Inner, ...] = ()
    by_name: Mapping[str, Inner] = {}
    nested: Mapping[str, Mapping[str, int]] = {}
    mode: Literal["a", "b"] = "a"
    either: int | str | tuple[tuple[int, ...], ...] | None = None
    inner: Inner | None = None
    texts: list[str] = []
    anything: Any = None


class Derived(Inner):
    size: float
    more: int = 0


FULL = Outer(
    name="x",
    ratio=0.5,
    flag=True,
    shape=(1, 2),
    inners=(Inner(1), Inner(2, "two")),
    by_name={"key": Inner(3)},
    nested={"outer": {"inner": 4}},
    mode="b",
    either=((1, 2), (3,)),
    inner=Inner(5),
    texts=["n"],
    anything={"list": [1, None]},
)


@pytest.mark.parametrize("value", [FULL, Outer("only"), FULL.replace(either=7), FULL.replace(either="text")])
def test_round_trip(value):
    assert from_json(Outer, json.loads(json.dumps(to_json(value)))) == value


def test_a_subclass_may_change_a_fields_type():
    assert from_json(Derived, {"size": 1, "more": 2}) == Derived(1.0, None, 2)


def test_none_is_left_out():
    assert to_json(Inner(1)) == {"size": 1}
    assert to_json({"key": None}) == {"key": None}, "in a mapping it stays"


@given(st.builds(Inner, st.integers(-(10**29), 10**29), st.none() | st.text()))
def test_round_trip_of_any_values(inner):
    outer = Outer("x", inners=(inner,), by_name={"key": inner}, inner=inner)
    assert from_json(Outer, json.loads(json.dumps(to_json(outer)))) == outer


def test_a_float_may_be_written_as_an_integer():
    assert from_json(Outer, {"name": "x", "ratio": 2}).ratio == 2.0
    assert math.isnan(from_json(Outer, {"name": "x", "ratio": math.nan}).ratio)


WRONG = {
    "no mapping": ([], "Outer"),
    "a field is missing": ({}, "name"),
    "an unknown field": ({"name": "x", "size": 1}, "size"),
    "a number for a text": ({"name": 5}, "name"),
    "a fraction for an integer": ({"name": "x", "shape": [1.5]}, "shape"),
    "a boolean for an integer": ({"name": "x", "shape": [True]}, "shape"),
    "a boolean for a float": ({"name": "x", "ratio": True}, "ratio"),
    "an integer for a boolean": ({"name": "x", "flag": 1}, "flag"),
    "a text for a list": ({"name": "x", "shape": "12"}, "shape"),
    "a list for a mapping": ({"name": "x", "by_name": []}, "by_name"),
    "an unknown literal": ({"name": "x", "mode": "c"}, "mode"),
    "no type of a union": ({"name": "x", "either": 0.5}, "either"),
    "None for a number": ({"name": "x", "ratio": None}, "ratio"),
    "an error inside": ({"name": "x", "inners": [{"size": "large"}]}, "inners: size"),
    "an error inside an optional": ({"name": "x", "inner": {"size": "large"}}, "inner: size"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_refused_and_named(case):
    data, name = WRONG[case]
    with pytest.raises(TypeError, match=name):
        from_json(Outer, data)
