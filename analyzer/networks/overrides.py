"""Changes to one number of a network spec: `inception_4a.reduce_5x5=32`.

The widths of a block, such as an inception module, are its own numbers; kernel and groups of the convolutions inside
are set by their path, `inception_4a.branch_5x5.conv.kernel=3`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from analyzer.core.errors import AnalyzerError, nearest, one_line, quoted, require_positive_int
from analyzer.networks.spec import Block, Conv, Network, Node, Sequential
from analyzer.networks.walk import join

Overrides: TypeAlias = Mapping[str, int]
KEYS_IN_BLOCKS = ("kernel", "groups")


class Hyperparameter(NamedTuple):
    """A number that an override can change: path and role of its layer, its key and its value."""

    path: str
    role: str
    key: str
    value: int


def parse_override(text: str) -> tuple[str, int]:
    """`inception_4a.reduce_5x5=32` → key and number. Raises AnalyzerError if it is malformed."""
    match = re.fullmatch(r"([^=\s]+\.[a-z0-9_]+)=([0-9]{1,9})", text.strip())
    if not match or int(match[2]) < 1:
        raise AnalyzerError(
            f"malformed setting {quoted(text)}; wanted PATH.KEY=NUMBER with a number of at least 1, "
            "such as inception_4a.reduce_5x5=32"
        )
    return match[1], int(match[2])


def parse_overrides(texts: Sequence[str]) -> dict[str, int]:
    """Several settings. Raises AnalyzerError if one of them is malformed, or a key has two numbers."""
    overrides: dict[str, int] = {}
    for key, number in map(parse_override, texts):
        if overrides.setdefault(key, number) != number:
            raise AnalyzerError(f"{one_line(key)} is set to {overrides[key]} and to {number}; give one of them")
    return overrides


def hyperparameters(network: Network) -> tuple[Hyperparameter, ...]:
    """Every number of the network spec that an override can change."""
    return tuple(_hyperparameters(network.trunk, "", ""))


def full_key(network: Network, key: str) -> str | None:
    """The full path of the only number that `key` names; None if there is none or more than one.

    A key uses the path or, if no path matches, the role. It may leave out the last segments if they are unambiguous:
    `conv1.out` is `conv1.conv.out`.
    """
    layer, _, name = key.rpartition(".")
    if _has_number(network.trunk, layer.split("."), name):
        return key
    candidates = [number for number in hyperparameters(network) if number.key == name]
    matches = (
        [number for number in candidates if number.role == layer]
        or [number for number in candidates if number.path.startswith(f"{layer}.")]
        or [number for number in candidates if number.role.startswith(f"{layer}.")]
    )
    return f"{matches[0].path}.{name}" if len(matches) == 1 else None


def apply_overrides(network: Network, overrides: Overrides) -> tuple[Network, dict[str, int]]:
    """The changed network and its overrides by full path. Raises AnalyzerError for an unknown key or a bad value."""
    changes: dict[str, int] = {}
    for key, value in overrides.items():
        full = full_key(network, str(key))
        if full is None:
            raise unknown_key_error(str(key), [network])
        require_positive_int(one_line(key), value)
        changes[full] = value
    for full in sorted(changes, key=lambda key: key.count(".")):  # A block's numbers before those inside it.
        (path, _, name), value = full.rpartition("."), changes[full]
        trunk = _changed(network.trunk, path.split("."), name, value)
        assert isinstance(trunk, Sequential)
        network = network.replace(rows=trunk.children)
    return network, changes


def unknown_key_error(key: str, networks: list[Network]) -> AnalyzerError:
    """The error for a key that none of the networks has, with the keys of its row or the nearest keys."""
    numbers = [number for network in networks for number in _hyperparameters(network.trunk, "", "", in_blocks=False)]
    keys = list(dict.fromkeys(f"{number.path}.{number.key}" for number in numbers))
    row = key.partition(".")[0]
    of_row = [known for known in keys if known.startswith(f"{row}.")]
    names = ", ".join(network.name for network in networks)
    advice = f"{row} has {', '.join(of_row)}" if of_row else nearest(key, keys)
    return AnalyzerError(f"no number {quoted(key)} in {one_line(names)}; {one_line(advice)}")


def _has_number(node: Node | None, path: Sequence[str], key: str) -> bool:
    """Whether the layer or block at a path has a number that an override can change. Faster than listing them all."""
    if isinstance(node, Block) and path:
        return key in KEYS_IN_BLOCKS and _has_number(_convolutions(node.expand()), path, key)
    if isinstance(node, Sequential):
        return bool(path) and _has_number(node.children.get(path[0]), path[1:], key)
    return node is not None and not path and key in node.keys


def _hyperparameters(node: Node, path: str, role: str, *, in_blocks: bool = True) -> Iterator[Hyperparameter]:
    """The numbers of a node and, unless `in_blocks` is False, those of the layers that its blocks expand to."""
    if isinstance(node, Sequential):
        for name, child, child_role in _children(node, role):
            yield from _hyperparameters(child, join(path, name), child_role, in_blocks=in_blocks)
        return
    for key in node.keys:
        yield Hyperparameter(path, role, key, getattr(node, key))
    if isinstance(node, Block) and in_blocks:
        for number in _hyperparameters(_convolutions(node.expand()), path, role):
            if number.key in KEYS_IN_BLOCKS:
                yield number


def _children(node: Sequential, role: str) -> Iterator[tuple[str, Node, str]]:
    for name, child in node.children.items():
        yield name, child, join(role, node.roles.get(name, name))


def _convolutions(node: Sequential) -> Sequential:
    """The node without all layers but its convolutions."""
    children = {
        name: _convolutions(child) if isinstance(child, Sequential) else child
        for name, child in node.children.items()
        if isinstance(child, Conv | Sequential)
    }
    return node.replace(children=children)


def _changed(node: Node, path: list[str], key: str, value: int) -> Node:
    """The node with one number changed. Names hold no dots, so a path splits in one way only."""
    if isinstance(node, Block) and path:
        node = node.expand()
    if not isinstance(node, Sequential):
        return node.replace(**{key: value})
    name, *rest = path
    return node.replace(children={**node.children, name: _changed(node.children[name], rest, key, value)})
