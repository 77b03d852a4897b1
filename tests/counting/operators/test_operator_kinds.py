"""Every operator of the installed release of torch has the kind of `tests/reference/operator_kinds.json`."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import torch
import torch._prims  # Adds operators.

from analyzer.counting.operators.classify import lookup

FILE = Path(__file__).parents[2] / "reference" / "operator_kinds.json"
PINNED = re.search(r"^torch==(\S+)", (Path(__file__).parents[3] / "constraints.txt").read_text(), re.MULTILINE)[1]


def overloads():
    """The operators of torch's own namespaces: a name with its overload, and the operator."""
    for full in sorted(torch._C._dispatch_get_all_op_names()):
        namespace, _, name = full.partition("::")
        if namespace in ("aten", "prims"):
            packet = getattr(getattr(torch.ops, namespace), name.partition(".")[0])
            yield full, getattr(packet, name.partition(".")[2] or "default")


@cache
def kinds() -> dict[str, str]:
    """The kind by name without overload; with it where overloads differ in kind."""
    found: dict[str, dict[str, str]] = {}
    for full, func in overloads():
        found.setdefault(full.partition(".")[0], {})[full] = lookup(func).kind
    return {
        name: kind
        for packet, each in found.items()
        for name, kind in (each if len(set(each.values())) > 1 else {packet: next(iter(each.values()))}).items()
    }


def by_kind(found: dict[str, str]) -> dict[str, list[str]]:
    return {kind: [name for name, other in found.items() if other == kind] for kind in sorted(set(found.values()))}


def test_kinds_are_those_of_the_file(request):
    """Also with other releases, for operators that both have. Whether torch decomposes an operator may differ."""
    found = kinds()
    if request.config.getoption("--update-golden") and torch.__version__.startswith(PINNED):
        FILE.write_text(json.dumps(by_kind(found), indent=0) + "\n", encoding="utf-8")
    expected = {name: kind for kind, names in json.loads(FILE.read_text(encoding="utf-8")).items() for name in names}
    if torch.__version__.startswith(PINNED):  # Compilers of torch add operators when they are imported.
        assert [name for name in expected if name not in found] == []
    changed = {name: (expected[name], kind) for name, kind in found.items() if expected.get(name, kind) != kind}
    assert {name: pair for name, pair in changed.items() if "composite" not in pair} == {}


def test_what_torch_tags_as_pointwise_is_counted_or_known_to_be_free():
    tagged = {full: lookup(func).kind for full, func in overloads() if torch.Tag.pointwise in func.tags}
    assert len(tagged) > 300
    assert [full for full, kind in tagged.items() if kind in ("unknown", "view")] == []
