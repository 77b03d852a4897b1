"""Paired comparison of times: base and head are timed interleaved on one machine, in pairs of fresh processes."""
