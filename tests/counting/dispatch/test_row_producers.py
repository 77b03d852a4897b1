"""Rows have the windows of the operators that ran, and the rows that made their inputs."""

import torch
from torch import nn

from analyzer.counting.api import count
from analyzer.records.record import restrict


class Residual(nn.Module):
    def __init__(self):
        super().__init__()
        self.wide = nn.Conv2d(3, 9, (1, 9), padding="same")
        self.depthwise = nn.Conv2d(9, 9, 3, stride=2, padding=1, groups=9)
        self.act = nn.ReLU(inplace=True)
        self.drop = nn.Dropout()
        self.skip = nn.AvgPool2d(2)
        self.fc = nn.Linear(9, 2)
        self.aux = nn.Linear(9, 3)

    def forward(self, x):
        x = self.wide(x)
        y = self.drop(self.act(self.depthwise(x)))
        y = torch.relu(y + self.skip(x)).mean((2, 3)).view(-1, 9)
        return self.fc(y), self.aux(y)


def test_rows_have_the_window_and_the_producers_of_what_ran():
    record = count(Residual().eval(), input=(3, 8, 8))
    rows = [(row.path, row.op, row.kernel, row.stride, row.padding, row.groups, row.sources) for row in record.rows]
    none = (None, None, None, None)
    # The dropout is the identity at inference: the sum reads the ReLU's output. A view has the producer of its base.
    assert rows == [
        ("wide", "conv2d", (1, 9), (1, 1), (0, 4), 1, ()),
        ("depthwise", "conv2d", (3, 3), (2, 2), (1, 1), 9, (0,)),
        ("act", "relu", *none, (1,)),
        ("drop", "dropout", *none, (2,)),
        ("skip", "avg_pool2d", (2, 2), (2, 2), (0, 0), None, (0,)),
        ("", "add", *none, (2, 4)),
        ("", "relu", *none, (5,)),
        ("", "mean", *none, (6,)),
        ("fc", "linear", *none, (7,)),
        ("aux", "linear", *none, (7,)),
    ]
    # Positions are those of the module's rows; producers outside of it are left out.
    assert [row.sources for row in restrict(record, "aux").rows] == [()]
