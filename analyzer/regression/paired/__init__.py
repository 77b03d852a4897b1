"""The time gate: two states of a project timed in turn on one machine, in pairs of fresh processes."""
