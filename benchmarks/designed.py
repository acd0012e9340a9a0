"""How wide an interval the runs of sweeps/designed.py should reach, simulated before they were trained.

python benchmarks/designed.py [--sets 200]

Sets of the runs at hand and of the twelve, from the law fitted to the runs at hand and Gaussian noise of that fit's
size. Printed: quantiles of the width in ln N_opt that each set reaches over the width that the design expects, and how
often the interval holds the truth. Four minutes of one core; no data are written.
"""

import argparse

import numpy as np

from scalinglaws import runs
from scalinglaws.laws import coupled_no_floor
from scalinglaws.laws.design import design
from scalinglaws.laws.fit import fit
from scalinglaws.laws.forecast import optimum_intervals
from scalinglaws.laws.intervals import refits

TARGET = 1e14  # FLOPs
QUANTILES = (0.025, 0.25, 0.5, 0.75, 0.975)


def main() -> None:
    """Simulate and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=200)
    sets = parser.parse_args().sets
    grid = runs.stored("subword_grid").query("lr == 0.01")
    at_hand = runs.points(grid[grid["tokens"] <= 2**19])
    found = fit(coupled_no_floor, **at_hand)
    limits = {"N": sorted(set(grid["n_params_nonemb"])), "D": sorted(set(grid["tokens"]))}
    asked = design(found, C=TARGET, budget=2e13, seeds=6, runs=12, **limits)
    N, D = (np.append(at_hand[name], asked.each()[name]) for name in ("N", "D"))  # 63 + 12
    off = np.log(at_hand["L"] / found.predict(N=at_hand["N"], D=at_hand["D"]))
    sigma = np.sqrt(np.sum(off**2) / (len(off) - len(found.theta)))
    (truth,) = found.law.optimum(found.theta, np.array([TARGET]))[0]
    law, rng = np.log(found.predict(N=N, D=D)), np.random.default_rng(2026)
    ends = []
    for _ in range(sets):
        L = np.exp(law + sigma * rng.normal(size=N.size))
        again = fit(coupled_no_floor, N=N, D=D, L=L)
        ends.append(optimum_intervals(refits(again, n=999, seed=0, level=0.95), TARGET)["N"])
    low, high = np.log(ends).T
    expected = np.log(asked.expected["N"][1] / asked.expected["N"][0])
    print(f"expected {expected:.3f}; over it: {np.quantile((high - low) / expected, QUANTILES).round(2)}")
    print(f"held in {np.mean((low < np.log(truth)) & (np.log(truth) < high)):.1%} of {sets}")


if __name__ == "__main__":
    main()
