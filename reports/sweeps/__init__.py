"""Results of sweeps: tables, sentences, JSON and CSV of what `analyzer.sweeps.analysis` finds."""
