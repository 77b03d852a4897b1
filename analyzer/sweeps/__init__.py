"""Sweeps: many models at many configurations, each counted or timed once, on one machine or on a cluster. No torch."""
