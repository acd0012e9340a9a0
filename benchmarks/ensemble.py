"""Many runs as one: tokens/s of K stacked runs against the same runs one by one, and against nanoGPT's own train.py.

    python benchmarks/ensemble.py                      # K = 1, 4, 8, 16; eager and compiled, fp32 and bf16
    python benchmarks/ensemble.py --peer ~/nanoGPT     # and nanoGPT, alternating with ours
    python benchmarks/ensemble.py --device cuda        # K = 1, 8, 64; bf16

All train the same shapes on the same random bytes (256 symbols, context 64), one process at a time; each figure is the
median over the rounds of the median step, and tokens are those of all K runs.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import trainer

SHAPES = {"12k": (32, 1), "50k": (64, 1), "220k": (96, 2)}  # d_model, n_layer
BATCHES = (128, 512)  # tokens per step and run
SEQ_LEN = 64
TOGETHER = {"cpu": (1, 4, 8, 16), "cuda": (1, 8, 64)}


def main() -> None:
    """Time every shape and batch and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of nanoGPT to time beside ours")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--device", choices=TOGETHER, default="cpu")
    parser.add_argument("--together", nargs="+", type=int, help="K")
    parser.add_argument("--rounds", type=int, default=3, help="how often ours and the peer take turns")
    parser.add_argument("--seconds", type=float, default=3.0, help="about how long each turn trains")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(_step_seconds(*json.loads(args.worker))))
        return
    args.together = args.together or TOGETHER[args.device]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    print(f"{trainer._machine(args.device)}, 1 thread")
    print(f"{'shape':>6} {'batch_tokens':>12} {'how':>14} {'K':>3} {'tokens/s':>10} {'vs K = 1':>9} {'vs peer':>8}")
    records = []
    for shape in args.shapes:
        for batch_tokens in BATCHES:
            records += _time(shape, batch_tokens, args, environment)
    if args.json:
        args.json.write_text(json.dumps(records, indent=1))


def _time(shape: str, batch_tokens: int, args, environment: dict) -> list[dict]:
    """Alternate all ways on one shape and batch; print and return its rows."""
    rates: dict[tuple, list[float]] = {}
    for _ in range(args.rounds):
        for how in trainer.OURS[args.device]:
            for k in args.together:
                step = _worker(environment, shape, batch_tokens, k, how, args.device, args.seconds)
                rates.setdefault((how, k), []).append(k * batch_tokens / step)
        if args.peer:
            peers = (*SHAPES[shape], batch_tokens // SEQ_LEN, SEQ_LEN)
            step = trainer._peer(args.peer, peers, args.device, args.seconds, environment)
            rates.setdefault(("nanoGPT", 1), []).append(batch_tokens / step)
    rows, median = [], {key: statistics.median(values) for key, values in rates.items()}
    for (how, k), rate in median.items():
        alone, peer = median[how, 1 if how == "nanoGPT" else min(args.together)], median.get(("nanoGPT", 1))
        row = {"shape": shape, "batch_tokens": batch_tokens, "how": how, "together": k, "tokens_per_second": rate}
        row |= {"times_alone": rate / alone, "times_peer": rate / peer if peer else float("nan")}
        rows.append(row)
        print(f"{shape:>6} {batch_tokens:>12} {how:>14} {k:>3} {rate:>10,.0f} {row['times_alone']:>8.2f}x"
              f" {row['times_peer']:>7.2f}x", flush=True)  # fmt: skip
    return rows


def _worker(environment: dict, *job) -> float:
    """Seconds per step, measured in a process of its own."""
    command = [sys.executable, __file__, "--worker", json.dumps(job)]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _step_seconds(shape: str, batch_tokens: int, k: int, how: str, device: str, budget: float) -> float:
    """Median seconds of a step of K runs, data and schedule included."""
    from scalinglaws.config import ModelConfig, RunSpec, TrainConfig
    from scalinglaws.lab.corpus import Corpus
    from scalinglaws.lab.ensemble import Stack
    from scalinglaws.lab.runtime import Runtime
    from scalinglaws.lab.train import Loop

    d, layers = SHAPES[shape]
    model = ModelConfig(
        n_layer=layers, d_model=d, n_head=d // 16, d_ff=4 * d, vocab_size=trainer.VOCAB, seq_len=SEQ_LEN
    )
    trains = [TrainConfig(tokens=batch_tokens * 10**7, batch_tokens=batch_tokens, lr=1e-3, seed=s) for s in range(k)]
    specs = [RunSpec(model=model, train=train) for train in trains]
    text = trainer._random_bytes()
    corpus = Corpus(name="random", vocab_size=trainer.VOCAB, train=text, val=text, fingerprint="random")
    precision, compiled = trainer.OURS[device][how]
    runtime = Runtime(device=device, precision=precision, compile=compiled)
    loop = Stack(specs, corpus, runtime) if k > 1 else Loop(specs[0], corpus, runtime)
    state = loop.start()
    config = trains if k > 1 else trains[0]
    loop.run(state, 5, config)
    times, end = [], time.perf_counter() + budget
    while time.perf_counter() < end or len(times) < 5:
        began = time.perf_counter()
        loop.run(state, state.step + 16, config)
        times.append((time.perf_counter() - began) / 16)
    return statistics.median(times)


if __name__ == "__main__":
    main()
