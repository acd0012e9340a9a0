"""Scaling laws by experiment: train tiny language models, fit laws to them, compare with what was published.

Modules are imported one by one (``from scalinglaws import fit``); nothing is loaded here, so that the fitting half
works where torch is not installed.
"""

__version__ = "0.1.0"
