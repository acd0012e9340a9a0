"""How often 95% intervals of approaches 1 and 2 hold: simulated isoFLOP runs, each set fitted and resampled.

    python benchmarks/optima.py --sets 400

Truth is the surface of Besiroglu et al. 2024. Seven sizes a budget, from a quarter to four times the optimum, budgets
from 1e18 to 1e21 FLOPs, noise in ln L. "scatter" moves the sizes of a whole budget's optimum besides, as badly tuned
runs would: by so many standard deviations of a vertex. An interval of N_opt, D_opt or the loss is at ten times the
largest budget; it is held to the value without noise, which a parabola puts a little off the optimum (`isoflop_bias`).
Every set has its own seed, so that a run can be repeated in parts.
"""

import argparse
import os

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from scalinglaws.laws import chinchilla  # noqa: E402
from scalinglaws.laws.fit import FitError  # noqa: E402
from scalinglaws.laws.frontier import approach1, approach2  # noqa: E402
from scalinglaws.laws.plan import named  # noqa: E402

FAR = 1e22  # FLOPs
WIDTH = 4.0
THETA = named("besiroglu2024")[1]


def runs(budgets, noise, scatter, rng, *, sizes=7, jitter=0.0):
    """Runs [budgets * sizes] around the optimum; with ``scatter`` each budget has an optimum of its own."""
    C = np.geomspace(1e18, 1e21, budgets)
    shift = scatter * rng.normal(size=budgets)  # of ln N_opt
    grid = np.exp(jitter * rng.uniform(-0.5, 0.5, budgets))  # of the sizes against the optimum
    best = chinchilla.optimum(THETA, C)[0]
    N = best[:, None] * grid[:, None] * np.geomspace(1 / WIDTH, WIDTH, sizes)
    seen = N * np.exp(-shift)[:, None]  # the loss of a size is that of another
    L = chinchilla.value(THETA, seen, C[:, None] / 6 / seen) * np.exp(noise * rng.normal(size=N.shape))
    return {"C": np.repeat(C, sizes), "N": N.ravel(), "L": L.ravel()}


def quantities(found):
    """What is looked at, of a frontier or of resampled ones."""
    N, D = found.optimum(FAR)
    return {"a": found.a, "b": found.b, "ln N_opt": np.log(N), "ln D_opt": np.log(D), "loss": found.loss(FAR)}


def one(approach, truth, seed, *case, **options):
    """Rows of one set: whether each interval holds the truth, and its width."""
    try:
        found = approach(**runs(*case, np.random.default_rng(seed), **options))
        resampled = found.bootstrap(seed=seed)
    except FitError:
        return [{"quantity": name, "held": np.nan, "width": np.nan} for name in truth]
    rows = []
    for name, true in truth.items():
        low, high = resampled.interval(lambda cloud, name=name: quantities(cloud)[name])
        rows.append({"quantity": name, "held": float(low <= true <= high), "width": float(high - low)})
    return rows


def main():
    """Simulate and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", type=int, default=400)
    parser.add_argument("--approach", choices=("1", "2"), default="2")
    args = parser.parse_args()
    approach, sizes = {"1": (approach1, 15), "2": (approach2, 7)}[args.approach]
    table = []
    for budgets in (5, 9):
        for noise in (0.003, 0.01):
            for scatter in (0.0, 0.1):
                case, options = (budgets, noise, scatter), {"sizes": sizes, "jitter": 0.7}
                exact = approach(**runs(budgets, 0.0, 0.0, np.random.default_rng(0), sizes=sizes))
                truth = {name: float(value) for name, value in quantities(exact).items()}
                rows = [row for seed in range(args.sets) for row in one(approach, truth, seed, *case, **options)]
                found = pd.DataFrame(rows).groupby("quantity", sort=False)
                held = 100 * found["held"].mean()
                row = {"budgets": budgets, "noise": noise, "scatter": scatter, "refused": 0}
                row["refused"] = int(pd.DataFrame(rows)["held"].isna().sum()) // len(truth)
                table.append(row | held.round(1).to_dict() | {"width of a": found["width"].median()["a"].round(4)})
    print(pd.DataFrame(table).to_string(index=False))


if __name__ == "__main__":
    main()
