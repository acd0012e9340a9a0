"""Makes runs: sources, models, training, sweeps. Knows nothing of laws; the two halves meet at the run table."""
