"""Measures how long a model, its modules and its operators take on this machine."""
