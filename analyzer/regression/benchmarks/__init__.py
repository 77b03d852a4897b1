"""Comparison of two runs of pytest-benchmark."""
