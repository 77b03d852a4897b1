"""One number of a table, changed: `inception_4a.reduce_5x5=32`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TypeAlias

from analyzer.errors import AnalyzerError, nearest, one_line
from analyzer.networks.spec import Network, Node, Sequence
from analyzer.networks.walk import join

Overrides: TypeAlias = Mapping[str, int]


def parse(text: str) -> tuple[str, int]:
    """`inception_4a.reduce_5x5=32` → its path and its number. Raises AnalyzerError for anything else."""
    match = re.fullmatch(r"([^=\s]+\.[a-z0-9_]+)=(\d{1,9})", text.strip())
    if not match or int(match[2]) < 1:
        raise AnalyzerError(
            f"malformed setting {one_line(text)!r}; wanted PATH.KEY=NUMBER with a number of at least 1, "
            "such as inception_4a.reduce_5x5=32"
        )
    return match[1], int(match[2])


def settings(network: Network) -> dict[str, int]:
    """Every number of the table that can be set, by path and key, with its value."""
    return dict(_settings(network.trunk, ""))


def has(network: Network, key: str) -> bool:
    """Whether `key` names a number of this network, by path or by role."""
    path, _, field = key.rpartition(".")
    return _changed(network.trunk, path.split("."), field, 1) is not None


def apply(network: Network, overrides: Overrides) -> Network:
    """The network with those numbers changed. Raises AnalyzerError for a key that it does not have."""
    for key, value in overrides.items():
        path, _, field = key.rpartition(".")
        if value < 1:
            raise AnalyzerError(f"{one_line(key)}={value}: wanted a number of at least 1")
        trunk = _changed(network.trunk, path.split("."), field, value)
        if trunk is None:
            raise unknown(key, [network])
        assert isinstance(trunk, Sequence)
        network = network.replace(rows=trunk.parts)
    return network


def unknown(key: str, networks: list[Network]) -> AnalyzerError:
    """The error for a key that none of the networks has, with the keys that they do have."""
    keys = {known: None for network in networks for known in settings(network)}
    row = key.partition(".")[0]
    near = [known for known in keys if known.startswith(f"{row}.")]
    names = ", ".join(network.name for network in networks)
    listed = f"{row} has {', '.join(near)}" if near else nearest(key, keys)
    return AnalyzerError(f"no number {one_line(key)!r} in {names}; {one_line(listed)}")


def _settings(node: Node, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, Sequence):
        for name, part in node.parts.items():
            yield from _settings(part, join(path, name))
    else:
        for key in node.keys:
            yield f"{path}.{key}", getattr(node, key)


def _changed(node: Node, path: list[str], key: str, value: int) -> Node | None:
    """The node with one number changed, or None where it has no such number.

    A path may use names or roles, and may stop above the part that alone has the key: `conv1.out` is `conv1.conv.out`.
    """
    if not isinstance(node, Sequence):
        return node.replace(**{key: value}) if not path and key in node.keys else None
    found = {}
    for name, part in node.parts.items():
        role = node.roles.get(name, name)
        if path and path[0] in (name, role):
            rest = path[1:]
        elif not path or not role:
            rest = path
        else:
            continue
        changed = _changed(part, rest, key, value)
        if changed is not None:
            found[name] = changed
    return node.replace(parts={**node.parts, **found}) if len(found) == 1 else None
