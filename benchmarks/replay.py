"""What runs chosen by `design` cost on a stored grid of real runs, for a grid's interval of the best size far beyond.

    python benchmarks/replay.py --rows data/design_replay.csv --sets 40

benchmarks/design.py draws its surfaces; here the runs are those of `subword_grid`: seven sizes by six lengths at one
rate, 42 cells with three seeds each. Against each other stand, as there, a grid with one seed, that of the replay's
number modulo three, and a design that takes its runs one by one, of all 126. (Against the grid with all seeds a design
could only lose: whatever it takes is a part of that.) The target is as there, 100 times the largest compute. A replay
begins with 14 cells, drawn from the cheaper half, and has its own order of seeds in each cell. Rounds of at most six
runs follow, each for an eighth of the grid's FLOPs, so that as there the dearest run admitted has half of the largest
compute; after each there is a fit, until the interval of ln N_opt is as narrow as the grid's. All that was spent
counts, the first 14 runs too; where all runs that a round admits are taken before, the share is infinite.

- bracket: `coupled_no_floor`, since the bracket with a floor ends at E = 0 on all 126 runs, where no interval is
  given. Until the runs determine it the sum chooses. Tests call it a misfit, too, of .3% of the loss.
- sum: Chinchilla's sum chooses and has the interval. It misses these runs by 1.4%.

Beside each stands a control: runs drawn at random, for as many FLOPs a round. Columns that begin with "half" are of the
last round within half of the grid's FLOPs; "off" is ln N_opt less that of all 126 runs, "held" whether the interval has
that.

Fixed before the first replay, with fits to whole grids seen and no design's: the share of FLOPs of the bracket, median
over 40 replays, is at most one half. The sum and the controls are told beside it: a share that random runs have as well
is no merit of the design.

Rows are written as they come; what is there already is not made again.
"""

from simulated import append, arguments, there  # first: it sets the threads of numpy

# isort: split
import numpy as np
import pandas as pd

from scalinglaws import runs
from scalinglaws.counting import flops_6nd
from scalinglaws.laws import chinchilla, coupled_no_floor
from scalinglaws.laws.bootstrap import Bootstrap
from scalinglaws.laws.design import design
from scalinglaws.laws.fit import Fit, FitError, fit
from scalinglaws.laws.forecast import optimum_intervals
from scalinglaws.laws.intervals import refits
from scalinglaws.laws.law import Law

LAWS = {"bracket": coupled_no_floor, "sum": chinchilla}
CHOICES = ("design", "random")
FIRST = 14  # cells
ROUND, RUNS = 1 / 8, 6  # of the grid's FLOPs; runs at most of a round
BEYOND = 100.0  # times the largest compute
REFITS = 199
KEYS = ["law", "choice", "number"]


def pool(number: int) -> pd.DataFrame:
    """The stored runs: N, D, L, seed, flops, cell, and in which order this replay takes them, over all and by cell."""
    stored = runs.stored("subword_grid").query("lr == 0.01")
    names = {"n_params_nonemb": "N", "tokens": "D", "loss": "L", "seed": "seed"}
    table = stored[[*names]].rename(columns=names).astype(float).sort_values(["N", "D", "seed"], ignore_index=True)
    table["flops"], table["cell"] = flops_6nd(table["N"], table["D"]), table.groupby(["N", "D"]).ngroup()
    table["drawn"] = np.random.default_rng([14, number]).random(len(table))
    return table.assign(order=table.groupby("cell")["drawn"].rank().astype(int) - 1)


def known(points: pd.DataFrame, law: Law, number: int, C: float) -> tuple[Fit | Bootstrap, float, float, float]:
    """The fit, or its refits, with ln N_opt at C and its interval; an infinite one where it cannot be had."""
    found = fit(law, **{name: points[name].to_numpy() for name in "NDL"})
    try:
        cloud = refits(found, n=REFITS, seed=number)
        low, high = (float(np.log(end)) for end in optimum_intervals(cloud, C)["N"])
        return cloud, float(np.log(found.allocate(C)[0])), low, high
    except FitError:
        return found, np.nan, -np.inf, np.inf


