"""Two quantities of the same lines, one above the other."""

from __future__ import annotations

from reports.page.figures.scatter import lines, two_panels


def test_both_panels_share_one_axis_and_the_legend():
    upper = {"a": ([1, 8], [10.0, 40.0], ["x", "y"]), "b": ([1], [20.0], ["z"])}
    lower = {"a": ([1, 8], [0.1, 0.2], ["x", "y"]), "b": ([1], [0.05], ["z"])}
    figure = two_panels(upper, lower, x="batch", y_upper="samples per second", y_lower="latency")
    above, below = figure["data"][:2], figure["data"][2:]
    assert above == lines(upper, x="batch", y="samples per second")["data"]
    assert [trace["yaxis"] for trace in below] == ["y2", "y2"]
    assert not any(trace["showlegend"] for trace in below)
    assert [trace["line"] for trace in below] == [trace["line"] for trace in above]
    assert figure["layout"]["yaxis"]["domain"][0] > figure["layout"]["yaxis2"]["domain"][1]
