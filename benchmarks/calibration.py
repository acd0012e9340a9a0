"""How often 95% intervals hold: 1000 simulated data sets for each kind of noise, each fitted and resampled.

    python benchmarks/calibration.py --rows calibration-rows.csv --table data/calibration.csv --processes 2

Truth is the fit of the 240 points of Besiroglu et al. 2024 (`published.dataset("epoch-chinchilla")`), on the same N
and D. See `scalinglaws.laws.calibration`. Rows are appended to --rows as they come; a simulation that is there already
is not made again. The table says how many held.
"""

import argparse
import os
import platform
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS"):  # before numpy: processes are the parallelism
    os.environ.setdefault(variable, "1")

import numpy as np  # noqa: E402
import pandas as pd  # noqa: E402
import scipy  # noqa: E402

from scalinglaws import published  # noqa: E402
from scalinglaws.files import now  # noqa: E402
from scalinglaws.laws import calibration, frontier  # noqa: E402


def one(job, *, design, resamples):
    """Rows of one simulation, with its seconds of processor time."""
    began = time.process_time()
    rows = pd.DataFrame(calibration.simulate(design, *job, resamples=resamples))
    return rows.assign(seconds=time.process_time() - began)


def provenance(rows):
    """What the table was made by."""
    from scalinglaws.lab.runtime import commit  # loads torch

    return {
        "resamples": int(rows.attrs["resamples"]),
        "commit": commit(),
        "versions": f"python {platform.python_version()}; numpy {np.__version__}; scipy {scipy.__version__}",
        "seconds": round(rows.groupby(["noise", "simulation"])["seconds"].first().sum()),
        "time": now(),
    }


def main():
    """Simulate what is missing, then write and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=Path, default=Path("calibration-rows.csv"))
    parser.add_argument("--table", type=Path, help="write the summary with its provenance to this file")
    parser.add_argument("--simulations", type=int, default=1000)
    parser.add_argument("--resamples", type=int, default=999)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()

    points = published.dataset("epoch-chinchilla").sort_values("L")[:240]
    design = calibration.Design.of(frontier.approach3(N=points["N"], D=points["D"], L=points["L"], delta=1e-3))
    jobs = [(kind, number) for number in range(args.simulations) for kind in calibration.NOISES]
    if args.rows.is_file():
        there = pd.read_csv(args.rows)[["noise", "simulation"]].itertuples(index=False, name=None)
        jobs = sorted(set(jobs) - set(there), key=lambda job: job[1])
    with ProcessPoolExecutor(args.processes) as pool:
        made = pool.map(partial(one, design=design, resamples=args.resamples), jobs, chunksize=4)
        for done, rows in enumerate(made, 1):
            rows.to_csv(args.rows, mode="a", header=not args.rows.exists(), index=False)
            if done % 50 == 0:
                print(f"{done} of {len(jobs)}", flush=True)
    rows = pd.read_csv(args.rows)
    rows.attrs["resamples"] = args.resamples
    table = calibration.coverage(rows)
    if args.table:
        table.round(4).assign(**provenance(rows)).to_csv(args.table, index=False)
    print(table.pivot_table(index=["noise", "method"], columns="quantity", values="share").round(1).to_string())


if __name__ == "__main__":
    main()
