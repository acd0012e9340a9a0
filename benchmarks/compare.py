"""Do the intervals of `compare` hold? Simulated pairs of recipes whose truth is known.

    python benchmarks/compare.py --rows compare-rows.csv --table data/compare.csv --sets 400

Truth of A is Chinchilla's sum with the exponents of the fit of Besiroglu et al. 2024. B saves compute by an offset (a
factor of 1.3 everywhere), by slope (none at the middle, and more the more is spent: both exponents are .01 larger), or
by both. Five sizes of 1e6 to 1e9 parameters by four lengths of 1e8 to 1e11 tokens, one seed or three, noise of 0.5% of
the loss. In a fourth truth, `tokens`, all runs have the middle size and eight lengths, B saves as many tokens by the
offset, and the law is one of D alone:

- paired: A and B have the same sizes, lengths and seeds, and runs of a pair share seven tenths of the variance of their
  noise.
- unpaired: the sizes and lengths of B lie between those of A, and all noise is its own.

Held is: the ratio of compute at the least, the middle and the largest compute that both have, at a hundred times the
largest, and the slope; and of offsets the one factor. Rows are written as they come; what is there is not made again.
"""

import time
from itertools import product

from simulated import append, arguments, provenance, there  # first: it sets the threads of numpy

# isort: split
import numpy as np
import pandas as pd

from scalinglaws.laws import chinchilla, power_floor
from scalinglaws.laws.compare import TwoRecipes, compare, log_ratio

TRUTHS = ("offset", "slope", "both", "tokens")
SUM = {"E": 1.8172, "A": 477.83, "B": 2143.4, "alpha": 0.34731, "beta": 0.36717}
BOTH = TwoRecipes(name="truth", source="", base=chinchilla)
MIDDLE = np.log([10**7.5, 10**9.5])
GRID = np.log([1e6, 1e9]), np.log([1e8, 1e11])
C = 6 * np.array([1e14, 10**17.0, 1e20, 1e22])  # of the corners and the middle, and a hundred times the largest
C_OF_ONE = 6 * np.exp(MIDDLE[0]) * np.array([1e8, 10**9.5, 1e11, 1e13])  # of one size
SIGMA, SHARED, REFITS = 0.005, 0.7, 299
QUANTITIES = ("least", "middle", "largest", "far", "slope", "one factor")


def truth(kind: str) -> dict[str, float]:
    """Parameters of both recipes."""
    offset, slope = np.log(1.3) * (kind != "slope"), 0.01 * (kind != "offset")
    if kind == "tokens":
        return SUM | {"d_alpha": 0.0, "d_beta": 0.0, "d_A": 0.0, "d_B": -SUM["beta"] * offset}
    half = offset / 2  # sizes and lengths each count so much more
    d = {"d_alpha": slope, "d_beta": slope}
    d |= {"d_A": slope * MIDDLE[0] - SUM["alpha"] * half, "d_B": slope * MIDDLE[1] - SUM["beta"] * half}
    return SUM | d


def recipes(kind: str, paired: bool, seeds: int, number: int) -> list[dict[str, np.ndarray]]:
    """Tables of A and B."""
    rng = np.random.default_rng([21, TRUTHS.index(kind), paired, seeds, number])
    shape = (1, 8) if kind == "tokens" else (5, 4)
    runs = shape[0] * shape[1] * seeds
    common, tables = rng.normal(size=runs), []
    for r in (0.0, 1.0):
        own = rng.normal(size=runs)
        inside = 0.08 * (r == 1 and not paired)  # of the range, at both ends
        places = (np.linspace(inside, 1 - inside, m) if m > 1 else np.array([0.5]) for m in shape)
        axes = [np.exp(low + (high - low) * place) for (low, high), place in zip(GRID, places, strict=True)]
        N, D, seed = (grid.ravel() for grid in np.meshgrid(*axes, np.arange(seeds)))
        noise = np.sqrt(SHARED) * common + np.sqrt(1 - SHARED) * own if paired else own
        L = BOTH.value(truth(kind), N, D, np.exp(r)) * np.exp(SIGMA * noise)
        tables.append({"N": N, "D": D, "L": L, "seed": seed + 100 * int(r) * (not paired)})
    return tables


def made(kind: str, paired: bool, seeds: int, number: int) -> pd.DataFrame:
    """Rows of one set: whether each interval holds, and its width."""
    began = time.process_time()
    true = log_ratio(BOTH, {name: np.array([value]) for name, value in truth(kind).items()}, C)[0]
    asked: dict = {"C": C}
    if kind == "tokens":
        true, asked = np.append(np.full(4, np.log(1.3)), 0.0), {"C": C_OF_ONE, "law": power_floor}
    found = compare(*recipes(kind, paired, seeds, number), n=REFITS, seed=number, **asked)
    low, high = (np.append(np.log(ends), end) for ends, end in zip(found.interval, found.slope_interval, strict=True))
    here = np.append(np.log(found.ratio), found.slope)
    if kind in ("offset", "tokens"):
        true, here = np.append(true, np.log(1.3)), np.append(here, np.log(found.offset))
        low, high = (np.append(ends, np.log(one)) for ends, one in zip((low, high), found.offset_interval, strict=True))
    rows = pd.DataFrame({"quantity": QUANTITIES[: true.size], "held": (low <= true) & (true <= high)})
    rows["width"], rows["low"], rows["high"], rows["verdict"] = high - low, low - here, high - here, found.verdict
    rows["error"] = here - true
    key = {"truth": kind, "paired": paired, "seeds": seeds, "number": number}
    rows["seconds"] = (time.process_time() - began) / len(rows)
    return pd.DataFrame(key, index=rows.index).join(rows)


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares that held, in percent, with their errors; and how often each verdict was given."""
    groups = rows.groupby(["truth", "paired", "seeds", "quantity"], sort=False)
    out = groups.agg(sets=("number", "size"), share=("held", "mean"), width=("width", "median"))
    out["error"] = np.sqrt(out["share"] * (1 - out["share"]) / out["sets"])
    for verdict in ("none", "offset", "slope"):
        out[verdict] = groups["verdict"].agg(lambda column, verdict=verdict: (column == verdict).mean())
    out[["share", "error", "none", "offset", "slope"]] *= 100
    return out.reset_index()


def main() -> None:
    """Simulate what is missing, then write and print the table."""
    args = arguments(__doc__, "compare-rows.csv", 400).parse_args()
    done = there(args.rows, ["truth", "paired", "seeds", "number"])
    for number, job in product(range(args.sets), product(TRUTHS, (True, False), (1, 3))):
        if (*job, number) not in done:
            append(made(*job, number), args.rows)
    rows = pd.read_csv(args.rows)
    out = table(rows)
    if args.table:
        made_by = provenance(rows["seconds"].sum(), refits=REFITS)
        out.round(4).assign(**made_by).to_csv(args.table, index=False)
    print(out.round(3).to_string())


if __name__ == "__main__":
    main()
