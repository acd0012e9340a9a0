"""Sizes x lengths x seeds on the synthetic source: the floor of the joint law against the exact one (chapter 1).

    python sweeps/synthetic.py

Trains what is missing in _build/sweeps/synthetic, two processes of one thread, and writes data/runs/synthetic.csv.
"""

from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tqdm import tqdm

from scalinglaws import recipe, runs
from scalinglaws.config import RunSpec

WIDTHS = (16, 24, 32, 48, 64, 96)
LENGTHS = tuple(2**k for k in range(18, 23))  # a quarter of a million to four million tokens, branches of one trunk
SEEDS = (0, 1, 2)
ROOT = Path(__file__).parents[1]
STORE = runs.RunStore(ROOT / "_build" / "sweeps" / "synthetic")


def trunks() -> list[list[RunSpec]]:
    """Every run of the sweep; the lengths of one width and seed together. The slowest first."""
    return [
        [recipe.SYNTHETIC.spec(width, length, seed=seed) for length in LENGTHS]
        for width in reversed(WIDTHS)
        for seed in SEEDS
    ]


def train_trunk(specs: list[RunSpec]) -> None:
    """Train one trunk with its branches and store the runs."""
    import torch

    from scalinglaws import train

    torch.set_num_threads(1)
    for run in train.train_branches(specs, runtime=train.Runtime(device="cpu", precision="fp32", compile=False)):
        STORE.write(run)


def main() -> None:
    """Train what is missing, then write the table."""
    todo = [specs for specs in trunks() if STORE.missing(specs)]
    with ProcessPoolExecutor(max_workers=2) as pool:
        done = as_completed([pool.submit(train_trunk, specs) for specs in todo])
        for future in tqdm(done, total=len(todo), unit="trunk"):
            future.result()
    runs.write_csv(runs.table(STORE.read(s) for specs in trunks() for s in specs), ROOT / "data/runs/synthetic.csv")


if __name__ == "__main__":
    main()
