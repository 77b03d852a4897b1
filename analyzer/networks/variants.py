"""Variants by name, with overrides: `googlenet@conv1.out=32` → a network spec and its overrides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from analyzer.core.errors import AnalyzerError
from analyzer.core.frozen import Frozen
from analyzer.networks import find
from analyzer.networks.overrides import Overrides, apply_overrides, full_key, parse_overrides, unknown_key_error
from analyzer.networks.spec import Network


class Variant(Frozen):
    """A built-in network with its overrides applied; `overrides` are by full path."""

    network: Network
    overrides: Overrides = {}


def variant(name: str, overrides: Overrides | None = None) -> Variant:
    """The variant of that name with overrides. Raises AnalyzerError for an unknown name or key."""
    if not isinstance(name, str):
        raise AnalyzerError(f"a {type(name).__name__} is not a network name; see analyze list")
    overrides = {} if overrides is None else overrides
    if not isinstance(overrides, Mapping):
        raise AnalyzerError(f"overrides is a {type(overrides).__name__}; wanted a dict of PATH.KEY: NUMBER")
    base, in_name = _split(name)
    return Variant(*apply_overrides(find(base), {**in_name, **overrides}))


def variants(texts: Sequence[str], settings: Sequence[str] = ()) -> list[Variant]:
    """The variants of a command line.

    `settings` are the values of `--set`; each applies to every variant that has its key. Raises AnalyzerError for a
    key that no variant has.
    """
    names = [_split(text) for text in texts]
    networks = [find(name) for name, _ in names]
    shared = parse_overrides(settings)
    if shared and not networks:
        raise AnalyzerError("--set changes a number of built-in networks; give --variant NAME with it")
    for key in shared:
        if not any(full_key(network, key) for network in networks):
            raise unknown_key_error(key, networks)
    return [
        Variant(
            *apply_overrides(
                network, {**{key: value for key, value in shared.items() if full_key(network, key)}, **in_name}
            )
        )
        for network, (_, in_name) in zip(networks, names, strict=True)
    ]


def _split(text: str) -> tuple[str, dict[str, int]]:
    name, at, changes = text.partition("@")
    return name, parse_overrides(changes.split(",")) if at else {}
