"""What fits say of wrong laws, and how often intervals hold with few points: simulated runs of a known truth.

    python benchmarks/forecasts.py --rows forecast-rows.csv --table data/forecasts.csv --sets 400

The truth is E + A (N^-a + R D^-b)^k with the exponents of the fit of Besiroglu et al. 2024; k = 1 is Chinchilla's sum.
A is such that the middle of the grid has the same loss for every k. Sizes are 1e6 to 1e9 parameters, lengths 1e8 to
1e11 tokens. Trials, each set with a seed of its own, which is its number:

- misfit: six sizes by four lengths, one seed or three, noise in ln L of three kinds. Is the fit of the sum called
  wrong?
- few: 7 to 35 runs of the sum, noise 0.5% of four kinds. Do 95% intervals hold of a, ln N_opt at 100 times the
  compute and ln L at ten times the largest size and length? A refusal is counted as one. line: 5 to 15 runs of a power
  law with a floor.
- auto: six sizes by four lengths, a law chosen by `choose`. Does its interval hold of ln L at ten times both (a hundred
  times the compute), that of a new run a new run, and how wide is it beside that of the law that is true?

Rows are appended to --rows as they come; what is there already is not made again. A table keeps its rows of trials
that were not made.
"""

import time
from collections.abc import Iterator

from simulated import append, arguments, provenance, there  # first: it sets the threads of numpy

# isort: split
import numpy as np
import pandas as pd

from scalinglaws.laws import chinchilla, coupled, power_floor
from scalinglaws.laws.choice import choose
from scalinglaws.laws.fit import Fit, FitError, Status, fit
from scalinglaws.laws.forecast import predict
from scalinglaws.laws.intervals import refits

SUM = {"E": 1.8172, "A": 477.83, "B": 2143.4, "alpha": 0.34731, "beta": 0.36717}
LINE = {"E": 1.8, "A": 400.0, "alpha": 0.3}
KINDS = ("Gaussian", "heavy", "unequal")
KINDS_OF_FEW = (*KINDS, "rising")
GRIDS = {7: (3, 3), 9: (3, 3), 12: (4, 3), 15: (5, 3), 24: (6, 4), 35: (7, 5)}  # sizes, lengths; of 7 two are left out
FAR = 10.0
REFITS = 399
COLUMNS = (
    "trial", "k", "sigma", "noise", "seeds", "points", "quantity", "number", "status", "held", "width", "of_true",
    "chosen", "seconds",
)  # fmt: skip


def truth(k: float) -> dict[str, float]:
    """Parameters of `coupled`: exponents of the bracket are those of the sum, so those of its powers are k of them."""
    R, N, D = SUM["B"] / SUM["A"], 10**7.5, 10**9.5
    s = N ** -SUM["alpha"] + R * D ** -SUM["beta"]
    A = SUM["A"] * s ** (1 - k)
    return {"E": SUM["E"], "A": A, "B": A * R**k, "alpha": k * SUM["alpha"], "beta": k * SUM["beta"], "k": k}


