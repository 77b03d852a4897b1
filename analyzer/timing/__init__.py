"""Timing: what a model, its modules and its operators cost on this machine, in seconds."""
