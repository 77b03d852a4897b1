"""The jobs of `analyze check`: counts, times of two commits, and two files of pytest-benchmark."""
