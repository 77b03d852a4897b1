"""Types of operators and modules in a few words: `conv2d 3→64 7x7/2`, `Conv2d 3→64 7x7/2`, `12 × GPT2Block`."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence

from analyzer.core.shapes import Shape
from analyzer.records.rows import Row

CONVOLUTION = re.compile(r"conv(?:_transpose)?([123])d")
ADDITION = re.compile(r"(s?addb?mm|baddbmm|addmv)_?$")  # Its first input is added to the product of the others.
SHORT = {"local_response_norm": "LRN", "adaptive_avg_pool2d": "adaptive avg pool"}
LISTS = ("Sequential", "ModuleList")
CHANNELS_SECOND = ("batch_norm", "group_norm", "instance_norm")


def operator_type(row: Row) -> str:
    """An operator with its widths and window: `conv2d 3→64 7x7/2`, `conv2d 64→64 3x3, 64 groups`, `max_pool2d 3x3/2`.

    Records of earlier versions have no windows; operators with weights then show the number of these.
    """
    window = _window(row)
    if not (row.weights and row.inputs and row.outputs):
        return f"{row.op}{window}"
    return f"{row.op} {_widths(row)}{window or f', {row.weights:,} weights'}"


def module_type(path: str, rows: Sequence[Row], classes: Mapping[str, str]) -> str:
    """The class of a module, if it is known, with the widths and window of its only layer: `Linear 768→3072`.

    `rows` are those of the module. A list of equal classes is `3 Bottleneck`. Without a class: its only operator with
    MACs, or how many it has: `6 conv2d`.
    """
    computing = [row for row in rows if row.macs] or [row for row in rows if row.kernel]
    kind = classes.get(path)
    if kind is None:
        if len(computing) == 1 or len(rows) == 1:
            return _layer(computing[0] if computing else rows[0])
        return ", ".join(f"{count} {op}" for op, count in Counter(row.op for row in computing).most_common(2))
    if kind in LISTS:
        inside = Counter(classes.get(child, "") for child in _children(path, rows))
        ((only, count),) = inside.most_common(1) if len(inside) == 1 else [("", 0)]
        return f"{count} {only}" if only and count > 1 else kind
    own = [row for row in computing or rows if row.path == path and (row.weights or row.kernel or row.macs)]
    return f"{kind} {_layer(own[0], '')}".rstrip() if len(own) == 1 and len(computing) <= 1 else kind


def _children(path: str, rows: Sequence[Row]) -> list[str]:
    level = path.count(".") + 2
    return list(dict.fromkeys(".".join(row.path.split(".")[:level]) for row in rows if row.path != path))


def repeated(count: int, kind: str) -> str:
    """`12 × GPT2Block`."""
    return f"{count} × {kind}".rstrip(" ×") if count > 1 else kind


def _layer(row: Row, op: str | None = None) -> str:
    """An operator as `operator_type`, without the number of its weights; an equal width before and after only once."""
    name = SHORT.get(row.op, row.op) if op is None else op
    widths = _widths(row) if (row.weights or row.macs) and row.inputs and row.outputs else ""
    before, _, after = widths.partition("→")
    if row.macs == 0 and before in ("", after):
        widths = after
    return " ".join(filter(None, (name, widths, _window(row).strip())))


def _widths(row: Row) -> str:
    first = row.inputs[1] if ADDITION.match(row.op) and len(row.inputs) > 1 else row.inputs[0]
    before = "" if row.op.startswith("embedding") else _width(row.op, first)
    return f"{before}→{_width(row.op, row.outputs[0])}"


def _window(row: Row) -> str:
    if not row.kernel:
        return ""
    sizes = row.stride or ()
    strides = "x".join(map(str, sizes if len(set(sizes)) > 1 else sizes[:1]))
    stride = f"/{strides}" if strides not in ("", "1") else ""
    groups = f", {row.groups:,} groups" if (row.groups or 1) > 1 else ""
    return f" {'x'.join(map(str, row.kernel))}{stride}{groups}"


def _width(op: str, shape: Shape) -> str:
    """The number of channels or features."""
    convolution = CONVOLUTION.match(op)
    index = -1 - int(convolution[1]) if convolution else 1 if op.startswith(CHANNELS_SECOND) else -1
    return str(shape[index]) if -len(shape) <= index < len(shape) else "?"
