"""Names: ours without entry points, other packages' by them, and whatever those break."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from analyzer import networks
from analyzer.core.errors import AnalyzerError
from analyzer.networks import VARIANTS, all_networks, find
from analyzer.networks.spec import Conv, Network

OWN = Network("own", "a network of another package", "this test", {"conv": Conv(4, 3)}, (3, 8, 8))
NOT_A_NETWORK = 5
BAD_LINE = "first\nsecond"


def make() -> Network:
    return OWN


def broken() -> Network:
    raise RuntimeError(BAD_LINE)


@pytest.fixture
def points(monkeypatch):
    """Puts entry points in place: name → value. Returns a list that tells how often they were read."""
    reads: list[None] = []

    def install(**values: str) -> list[None]:
        found = [EntryPoint(name, value, networks.GROUP) for name, value in sorted(values.items())]

        def entry_points(*, group: str):
            assert group == "analyzer.networks"
            reads.append(None)
            return found

        monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
        return reads

    return install


def test_our_names_never_read_entry_points(points):
    reads = points(googlenet=f"{__name__}:OWN")
    assert find("googlenet").title == "Table 1 of the paper (Inception v1)"
    assert [find(name).name for name in VARIANTS] == list(VARIANTS)
    assert reads == []


def test_another_packages_network_as_an_object_or_a_function(points):
    points(one=f"{__name__}:OWN", two=f"{__name__}:make")
    # Under the name that the entry point gives it, whatever it calls itself.
    assert find("one") == OWN.replace(name="one")
    assert find("two") == OWN.replace(name="two")
    assert OWN.name == "own"


UNCOUNTABLE = {
    "empty": (Network("n", "t", "s", {}, (3, 8, 8)), "AnalyzerError: empty has no layers"),
    "small": (Network("n", "t", "s", {"conv": Conv(4, 9, padding=0)}, (3, 8, 8)), "AnalyzerError: small.conv with"),
    "odd": (Network("n", "t", "s", {"conv": "a convolution"}, (3, 8, 8)), "AttributeError: "),
    "many": (Network("n", "t", "s", {"conv": Conv("many", 3)}, (3, 8, 8)), "TypeError: "),
    "flat": (Network("n", "t", "s", {"conv": Conv(4, 3)}, (8, 8)), "AnalyzerError: flat.conv with"),
}


@pytest.mark.parametrize("name", UNCOUNTABLE)
def test_a_network_that_cannot_be_walked_and_counted_is_refused_when_it_is_found(points, monkeypatch, name):
    """Whatever the table's mistake raises is the table's error, in one line with its entry point."""
    network, why = UNCOUNTABLE[name]
    monkeypatch.setattr(f"{__name__}.OWN", network)
    points(**{name: f"{__name__}:OWN"})
    with pytest.raises(AnalyzerError) as caught:
        find(name)
    said = str(caught.value)
    assert said.startswith(f"network '{name}' (entry point {__name__}:OWN of an unknown package) cannot be counted: ")
    assert why in said
    assert said.isprintable()
    assert [str(one) for one in all_networks()][len(VARIANTS) :] == [said]


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (f"{__name__}:missing", "does not load: AttributeError"),
        ("no_such_module:thing", "does not load: ModuleNotFoundError"),
        (f"{__name__}:broken", r"does not load: RuntimeError: first\\nsecond"),
        (f"{__name__}:NOT_A_NETWORK", "does not load: TypeError"),
        ("builtins:dict", "gives a dict; wanted an analyzer.networks.spec.Network"),
    ],
)
def test_a_broken_entry_point_is_named_in_one_line(points, value, why):
    points(theirs=value)
    with pytest.raises(
        AnalyzerError, match=rf"network 'theirs' \(entry point {value} of an unknown package\) {why}"
    ) as e:
        find("theirs")
    assert str(e.value).isprintable()


def test_one_broken_entry_point_leaves_the_rest(points):
    points(bad="no_such_module:thing", good=f"{__name__}:OWN", googlenet="no_such_module:thing")
    found = list(all_networks())
    assert [network.name for network in found[: len(VARIANTS)]] == list(VARIANTS)
    error, network = found[len(VARIANTS) :]  # A name of ours stays ours.
    assert isinstance(error, AnalyzerError)
    assert network == OWN.replace(name="good")


def test_unknown_names_get_the_nearest(points):
    points(googlenext=f"{__name__}:OWN")
    with pytest.raises(
        AnalyzerError, match=r"unknown variant 'googlenex'; nearest: googlenext, googlenet.*see analyze list"
    ):
        find("googlenex")
    with pytest.raises(AnalyzerError, match=r"unknown variant 'zzz'; known: googlenet, .*vgg16, googlenext"):
        find("zzz")
