"""Time and objective of the fitter beside its peers, on the 240 recovered points of Hoffmann et al. 2022.

    python benchmarks/fits.py --quick                        # a sample of starts and of resamples: 20 seconds
    python benchmarks/fits.py                                # all 4500 starts and 4000 resamples: 5 minutes
    python benchmarks/fits.py --peer-python vpnls/bin/python # and vpnls and autograd, of an environment of their own

Everything runs on one thread in one process (vpnls and autograd in a second one), ours and the peers' turn about. Times
are those of the processor, which other work on the machine disturbs less. Peers:

- the published recipe: Huber's loss of 1e-3 on log-sum-exp, minimized from each of 4500 starts (Hoffmann et al. 2022,
  section 3.3), by scipy's L-BFGS-B with finite differences, as in Besiroglu et al. 2024, and BFGS with exact gradients;
- the published intervals: BFGS on each resample, started at the unrounded constants of Hoffmann et al., with exact
  gradients and, as published, with those of autograd;
- vpnls (https://github.com/Open-Athena/vpnls), least squares of raw losses, at each resolution of its grid.

A gap is (objective - the lowest one found by anybody) / that. The time of a sample is scaled up, and the table says so.
"""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import json
import math
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from scipy.optimize import minimize

GRID = (  # ln A, ln B, ln E, alpha, beta: 4500 starts
    np.arange(0, 30, 5),
    np.arange(0, 30, 5),
    np.arange(-1, 1.5, 0.5),
    np.arange(0, 2.5, 0.5),
    np.arange(0, 2.5, 0.5),
)
UNROUNDED = np.array([math.log(406.4), math.log(410.7), math.log(1.6934), 0.3392, 0.2849])
DELTA = 1e-3

PEER = """
import json, sys, time
import numpy as np
from vpnls.api import fit_vpnls
job = json.load(sys.stdin)
N, D, L = (np.array(column) for column in job["points"])
began = time.process_time()
found = fit_vpnls(N / 1e6, D / 1e9, L, method=job["method"], resolution=job["resolution"])
seconds = time.process_time() - began
print(json.dumps({"seconds": seconds, "rss": found.rss, "alpha": found.alpha, "beta": found.beta}))
"""

# The published recipe of the intervals: gradients by autograd, as in the notebook of Besiroglu et al. 2024.
PEER_REFITS = """
import json, sys, time
import autograd.numpy as np
from autograd import grad
from scipy.optimize import minimize
job = json.load(sys.stdin)
points, start = np.array(job["points"]), np.array(job["start"])
values, seconds = [], 0.0
for rows in job["rows"]:
    log_N, log_D, log_L = np.log(points[:, rows])
    def objective(u):
        terms = np.stack([u[0] - u[3] * log_N, u[1] - u[4] * log_D, u[2] + 0.0 * log_N])
        top = np.max(terms, axis=0)
        size = np.abs(log_L - top - np.log(np.sum(np.exp(terms - top), axis=0)))
        delta = job["delta"]
        return np.sum(np.where(size <= delta, 0.5 * size**2, delta * (size - 0.5 * delta)))
    began = time.process_time()
    values.append(float(minimize(objective, start, jac=grad(objective), method="BFGS").fun))
    seconds += time.process_time() - began
print(json.dumps({"seconds": seconds, "values": values}))
"""


