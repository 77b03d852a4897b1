"""Network specs as JSON for `scripts/closed_form.js`, which counts them in the browser.

A layer is `{"kind", "name", …}` with its numbers other than the defaults. `set` lists the numbers that an override
changes by the layer's path, `keys` maps those that it changes by another key, such as the widths of a block. Blocks are
expanded, so that the script knows layers and their combinations only.
"""

from __future__ import annotations

from typing import Any

from analyzer.networks.overrides import hyperparameters
from analyzer.networks.spec import Auxiliary, Block, Branches, Network, Node, Sequential
from analyzer.networks.walk import join


class _Keyed(int):
    """A number that remembers, while a block expands, which override changes it."""

    key: str


def network_json(network: Network) -> dict[str, Any]:
    """The input without the batch, and the tree of layers."""
    keys = {f"{number.path}.{number.key}" for number in hyperparameters(network)}
    return {"input": list(network.input), "tree": _node("", network.trunk, "", keys)}


def _node(name: str, node: Node, path: str, keys: set[str]) -> dict[str, Any]:
    if isinstance(node, Block):
        node = node.replace(**{key: _keyed(getattr(node, key), f"{path}.{key}") for key in node.keys}).expand()
    if isinstance(node, Sequential):
        kind = "auxiliary" if isinstance(node, Auxiliary) else "branches" if isinstance(node, Branches) else "chain"
        children = [_node(child, item, join(path, child), keys) for child, item in node.children.items()]
        return {"kind": kind, "name": name, "children": children}
    numbers = {field: value for field in node.fields if isinstance(value := getattr(node, field), int | None)}
    result: dict[str, Any] = {"kind": type(node).__name__, "name": name}
    result |= {field: value for field, value in numbers.items() if value != node.defaults.get(field, ...)}
    if by_path := [field for field in numbers if f"{path}.{field}" in keys]:
        result["set"] = by_path
    if by_key := {field: value.key for field, value in numbers.items() if isinstance(value, _Keyed)}:
        result["keys"] = by_key
    return result


def _keyed(value: int, key: str) -> _Keyed:
    number = _Keyed(value)
    number.key = key
    return number
