"""The named networks: ours by a table of where they live, other packages' by the entry point `analyzer.networks`.

Entry points are read only for a name that is not ours and for a full listing: reading them costs more than a count.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted
from analyzer.networks.spec import Network

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "analyzer.networks"

VARIANTS: dict[str, tuple[str, str]] = {
    "googlenet": ("googlenet", "GOOGLENET"),
    "googlenet-separable-stem": ("googlenet", "SEPARABLE"),
    "googlenet-no-reduction": ("googlenet", "NO_REDUCTION"),
    "googlenet-naive": ("googlenet", "NAIVE"),
    "googlenet-fc-head": ("googlenet", "FC_HEAD"),
    "googlenet-torchvision": ("googlenet_torchvision", "GOOGLENET_TORCHVISION"),
    "alexnet": ("alexnet", "ALEXNET"),
    "alexnet-torchvision": ("alexnet", "ALEXNET_TORCHVISION"),
    "nin": ("nin", "NIN"),
    "vgg16": ("vgg", "VGG16"),
}


def find(name: str) -> Network:
    """The network of that name. Raises AnalyzerError with the nearest names if there is none."""
    if name in VARIANTS:
        return _own(name)
    points = {point.name: point for point in _entry_points()}
    if name in points:
        return _load(points[name])
    raise AnalyzerError(f"unknown variant {quoted(name)}; {nearest(name, [*VARIANTS, *points])}; see analyze list")


def every() -> Iterator[Network | AnalyzerError]:
    """Every network there is, ours first; in place of one that another package broke, the error that says so."""
    for name in VARIANTS:
        yield _own(name)
    for point in _entry_points():
        if point.name not in VARIANTS:
            try:
                yield _load(point)
            except AnalyzerError as error:
                yield error


def _own(name: str) -> Network:
    module, attribute = VARIANTS[name]
    network = getattr(import_module(f"analyzer.networks.{module}"), attribute)
    assert isinstance(network, Network)
    return network


def _entry_points() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def _load(point: EntryPoint) -> Network:
    """Another package's code runs here, so whatever it raises is its error, named, and nothing else's end."""
    from analyzer.networks.walk import walk

    owner = point.dist.name if point.dist else "an unknown package"
    where = f"network {quoted(point.name)} (entry point {one_line(point.value)} of {one_line(owner)})"
    try:
        loaded = point.load()
        network = loaded if isinstance(loaded, Network) else loaded()
    except (Exception, SystemExit) as error:
        raise AnalyzerError(f"{where} does not load: {type(error).__name__}: {one_line(error)}") from error
    if not isinstance(network, Network):
        raise AnalyzerError(f"{where} gives a {type(network).__name__}; wanted an analyzer.networks.spec.Network")
    network = network.replace(name=point.name)  # The name it was asked for by, whatever it calls itself.
    try:
        if not walk(network):
            raise AnalyzerError("it has no layers")
    except Exception as error:
        raise AnalyzerError(f"{where} cannot be counted: {type(error).__name__}: {one_line(error)}") from error
    return network