def main() -> None:
    """Run the three comparisons and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="45 starts and 40 resamples of the peers'")
    parser.add_argument("--starts", type=int, help="time so many of the 4500 starts (default: all)")
    parser.add_argument("--resamples", type=int, help="time so many of the peer's 4000 refits (default: all)")
    parser.add_argument("--rounds", type=int, default=5, help="how often ours and vpnls take turns")
    parser.add_argument("--peer-python", type=Path, help="the Python of an environment with vpnls and autograd")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    args = parser.parse_args()
    n_starts = args.starts or (45 if args.quick else 4500)
    n_resamples = args.resamples or (40 if args.quick else 4000)
    points = _points()
    print(f"{'what':<34} {'how':<30} {'median':>11} {'times ours':>11} {'gap':>9}  of")
    rows = _global(points, n_starts, args.rounds) + _bootstrap(points, n_resamples, args.peer_python)
    if args.peer_python:
        rows += _vpnls(points, args.peer_python, args.rounds, (0.01,) if args.quick else (0.01, 0.003, 0.001))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))


def _points() -> dict[str, np.ndarray]:
    """N, D and L without the five highest losses."""
    from scalinglaws import published

    table = published.dataset("epoch-chinchilla").sort_values("L").iloc[:240]
    return {name: table[name].to_numpy() for name in "NDL"}


def _row(what: str, how: str, seconds: float, ours: float, gap: float, of: str) -> dict:
    """Print and return one line of the table."""
    shown = f"{1e3 * seconds:,.2f} ms" if seconds < 10 else f"{seconds:,.1f} s"
    print(f"{what:<34} {how:<30} {shown:>11} {seconds / ours:>10,.0f}x {gap:>9.1e}  {of}", flush=True)
    return {"what": what, "how": how, "seconds": seconds, "times_ours": seconds / ours, "gap": gap, "of": of}


def _objective(points: dict[str, np.ndarray]):
    """Huber's loss of the log-sum-exp form and its gradient, by ln A, ln B, ln E, alpha, beta."""
    log_N, log_D, log_L = (np.log(points[name]) for name in "NDL")

    def evaluate(u):
        terms = np.stack([u[0] - u[3] * log_N, u[1] - u[4] * log_D, np.full_like(log_N, u[2])])
        top = terms.max(axis=0)
        shares = np.exp(terms - top)
        total = shares.sum(axis=0)
        r = top + np.log(total) - log_L
        psi = np.clip(r, -DELTA, DELTA)
        a, b, e = shares / total * psi
        gradient = np.array([a.sum(), b.sum(), e.sum(), -(a @ log_N), -(b @ log_D)])
        return (psi * (r - psi / 2)).sum(), gradient

    return evaluate


def _global(points: dict[str, np.ndarray], n_starts: int, rounds: int) -> list[dict]:
    """Our global fit, and the published recipe from its grid of starts."""
    from scalinglaws.laws import frontier

    evaluate = _objective(points)
    starts = np.array(list(itertools.product(*GRID)), float)
    some = np.sort(np.random.default_rng(0).permutation(len(starts))[:n_starts])
    ours, values, seconds = [], {}, {}
    for share in np.array_split(some, rounds):  # ours between the peers' shares of the work
        began = time.process_time()
        found = frontier.approach3(**points, delta=DELTA)
        ours.append(time.process_time() - began)
        for how, method, options in (
            ("L-BFGS-B, differences", "L-BFGS-B", {"fun": lambda u: evaluate(u)[0]}),
            ("BFGS, exact gradients", "BFGS", {"fun": evaluate, "jac": True}),
        ):
            for k in share:
                began = time.process_time()
                with np.errstate(all="ignore"):
                    value = minimize(x0=starts[k], method=method, **options).fun
                seconds.setdefault(how, []).append(time.process_time() - began)
                values.setdefault(how, []).append(value)
    ours_u = [math.log(found.theta[name]) for name in "ABE"] + [found.theta["alpha"], found.theta["beta"]]
    ours_value = evaluate(np.array(ours_u))[0]
    best = min(ours_value, *(min(v) for v in values.values()))
    median = statistics.median(ours)
    rows = [_row("global fit", "ours, certified", median, median, ours_value / best - 1, f"{rounds} fits")]
    for how, v in values.items():
        reached = np.mean(np.array(v) <= best * (1 + 1e-4))
        of = f"{len(v)} of 4500 starts{', scaled' if len(v) < 4500 else ''}; {reached:.1%} within 1e-4"
        rows.append(
            _row("global fit, 4500 starts", how, sum(seconds[how]) * 4500 / len(v), median, min(v) / best - 1, of)
        )
    return rows


