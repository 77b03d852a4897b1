"""How times and counts of a project develop from run to run, and where they changed. Nothing here imports torch."""
