"""Values beside meta: what a model may read of its inputs without weights."""

from __future__ import annotations

import pytest
import torch

from analyzer.models.values_on_meta import KnownValues, known_values


@pytest.fixture
def on_meta():
    """Inputs with values, and an activation without."""
    inputs = {"grid": torch.tensor([[2, 4]]), "mask": torch.tensor([True, False, True, True, False, True])}
    with known_values(inputs) as moved, torch.no_grad():
        moved["hidden"] = torch.nn.Linear(3, 5)(torch.empty(6, 3))
        yield moved


def test_everything_is_on_meta(on_meta):
    assert all(tensor.is_meta for tensor in on_meta.values())


def test_values_of_inputs_and_of_what_is_computed_from_them(on_meta):
    assert on_meta["grid"].tolist() == [[2, 4]]
    assert int(on_meta["grid"].prod()) == 8
    assert [part.shape[0] for part in on_meta["hidden"].split(on_meta["grid"][0].tolist())] == [2, 4]


def test_masks_and_nonzero_have_the_number_of_true_elements(on_meta):
    assert on_meta["hidden"][on_meta["mask"]].shape == (4, 5)
    assert on_meta["mask"].nonzero().shape == (4, 1)
    expanded = on_meta["mask"].unsqueeze(1).expand_as(on_meta["hidden"])
    assert on_meta["hidden"][expanded].shape == (20,)


def test_constructors_literals_and_index_lists_have_values(on_meta):
    assert torch.arange(3).tolist() == [0, 1, 2]
    assert torch.tensor([1.5, 2]).tolist() == [1.5, 2]
    assert torch.tensor([on_meta["grid"][0, 1]]).tolist() == [4]
    assert on_meta["grid"][:, [1, 0]].tolist() == [[4, 2]]
    assert torch.ones_like(on_meta["hidden"]).sum().item() == 30
    assert torch.arange(3).cpu().tolist() == [0, 1, 2]


def test_index_tuples_of_tensors_have_values(on_meta):
    """`rows, cols = zip(*indices)` makes tuples of single numbers, which torch turns into tensors by itself."""
    rows, columns = zip(*torch.tensor([[0, 1], [1, 3]]), strict=True)
    kept = torch.ones(2, 4, dtype=torch.bool)
    kept[rows, columns] = False
    assert kept.tolist() == [[True, False, True, True], [True, True, True, False]]
    assert torch.arange(8).view(2, 4)[rows, columns].tolist() == [1, 7]
    chosen = on_meta["hidden"][0].argmax()
    assert kept[(chosen, chosen), (0, 0)].shape == (2,)


def test_a_result_of_weights_has_no_value(on_meta):
    with pytest.raises(RuntimeError, match="meta"):
        on_meta["hidden"].sum().item()


def test_writing_through_a_view_changes_the_value(on_meta):
    zeros = torch.zeros(3)
    zeros[1:][0] = 5
    assert zeros.tolist() == [0, 5, 0]


def test_writing_an_unknown_value_drops_that_of_every_view(on_meta):
    zeros = torch.zeros(3)
    view = zeros[1:]
    view.copy_(on_meta["hidden"][0, :2])
    for tensor in (zeros, view):
        with pytest.raises(NotImplementedError, match="meta"):
            tensor.tolist()


def test_random_and_large_tensors_have_no_value():
    values = KnownValues(max_elements=4)
    with torch.device("meta"), values:
        assert values.value(torch.zeros(4)) is not None
        assert values.value(torch.zeros(5)) is None
        assert values.value(torch.rand(4)) is None


def test_values_are_freed_with_their_tensors():
    values = KnownValues()
    with torch.device("meta"), values:
        tensor = torch.zeros(4)
        tensor[1:].add_(1)
        assert values.values
    del tensor
    assert (values.values, values.views) == ({}, {})
