"""What the titles of columns mean, as tips on the page."""

from __future__ import annotations

from analyzer.core.units import METRICS

GLOSSARY = {metric.title: metric.meaning for metric in METRICS.values()} | {
    "MACs of a step": "multiply-adds of a training step: forward, backward and recomputed",
    "forward": "multiply-adds of the forward pass",
    "FLOP/B": "FLOPs per byte of memory traffic: the arithmetic intensity",
    "FLOP/s": "floating-point operations per second",
    "GFLOP/s": "10^9 floating-point operations per second",
    "op": "the operator that ran",
    "±": "half width of the 95 % confidence interval of the median",
    "quality": "whether a time can be trusted: trusted, noisy or void",
    "GPU time": "time of the pass on the GPU, without launch overhead",
    "time": "median of the passes without instrumentation; of an operator its mean over the middle half of the passes",
    "overhead": "time between operators",
    "interquartile range": "where the middle half of the samples lies",
    "ratio to 1st": "change relative to the first network",
    "peak bytes": METRICS["peak_memory"].meaning,
}
