"""What the user names, made into what is counted: `googlenet@conv1.out=32` → a network and its changes."""

from __future__ import annotations

from collections.abc import Sequence

from analyzer.frozen import Frozen
from analyzer.networks import find
from analyzer.networks.override import Overrides, apply, has, parse, unknown
from analyzer.networks.spec import Network


class Variant(Frozen):
    """A named network with its changes applied."""

    network: Network
    overrides: Overrides


def variant(name: str, overrides: Overrides | None = None) -> Variant:
    """The variant of that name with those numbers changed. Raises AnalyzerError for what does not exist."""
    overrides = dict(overrides or {})
    return Variant(apply(find(name), overrides), overrides)


def variants(texts: Sequence[str], settings: Sequence[str] = ()) -> list[Variant]:
    """The variants that a command line names.

    A setting applies to every one that has its key. Raises AnalyzerError for one that none has.
    """
    named = [_split(text) for text in texts]
    networks = [find(name) for name, _ in named]
    shared = dict(parse(setting) for setting in settings)
    for key in shared:
        if not any(has(network, key) for network in networks):
            raise unknown(key, networks)
    found = []
    for network, (_, own) in zip(networks, named, strict=True):
        overrides = {**{key: value for key, value in shared.items() if has(network, key)}, **own}
        found.append(Variant(apply(network, overrides), overrides))
    return found


def _split(text: str) -> tuple[str, dict[str, int]]:
    name, at, changes = text.partition("@")
    return name, dict(parse(change) for change in changes.split(",")) if at else {}
