"""Which tool is right? Other counters run on the same model, each in its own process, and every difference explained.

A peer's figures come as rows by module and operator (`peers`), its total is put in MACs by the convention that it
states itself, and the difference from our count is taken apart by operator and cause (`explain`): what the peer counts
by another convention, skips, counts by a wrong formula or counts twice. A cause is found where a formula meets the
peer's figure to the last unit; what none meets stays unexplained and is shown as such.
"""
