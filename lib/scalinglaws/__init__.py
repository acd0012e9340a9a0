"""Scaling laws by experiment: train tiny language models, fit laws to them, compare with what was published.

>>> import scalinglaws as sl
>>> runs = sl.runs.stored("synthetic")
>>> law = sl.fit(sl.laws.chinchilla, N=runs["n_params_nonemb"], D=runs["tokens"], L=runs["loss"])
>>> law.status  # an optimum, and a law that is wrong for these runs by more than their seeds scatter
<Status.MISFIT: 'misfit'>

This is the face: each name is loaded when it is first used, and torch only with `train` and `sweep`. Modules inside
the package import each other by their full names and never this one.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from scalinglaws import laws, published, runs
    from scalinglaws.book.figures import plot
    from scalinglaws.lab import sweep
    from scalinglaws.lab.train import train
    from scalinglaws.laws.backtest import backtest
    from scalinglaws.laws.bootstrap import bootstrap
    from scalinglaws.laws.choice import choose
    from scalinglaws.laws.compare import compare
    from scalinglaws.laws.design import design
    from scalinglaws.laws.fit import fit
    from scalinglaws.laws.forecast import predict
    from scalinglaws.laws.frontier import approach1, approach2
    from scalinglaws.laws.plan import plan
    from scalinglaws.tables import read_runs
    from scalinglaws.version import VERSION as __version__  # noqa: F401

__all__ = [
    "approach1", "approach2", "backtest", "bootstrap", "choose", "compare", "design", "fit", "laws", "plan", "plot",
    "predict", "published", "read_runs", "runs", "sweep", "train",
]  # fmt: skip

_HOMES = {  # a name -> the module that it is in, or is
    "approach1": "laws.frontier", "approach2": "laws.frontier", "backtest": "laws.backtest",
    "bootstrap": "laws.bootstrap", "choose": "laws.choice", "compare": "laws.compare", "design": "laws.design",
    "fit": "laws.fit", "predict": "laws.forecast", "plan": "laws.plan", "plot": "book.figures", "read_runs": "tables",
    "train": "lab.train",
    "laws": "laws", "published": "published", "runs": "runs", "sweep": "lab.sweep",
}  # fmt: skip


def __getattr__(name: str):
    """Load a public name when it is first asked for (PEP 562)."""
    if name == "__version__":
        return import_module(f"{__name__}.version").VERSION
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        module = import_module(f"{__name__}.{_HOMES[name]}")
    except ModuleNotFoundError as error:
        if not _HOMES[name].startswith("lab."):
            raise
        what = f"{__name__}.{name} needs {error.name}: pip install -e '.[train]' in the checkout"
        raise ModuleNotFoundError(what, name=error.name) from error
    globals()[name] = found = getattr(module, name, module)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
