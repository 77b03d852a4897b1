"""Speed, as ratios measured interleaved in one run. There are no time limits: machines differ and are noisy."""
