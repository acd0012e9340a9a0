"""Scaling laws by experiment: train tiny language models, fit laws to them, compare with what was published.

Modules are imported one by one (``from scalinglaws import fit``); nothing is loaded here, so that the fitting half
works where torch is not installed.
"""

from pathlib import Path

__version__ = "0.1.0"
_INSTALLED = Path(__file__).with_name("data")  # an ordinary install brings the small files along
DATA = _INSTALLED if _INSTALLED.is_dir() else Path(__file__).resolve().parents[2] / "data"
