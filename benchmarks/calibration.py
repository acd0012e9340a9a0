"""How often 95% intervals hold: 1000 simulated data sets for each kind of noise, each fitted and resampled.

    python benchmarks/calibration.py --rows calibration-rows.csv --table data/calibration.csv --processes 2

Truth is the fit of the 240 points of Besiroglu et al. 2024 (`published.dataset("epoch-chinchilla")`), on the same N
and D. See `scalinglaws.laws.calibration`. Rows are appended to --rows as they come; a simulation that is there already
is not made again. The table says how many held.
"""

import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial

from simulated import append, arguments, provenance, there  # first: it sets the threads of numpy

# isort: split
import pandas as pd

from scalinglaws import published
from scalinglaws.laws import calibration, frontier


def one(job, *, design, resamples):
    """Rows of one simulation, with its seconds of processor time."""
    began = time.process_time()
    rows = pd.DataFrame(calibration.simulate(design, *job, resamples=resamples))
    return rows.assign(seconds=time.process_time() - began)


def main():
    """Simulate what is missing, then write and print the table."""
    parser = arguments(__doc__, "calibration-rows.csv", 1000)
    parser.add_argument("--resamples", type=int, default=999)
    parser.add_argument("--processes", type=int, default=1)
    args = parser.parse_args()

    points = published.dataset("epoch-chinchilla").sort_values("L")[:240]
    design = calibration.Design.of(frontier.approach3(N=points["N"], D=points["D"], L=points["L"], delta=1e-3))
    done_before = there(args.rows, ["noise", "simulation"])
    jobs = [(kind, number) for number in range(args.sets) for kind in calibration.NOISES]
    jobs = [job for job in jobs if job not in done_before]
    with ProcessPoolExecutor(args.processes) as pool:
        made = pool.map(partial(one, design=design, resamples=args.resamples), jobs, chunksize=4)
        for done, rows in enumerate(made, 1):
            append(rows, args.rows)
            if done % 50 == 0:
                print(f"{done} of {len(jobs)}", flush=True)
    rows = pd.read_csv(args.rows)
    table = calibration.coverage(rows)
    if args.table:
        seconds = rows.groupby(["noise", "simulation"])["seconds"].first().sum()
        made_by = provenance(seconds, resamples=args.resamples)
        table.round(4).assign(**made_by).to_csv(args.table, index=False)
    print(table.pivot_table(index=["noise", "method"], columns="quantity", values="share").round(1).to_string())


if __name__ == "__main__":
    main()
