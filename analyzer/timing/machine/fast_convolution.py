"""The fewest multiplications of a convolution by any published algorithm that libraries use.

Per pair of an input and an output channel, the direct algorithm multiplies once per output and filter tap. Others
multiply once or little more per output, whatever the size of the filter:

- Winograd's minimal filtering (Winograd 1980; Lavin and Gray 2016) computes m outputs of r taps with m + r - 1
  multiplications. Libraries use tiles of up to 8 points per axis: F(6, 3) and F(4, 5), as in NNPACK and cuDNN.
- By Fourier transforms of real images (Mathieu et al. 2014), half of the frequencies suffice, and a complex product
  takes 3 real ones (Zlateski et al. 2018): 1.5 per point.
- Taps in the padding need no multiplication.

A convolution with stride s is a sum of convolutions with stride 1 of every s-th point, with filters of 1/s of the size.
One with dilation d is a convolution without it on every d-th point. Transforms and the edges of tiles are not counted,
so this is a lower bound. Sub-cubic matrix products (Strassen) are left out: no library uses them for networks.
"""

from __future__ import annotations

from math import ceil, gcd, prod

from analyzer.records.rows import Row

TILE = 8  # Points per axis; larger tiles lose too many digits in float32 (Barabasz et al. 2020).
PER_FREQUENCY = 1.5


def fewest_flops(row: Row) -> int:
    """The row's FLOPs if its multiply-adds are as few as in the best algorithm; other rows have only direct ones."""
    return row.flops - 2 * row.macs + ceil(2 * row.macs / reduction(row))


def reduction(row: Row) -> float:
    """By which factor the best algorithm multiplies less than the direct one, at least 1.

    A convolution whose filter is not known, in a record of an earlier version, may take one multiplication per output.
    """
    if "conv" not in row.op or not row.macs or not row.outputs:
        return 1.0
    if row.kernel is None or row.stride is None:
        return max(1.0, row.macs / prod(row.outputs[0]))
    source, output = row.inputs[0][-len(row.kernel) :], row.outputs[0][-len(row.kernel) :]
    paddings = row.padding or (None,) * len(row.kernel)
    if "transpose" in row.op:
        source, output = output, source  # Each input element is multiplied with a filter.
    axes = [_Axis(*sizes) for sizes in zip(row.kernel, row.stride, paddings, source, output, strict=True)]
    winograd = prod(axis.fewest(axis.winograd_per_output) for axis in axes)
    fourier = PER_FREQUENCY * prod(axis.fewest(axis.phases) for axis in axes)
    return max(1.0, prod(axis.kernel * axis.after for axis in axes) / min(winograd, fourier))


class _Axis:
    """One axis of a convolution from `before` to `after` points."""

    def __init__(self, kernel: int, stride: int, padding: int | None, before: int, after: int) -> None:
        self.kernel, self.after = kernel, after
        if padding is None:  # Its two sides differ, as with "same" for an even kernel, which needs stride 1.
            padding = max(after - before + kernel - 1, 0) // 2
        dilation = _dilation(kernel, stride, padding, before, after)
        step = stride // gcd(stride, dilation)
        self.phases, taps = min(step, kernel), max(1, kernel // step)
        self.winograd_per_output = self.phases * (TILE / (TILE + 1 - taps) if taps <= TILE else float("inf"))
        self.inside = 0
        for tap in range(kernel):
            offset = dilation * tap - padding  # Output i multiplies point stride * i + offset.
            first, last = max(0, -(offset // stride)), min(after - 1, (before - 1 - offset) // stride)
            self.inside += max(0, last - first + 1)

    def fewest(self, per_output: float) -> float:
        """Multiplications of all outputs, or those of the direct algorithm at taps inside the image."""
        return max(1.0, min(self.after * per_output, self.inside))


def _dilation(kernel: int, stride: int, padding: int, before: int, after: int) -> int:
    """The smallest dilation that fits the sizes, since a row has none; 1 where no dilation fits."""
    largest = before + 2 * padding - (after - 1) * stride - 1  # Of the distance between the first tap and the last.
    dilation = max(1, -(-(largest - stride + 1) // max(kernel - 1, 1)))
    return dilation if kernel > 1 and dilation * (kernel - 1) <= largest else 1
