"""How many passes make one sample, and how many samples are dropped before it."""

from __future__ import annotations

import math

# What surrounds a sample, such as the two marks and a call, takes about a microsecond: below 1 % of this time.
MIN_SAMPLE_S = 250e-6
MAX_REPEATS = 256
# Between samples the contention check evicts data from the nearest caches, and other code trains the branch predictor.
# After one dropped pass alone, passes of a millisecond took 2 to 4 % longer than in a loop. After 8 ms of passes with
# no clock between them, passes of 0.3 ms still took 1 to 2 % longer: reading the clock was cold. Passes of 5 ms and
# more notice none of this.
WARM_UP_S, MAX_WARMED_S = 8e-3, 5e-3


def passes_per_sample(pass_s: float) -> int:
    """How many passes a sample needs, so that what surrounds it is below 1 %."""
    return min(max(math.ceil(MIN_SAMPLE_S / pass_s), 1), MAX_REPEATS) if pass_s > 0 else MAX_REPEATS


def warm_up_samples(pass_s: float) -> int:
    """How many samples are taken and dropped before each that counts, so that it is as warm as in a loop."""
    if pass_s >= MAX_WARMED_S:
        return 0
    sample_s = pass_s * passes_per_sample(pass_s)
    return math.ceil(WARM_UP_S / max(sample_s, MIN_SAMPLE_S))
