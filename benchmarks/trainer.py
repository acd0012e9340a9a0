"""Training speed by model size: tokens/s, FLOP/s, and the fraction of what this machine's own matrix product reaches.

    python benchmarks/trainer.py                      # ours: eager fp32, compiled fp32, compiled bf16
    python benchmarks/trainer.py --peer ~/nanoGPT     # and nanoGPT's own train.py, alternating with ours
    python benchmarks/trainer.py --device cuda        # up to 200 million parameters; "of peak" is then the MFU

Both sides train the same shapes on the same random bytes (256 symbols), one process at a time. Each cell is the median
over the rounds of the median step; nanoGPT's step is the one its train.py prints.
"""

import argparse
import json
import os
import pickle
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = {  # name: (d_model, n_layer, sequences per step, their length)
    "12k": (32, 1, 32, 64),
    "50k": (64, 1, 32, 64),
    "220k": (96, 2, 32, 64),
    "1M": (128, 5, 32, 64),
    "4M": (256, 5, 16, 64),
    "25M": (512, 8, 32, 1024),
    "100M": (1024, 8, 32, 1024),
    "200M": (1024, 16, 32, 1024),
}
VOCAB = 256
OURS = {  # how: (precision, compiled)
    "cpu": {"eager fp32": ("fp32", False), "compiled fp32": ("fp32", True), "compiled bf16": ("bf16", True)},
    "cuda": {"eager bf16": ("bf16", False), "compiled bf16": ("bf16", True)},
}


