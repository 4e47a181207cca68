"""Speed as ratios in one run: against plain code, and against the machine's own peak."""
