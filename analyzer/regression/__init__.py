"""Checks for continuous integration: counts against a baseline, times against another commit or another run."""
