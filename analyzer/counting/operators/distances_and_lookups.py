"""MACs of distances between rows, embedding bags, and systems of equations with triangular matrices."""

from __future__ import annotations

from math import prod

from analyzer.counting.operators.call import Call, Formula, Work, named, products


def _distance(coordinates: int, norm: float, pairs: int) -> Work:
    """A MAC per coordinate of each pair for the Euclidean norm, and its root; 3 operations for any other norm."""
    return products(coordinates, pairs) if norm == 2.0 else Work(flops=3 * coordinates)


def distances(call: Call) -> Work:
    """`cdist`, between all rows of two matrices."""
    pairs = prod(call.outputs[0])
    return _distance(pairs * call.args[0][-1], call.arg(2, "p", 2.0), pairs)


def distances_backward(call: Call) -> Work:
    """The gradient of one side."""
    gradient, left = call.args[:2]
    return _distance(prod(gradient) * left[-1], call.args[3], 0)


def distances_within(call: Call) -> Work:
    """`pdist`, between all pairs of rows of one matrix."""
    pairs = prod(call.outputs[0])
    return _distance(pairs * call.args[0][-1], call.arg(1, "p", 2.0), pairs)


def distances_within_backward(call: Call) -> Work:
    gradient, source, norm = call.args[:3]
    return _distance(prod(gradient) * source[-1], norm, 0)


def embedding_bag(call: Call) -> Work:
    """Sums the rows it looks up: an addition per element, a MAC where samples are weighted."""
    gathered = prod(call.args[1]) * call.args[0][-1]
    weights = call.arg(6, "per_sample_weights")
    return products(gathered) if weights is not None else Work(flops=gathered)


def embedding_bag_backward(weights: int) -> Formula:
    """Adds the bag's gradient to the table's for each sample, times its weight if argument `weights` is given."""

    def work(call: Call) -> Work:
        gathered = prod(call.args[1]) * call.args[0][-1]
        weighted = call.arg(weights, "per_sample_weights") is not None
        return products(gathered) if weighted else Work(flops=gathered)

    return work


def embedding_bag_weights_backward(call: Call) -> Work:
    """A sample's weight gets the dot product of its row and the bag's gradient."""
    return products(prod(call.args[2]) * call.args[1][-1])


def solve_triangular(matrix: int, solves: int = 1) -> Formula:
    """Substitution row by row: row i needs i MACs and one division per right-hand side.

    `matrix` is the place of the triangular matrix; Cholesky and LU factors take two substitutions.
    """

    def work(call: Call) -> Work:
        rows = call.args[matrix][-1]
        sides = prod(call.outputs[0]) // max(rows, 1)
        return products(solves * sides * rows * (rows - 1) // 2, solves * sides * rows)

    return work


DISTANCES_AND_LOOKUPS: dict[str, Formula] = {
    **named(distances, "cdist _cdist_forward _euclidean_dist"),
    **named(distances_backward, "_cdist_backward"),
    **named(distances_within, "pdist _pdist_forward"),
    **named(distances_within_backward, "_pdist_backward"),
    **named(embedding_bag, "embedding_bag _embedding_bag _embedding_bag_forward_only"),
    **named(embedding_bag_backward(8), "_embedding_bag_dense_backward"),
    **named(embedding_bag_backward(10), "_embedding_bag_backward"),
    **named(embedding_bag_weights_backward, "_embedding_bag_per_sample_weights_backward"),
    **named(solve_triangular(0), "linalg_solve_triangular"),
    **named(solve_triangular(1), "triangular_solve"),
    **named(solve_triangular(1, 2), "cholesky_solve"),
    **named(solve_triangular(0, 2), "linalg_lu_solve"),
}
