"""The words and limits by which tables are read, as plain values: for the reader that is part of a page."""

import math
from typing import Any

from scalinglaws.counting import PF_DAY
from scalinglaws.tables import columns, counts, numbers, readings, units

__all__ = ["vocabulary"]


def vocabulary() -> dict[str, Any]:
    """Return the lists that the readers of this package go by, as values for JSON.

    >>> known = vocabulary()
    >>> "params" in known["sets"]["_N_HEADS"], known["scales"]["bn"], known["lossUnits"]["bits"][0]
    (True, 1000000000.0, 'nats per token')

    Returns
    -------
    dict
        "sets" of words by their name in the source; "roles" of other columns; factors of "scales" and "prefixes";
        "lossUnits", each with the unit that is kept and the factor to it, "ln" or None; and limits of what is likely.
    """
    parts = {**vars(columns), **vars(numbers), **vars(readings), **vars(units)}
    lost = {key: (unit, "ln" if factor is not None and math.isnan(factor) else factor) for key, (unit, factor) in
            units.LOSS_WORDS.items()}  # fmt: skip
    lost |= {short: lost[units.loss_unit_of(short) or short] for short in units.LOSS_UNITS}
    return {
        "sets": {name: sorted(value) for name, value in parts.items() if isinstance(value, set)},
        "roles": {name: sorted(value) for name, value in columns.ROLES.items()},
        "scales": dict(units.SCALES), "prefixes": dict(units.PREFIXES), "sameUnit": dict(units.SAME), "pfDay": PF_DAY,
        "lossUnits": lost, "nats": units.NATS, "likely": dict(counts.LIKELY), "largestLoss": counts.LARGEST_LOSS,
        "mostRatio": counts.MOST_RATIO, "swapped": counts.SWAPPED,
    }  # fmt: skip
