"""The fewest multiplications of a convolution by any published algorithm that libraries use.

Per pair of an input and an output channel, the direct algorithm multiplies once per output and filter tap. Others
multiply once or little more per point of the image, whatever the size of the filter:

- Winograd's minimal filtering (Winograd 1980; Lavin and Gray 2016) computes m outputs of r taps with m + r - 1
  multiplications. Libraries use tiles of up to 8 points per axis: F(6, 3) and F(4, 5), as in NNPACK and cuDNN.
- By Fourier transforms of real images (Mathieu et al. 2014), half of the frequencies suffice, and a complex product
  takes 3 real ones (Zlateski et al. 2018): 1.5 per point.

A strided convolution is a sum of convolutions with stride 1 of every s-th point, with filters of 1/s of the size.
Transforms and the edges of tiles are not counted, so this is a lower bound. Sub-cubic matrix products (Strassen) are
left out: no library uses them for networks.
"""

from __future__ import annotations

from math import ceil, prod

from analyzer.records.rows import Row

TILE = 8  # Points per axis; larger tiles lose too many digits in float32 (Barabasz et al. 2020).
PER_FREQUENCY = 1.5


def fewest_flops(row: Row) -> int:
    """The row's FLOPs if its multiply-adds are as few as in the best algorithm; other rows have only direct ones."""
    return row.flops - 2 * row.macs + ceil(2 * row.macs / reduction(row))


def reduction(row: Row) -> float:
    """By which factor the best algorithm multiplies less than the direct one, at least 1.

    A row has no filter size. It follows from the MACs per output if there is one group; where that gives no square
    filter of odd size, so do the fewest groups that give one, and one group per channel. The largest reduction counts.
    """
    if not row.op.startswith("conv") or not row.inputs or not row.outputs or not row.macs:
        return 1.0
    source, output = row.inputs[0], row.outputs[0]
    if "transpose" in row.op:
        source, output = output, source  # Each input element is multiplied with a filter.
    dimensions = int(row.op.removeprefix("conv_transpose").removeprefix("conv")[:1] or 0) if row.op[-1] == "d" else 0
    if not dimensions or len(source) <= dimensions or len(output) != len(source):
        return 1.0
    channels, per_output = source[-dimensions - 1], row.macs // prod(output)
    groups = [count for count in range(1, channels + 1) if not channels % count and not per_output * count % channels]
    taps = [per_output * count // channels for count in groups]
    odd = [size for size in taps if _side(size, dimensions) % 2]
    filters = taps[:1] if groups[:1] == [1] else []
    if not filters or filters[0] not in odd:
        filters = [*filters, *odd[:1], *(odd[-1:] if odd[-1:] == taps[-1:] else [])]
    return max((_of_filter(size, source[-dimensions:], output[-dimensions:]) for size in filters or taps), default=1.0)


def _side(taps: int, dimensions: int) -> int:
    """The side of a square or cubic filter; 0 if there is none."""
    side = round(taps ** (1 / dimensions))
    return side if side**dimensions == taps else 0


def _of_filter(taps: int, source: tuple[int, ...], output: tuple[int, ...]) -> float:
    """For a filter of `taps` points over one pair of channels; a cube if it can be one, or else along one axis."""
    ones = (1,) * (len(source) - 1)
    side = _side(taps, len(source))  # 1x7 has none: along the axis on which it helps most.
    filters = [(side,) * len(source)] if side else [(*ones[:axis], taps, *ones[axis:]) for axis in range(len(source))]
    return max(1.0, *(taps * prod(output) / _multiplications(filter_, source, output) for filter_ in filters))


def _multiplications(filter_: tuple[int, ...], source: tuple[int, ...], output: tuple[int, ...]) -> float:
    """Points of the image times multiplications per point."""
    points, per_point = 1, 1.0
    for side, before, after in zip(filter_, source, output, strict=True):
        stride = 1 if before < after + side else ceil(before / after)
        part = max(1, side // stride)
        points *= max(min(before, after * side), after)
        per_point *= TILE / (TILE + 1 - part) if part < TILE else float("inf")
    return points * min(per_point, PER_FREQUENCY)
