"""Makes runs: corpora, models, training, sweeps. It imports nothing of ``laws``; both use the run table of `runs`."""
