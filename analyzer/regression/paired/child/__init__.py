"""The script that runs each side of a paired comparison in its own processes; the only part that imports torch."""
