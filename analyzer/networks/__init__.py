"""The built-in networks, and networks of other packages by the entry point group `analyzer.networks`.

Entry points are read only for an unknown name and for a full listing: reading them takes longer than a count.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import TYPE_CHECKING

from analyzer.core.errors import AnalyzerError, UnknownModel, nearest, one_line, quoted
from analyzer.networks.spec import LAYERS, Network

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "analyzer.networks"

# Name → module and attribute.
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


def builtin_name(name: str) -> str:
    """The name with the case of the built-in network that it names, if it names one."""
    base, at, changes = name.partition("@")
    return f"{base.lower()}{at}{changes}" if base.lower() in VARIANTS else name


def find(name: str) -> Network:
    """The network of that name. Raises AnalyzerError with the nearest names if none exists."""
    if name in VARIANTS:
        return _builtin(name)
    points = {point.name: point for point in _entry_points()}
    if name in points:
        return _load(points[name])
    raise UnknownModel(f"unknown variant {quoted(name)}; {nearest(name, [*VARIANTS, *points])}; see analyze list")


def all_networks() -> Iterator[Network | AnalyzerError]:
    """Every network, built-in ones first. An entry point that fails yields its error instead."""
    for name in VARIANTS:
        yield _builtin(name)
    for point in _entry_points():
        if point.name not in VARIANTS:
            try:
                yield _load(point)
            except AnalyzerError as error:
                yield error


def _builtin(name: str) -> Network:
    module, attribute = VARIANTS[name]
    network = getattr(import_module(f"analyzer.networks.{module}"), attribute)
    assert isinstance(network, Network)
    return network


def _entry_points() -> list[EntryPoint]:
    from importlib.metadata import entry_points

    return sorted(entry_points(group=GROUP), key=lambda point: point.name)


def _load(point: EntryPoint) -> Network:
    """The network of an entry point. Its code may raise anything; that becomes an AnalyzerError naming the package."""
    from analyzer.networks.walk import Concat, walk

    package = point.dist.name if point.dist else "an unknown package"
    label = f"network {quoted(point.name)} (entry point {one_line(point.value)} of {one_line(package)})"
    try:
        loaded = point.load()
        network = loaded if isinstance(loaded, Network) else loaded()
    except (Exception, SystemExit) as error:
        raise AnalyzerError(f"{label} does not load: {type(error).__name__}: {one_line(error)}") from error
    if not isinstance(network, Network):
        raise AnalyzerError(f"{label} gives a {type(network).__name__}; wanted an analyzer.networks.spec.Network")
    network = network.replace(name=point.name)  # Listed and counted under the same name.
    try:
        for step in walk(network):
            if type(step.layer) not in (*LAYERS, Concat):
                raise AnalyzerError(
                    f"no formula for {type(step.layer).__name__} at {step.path}; use layers of analyzer.networks.spec"
                )
    except Exception as error:
        raise AnalyzerError(f"{label} cannot be counted: {type(error).__name__}: {one_line(error)}") from error
    return network
