"""What runs chosen by `design` cost beside a grid, for the same interval of the best size at 100 times the compute.

    python benchmarks/design.py --rows data/design.csv --sets 200

Each set is a surface of its own, drawn by its number: exponents, floor, both terms at the middle, and noise of 0.3 to
1% of the loss. Against it stand a grid of five budgets, 1e18 to 1e20 FLOPs, by seven sizes, a quarter to four times the
true best size of each budget, one seed; and a design: 16 cheap runs, the lowest four of eight sizes by the lowest four
of eight lengths over the range of the grid's N and D, then rounds of at most six runs for a twentieth of the grid's
FLOPs, chosen within that range, none dearer than the grid's dearest, one seed, until the interval of ln N_opt is as
narrow as the grid's. All that was spent counts, the 16 runs too; where all places have their run before, the share is
infinite. Who stops as soon as an interval is narrow stops at some that are so by chance; so a last round fills half of
the grid's FLOPs, whatever was found, and columns that begin with "half" say what is known then.

- sum: the truth is Chinchilla's sum, which is fitted.
- coupled: the truth is the bracket with k of 0.3 to 0.8, which is fitted, and which designs as soon as the runs
  determine it; the sum does until then.
- wrong: the same truths; the sum designs throughout, and the bracket has the interval. What a wrong law costs.

Rows are written as they come; what is there already is not made again.
"""

from simulated import append, arguments, there  # first: it sets the threads of numpy

# isort: split
import numpy as np
import pandas as pd

from scalinglaws.counting import flops_6nd
from scalinglaws.laws import chinchilla, coupled
from scalinglaws.laws.bootstrap import Bootstrap
from scalinglaws.laws.design import design
from scalinglaws.laws.fit import Fit, FitError, fit
from scalinglaws.laws.forecast import optimum_intervals
from scalinglaws.laws.intervals import refits
from scalinglaws.laws.law import Law

CASES = ("sum", "coupled", "wrong")
BUDGETS = np.geomspace(1e18, 1e20, 5)
AROUND = np.geomspace(1 / 4, 4, 7)  # sizes of a budget, over the best
TARGET = 100 * BUDGETS.max()
ROUND, RUNS, LAST = 1 / 20, 6, 24  # of the grid's FLOPs; runs at most of a round, and of the last
MOST = 2.0  # times the grid's FLOPs, after which a design has failed
REFITS = 199


class Surface:
    """A true law and its noise, drawn by a number."""

    def __init__(self, case: str, number: int):
        rng = np.random.default_rng([11, number])
        alpha, beta, E = rng.uniform(0.28, 0.42), rng.uniform(0.28, 0.42), rng.uniform(1.5, 2.1)
        a, b = rng.uniform(0.2, 0.5, 2)  # both terms at 10^8.4 parameters and 10^9.8 tokens
        k = rng.uniform(0.3, 0.8)
        self.sigma = float(np.exp(rng.uniform(np.log(0.003), np.log(0.01))))
        self.theta = {
            "E": E, "A": a * 10 ** (8.4 * alpha), "B": b * 10 ** (9.8 * beta), "alpha": alpha, "beta": beta,
            "k": 1.0 if case == "sum" else k,
        }  # fmt: skip
        self.rng = np.random.default_rng([12, number, case == "sum"])  # wrong: the noise of coupled

    def best(self, C):
        """The true best size."""
        return coupled.optimum(self.theta, C)[0]

    def runs(self, N, D) -> pd.DataFrame:
        """Noisy losses of runs."""
        L = coupled.value(self.theta, N, D) * np.exp(self.sigma * self.rng.normal(size=np.size(N)))
        return pd.DataFrame({"N": N, "D": D, "L": L})


def known(runs: pd.DataFrame, law: Law, number: int, truth: float) -> tuple[Fit | Bootstrap, dict]:
    """The fit, or its refits, and the interval of ln N_opt at the target; infinite where it cannot be had."""
    found = fit(law, **{name: runs[name].to_numpy() for name in ("N", "D", "L")})
    try:
        cloud = refits(found, n=REFITS, seed=number)
        low, high = (float(np.log(end)) for end in optimum_intervals(cloud, TARGET)["N"])
    except FitError:
        return found, {"width": np.inf, "held": True, "error": np.nan}
    error = float(np.log(found.allocate(TARGET)[0])) - truth
    return cloud, {"width": high - low, "held": low <= truth <= high, "error": error}


