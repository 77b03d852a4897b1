from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional

from analyzer.timing.passes.inputs import InputPool, draw_inputs


class Text(nn.Module):
    def __init__(self, rows=50, kinds=3):
        super().__init__()
        self.words, self.kinds = nn.Embedding(rows, 4), nn.Embedding(kinds, 4)

    def forward(self, ids, kinds=None, mask=None):
        x = self.words(ids.view(-1))
        return x if kinds is None else x + self.kinds(kinds).flatten(0, 1)


def zeros(*shape):
    return torch.zeros(shape, dtype=torch.int64)


def test_ids_are_drawn_below_the_rows_of_the_embedding_that_they_index():
    torch.manual_seed(0)
    (ids,), kwargs = arguments(Text(), [zeros(4, 100)], {"kinds": zeros(4, 100), "mask": zeros(4, 100) + 1}, {})
    assert ids.dtype == torch.int64
    assert (int(ids.min()), int(ids.max())) == (0, 49)
    assert set(kwargs["kinds"].flatten().tolist()) == {0, 1, 2}
    assert bool((kwargs["mask"] == 1).all())  # It indexes nothing.


def test_a_given_range_and_the_users_own_ids_are_kept():
    torch.manual_seed(0)
    (ids,), _ = arguments(Text(), [zeros(4, 100)], {}, {0: 5})
    assert set(ids.flatten().tolist()) == {0, 1, 2, 3, 4}
    own = torch.arange(6).view(2, 3)
    (kept,), _ = arguments(Text(), [own], {}, {})
    assert kept is own


def test_tables_of_functions_and_bags():
    class Tables(nn.Module):
        def forward(self, ids, bag):
            a = functional.embedding(ids, torch.zeros(7, 2))
            return a, functional.embedding_bag(input=bag, weight=torch.zeros(11, 2))

    torch.manual_seed(0)
    (ids, bag), _ = arguments(Tables(), [zeros(200), zeros(40, 5)], {}, {})
    assert (int(ids.max()), int(bag.max())) == (6, 10)


def test_images_and_single_numbers_are_left_alone():
    image, step = torch.zeros(1, 3, 8, 8), torch.tensor(3)
    args, _ = arguments(nn.Identity(), [image, step], {}, {})
    assert args[0] is image
    assert args[1] is step


def arguments(*given):
    drawn = draw_inputs(*given)
    return drawn.args, drawn.kwargs


def test_inputs_drawn_anew_keep_their_shape_and_range():
    model, ids = nn.Embedding(1000, 8), zeros(4, 100)
    drawn = draw_inputs(model, [ids], {}, {})
    assert drawn.call_s > 0
    assert [(table.table_bytes, table.read_bytes) for table in drawn.tables] == [(1000 * 8 * 4, 400 * 8 * 4)]
    pool = InputPool(drawn.args, drawn.kwargs, drawn.draw)
    assert pool.next() == (drawn.args, drawn.kwargs)
    pool.refill(3)
    seen = [pool.next()[0][0] for _ in range(3)]
    assert not torch.equal(seen[0], seen[1])
    assert not torch.equal(seen[1], seen[2])
    assert all(draw.shape == ids.shape and draw.min() >= 0 and draw.max() < 1000 for draw in seen)
    images = draw_inputs(nn.Identity(), [torch.zeros(1, 3, 8, 8).contiguous(memory_format=torch.channels_last)], {}, {})
    ((image,), _) = images.draw()
    assert image.std() > 0
    assert image.is_contiguous(memory_format=torch.channels_last)