def made(name: str, choice: str, number: int) -> dict:
    """A row of one replay."""
    law, every = LAWS[name], pool(number)
    one = every[every["seed"] == sorted(set(every["seed"]))[number % 3]]
    whole, C = float(one["flops"].sum()), BEYOND * float(every["flops"].max())
    (_, _, low, high), best = known(one, law, number, C), known(every, law, number, C)[1]
    row = dict(zip(KEYS, (name, choice, number), strict=True)) | {"grid_width": high - low}
    costs = every.groupby("cell")["flops"].first().sort_values(kind="stable")
    first = np.random.default_rng([15, number]).choice(costs.index[: len(costs) // 2], FIRST, replace=False)
    taken = every["cell"].isin(first) & (every["order"] == 0)
    half: dict = {}
    while True:
        source, middle, lowest, highest = known(every[taken], law, number, C)
        spent = float(every.loc[taken, "flops"].sum()) / whole
        now = {"width": highest - lowest, "off": middle - best, "held": lowest <= best <= highest, "share": spent}
        now["runs"] = int(taken.sum())
        half = now if spent <= 0.5 or not half else half
        reached = now["width"] <= row["grid_width"]
        more = (_chosen if choice == "design" else _drawn)(every, taken, source, ROUND * whole, C) & ~taken
        if reached or not more.any():
            break
        taken |= more
    return row | now | {f"half_{key}": value for key, value in half.items()} | ({} if reached else {"share": np.inf})


def _chosen(every: pd.DataFrame, taken: pd.Series, source: Fit | Bootstrap, budget: float, C: float) -> pd.Series:
    """The runs of a round, by design; at random where none is chosen."""
    if not isinstance(source, Bootstrap) and source.law is not chinchilla:  # the bracket is not determined yet
        source = known(every[taken], chinchilla, 0, C)[0]
    axes = {letter: sorted(set(every[letter])) for letter in "ND"}
    try:
        chosen = design(source, C=C, budget=budget, runs=RUNS, seeds=3, **axes).runs
    except ValueError:  # the runs determine neither law, or all that a round admits are taken
        return _drawn(every, taken, source, budget, C)
    more = every[["N", "D"]].merge(chosen, how="left")["seeds"].fillna(0)
    return every["order"] < taken.groupby(every["cell"]).transform("sum") + more


def _drawn(every: pd.DataFrame, taken: pd.Series, _source: Fit | Bootstrap, budget: float, _C: float) -> pd.Series:
    """The runs of a round, in this replay's order among those that its FLOPs still admit."""
    new = taken & False
    for row in every["drawn"][~taken].sort_values().index:
        if every["flops"][row] <= budget and new.sum() < RUNS:
            new[row] = True
            budget -= every["flops"][row]
    return new


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Quantiles of the share of the grid's FLOPs, and what is known within half of them."""
    rows = rows.assign(ratio=rows["half_width"] / rows["grid_width"])
    groups = rows.groupby(KEYS[:-1], sort=False)
    out = pd.DataFrame({"sets": groups.size(), "grid_width": groups["grid_width"].median()})
    for q in (0.05, 0.25, 0.5, 0.75, 0.95):
        out[f"{100 * q:g}%"] = groups["share"].quantile(q, interpolation="midpoint")  # of the infinite, too
    for prefix in ("", "half_"):
        out[f"{prefix}runs"] = groups[f"{prefix}runs"].median()
        out[f"{prefix}held"] = 100 * groups[f"{prefix}held"].mean()
        out[f"{prefix}off"] = groups[f"{prefix}off"].agg(lambda off: np.sqrt(np.mean(off**2)))
    return out.assign(half_ratio=groups["ratio"].median())


def main() -> None:
    """Replay what is missing and print the table."""
    args = arguments(__doc__, "data/design_replay.csv", 40, table=False).parse_args()
    done = there(args.rows, KEYS)
    for number in range(args.sets):
        for key in [(name, choice, number) for name in LAWS for choice in CHOICES]:
            if key not in done:
                append(pd.DataFrame([made(*key)]), args.rows, float_format="%.6g")
    print(table(pd.read_csv(args.rows)).round(3).to_string())


if __name__ == "__main__":
    main()
