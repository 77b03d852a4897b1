"""Frozen data classes: construction, equality, immutability, pickling."""

from __future__ import annotations

import copy
import pickle
from typing import ClassVar

import pytest

from analyzer.core.frozen import Frozen
from analyzer.networks.spec import AvgPool, Conv, MaxPool, ReLU
from analyzer.records.rows import Totals


class Point(Frozen):
    x: int
    y: int = 2

    kind: ClassVar[str] = "point"

    @property
    def sum(self) -> int:
        return self.x + self.y


class Other(Frozen):
    x: int
    y: int = 2


class Solid(Point):
    z: int = 3


class Nothing(Frozen):
    pass


def test_fields_are_the_annotations_without_class_variables():
    assert Point.fields == ("x", "y")
    assert Solid.fields == ("x", "y", "z")
    assert Nothing.fields == ()
    assert Conv.fields == ("out", "kernel", "stride", "padding", "groups", "bias")


def test_values_by_position_by_name_and_by_default():
    assert (Point(1).x, Point(1).y) == (1, 2)
    assert Point(1, 5) == Point(y=5, x=1) == Point(1, y=5)
    assert Solid(1, 4).z == 3
    assert Point(1).sum == 3
    assert Point(1).kind == "point"


def test_equal_by_type_and_value():
    assert Point(1) == Point(1, 2)
    assert Point(1) != Point(2)
    assert Point(1) != Other(1)
    assert Point(1) != Solid(1)
    assert Solid(1) != Point(1)
    assert MaxPool(3, 2) != AvgPool(3, 2)
    assert Point(1) != (1, 2)
    assert Nothing() == Nothing()
    assert ReLU() == ReLU()


def test_equal_values_have_equal_hashes():
    assert hash(Point(1)) == hash(Point(1, 2))
    assert {Point(1), Point(1, 2), Other(1), Point(2)} == {Point(1), Other(1), Point(2)}
    assert hash(Point(1)) != hash(Other(1))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Point([]))


def test_repr():
    assert repr(Point(1)) == "Point(x=1, y=2)"
    assert repr(Solid("a", y=None)) == "Solid(x='a', y=None, z=3)"
    assert repr(Nothing()) == "Nothing()"


def test_nothing_can_be_changed():
    point = Point(1)
    with pytest.raises(AttributeError, match=r"Point is frozen; replace\(\) makes a changed copy"):
        point.x = 5
    with pytest.raises(AttributeError, match="Point is frozen"):
        point.new = 5
    with pytest.raises(AttributeError, match="Point is frozen"):
        del point.x
    assert point == Point(1)


def test_replace_makes_a_changed_copy():
    solid = Solid(1)
    assert solid.replace(y=7) == Solid(1, 7, 3)
    assert solid == Solid(1)
    assert type(solid.replace()) is Solid
    with pytest.raises(TypeError, match="unexpected or repeated value 'w'"):
        solid.replace(w=1)


WRONG = [
    (lambda: Point(), "Point() is missing the field 'x'"),
    (lambda: Point(y=1), "Point() is missing the field 'x'"),
    (lambda: Point(1, 2, 3), "Point takes 2 values, got 3"),
    (lambda: Point(1, x=1), "Point got an unexpected or repeated value 'x'"),
    (lambda: Point(1, z=1), "Point got an unexpected or repeated value 'z'"),
    (lambda: Point(1, kind="line"), "Point got an unexpected or repeated value 'kind'"),
    (lambda: Nothing(1), "Nothing takes 0 values, got 1"),
    (lambda: Totals(1, 2, 3), "Totals() is missing the field 'activations'"),
]


@pytest.mark.parametrize(("make", "message"), WRONG, ids=[message for _, message in WRONG])
def test_wrong_values_are_refused(make, message):
    with pytest.raises(TypeError) as caught:
        make()
    assert str(caught.value) == message


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickling(protocol):
    for value in (Point(1), Solid(1, 2, 4), Nothing(), Conv(64, 7, 2), Point(Point(3))):
        loaded = pickle.loads(pickle.dumps(value, protocol))
        assert loaded == value
        assert type(loaded) is type(value)
        with pytest.raises(AttributeError):
            loaded.x = 1


def test_copies():
    nested = Point([1, [2]], Other({}))
    shallow, deep = copy.copy(nested), copy.deepcopy(nested)
    assert shallow == deep == nested
    assert shallow.x is nested.x
    assert deep.x is not nested.x
    assert type(deep.y) is Other


def test_a_subclass_may_give_a_field_another_default():
    class Nearer(Point):
        y: int = 1

    assert Nearer.fields == ("x", "y")
    assert Nearer(5).y == 1
    assert repr(Nearer(5)).endswith("Nearer(x=5, y=1)")
