"""The diagram shows the kernels and the edges of the rows."""

import re

from torch import nn

from analyzer.counting.api import count
from reports.page.figures.diagram import boxes, svg


def test_side_exits_are_joined_to_the_module_they_read():
    record = count("googlenet", train=True)
    drawing = svg(record, "googlenet", {})
    # The heads stand between 4a and 4b, and between 4d and 4e, which do not read them.
    assert re.findall(r">(from [^<]*)", drawing) == ["from inception_4a", "from inception_4d"]
    # 22 boxes: the first has no source among the boxes, and two name theirs.
    assert len(boxes(record)) == 22
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

    shown = boxes(count(Net(), input=(3, 16, 16)))
    assert [(box.path, box.description) for box in shown] == [("wide", "1x9 → 9"), ("depthwise", "3x3 → 9")]
