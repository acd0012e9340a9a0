"""Other people's tables of runs: one reader for every command and for Python.

Stages: bytes to a sheet of cells (`formats`, `text`, `folders`), columns by their names (`columns`, `choice`), cells
to numbers in known units (`numbers`, `units`, `counts`), rows to runs (`where`, `readings`), all in order (`points`).
"""

from scalinglaws.tables.points import Points, read_runs
from scalinglaws.tables.units import NATS

__all__ = ["NATS", "Points", "read_runs"]
