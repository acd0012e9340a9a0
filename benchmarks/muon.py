"""Processor seconds a token of Muon and of AdamW, in turns, on one core: the runs of `sweeps/muon.py`.

    python benchmarks/muon.py --table data/muon_speed.csv

Both train as the sweep does, eager, in bfloat16, with one thread: eight runs together, and one alone. Processor time is
counted, and turns are short, so that other work on the machine slows both alike. The first steps are left out.
"""

import argparse
import time
from itertools import product
from pathlib import Path

from simulated import provenance  # first: it sets the threads of numpy

# isort: split
import pandas as pd
import torch

from scalinglaws.lab import corpus, ensemble, grids, sweep
from scalinglaws.lab.runtime import Runtime, processor

EAGER = Runtime(device="cpu", precision="bf16", compile=False)
WARM, STEPS = 5, 25
OPTIMIZERS = ("adamw", "muon")


def turn(stack: ensemble.Stack, specs: list) -> float:
    """Processor seconds a token and run of some steps after the first."""
    state, configs = stack.start(), [spec.train for spec in specs]
    stack.run(state, WARM, configs)
    began = time.process_time()
    stack.run(state, WARM + STEPS, configs)
    return (time.process_time() - began) / (STEPS * configs[0].batch_tokens * len(specs))


def main() -> None:
    """Time the turns and write a row for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--table", type=Path, help="write the rows with their provenance to this file")
    args = parser.parse_args()
    torch.set_num_threads(1)
    text, stacks = corpus.pystack(), {}
    for optimizer, together in product(OPTIMIZERS, (1, 8)):
        same = [s for s in sweep.load("muon") if s.train.optimizer == optimizer and s.train.hidden_lr_ratio == 1.0]
        trunks = {s.train.seed: s for s in same}  # one length of each seed
        specs = [grids.vary(trunks[seed], eval_tokens=1024) for seed in sorted(trunks)[:together]]
        stacks[optimizer, together] = ensemble.Stack(specs, text, EAGER), specs
    began = time.process_time()
    rows = [
        {"round": number, "together": together, "optimizer": optimizer, "seconds_per_token": turn(*stack)}
        for number in range(args.rounds)
        for (optimizer, together), stack in stacks.items()
    ]
    table = pd.DataFrame(rows).assign(**provenance(time.process_time() - began, machine=processor()))
    print(table.pivot_table("seconds_per_token", "together", "optimizer", aggfunc="median"))
    if args.table:
        table.to_csv(args.table, index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