def main() -> None:
    """Time every size and print one table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", type=Path, help="a checkout of nanoGPT to time beside ours")
    parser.add_argument("--device", choices=OURS, default="cpu")
    parser.add_argument("--sizes", nargs="+", choices=SIZES, help="all; on a CPU those up to 4M")
    parser.add_argument("--rounds", type=int, default=3, help="how often ours and the peer take turns")
    parser.add_argument("--seconds", type=float, default=4.0, help="about how long each turn trains")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps(_step_seconds(*json.loads(args.worker))))
        return
    environment = {**os.environ, "OMP_NUM_THREADS": str(args.threads), "MKL_NUM_THREADS": str(args.threads)}
    machine = _machine(args.device)
    peaks = {precision: _worker(environment, "peak", precision, 0, args.device) for precision in ("fp32", "bf16")}
    print(f"{machine}, {args.threads} thread(s); largest matrix product: "
          + ", ".join(f"{p} {1e-9 / s:.0f} GFLOP/s" for p, s in peaks.items()))  # fmt: skip
    print(f"{'n_params_nonemb':>15} {'how':>16} {'tokens/s':>10} {'GFLOP/s':>8} {'of peak':>8} {'vs peer':>8}")
    records = []
    for size in args.sizes or (list(SIZES) if args.device == "cuda" else list(SIZES)[:5]):
        records += _time_size(size, args, environment, peaks)
    if args.json:
        args.json.write_text(json.dumps(records, indent=1))


def _time_size(size: str, args, environment: dict, peaks: dict) -> list[dict]:
    """Alternate ours and the peer on one size; print and return its rows."""
    spec = _spec(size)
    seconds: dict[str, list[float]] = {}
    for _ in range(args.rounds):
        for how, (precision, compiled) in OURS[args.device].items():
            job = (size, precision, compiled, args.device, args.seconds)
            seconds.setdefault(how, []).append(_worker(environment, *job))
        if args.peer:
            step = _peer(args.peer, SIZES[size], args.device, args.seconds, environment)
            seconds.setdefault("nanoGPT", []).append(step)
    from scalinglaws import counting

    rows, median = [], {how: statistics.median(s) for how, s in seconds.items()}
    for how, step in median.items():
        rate = counting.flops_per_token(spec.model) * spec.train.batch_tokens / step
        peak = 1 / peaks["bf16" if "bf16" in how or args.device == "cuda" else "fp32"]
        ratio = median["nanoGPT"] / step if "nanoGPT" in median else float("nan")
        row = {
            "size": size,
            "n_params_nonemb": counting.count(spec.model).n_params_nonemb,
            "how": how,
            "tokens_per_second": spec.train.batch_tokens / step,
            "flops_per_second": rate,
            "fraction_of_peak": rate / peak,
            "times_peer": ratio,
            "step_seconds": seconds[how],
        }
        rows.append(row)
        print(f"{row['n_params_nonemb']:>15,} {how:>16} {row['tokens_per_second']:>10,.0f} {rate / 1e9:>8.1f}"
              f" {row['fraction_of_peak']:>7.0%} {ratio:>7.2f}x", flush=True)  # fmt: skip
    return rows


def _spec(size: str):
    """The run of a size: long enough that its learning rate never ends."""
    from scalinglaws.config import ModelConfig, RunSpec, TrainConfig

    d, layers, sequences, length = SIZES[size]
    model = ModelConfig(n_layer=layers, d_model=d, n_head=_heads(d), d_ff=4 * d, vocab_size=VOCAB, seq_len=length)
    batch_tokens = sequences * length
    return RunSpec(model=model, train=TrainConfig(tokens=batch_tokens * 10**6, batch_tokens=batch_tokens, lr=1e-3))


def _heads(d_model: int) -> int:
    """Heads of 16, of larger models of 64."""
    return d_model // (16 if d_model < 512 else 64)


def _worker(environment: dict, *job) -> float:
    """Seconds per step (or per FLOP, for a peak) measured in a process of its own."""
    command = [sys.executable, __file__, "--worker", json.dumps(job)]
    return json.loads(subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout)


def _step_seconds(size: str, precision: str, compiled: bool, device: str, budget: float = 1.0) -> float:
    """Median seconds of a step of ours, data and schedule included."""
    if size == "peak":
        return _peak(precision, device)
    from scalinglaws.lab.corpus import Corpus
    from scalinglaws.lab.runtime import Runtime
    from scalinglaws.lab.train import Loop

    spec, text = _spec(size), _random_bytes()
    corpus = Corpus(name="random", vocab_size=VOCAB, train=text, val=text, fingerprint="random")
    loop = Loop(spec, corpus, Runtime(device=device, precision=precision, compile=bool(compiled)))
    state = loop.start()
    loop.run(state, 5, spec.train)
    times, end = [], time.perf_counter() + budget
    while time.perf_counter() < end or len(times) < 5:
        began = time.perf_counter()
        loop.run(state, state.step + 4, spec.train)
        times.append((time.perf_counter() - began) / 4)
    return statistics.median(times)


def _peak(precision: str, device: str) -> float:
    """Seconds per floating-point operation of a product of two large square matrices."""
    import torch

    n = 8192 if device == "cuda" else 2048
    a = torch.randn(n, n, dtype=torch.bfloat16 if precision == "bf16" else torch.float32, device=device)
    times = []
    for _ in range(8):
        began = time.perf_counter()
        (a @ a)[0, 0].item()  # waits for the device
        times.append(time.perf_counter() - began)
    return min(times) / (2 * n**3)


def _peer(checkout: Path, shape: tuple, device: str, budget: float, environment: dict) -> float:
    """Median seconds of a step of nanoGPT's train.py as it prints them: eager fp32 on a CPU, on CUDA its defaults."""
    d, layers, sequences, length = shape
    rate = 4e10 if device == "cpu" else 1e14  # FLOP/s, to choose how many steps
    guess = 6 * (12 * layers * d * d + VOCAB * d) * sequences * length / rate
    own = {"compile": False, "dtype": "float32"} if device == "cpu" else {}
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder, "data", "random")
        data.mkdir(parents=True)
        shutil.copy(checkout / "configurator.py", folder)  # train.py reads it from the current folder
        for part in ("train", "val"):
            _random_bytes().astype(np.uint16).tofile(data / f"{part}.bin")
        (data / "meta.pkl").write_bytes(pickle.dumps({"vocab_size": VOCAB}))  # the format that its train.py reads
        options = {
            "dataset": "random", "out_dir": "out", "device": device, **own,
            "block_size": length, "batch_size": sequences, "n_layer": layers, "n_head": _heads(d), "n_embd": d,
            "dropout": 0.0, "bias": False, "gradient_accumulation_steps": 1,
            "max_iters": min(2000, max(12, int(budget / guess))),
            "log_interval": 1, "eval_interval": 10**9, "eval_iters": 1, "learning_rate": 1e-3,
        }  # fmt: skip
        command = [sys.executable, str(checkout.resolve() / "train.py"), *(f"--{k}={v}" for k, v in options.items())]
        out = subprocess.run(command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True).stdout
    times = [float(ms) / 1e3 for ms in re.findall(r"^iter \d+: .*time ([\d.]+)ms", out, re.MULTILINE)]
    return statistics.median(times[3:])


def _random_bytes() -> np.ndarray:
    return np.random.default_rng(0).integers(0, VOCAB, 2**20, dtype=np.uint8)


def _machine(device: str) -> str:
    import torch

    from scalinglaws.lab import runtime

    if device == "cpu":
        return runtime.processor()
    if not torch.cuda.is_available():
        raise SystemExit("--device cuda, but torch sees no CUDA GPU: use --device cpu")
    return torch.cuda.get_device_name()


if __name__ == "__main__":
    main()
