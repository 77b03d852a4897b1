"""Counts compared exactly with a baseline file."""