def grid(sizes: int, lengths: int, seeds: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """N and D of a grid, each cell with so many seeds."""
    N, D = np.meshgrid(np.geomspace(1e6, 1e9, sizes), np.geomspace(1e8, 1e11, lengths))
    return np.repeat(N.ravel(), seeds), np.repeat(D.ravel(), seeds)


def noise(kind: str, C: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit variance: Gaussian, Student's of 2.7 degrees of freedom, four times larger at the least C or most.

    The last are "unequal" and "rising".
    """
    if kind == "Gaussian":
        return rng.normal(size=C.size)
    if kind == "heavy":
        return rng.standard_t(2.7, size=C.size) / np.sqrt(2.7 / 0.7)
    away = C.min() if kind == "unequal" else C.max()
    size = np.exp(-np.log(4) * np.abs(np.log(C / away)) / np.log(C.max() / C.min()))
    return size * rng.normal(size=C.size) / np.sqrt(np.mean(size**2))


def misfit(k: float, sigma: float, kind: str, seeds: int, number: int) -> list[dict]:
    """Whether the sum is called wrong."""
    N, D = grid(6, 4, seeds)
    rng = np.random.default_rng([1, number, seeds])
    L = coupled.value(truth(k), N, D) * np.exp(sigma * noise(kind, N * D, rng))
    found = fit(chinchilla, N=N, D=D, L=L)
    said = found.lack_of_fit is not None and found.lack_of_fit.misfit
    return [{"quantity": "misfit", "status": found.status, "held": said}]


def few(points: int, sigma: float, kind: str, number: int) -> list[dict]:
    """Whether intervals hold; a refusal is a row without ``held``."""
    N, D = grid(*GRIDS[points])
    keep = [0, 1, 2, 3, 5, 7, 8] if points == 7 else slice(None)
    N, D = N[keep], D[keep]
    rng = np.random.default_rng([2, number, points])
    L = chinchilla.value(SUM, N, D) * np.exp(sigma * noise(kind, N * D, rng))
    far = 600 * (N * D).max()

    def quantities(theta: dict) -> np.ndarray:
        with np.errstate(all="ignore"):
            size, loss = chinchilla.optimum(theta, far)[0], chinchilla.value(theta, FAR * N.max(), FAR * D.max())
            return np.stack([chinchilla.optimum_exponents(theta)[0], np.log(size), np.log(loss)], axis=-1)

    names = ("a", "ln N_opt", "ln L")
    true = quantities({name: np.array([value]) for name, value in SUM.items()})[0]
    return _held(names, true, quantities, lambda: fit(chinchilla, N=N, D=D, L=L), number)


def line(points: int, sigma: float, kind: str, number: int) -> list[dict]:
    """The same of a power law with a floor."""
    x = np.geomspace(1e4, 1e8, points)
    rng = np.random.default_rng([4, number, points])
    L = power_floor.value(LINE, x) * np.exp(sigma * noise(kind, x, rng))

    def quantities(theta: dict) -> np.ndarray:
        return np.stack([theta["alpha"], np.log(power_floor.value(theta, 1e10))], axis=-1)

    true = quantities({name: np.array([value]) for name, value in LINE.items()})[0]
    return _held(("alpha", "ln L"), true, quantities, lambda: fit(power_floor, x=x, L=L), number)


def _held(names, true, quantities, make, number: int) -> list[dict]:
    """A row for each quantity: whether its interval holds, and its width."""
    status: object = "refused"
    try:
        found: Fit = make()
        status = found.status
        low, high = refits(found, n=REFITS, seed=number).interval(quantities)
    except FitError:
        return [{"quantity": name, "status": status} for name in names]
    held = (low <= true) & (true <= high)
    columns = zip(names, held, high - low, strict=True)
    return [{"quantity": name, "status": status, "held": h, "width": w} for name, h, w in columns]


def auto(k: float, sigma: float, kind: str, number: int) -> list[dict]:
    """Whether intervals of the law that is chosen hold, and how wide they are beside those of the true law."""
    N, D = grid(6, 4)
    rng = np.random.default_rng([3, number])
    theta, true_law = truth(k), chinchilla if k == 1 else coupled
    L = coupled.value(theta, N, D) * np.exp(sigma * noise(kind, N * D, rng))
    at = {"N": FAR * N.max(), "D": FAR * D.max()}
    true = float(coupled.value(theta, at["N"], at["D"]))
    run = true * np.exp(sigma * rng.normal())
    choice = choose(N=N, D=D, L=L)
    each = choice.candidate
    shown = predict(each.found, back=each.back, n=REFITS, seed=number, **at)
    widths = [float(np.log(high / low)) for low, high in (shown.interval, shown.new_run)]
    try:
        best = refits(fit(true_law, N=N, D=D, L=L), n=REFITS, seed=number)
        low, high = best.interval(lambda t: np.log(true_law.value(t, at["N"], at["D"])))
        of_true = float(high - low)
    except FitError:
        of_true = np.nan
    status = Status.MISFIT if each.found.misfit else Status.OK
    common = {"status": status, "chosen": choice.chosen.name, "of_true": of_true}
    held = [low <= value <= high for value, (low, high) in ((true, shown.interval), (run, shown.new_run))]
    return [
        common | {"quantity": name, "held": bool(h), "width": w}
        for name, h, w in zip(("ln L", "new run"), held, widths, strict=True)
    ]


def jobs(sets: int, sets_auto: int) -> Iterator[dict]:
    """What each simulated set is, the cheap trials first, and all kinds of a number before the next."""
    for number in range(sets):
        for kind in KINDS_OF_FEW:
            for k in (1.0, 0.7, 0.5, 0.3) if kind in KINDS else ():
                for seeds, sigma in ((1, 0.003), (3, 0.003), (1, 0.01), (3, 0.01)):
                    yield {"trial": "misfit", "k": k, "sigma": sigma, "noise": kind, "seeds": seeds, "number": number}
            for points in GRIDS:
                yield {"trial": "few", "points": points, "sigma": 0.005, "noise": kind, "number": number}
            for points in (5, 7, 9, 12, 15):
                yield {"trial": "line", "points": points, "sigma": 0.005, "noise": kind, "number": number}
        if number < sets_auto:
            for k in (1.0, 0.7, 0.5, 0.3):
                for sigma in (0.003, 0.01):
                    yield {"trial": "auto", "k": k, "sigma": sigma, "noise": "Gaussian", "number": number}


def made(job: dict) -> pd.DataFrame:
    """Rows of one set."""
    began = time.process_time()
    of = {"misfit": misfit, "few": few, "line": line, "auto": auto}[job["trial"]]
    names = {"k": "k", "sigma": "sigma", "noise": "kind", "seeds": "seeds", "points": "points", "number": "number"}
    rows = of(**{names[name]: value for name, value in job.items() if name != "trial"})
    seconds = time.process_time() - began
    return pd.DataFrame([job | row | {"seconds": seconds / len(rows)} for row in rows], columns=list(COLUMNS))


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares of each kind of set, in percent: said or held, with its error, and refused."""
    keys = ["trial", "quantity", "k", "sigma", "noise", "seeds", "points"]
    groups = rows.assign(held=rows["held"].astype(float)).groupby(keys, dropna=False, sort=False)
    out = groups.agg(
        sets=("number", "size"), judged=("held", "count"), share=("held", "mean"), width=("width", "median"),
        of_true=("of_true", "median"),
    )  # fmt: skip
    out["error"] = np.sqrt(out["share"] * (1 - out["share"]) / out["judged"])
    out["refused"] = 1 - out["judged"] / out["sets"]
    if "chosen" in rows:
        out["by_coupled"] = groups["chosen"].agg(lambda names: (names == "coupled").mean())
    for name in ("share", "error", "refused", "by_coupled"):
        out[name] *= 100
    return out.reset_index()


def main() -> None:
    """Simulate what is missing, then write and print the table."""
    parser = arguments(__doc__, "forecast-rows.csv", 400)
    parser.add_argument("--sets-auto", type=int, default=400, help="of the trial with a choice, a second each")
    parser.add_argument("--only", nargs="+", default=["misfit", "few", "line", "auto"], help="trials to make")
    args = parser.parse_args()
    keys = ["trial", "k", "sigma", "noise", "seeds", "points", "number"]
    done = there(args.rows, keys)
    for job in jobs(args.sets, args.sets_auto):
        if job["trial"] not in args.only or tuple(job.get(key) for key in keys) in done:
            continue
        append(made(job), args.rows)
    rows = pd.read_csv(args.rows)
    out = table(rows)
    if args.table:
        new = out.round(4).assign(**provenance(rows["seconds"].sum(), refits=REFITS))
        old = pd.read_csv(args.table) if args.table.is_file() else new
        pd.concat([new, old[~old["trial"].isin(new["trial"])]]).to_csv(args.table, index=False)
    print(out.drop(columns=["judged"]).round(3).to_string())


if __name__ == "__main__":
    main()
