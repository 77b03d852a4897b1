"""Cross-checks the closed form of a built-in network against the dispatch counter and fvcore, which run it."""

from __future__ import annotations

from analyzer.counting.crosscheck.compare_counters import compare_counts
from analyzer.counting.crosscheck.fvcore import count_with_fvcore
from analyzer.counting.execution.built_in_network import BuiltNetwork
from analyzer.records.crosscheck_result import Agreement
from analyzer.records.rows import Count


def cross_check(built: BuiltNetwork, closed_form: Count) -> tuple[Agreement, Count]:
    """The agreement of the closed form with dispatch and fvcore, run on the same real tensors; the dispatch count."""
    model, source = built.on("cpu")
    fvcore = count_with_fvcore(model, [source])
    dispatch = built.count("cpu")
    return compare_counts(closed_form, dispatch, fvcore), dispatch
