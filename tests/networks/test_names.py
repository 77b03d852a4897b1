"""Finding networks by name: ours without reading entry points, those of other packages, and broken ones."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest

from analyzer import networks
from analyzer.core.errors import AnalyzerError
from analyzer.networks import VARIANTS, all_networks, find
from analyzer.networks.spec import Conv, Network

EXTERNAL = Network("external", "a network of another package", "this test", {"conv": Conv(4, 3)}, (3, 8, 8))
NOT_A_NETWORK = 5
BAD_LINE = "first\nsecond"


def make() -> Network:
    return EXTERNAL


def broken() -> Network:
    raise RuntimeError(BAD_LINE)


@pytest.fixture
def points(monkeypatch):
    """`points(name="module:OBJECT")` installs entry points and returns a list with an item per read."""
    reads: list[None] = []

    def install(**values: str) -> list[None]:
        installed = [EntryPoint(name, value, networks.GROUP) for name, value in sorted(values.items())]

        def entry_points(*, group: str):
            assert group == "analyzer.networks"
            reads.append(None)
            return installed

        monkeypatch.setattr("importlib.metadata.entry_points", entry_points)
        return reads

    return install


def test_our_names_never_read_entry_points(points):
    reads = points(googlenet=f"{__name__}:EXTERNAL")
    assert find("googlenet").title == "Table 1 of the paper (Inception v1)"
    assert [find(name).name for name in VARIANTS] == list(VARIANTS)
    assert reads == []


def test_an_entry_point_is_a_network_or_a_function(points):
    points(first=f"{__name__}:EXTERNAL", second=f"{__name__}:make")
    # The name is that of the entry point.
    assert find("first") == EXTERNAL.replace(name="first")
    assert find("second") == EXTERNAL.replace(name="second")
    assert EXTERNAL.name == "external"


UNCOUNTABLE = {
    "empty": (Network("n", "t", "s", {}, (3, 8, 8)), "AnalyzerError: empty has no layers"),
    "small": (Network("n", "t", "s", {"conv": Conv(4, 9, padding=0)}, (3, 8, 8)), "AnalyzerError: small.conv with"),
    "odd": (Network("n", "t", "s", {"conv": "a convolution"}, (3, 8, 8)), "AttributeError: "),
    "many": (Network("n", "t", "s", {"conv": Conv("many", 3)}, (3, 8, 8)), "TypeError: "),
    "flat": (Network("n", "t", "s", {"conv": Conv(4, 3)}, (8, 8)), "AnalyzerError: flat.conv with"),
}


@pytest.mark.parametrize("name", UNCOUNTABLE)
def test_a_network_that_cannot_be_counted_is_refused(points, monkeypatch, name):
    network, reason = UNCOUNTABLE[name]
    monkeypatch.setattr(f"{__name__}.EXTERNAL", network)
    points(**{name: f"{__name__}:EXTERNAL"})
    with pytest.raises(AnalyzerError) as caught:
        find(name)
    message = str(caught.value)
    assert message.startswith(f"network '{name}' (entry point {__name__}:EXTERNAL of an unknown package)")
    assert reason in message
    assert message.isprintable()
    assert [str(error) for error in all_networks()][len(VARIANTS) :] == [message]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (f"{__name__}:missing", "does not load: AttributeError"),
        ("no_such_module:thing", "does not load: ModuleNotFoundError"),
        (f"{__name__}:broken", r"does not load: RuntimeError: first\\nsecond"),
        (f"{__name__}:NOT_A_NETWORK", "does not load: TypeError"),
        ("builtins:dict", "gives a dict; wanted an analyzer.networks.spec.Network"),
    ],
)
def test_a_broken_entry_point_is_named_in_one_line(points, value, reason):
    points(broken=value)
    with pytest.raises(AnalyzerError, match=rf"'broken' \(entry point {value} of .*\) {reason}") as caught:
        find("broken")
    assert str(caught.value).isprintable()


def test_one_broken_entry_point_leaves_the_rest(points):
    points(bad="no_such_module:thing", good=f"{__name__}:EXTERNAL", googlenet="no_such_module:thing")
    listed = list(all_networks())
    assert [network.name for network in listed[: len(VARIANTS)]] == list(VARIANTS)
    error, network = listed[len(VARIANTS) :]  # The entry point googlenet is ignored.
    assert isinstance(error, AnalyzerError)
    assert network == EXTERNAL.replace(name="good")


def test_unknown_names_get_the_nearest(points):
    points(googlenext=f"{__name__}:EXTERNAL")
    with pytest.raises(
        AnalyzerError, match=r"unknown variant 'googlenex'; nearest: googlenext, googlenet.*see analyze list"
    ):
        find("googlenex")
    with pytest.raises(AnalyzerError, match=r"unknown variant 'zzz'; known: googlenet, .*vgg16, googlenext"):
        find("zzz")
