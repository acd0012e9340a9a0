"""How wide an interval the runs of sweeps/designed.py should reach, simulated before they were trained.

python benchmarks/designed.py [--sets 200]

Sets of the runs at hand and of the twelve, from the law fitted to the runs at hand and Gaussian noise of that fit's
size. Printed: quantiles of the width in ln N_opt that each set reaches over the width that the design expects, and how
often the interval holds the truth. Four minutes of one core; no data are written.
"""

import argparse

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from scalinglaws import runs
from scalinglaws.laws import coupled_no_floor
from scalinglaws.laws.design import Design, design
from scalinglaws.laws.fit import Fit, fit
from scalinglaws.laws.forecast import optimum_intervals
from scalinglaws.laws.intervals import refits

TARGET = 1e14  # FLOPs
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


def question() -> tuple[pd.DataFrame, Fit, Design]:
    """The runs at hand, the law fitted to them, and the design that chapter 16 asks for."""
    grid = runs.stored("subword_grid").query("lr == 0.01")
    at_hand = runs.points(grid[grid["tokens"] <= 2**19])
    found = fit(coupled_no_floor, **at_hand)
    limits = {"N": sorted(set(grid["n_params_nonemb"])), "D": sorted(set(grid["tokens"]))}
    return at_hand, found, design(found, C=TARGET, budget=2e13, seeds=6, runs=12, **limits)


def interval(N: ArrayLike, D: ArrayLike, L: ArrayLike) -> tuple[float, float]:
    """95% interval of N_opt at the target, of all runs."""
    return optimum_intervals(refits(fit(coupled_no_floor, N=N, D=D, L=L), n=999, seed=0, level=0.95), TARGET)["N"]


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200)
    sets = parser.parse_args().sets
    at_hand, found, asked = question()
    N, D = (np.append(at_hand[name], asked.each()[name]) for name in ("N", "D"))  # 63 + 12
    off = np.log(at_hand["L"] / found.predict(N=at_hand["N"], D=at_hand["D"]))
    sigma = np.sqrt(np.sum(off**2) / (len(off) - len(found.theta)))
    (truth,) = found.law.optimum(found.theta, np.array([TARGET]))[0]
    law, rng = np.log(found.predict(N=N, D=D)), np.random.default_rng(2026)
    ends = []
    for _ in range(sets):
        L = np.exp(law + sigma * rng.normal(size=N.size))
        ends.append(interval(N, D, L))
    low, high = np.log(ends).T
    expected = np.log(asked.expected["N"][1] / asked.expected["N"][0])
    print(f"expected {expected:.3f}; over it: {np.quantile((high - low) / expected, QUANTILES).round(2)}")
    print(f"held in {np.mean((low < np.log(truth)) & (np.log(truth) < high)):.1%} of {sets}")


if __name__ == "__main__":
    main()
