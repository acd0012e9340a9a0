"""Learns from runs: laws, fits, intervals, frontiers, plans. Needs no torch, and knows nothing of how runs are made.

The names here are the laws themselves, as values; to fit one is the work of `laws.fit`.
"""

from scalinglaws.laws.catalogue import (
    LAWS,
    Written,
    broken,
    chinchilla,
    critical_batch,
    critical_batch_time,
    gadre,
    kaplan_amplitude,
    kaplan_joint,
    kaplan_scale,
    kaplan_steps,
    loss_to_error,
    muennighoff,
    power,
    power_floor,
    rosenfeld,
)
from scalinglaws.laws.law import Law, PowerSum, Term

__all__ = [
    "LAWS",
    "Law",
    "PowerSum",
    "Term",
    "Written",
    "broken",
    "chinchilla",
    "critical_batch",
    "critical_batch_time",
    "gadre",
    "kaplan_amplitude",
    "kaplan_joint",
    "kaplan_scale",
    "kaplan_steps",
    "loss_to_error",
    "muennighoff",
    "power",
    "power_floor",
    "rosenfeld",
]
