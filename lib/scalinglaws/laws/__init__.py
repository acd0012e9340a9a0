"""Learns from runs: laws, fits, intervals, frontiers, plans. Needs no torch, and knows nothing of how runs are made.

The names here are the laws themselves, as values; `laws.fit` fits one.

>>> float(chinchilla.value({"E": 1.8, "A": 480.0, "B": 2100.0, "alpha": 0.35, "beta": 0.37}, 1e9, 1e10).round(4))
2.5588
"""

from scalinglaws.laws import catalogue
from scalinglaws.laws.catalogue import *  # noqa: F403, what `catalogue` lists
from scalinglaws.laws.law import Law, PowerSum, Term

__all__ = ["Law", "PowerSum", "Term", *catalogue.__all__]