def made(case: str, number: int) -> dict:
    """A row of one set."""
    surface, law = Surface(case, number), chinchilla if case == "sum" else coupled
    N = (surface.best(BUDGETS)[:, None] * AROUND).ravel()
    D = np.repeat(BUDGETS, AROUND.size) / 6 / N
    truth, whole = float(np.log(surface.best(TARGET))), float(flops_6nd(N, D).sum())
    grid = known(surface.runs(N, D), law, number, truth)[1]
    row = {"case": case, "number": number, "sigma": surface.sigma, "k": surface.theta["k"]} | _named("grid", grid)
    limits = {"N": [N.min(), N.max()], "D": [D.min(), D.max()], "largest": BUDGETS.max()}
    axes = [np.geomspace(*limits[letter], 8)[:4] for letter in "ND"]
    runs = surface.runs(*(axis.ravel() for axis in np.meshgrid(*axes)))

    def more(source: Fit | Bootstrap, share: float, most: int) -> pd.DataFrame:
        """The runs and those of a round."""
        usable = case == "sum" or (case == "coupled" and isinstance(source, Bootstrap))
        guide = source if usable else known(runs, chinchilla, number, truth)[0]
        each = design(guide, C=TARGET, budget=share * whole, runs=most, **limits).each()
        return pd.concat([runs, surface.runs(each["N"].to_numpy(), each["D"].to_numpy())], ignore_index=True)

    for _ in range(int(MOST / ROUND)):
        source, now = known(runs, law, number, truth)
        if now["width"] <= grid["width"]:
            break
        try:
            runs = more(source, ROUND, RUNS)
        except ValueError:  # every place has its run
            break
    spent = _share(runs, whole)
    reached = now["width"] <= grid["width"]
    row |= now | {"share": spent if reached else np.inf, "runs": len(runs)}
    if spent < 0.5:
        runs = more(source, 0.5 - spent, LAST)
        now = known(runs, law, number, truth)[1]
    return row | _named("half", now) | {"half_share": _share(runs, whole), "half_runs": len(runs)}


def _share(runs: pd.DataFrame, whole: float) -> float:
    """FLOPs of runs over those of the grid."""
    return float(flops_6nd(runs["N"], runs["D"]).sum()) / whole


def _named(prefix: str, values: dict) -> dict:
    """Values with a prefix before their names."""
    return {f"{prefix}_{name}": value for name, value in values.items()}


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of the share of the grid's FLOPs, and how far both can be believed, by case."""
    rows = rows[np.isfinite(rows["grid_width"])]  # a grid without an interval is beaten by anything
    groups = rows.groupby("case", sort=False)
    out = pd.DataFrame({"sets": groups.size()})
    for q in (0.05, 0.25, 0.5, 0.75, 0.95):
        out[f"{100 * q:g}%"] = groups["share"].quantile(q)
    out["runs"] = groups["runs"].median()
    for prefix in ("grid_", "", "half_"):
        out[f"{prefix}held"] = 100 * groups[f"{prefix}held"].mean()
        out[f"{prefix}rms"] = groups[f"{prefix}error"].agg(lambda column: np.sqrt(np.mean(column**2)))
    out["half_width"] = rows.assign(ratio=rows["half_width"] / rows["grid_width"]).groupby("case")["ratio"].median()
    return out


def main() -> None:
    """Simulate what is missing and print the table."""
    args = arguments(__doc__, "data/design.csv", 200, table=False).parse_args()
    done = there(args.rows, ["case", "number"])
    for number in range(args.sets):
        for case in CASES:
            if (case, number) not in done:
                append(pd.DataFrame([made(case, number)]), args.rows, float_format="%.6g")
    print(table(pd.read_csv(args.rows)).round(3).to_string())


if __name__ == "__main__":
    main()
