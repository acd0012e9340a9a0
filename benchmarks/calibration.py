"""How often 95 % intervals hold: simulated data sets under three noise models, each fitted and resampled.

    python benchmarks/calibration.py --data epoch-chinchilla.csv --out calibration.csv --simulations 1000

Truth is the fit of the 240 points of Besiroglu et al. 2024, on the same N and D. Noise in ln L is "emp", their
residuals resampled; "gauss", with their robust spread; or "hetero", Gaussian with a spread that follows theirs along C.
One line per simulation and quantity is appended to --out; a simulation that is there already is not made again.
"""

import argparse
import csv
import math
import os
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy: processes are the parallelism
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402

from scalinglaws.bootstrap import bootstrap  # noqa: E402
from scalinglaws.fit import FitError, fit  # noqa: E402
from scalinglaws.laws import chinchilla  # noqa: E402

NOISES = ("emp", "gauss", "hetero")
C_FAR = 1.3e24  # 100 times the largest of the 240
HEADER = ("noise", "method", "simulation", "quantity", "low", "high", "held")


def quantities(theta):
    """What intervals are held to."""
    return {
        "alpha": theta["alpha"],
        "beta": theta["beta"],
        "E": theta["E"],
        "a": chinchilla.optimum_exponents(theta)[0],
        "ln N_opt": np.log(chinchilla.optimum(theta, C_FAR)[0]),
    }


def design(path):
    """N, D, the truth, and its residuals."""
    table = pd.read_csv(path).sort_values("loss")[:-5]
    N, C = table["Model Size"].to_numpy(), table["Training FLOP"].to_numpy()
    D, L = C / (6 * N), table["loss"].to_numpy()
    found = fit(chinchilla, N=N, D=D, L=L, delta=1e-3)
    return N, D, dict(found.theta), np.log(L / found.predict(N=N, D=D))


def noise_of(model, rng, N, D, residuals):
    """One draw of the noise in ln L."""
    sigma = 1.4826 * np.median(np.abs(residuals - np.median(residuals)))
    if model == "emp":
        return rng.choice(residuals - np.median(residuals), residuals.size)
    if model == "gauss":
        return sigma * rng.normal(size=residuals.size)
    log_C = np.log(N * D)
    near = np.exp(-0.5 * ((log_C[:, None] - log_C) / 0.7) ** 2)
    spread = near @ np.abs(residuals) / near.sum(axis=1) / math.sqrt(2 / math.pi)
    return spread * rng.normal(size=residuals.size)


def simulate(job, *, path, resamples, methods):
    """Lines of one simulation."""
    model, number = job
    N, D, truth, residuals = design(path)
    rng = np.random.default_rng([NOISES.index(model), number])
    L = chinchilla.value(truth, N, D) * np.exp(noise_of(model, rng, N, D, residuals))
    true = quantities(truth)
    try:
        cloud = bootstrap(fit(chinchilla, N=N, D=D, L=L), n=resamples, seed=number)
    except FitError:  # counted as not held
        return [(model, method, number, name, math.nan, math.nan, 0) for method in methods for name in true]
    lines = []
    for method in methods:
        for name, value in true.items():
            low, high = cloud.interval(lambda theta, name=name: quantities(theta)[name], method=method)
            lines.append((model, method, number, name, float(low), float(high), int(low <= value <= high)))
    return lines


def main():
    """Simulate what is missing, then print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="epoch-chinchilla.csv")
    parser.add_argument("--out", type=Path, default=Path("calibration.csv"))
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=999)
    parser.add_argument("--noise", nargs="+", choices=NOISES, default=list(NOISES))
    parser.add_argument("--methods", nargs="+", default=["percentile"], help="percentile, bca, studentized")
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()

    done = set()
    if args.out.is_file():
        there = pd.read_csv(args.out).groupby(["noise", "simulation"])["method"].agg(set)
        done = {key for key, methods in there.items() if set(args.methods) <= methods}
    jobs = [(model, number) for model in args.noise for number in range(args.simulations)]
    jobs = [job for job in jobs if job not in done]
    one = partial(simulate, path=args.data, resamples=args.resamples, methods=args.methods)
    began, new = time.perf_counter(), not args.out.is_file()
    with args.out.open("a", newline="") as file, ProcessPoolExecutor(args.processes) as pool:
        writer = csv.writer(file)
        if new:
            writer.writerow(HEADER)
        for lines in pool.map(one, jobs, chunksize=4):
            writer.writerows(lines)
            file.flush()
    if jobs:
        seconds = (time.perf_counter() - began) / len(jobs)
        print(f"{len(jobs)} simulations, {1e3 * seconds:.0f} ms each on {args.processes} processes")
    table = pd.read_csv(args.out).drop_duplicates(["noise", "method", "simulation", "quantity"], keep="last")
    shares = table.pivot_table(index=["noise", "method"], columns="quantity", values="held")
    print((100 * shares).round(1).to_string())


if __name__ == "__main__":
    main()
