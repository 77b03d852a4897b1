"""Recurrent layers on meta as a few products over all steps, with the MACs and gradients of the products of each step.

Under autograd torch runs some twenty operators per step, and twice as many backward: two minutes for four directions of
8,000 steps. The states before the first step are apart from the others, since they may have no gradient.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import linear

from analyzer.counting.dispatch.tensors import is_fake

GATES = {torch.lstm: 4, torch.gru: 3, torch.rnn_tanh: 1, torch.rnn_relu: 1}
CELLS = {torch.lstm_cell: 4, torch.gru_cell: 3, torch.rnn_tanh_cell: 1, torch.rnn_relu_cell: 1}


def as_products(func: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """The result of `torch.lstm` and kin on meta or fake tensors; NotImplemented for other calls and real tensors."""
    if kwargs or not isinstance(args[0], Tensor) or not _has_no_values(args[0]):
        return NotImplemented
    if func in CELLS:
        return _cell(func, *args) if len(args) == 6 else NotImplemented
    return _packed(func, *args) if isinstance(args[3], list | tuple) else _padded(func, *args)


def _has_no_values(tensor: Tensor) -> bool:
    with torch._C.DisableTorchFunction():  # A mode may report another device of meta tensors.
        return tensor.is_meta or is_fake(tensor)


def _padded(
    func: Any,
    source: Tensor,
    states: Any,
    weights: Sequence[Tensor],
    biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
    batch_first: bool,
) -> Any:
    """`source` is (steps, batch, width), or with `batch_first` (batch, steps, width)."""
    if batch_first:
        source = source.transpose(0, 1)
    steps, batch = source.shape[:2]
    if not steps:
        return NotImplemented
    settings = (biases, layers, dropout if train else 0.0, bidirectional)
    output, *last = _layers(func, source.flatten(0, 1), states, weights, (batch, batch), batch, settings)
    output = output.view(steps, batch, -1)
    return (output.transpose(0, 1) if batch_first else output, *last)


def _packed(
    func: Any,
    source: Tensor,
    batch_sizes: Tensor,
    states: Any,
    weights: Sequence[Tensor],
    biases: bool,
    layers: int,
    dropout: float,
    train: bool,
    bidirectional: bool,
) -> Any:
    """`source` has a row per step and sequence. The reverse direction starts with the longest sequences alone."""
    if _has_no_values(batch_sizes):
        return NotImplemented
    ends = int(batch_sizes[0]), int(batch_sizes[-1])
    settings = (biases, layers, dropout if train else 0.0, bidirectional)
    return _layers(func, source, states, weights, ends, ends[0], settings)


def _layers(
    func: Any,
    source: Tensor,
    states: Any,
    weights: Sequence[Tensor],
    ends: tuple[int, int],
    batch: int,
    settings: tuple[bool, int, float, bool],
) -> tuple[Tensor, ...]:
    """The output and the last states. `ends`: the rows of the first and of the last step."""
    biases, layers, dropout, bidirectional = settings
    hidden, cell = states if func == torch.lstm else (states, None)
    directions = 1 + bidirectional
    width = len(weights) // (layers * directions)
    last: list[list[Tensor]] = [[], []]
    for layer in range(layers):
        outputs = []
        for direction in range(directions):
            index = layer * directions + direction
            matrices = list(weights[index * width : (index + 1) * width])
            start = hidden[index], None if cell is None else cell[index]
            output, memory = _direction(
                GATES[func], source, start, matrices, biases, ends if direction == 0 else ends[::-1]
            )
            outputs.append(output)
            last[0].append(output[-batch:])
            last[1].append(memory[-batch:])
        source = torch.cat(outputs, -1) if bidirectional else outputs[0]
        if dropout and layer < layers - 1:
            source = torch.dropout(source, dropout, True)
    return (source, *(torch.stack(states) for states in last[: 1 if cell is None else 2]))


def _direction(
    gates: int,
    source: Tensor,
    start: tuple[Tensor, Tensor | None],
    weights: list[Tensor],
    biases: bool,
    ends: tuple[int, int],
) -> tuple[Tensor, Tensor]:
    """Hidden and cell state after each step, (rows, width). `ends`: the rows of the first and of the last step."""
    first, final = ends
    to_input, to_state = weights[:2]
    bias = weights[2:4] if biases else [None, None]
    projection = weights[4 if biases else 2 :]
    hidden, cell = start
    of_input = linear(source, to_input, bias[0])
    of_start = linear(hidden[:first], to_state, bias[1])
    # Any state after the first step has a gradient if a state before it or a weight has.
    output, _ = _step(gates, of_input + of_start[:1], cell)
    rows = len(source)
    if projection:
        projected = linear(output[: rows - final], projection[0])
        missing = projected.new_zeros(max(0, final - first), projected.shape[-1])  # Initial states of later sequences.
        earlier = torch.cat([projected[: rows - first], missing])
    else:
        earlier = output[first:]
    of_states = torch.cat([of_start, linear(earlier, to_state, bias[1])])
    output, memory = _step(gates, of_input + of_states, cell)
    if projection:
        output = torch.cat([projected, linear(output[rows - final :], projection[0])])
    return output, memory


def _step(gates: int, values: Tensor, cell: Tensor | None) -> tuple[Tensor, Tensor]:
    """Elementwise, as far as memory and gradients need it: it saves as many tensors as the steps do."""
    parts = values.chunk(gates, -1)
    if gates == 1:
        output = torch.tanh(parts[0])
        return output, output
    opened = [torch.sigmoid(part) for part in parts[:-1]]
    output = opened[0] * torch.tanh(parts[-1])
    if cell is None:
        return output + opened[1] * output, output
    memory = output + opened[1] * cell[:1]
    return opened[2] * torch.tanh(memory), memory


def _cell(
    func: Any,
    source: Tensor,
    states: Any,
    to_input: Tensor,
    to_state: Tensor,
    input_bias: Tensor | None,
    state_bias: Tensor | None,
) -> Any:
    hidden, cell = states if CELLS[func] == 4 else (states, states)
    values = linear(source, to_input, input_bias) + linear(hidden, to_state, state_bias)
    opened = torch.sigmoid(values)
    memory = opened.narrow(-1, 0, cell.shape[-1]) + cell
    return (opened.narrow(-1, 0, hidden.shape[-1]) * memory, memory) if CELLS[func] == 4 else memory
