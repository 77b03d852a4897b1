"""A pass cut into tiles: every operator has one, each holds the rows that it makes, and nothing stays on the model."""

from __future__ import annotations

from threading import Thread

import pytest
import torch
from torch import nn

import analyzer
from analyzer.models.builder import auxiliary_loss, build
from analyzer.timing.clock.clocks import HostClock
from analyzer.timing.passes.instrument import Cut
from analyzer.timing.passes.tiles import tiles_of
from analyzer.timing.passes.timed_pass import Changed, Inference, Training


class Mixed(nn.Module):
    """Leaves, functions between them, a module called twice, attention, a view, a property."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3, padding=1)
        self.twice = nn.Conv2d(4, 4, 1)
        self.norm = nn.LayerNorm(4)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)

    def forward(self, x):
        x = torch.relu(self.conv(x))
        x = self.twice(self.twice(x)) + x.mean()
        x = x.flatten(2).transpose(1, 2)
        assert x.shape[-1] == 4
        x = self.norm(x)
        return self.attention(x, x, x)[0].sum(1)


def test_every_row_is_in_one_tile_and_in_order():
    model, x = Mixed().eval(), torch.randn(2, 3, 8, 8)
    tiles, count = tiles_of(model, lambda: model(x))
    rows = [row for tile in tiles for row in tile.rows]
    assert rows == list(range(len(count.rows)))
    named = [(tile.path, tile.op, tile.call) for tile in tiles]
    assert named[:5] == [
        ("conv", "conv2d", 1),
        ("", "relu", 1),
        ("twice", "conv2d", 1),
        ("twice", "conv2d", 2),
        ("", "mean", 1),
    ]
    assert ("attention", "multi_head_attention_forward", 1) in named
    # Q, K and V in one product, scores and values in another, the way out in a third: several rows, one tile.
    attention = next(tile for tile in tiles if tile.op == "multi_head_attention_forward")
    assert len(attention.rows) >= 3
    assert sum(count.rows[number].macs for number in attention.rows) == 4 * 2 * 64 * 4 * 4 + 2 * 2 * 64 * 64 * 4


@pytest.mark.parametrize("name", ["googlenet", "googlenet-torchvision", "googlenet-naive", "alexnet", "nin", "vgg16"])
def test_tiles_of_a_named_network_have_the_closed_forms_names(name):
    model = build(name, input=(3, 224, 224) if name in ("alexnet", "vgg16") else (3, 96, 96))
    size = 224 if name in ("alexnet", "vgg16") else 96
    x = torch.empty(1, 3, size, size, device="meta")
    tiles, _ = tiles_of(model.to("meta"), lambda: model(x))
    closed = [(row.path, row.op, row.call) for row in analyzer.count(name, input=(3, size, size)).rows]
    assert [(tile.path, tile.op, tile.call) for tile in tiles] == closed


class Counting:
    """A clock that ticks once a mark."""

    def __init__(self) -> None:
        self.ticks = 0

    def mark(self) -> int:
        self.ticks += 1
        return self.ticks


def test_parts_and_gap_add_up_by_construction():
    model = Mixed().eval()
    x = torch.randn(1, 3, 8, 8)
    tiles, _ = tiles_of(model, lambda: model(x))
    clock = Counting()
    clock.seconds = lambda marks: [float(mark - marks[0]) for mark in marks]
    clock.hold = clock.settle = lambda: None
    times = Inference(lambda: model(x), model, tiles, clock).cut()
    # One tick a mark: every tile takes 1, and so does every gap, of which there is one more.
    assert times["forward", "", "gap", 1] == len(tiles) + 1
    assert sum(times.values()) == 2 * len(tiles) + 1


def test_a_leaf_that_runs_in_a_thread_of_the_models_own_stands_in_the_gap():
    class Threaded(nn.Sequential):
        def forward(self, x):
            made = []
            thread = Thread(target=lambda: made.append(self[0](x)))
            thread.start()
            thread.join()
            return self[1](made[0])

    model, x = Threaded(nn.Linear(4, 4), nn.ReLU()), torch.randn(2, 4)
    with torch.inference_mode():
        tiles, _ = tiles_of(model, lambda: model(x))
        assert [tile.path for tile in tiles] == ["1"]
        assert list(Inference(lambda: model(x), model, tiles, HostClock()).cut()) == [
            ("forward", "1", "relu", 1),
            ("forward", "", "gap", 1),
        ]


def test_nothing_stays_on_the_model():
    model = Mixed().eval()
    before = [(dict(vars(module)), dict(module._forward_hooks)) for module in model.modules()]
    cut = Cut(lambda: 0)
    with cut.installed(model), cut:
        model(torch.randn(1, 3, 8, 8))
    assert [(vars(module), dict(module._forward_hooks)) for module in model.modules()] == before


def test_a_forward_that_was_replaced_before_is_put_back():
    model = nn.Sequential(nn.ReLU())
    own = lambda x: x + 1  # noqa: E731
    model[0].forward = own
    with Cut(lambda: 0).installed(model):
        assert model[0].forward is not own
    assert model[0].forward is own


def test_a_pass_that_raises_leaves_the_model_and_the_mode_as_they_were():
    class Raises(nn.Module):
        def forward(self, x):
            raise RuntimeError("no")

    model = nn.Sequential(nn.ReLU(), Raises())
    cut = Cut(lambda: 0)
    with pytest.raises(RuntimeError, match="no"), cut.installed(model), cut:
        model(torch.zeros(1))
    assert "forward" not in vars(model[0])
    marks = len(cut.marks)
    torch.zeros(1) + 1
    assert len(cut.marks) == marks


def test_a_pass_that_runs_other_operators_is_not_given_wrong_names():
    class Moody(nn.Module):
        def __init__(self):
            super().__init__()
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return torch.relu(x) if self.calls % 2 else torch.relu(x) + 1

    model = Moody()
    x = torch.zeros(3)
    tiles, _ = tiles_of(model, lambda: model(x))
    passed = Inference(lambda: model(x), model, tiles, HostClock())
    with pytest.raises(Changed, match="2 operators ran where 1 were counted"):
        passed.cut()


def test_as_many_operators_but_other_ones_are_not_given_wrong_names():
    class Switch(nn.Module):
        def __init__(self):
            super().__init__()
            self.one, self.other = nn.Linear(4, 4), nn.Linear(4, 4)
            self.calls = 0

        def forward(self, x):
            self.calls += 1
            return self.one(x) if self.calls < 3 else self.other(x)

    model = Switch()
    x = torch.zeros(2, 4)
    tiles, _ = tiles_of(model, lambda: model(x))
    passed = Inference(lambda: model(x), model, tiles, HostClock())
    assert ("forward", "one", "linear", 1) in passed.cut()
    with pytest.raises(Changed, match="other operators ran than were counted"):
        passed.cut()


def training(model, loss):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    tiles, _ = tiles_of(model, loss)
    return Training(loss, model, optimizer, tiles, HostClock())


def test_a_training_step_has_all_three_phases_and_every_gradient_its_tile():
    model = build("googlenet", train=True, input=(3, 64, 64))
    x, target = torch.randn(2, 3, 64, 64), torch.zeros(2, dtype=torch.int64)
    times = training(model, lambda: auxiliary_loss(model(x), target)).cut()
    paths = {path for phase, path, op, _ in times if phase == "backward" and op == "conv2d"}
    convolutions = {row.path for row in analyzer.count("googlenet", input=(3, 64, 64), train=True).rows
                    if row.op == "conv2d"}  # fmt: skip
    assert paths == convolutions
    assert ("forward", "", "cross_entropy", 1) in times or ("forward", "", "cross_entropy_loss", 1) in times
    assert ("optimizer", "", "step", 1) in times
    owners = {path for phase, path, op, _ in times if op == "accumulate_grad"}
    assert convolutions <= owners
    assert all(seconds >= 0 for seconds in times.values())


def test_a_shared_layers_gradients_go_to_the_call_that_made_them():
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.linear = nn.Linear(8, 8)

        def forward(self, x):
            return self.linear(torch.tanh(self.linear(x)))

    model = Shared()
    x = torch.randn(4, 8)
    times = training(model, lambda: model(x).sum()).cut()
    assert {key for key in times if key[0] == "backward" and key[2] in ("linear", "tanh")} == {
        ("backward", "linear", "linear", 1),
        ("backward", "", "tanh", 1),
        ("backward", "linear", "linear", 2),
    }


def test_hooks_on_gradients_do_not_pile_up():
    model = nn.Linear(4, 4)
    x = torch.randn(2, 4)
    passed = training(model, lambda: model(x).sum())
    sizes = {len(passed.cut()) for _ in range(4)}
    assert len(sizes) == 1
