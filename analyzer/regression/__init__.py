"""Gates for continuous integration: counts against a baseline, exactly. Nothing here knows torch."""