def _bootstrap(points: dict[str, np.ndarray], n_resamples: int, python: Path | None) -> list[dict]:
    """4000 refits: ours, and BFGS on the same resamples with exact gradients and, in a process apart, autograd's."""
    from scalinglaws.laws import frontier
    from scalinglaws.laws.bootstrap import bootstrap

    found = frontier.approach3(**points, delta=DELTA)
    n = found.n_points
    ours = []
    for _ in range(3):
        began = time.process_time()
        cloud = bootstrap(found, n=4000, seed=0)
        ours.append(time.process_time() - began)
    draws = np.random.default_rng(0).integers(n, size=(4000, n))  # as `bootstrap` draws
    own, other, seconds = [], [], 0.0
    some = np.linspace(0, 3999, n_resamples).astype(int)
    for k in some:
        evaluate = _objective({name: column[draws[k]] for name, column in points.items()})
        began = time.process_time()
        with np.errstate(all="ignore"):
            other.append(minimize(evaluate, UNROUNDED, jac=True, method="BFGS").fun)
        seconds += time.process_time() - began
        u = [math.log(cloud.theta[name][k]) for name in "ABE"] + [cloud.theta["alpha"][k], cloud.theta["beta"][k]]
        own.append(evaluate(np.array(u))[0])
    own, other = np.array(own), np.array(other)
    best = np.minimum(own, other)
    median = statistics.median(ours)
    worse = int((other > own * (1 + 1e-6)).sum())
    of = f"{n_resamples} of 4000{', scaled' if n_resamples < 4000 else ''}; {worse} end 1e-6 above ours"
    rows = [
        _row("4000 refits", "ours", median, median, float((own / best - 1).max()), "3 times; gap: the worst refit's"),
        _row("4000 refits", "BFGS, exact gradients", seconds * 4000 / n_resamples, median,
             float((other / best - 1).max()), of),
    ]  # fmt: skip
    if python is None:
        return rows
    columns = [points[name].tolist() for name in "NDL"]
    job = {"points": columns, "start": UNROUNDED.tolist(), "delta": DELTA, "rows": draws[some].tolist()}
    out = subprocess.run(
        [python, "-c", PEER_REFITS], input=json.dumps(job), check=True, stdout=subprocess.PIPE, text=True
    )
    peer = json.loads(out.stdout)
    values, seconds = np.array(peer["values"]), peer["seconds"] * 4000 / n_resamples
    worse = int((values > own * (1 + 1e-6)).sum())
    of = f"{n_resamples} of 4000{', scaled' if n_resamples < 4000 else ''}; {worse} end 1e-6 above ours"
    gap = float((values / np.minimum(own, values) - 1).max())
    return [*rows, _row("4000 refits", "BFGS, gradients by autograd", seconds, median, gap, of)]


def _vpnls(points: dict[str, np.ndarray], python: Path, rounds: int, resolutions: tuple[float, ...]) -> list[dict]:
    """Least squares of raw losses: ours, and vpnls by its grid and by its refinement."""
    from scalinglaws.laws import frontier

    columns = [points[name].tolist() for name in "NDL"]
    jobs = [("grid", r) for r in resolutions] + [("scipy", 0.01)]
    ours, theirs = [], {job: [] for job in jobs}
    for k in range(rounds):
        began = time.process_time()
        found = frontier.approach3(**points, residual="raw", delta=math.inf)
        ours.append(time.process_time() - began)
        for method, resolution in jobs:
            if k and resolution < 0.01:
                continue  # the finest grids take seconds: once
            job = json.dumps({"points": columns, "method": method, "resolution": resolution})
            out = subprocess.run([python, "-c", PEER], input=job, check=True, stdout=subprocess.PIPE, text=True).stdout
            theirs[method, resolution].append(json.loads(out))
    rss = 2 * found.value
    best = min(rss, *(result["rss"] for results in theirs.values() for result in results))
    median = statistics.median(ours)
    rows = [_row("raw least squares", "ours, certified", median, median, rss / best - 1, f"{rounds} fits")]
    for (method, resolution), results in theirs.items():
        seconds = statistics.median(result["seconds"] for result in results)
        of = f"{len(results)} fits; alpha {results[0]['alpha']:.5f}, beta {results[0]['beta']:.5f}"
        how = f"vpnls {method}, resolution {resolution}"
        rows.append(_row("raw least squares", how, seconds, median, results[0]["rss"] / best - 1, of))
    return rows


if __name__ == "__main__":
    sys.exit(main())
