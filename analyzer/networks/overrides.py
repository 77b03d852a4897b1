"""One number of a table, changed: `inception_4a.reduce_5x5=32`."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple, TypeAlias

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted, require_whole
from analyzer.networks.spec import Network, Node, Sequence
from analyzer.networks.walk import join

Overrides: TypeAlias = Mapping[str, int]


class Setting(NamedTuple):
    """A number that can be set: the part's path, its role, the number's key and value."""

    path: str
    role: str
    key: str
    value: int


def parse(text: str) -> tuple[str, int]:
    """`inception_4a.reduce_5x5=32` → its path and its number. Raises AnalyzerError for anything else."""
    match = re.fullmatch(r"([^=\s]+\.[a-z0-9_]+)=([0-9]{1,9})", text.strip())
    if not match or int(match[2]) < 1:
        raise AnalyzerError(
            f"malformed setting {quoted(text)}; wanted PATH.KEY=NUMBER with a number of at least 1, "
            "such as inception_4a.reduce_5x5=32"
        )
    return match[1], int(match[2])


def settings(network: Network) -> tuple[Setting, ...]:
    """Every number of the table that can be set."""
    return tuple(_settings(network.trunk, "", ""))


def full_key(network: Network, key: str) -> str | None:
    """The one number that `key` names, by its full path, or None.

    A key may use the path or, where no path is meant, the role, and may stop above the only part that has it:
    `conv1.out` is `conv1.conv.out`.
    """
    place, _, name = key.rpartition(".")
    named = [one for one in settings(network) if one.key == name]
    found = (
        [one for one in named if one.path == place]
        or [one for one in named if one.role == place]
        or [one for one in named if one.path.startswith(f"{place}.")]
        or [one for one in named if one.role.startswith(f"{place}.")]
    )
    return f"{found[0].path}.{name}" if len(found) == 1 else None


def apply(network: Network, overrides: Overrides) -> tuple[Network, dict[str, int]]:
    """The network with those numbers changed, and the changes by full path. Raises AnalyzerError for unknown keys."""
    changes: dict[str, int] = {}
    for key, value in overrides.items():
        full = full_key(network, str(key))
        if full is None:
            raise unknown(str(key), [network])
        require_whole(one_line(key), value)
        changes[full] = value
    for full, value in changes.items():
        path, _, name = full.rpartition(".")
        trunk = _changed(network.trunk, path.split("."), name, value)
        assert isinstance(trunk, Sequence)
        network = network.replace(rows=trunk.parts)
    return network, changes


def unknown(key: str, networks: list[Network]) -> AnalyzerError:
    """The error for a key that none of the networks has, with the keys that they do have."""
    keys = list(dict.fromkeys(f"{one.path}.{one.key}" for network in networks for one in settings(network)))
    row = key.partition(".")[0]
    near = [known for known in keys if known.startswith(f"{row}.")]
    names = ", ".join(network.name for network in networks)
    listed = f"{row} has {', '.join(near)}" if near else nearest(key, keys)
    return AnalyzerError(f"no number {quoted(key)} in {one_line(names)}; {one_line(listed)}")


def _settings(node: Node, path: str, role: str) -> Iterator[Setting]:
    if isinstance(node, Sequence):
        for name, part in node.parts.items():
            yield from _settings(part, join(path, name), join(role, node.roles.get(name, name)))
    else:
        for key in node.keys:
            yield Setting(path, role, key, getattr(node, key))


def _changed(node: Node, path: list[str], key: str, value: int) -> Node:
    """The node with the number at that full path changed. Names hold no dots, so a path splits one way."""
    if not isinstance(node, Sequence):
        return node.replace(**{key: value})
    name, *rest = path
    return node.replace(parts={**node.parts, name: _changed(node.parts[name], rest, key, value)})
