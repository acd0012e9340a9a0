"""How often 95% intervals of the law of repeats' excess hold: fitted up to 16 epochs, asked for 64. Simulated runs.

    python benchmarks/excess.py --rows data/excess.csv --sets 300

Runs stand as in the stored sweep `repeats`: 65,536 unique tokens read for 1 to 16 epochs, and 2^16 to 2^22 new tokens,
three seeds each, 36 runs. Truths are fits to its cells, rounded: `strong`, width 32 on the first files; `weak`, width
16 on a drawn sample; `late`, width 32 on that sample, whose excess is below the noise up to 16 epochs. Noise in ln L is
1.5, 0.8 and 1.5%, as their seeds have it: Gaussian; heavy, Student's of 2.7 degrees of freedom; or shared, half of its
variance common to the runs of one seed on one text, as where they branch from one trunk, which the fit is not told.

Asked for are E, beta, ln c, p, ln L of the law at 64 epochs, and a new run there. Fixed before the first set was made:
they hold if each share lies between 92.5 and 97.5%, of Gaussian and heavy noise, where an interval is given; a refusal
is counted apart, since a fit with p at zero, or with another parameter at a bound, is given none.

Rows are written as they come; what is there already is not made again.
"""

from simulated import append, arguments, there  # first: it sets the threads of numpy

# isort: split
import numpy as np
import pandas as pd

from scalinglaws.laws import repeats_excess
from scalinglaws.laws.fit import FitError, fit
from scalinglaws.laws.forecast import predict
from scalinglaws.laws.intervals import refits

TRUTHS = {
    "strong": {"E": 1.6, "B": 26.0, "c": 0.2, "beta": 0.29, "p": 0.41},
    "weak": {"E": 2.13, "B": 22.0, "c": 0.02, "beta": 0.335, "p": 0.39},
    "late": {"E": 1.15, "B": 8.3, "c": 0.0028, "beta": 0.156, "p": 1.05},
}
SIGMA = {"strong": 0.015, "weak": 0.008, "late": 0.015}
KINDS = ("Gaussian", "heavy", "shared")
UNIQUE, SEEDS = 2.0**16, 3
FAR = {"D": 64 * UNIQUE, "U": UNIQUE}
NAMES = ("E", "beta", "ln c", "p", "ln L", "new run")
REFITS = 399


def runs() -> pd.DataFrame:
    """D and U of each run, with a number for its seed and text."""
    repeated = [(UNIQUE * 2.0**k, UNIQUE) for k in range(5)]
    new = [(UNIQUE * 2.0**k, UNIQUE * 2.0**k) for k in range(7)]
    each = [
        (*place, 2 * seed + text)
        for text, places in enumerate((repeated, new))
        for place in places
        for seed in range(SEEDS)
    ]
    return pd.DataFrame(each, columns=["D", "U", "trunk"])


def noise(kind: str, trunk: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Noise of unit variance."""
    if kind == "heavy":
        return rng.standard_t(2.7, size=trunk.size) / np.sqrt(2.7 / 0.7)
    own = rng.normal(size=trunk.size)
    return own if kind == "Gaussian" else np.sqrt(0.5) * (own + rng.normal(size=trunk.max() + 1)[trunk])


def quantities(theta: dict) -> np.ndarray:
    """The first five of `NAMES`, last."""
    far = np.log(repeats_excess.value(theta, *FAR.values()))
    with np.errstate(divide="ignore"):
        return np.stack([theta["E"], theta["beta"], np.log(theta["c"]), theta["p"], far], axis=-1)


def made(case: str, kind: str, number: int) -> dict:
    """A row of one set: status, and for each quantity whether its interval holds, and its width."""
    at, truth = runs(), TRUTHS[case]
    rng = np.random.default_rng([13, number, [*TRUTHS].index(case), KINDS.index(kind)])
    L = repeats_excess.value(truth, at["D"], at["U"]) * np.exp(SIGMA[case] * noise(kind, at["trunk"].to_numpy(), rng))
    true = quantities({name: np.array([value]) for name, value in truth.items()})[0]
    run = float(true[-1] + SIGMA[case] * noise(kind, np.zeros(1, int), rng)[0])
    row = {"case": case, "noise": kind, "number": number}
    found = fit(repeats_excess, D=at["D"], U=at["U"], L=L)
    row |= {"status": found.status.value, "at_bound": " ".join(found.at_bound)}
    try:
        cloud = refits(found, n=REFITS, seed=number)
    except FitError:
        return row | dict.fromkeys([f"{name} {what}" for name in NAMES for what in ("held", "width")])
    low, high = cloud.interval(quantities)
    of_run = np.log([float(end) for end in predict(cloud, seed=number, **FAR).new_run])
    ends = zip(NAMES, [*true, run], [*low, of_run[0]], [*high, of_run[1]], strict=True)
    for name, value, lowest, highest in ends:
        row |= {f"{name} held": int(lowest <= value <= highest), f"{name} width": highest - lowest}
    return row


def table(rows: pd.DataFrame) -> pd.DataFrame:
    """Shares that held, in percent, of those that were given, with their error, by case, noise and quantity."""
    groups = rows.groupby(["case", "noise"], sort=False)
    parts = []
    for name in NAMES:
        part = groups[f"{name} held"].agg(sets="size", judged="count", share="mean")
        parts.append(part.assign(quantity=name, width=groups[f"{name} width"].median()).reset_index())
    out = pd.concat(parts, ignore_index=True)
    out["error"] = np.sqrt(out["share"] * (1 - out["share"]) / out["judged"])
    out["refused"] = 1 - out["judged"] / out["sets"]
    out[["share", "error", "refused"]] *= 100
    return out


def main() -> None:
    """Simulate what is missing and print the table."""
    args = arguments(__doc__, "data/excess.csv", 300, table=False).parse_args()
    done = there(args.rows, ["case", "noise", "number"])
    for number in range(args.sets):
        for case in TRUTHS:
            for kind in KINDS:
                if (case, kind, number) not in done:
                    append(pd.DataFrame([made(case, kind, number)]), args.rows, float_format="%.4g")
    print(table(pd.read_csv(args.rows)).round(2).to_string())


if __name__ == "__main__":
    main()
