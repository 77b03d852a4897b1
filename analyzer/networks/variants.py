"""What the user names, made into what is counted: `googlenet@conv1.out=32` → a network and its changes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.networks import find
from analyzer.networks.overrides import Overrides, apply, full_key, parse, unknown
from analyzer.networks.spec import Network


class Variant(Frozen):
    """A named network with its changes applied; `overrides` name them by full path."""

    network: Network
    overrides: Overrides = {}


def variant(name: str, overrides: Overrides | None = None) -> Variant:
    """The variant of that name with those numbers changed. Raises AnalyzerError for what does not exist."""
    if not isinstance(name, str):
        raise AnalyzerError(f"a {type(name).__name__} is no network's name; see analyze list")
    overrides = {} if overrides is None else overrides
    if not isinstance(overrides, Mapping):
        raise AnalyzerError(f"overrides is a {type(overrides).__name__}; wanted a dict of PATH.KEY: NUMBER")
    base, own = _split(name)
    return Variant(*apply(find(base), {**own, **overrides}))


def is_reference(name: str) -> bool:
    """Whether a name says where a model's code is, such as `net.py:Net`, and is not one of a list."""
    return ":" in name or name.endswith(".pt2")


def variants(texts: Sequence[str], settings: Sequence[str] = ()) -> list[Variant]:
    """The variants that a command line names.

    A setting applies to every one that has its key. Raises AnalyzerError for one that none has.
    """
    named = [_split(text) for text in texts]
    networks = [find(name) for name, _ in named]
    shared = dict(parse(setting) for setting in settings)
    if shared and not networks:
        raise AnalyzerError("--set changes a number of named variants; give --variant NAME with it")
    for key in shared:
        if networks and not any(full_key(network, key) for network in networks):
            raise unknown(key, networks)
    return [
        Variant(*apply(network, {**{key: n for key, n in shared.items() if full_key(network, key)}, **own}))
        for network, (_, own) in zip(networks, named, strict=True)
    ]


def _split(text: str) -> tuple[str, dict[str, int]]:
    name, at, changes = text.partition("@")
    return name, dict(parse(change) for change in changes.split(",")) if at else {}
