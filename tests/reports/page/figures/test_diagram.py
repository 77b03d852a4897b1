"""The drawing of a network: which modules are boxes, their operators and kernels, and what they read."""

import re

from torch import nn

from analyzer.counting.api import count
from analyzer.records.record import Record
from analyzer.records.rows import Count, Row
from reports.page.diagram_boxes import boxes
from reports.page.figures.diagram import svg
from reports.page.network_views import network_views


def drawn(record: Record):
    (network,) = network_views([record])
    return boxes(network)


def test_side_exits_are_joined_to_the_module_they_read():
    record = count("googlenet", train=True)
    shown = drawn(record)
    drawing = svg(record, shown, {})
    # The heads stand between 4a and 4b, and between 4d and 4e, which do not read them.
    assert re.findall(r">(from [^<]*)", drawing) == ["from inception_4a", "from inception_4d"]
    # 22 boxes: the first has no source among the boxes, and two name theirs.
    assert len(shown) == 22
    assert drawing.count("<path") == 22 - 1 - 2


def test_kernels_are_those_of_the_rows_and_modules_that_did_not_run_are_left_out():
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.wide = nn.Conv2d(3, 9, (1, 9))
            self.depthwise = nn.Conv2d(9, 9, 3, groups=9)
            self.head = nn.Linear(9, 2)

        def forward(self, x):
            return self.depthwise(self.wide(x))

    shown = drawn(count(Net(), input=(3, 16, 16)))
    assert [(box.path, box.description) for box in shown] == [("wide", "1x9 → 9"), ("depthwise", "3x3 → 9")]


def test_a_deep_network_is_unfolded_to_its_blocks_and_equal_blocks_are_one_box():
    shape = ((1, 64),)

    def row(path: str, op: str, *sources: int) -> Row:
        macs = 64 * (op == "linear")
        return Row(path, path, op, 1, shape, shape, macs, macs, 0, macs, 2 * macs, 64, 1, 1, sources=sources)

    rows = [row("net.stem", "linear", -1)]
    for block in range(12):
        start = len(rows) - 1
        rows += [row(f"net.h.{block}.attn.in", "linear", start), row(f"net.h.{block}.attn.out", "linear", start + 1),
                 row(f"net.h.{block}", "add", start, start + 2)]  # fmt: skip
    rows.append(row("net.head", "linear", 1))  # Of the first block.
    record = Record("deep", shape, "inference", Count("dispatch", tuple(rows)))
    stem, blocks, head = drawn(record)
    assert [box.name for box in (stem, blocks, head)] == ["net.stem", "12 × h", "net.head"]
    assert blocks.steps == (("attn.in", "linear → 64"), ("attn.out", "linear → 64"), ("", "add"))
    assert blocks.share == 24 / 26
    assert len(blocks.paths) == 12
    drawing = svg(record, (stem, blocks, head), {})
    assert ">from" not in drawing  # Edges inside the box of all blocks are not drawn.
    assert drawing.count("<path") == 2


def test_a_module_of_small_modules_stays_one_box():
    """As the modules of inception_v3, whose branches end in several convolutions; activations are not listed."""
    shape = ((1, 8, 4, 4),)
    rows = [
        Row(f"mixed.branch_{number}.{part}", "", op, 1, shape, shape, macs, macs, 0, macs, 2 * macs, 8, 1, 1,
            kernel=(3, 3) if macs else None, sources=(-1,))
        for number in range(14)
        for part, op, macs in (("conv", "conv2d", 8), ("bn", "batch_norm", 0), ("act", "relu_", 0))
    ]  # fmt: skip
    (box,) = drawn(Record("mixed", shape, "inference", Count("dispatch", tuple(rows))))
    assert box.path == "mixed"
    assert box.steps == tuple((f"branch_{number}.conv", "3x3 → 8") for number in range(14))


def test_a_long_drawing_is_pieces_that_fill_the_columns_of_a_page():
    record = count("googlenet")
    pieces = re.findall(r'<svg [^>]*viewBox="0 0 288 (\d+)"', svg(record, drawn(record), {}))
    assert len(pieces) > 5
    assert max(map(int, pieces)) < 300
