"""How a run is executed: device, precision, compilation, processes, memory, and what is recorded of them."""

import ctypes
import dataclasses
import importlib.util
import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
import torch
import torch.distributed as dist

from scalinglaws import counting
from scalinglaws.config import RunSpec
from scalinglaws.files import PACKAGE, now
from scalinglaws.lab.corpus import Corpus

# What one core takes without compilation: to start a layer's operations, per token of activations, and FLOPs/s of
# products. Measured on widths 32 to 128, one to eight models together, accurate to 20%; see LOG.md.
STEP_SECONDS, TOKEN_SECONDS, EAGER_FLOPS = 2e-3, 2.5e-6, 6e10
KEPT_BYTES = 2**28  # freed memory that stays with the process, see `keep_memory`


@dataclass(frozen=True, kw_only=True)
class Runtime:
    """How a run is executed: it changes speed and the last digits. Values that are not listed are a ValueError."""

    device: Literal["auto", "cpu", "cuda"] = "auto"  # "auto": a CUDA GPU when there is one
    precision: Literal["auto", "fp32", "bf16"] = "auto"  # "auto": bf16 on CUDA, fp32 on a CPU
    compile: bool | None = None  # None: when the run is long enough to pay for it
    together: int = 1  # models trained as one, see `ensemble`; set there

    def __post_init__(self):
        choices = {"device": ("auto", "cpu", "cuda"), "precision": ("auto", "fp32", "bf16")}
        for name, allowed in (choices | {"compile": (None, False, True)}).items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}={getattr(self, name)!r}: choose one of {', '.join(map(repr, allowed))}")

    def resolve(self, spec: RunSpec) -> "Runtime":
        """The same with every choice made for this machine and this run."""
        device = self.device if self.device != "auto" else "cuda" if torch.cuda.is_available() else "cpu"
        if device == "cuda" and not torch.cuda.is_available():
            raise ValueError("device='cuda' but torch sees no CUDA GPU: use device='cpu' or 'auto'")
        precision = self.precision if self.precision != "auto" else "bf16" if device == "cuda" else "fp32"
        compile_ = self.compile
        if compile_ is None:
            can = spec.model.family == "transformer" and has_compiler(device) and ranks()[1] == 1
            compile_ = can and self.eager_seconds(spec) > compile_pays_from(spec)
        return dataclasses.replace(self, device=device, precision=precision, compile=compile_)

    def eager_seconds(self, spec: RunSpec) -> float:
        """About how long one core trains, all models that are trained together."""
        starting = STEP_SECONDS * spec.train.steps
        passing = TOKEN_SECONDS * self.together * spec.train.tokens
        multiplying = self.together * counting.flops(spec.model, spec.train.tokens) / EAGER_FLOPS
        return spec.model.n_layer * (starting + passing) + multiplying

    def __str__(self) -> str:
        how = f"{self.precision} {'compiled' if self.compile else 'eager'}, {torch.get_num_threads()} threads"
        how += f" in each of {ranks()[1]} processes" * (ranks()[1] > 1)
        return how if self.together == 1 else f"{how}, {self.together} together"


AUTO = Runtime()  # chosen for the machine and the run
CPU = Runtime(device="cpu", precision="fp32", compile=False)  # the same bits each time on one machine; the book's own


def compile_pays_from(spec: RunSpec) -> float:
    """Seconds of eager training from which compilation, some 10 s a layer, makes a run shorter."""
    return 60.0 * (1 + spec.model.n_layer)


def ranks() -> tuple[int, int]:
    """Number of this process, from 0, and how many train one model together; (0, 1) outside of `process_group`."""
    if dist.is_available() and dist.is_initialized():
        return dist.get_rank(), dist.get_world_size()
    return 0, 1


@contextmanager
def process_group(device: str = "auto") -> Iterator[tuple[int, int]]:
    """Join the processes that torchrun started, if it started this one; yields `ranks`.

    Each then takes its share of the sequences of every batch, and their gradients are averaged. Batches, updates,
    evaluations and results are those of one process, up to rounding. ``device`` is that of `Runtime`.
    """
    if "TORCHELASTIC_RUN_ID" not in os.environ:
        yield ranks()
        return
    cuda = device != "cpu" and torch.cuda.is_available()
    if cuda:
        torch.cuda.set_device(int(os.environ["LOCAL_RANK"]))
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield ranks()
    finally:
        dist.destroy_process_group()


def has_compiler(device: str = "cpu") -> bool:
    """Whether torch.compile has what it needs: a C++ compiler, and for CUDA also Triton and compute capability 7."""
    if device == "cuda" and not (importlib.util.find_spec("triton") and torch.cuda.get_device_capability() >= (7, 0)):
        return False
    return shutil.which(os.environ.get("CXX", "g++")) is not None or shutil.which("clang++") is not None


@lru_cache(maxsize=1)
def keep_memory() -> bool:
    """Let the process keep the memory that a step frees; returns whether the C library has that setting.

    glibc gives large blocks back to the system at once, and the next step takes them again, a page fault for every
    4 kB: up to a third of a small model's step (measured; see LOG.md). Other C libraries are left as they are.
    """
    trim_threshold, mmap_threshold = -1, -3  # names in malloc.h; 32 MiB is the most that glibc itself chooses
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError, TypeError):
        return False
    return bool(mallopt(trim_threshold, KEPT_BYTES) and mallopt(mmap_threshold, 2**25))


def compute_dtype(runtime: Runtime) -> torch.dtype:
    """Type in which activations and products are computed; weights are kept in float32."""
    return torch.bfloat16 if runtime.precision == "bf16" else torch.float32


def provenance(runtime: Runtime, corpus: Corpus) -> dict[str, str]:
    """Where and with what a run was made."""
    return {
        "commit": commit(),
        "versions": f"python {platform.python_version()}, numpy {np.__version__}, torch {torch.__version__}",
        "device": torch.cuda.get_device_name() if runtime.device == "cuda" else processor(),
        "runtime": str(runtime),
        "fingerprint": corpus.fingerprint,
        "time": now(),
    }


@lru_cache(maxsize=1)
def commit() -> str:
    """Commit of the source tree, with '+' when it has changes; '' outside a checkout."""
    if _git("rev-parse", "--show-prefix") != "lib/scalinglaws/":  # installed inside another project's repository
        return ""
    head = _git("rev-parse", "--short=12", "HEAD")
    return head + "+" if head and _git("status", "--porcelain", "--", ".") else head


def _git(*words: str) -> str:
    """What git answers about this file's folder; '' when it cannot."""
    try:
        answer = subprocess.run(["git", *words], cwd=PACKAGE, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return answer.stdout.strip() if answer.returncode == 0 else ""


@lru_cache(maxsize=1)
def processor() -> str:
    """Name of the CPU as the system gives it; with family and model, since virtual machines give several one name."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    first = {key.strip(): value.strip() for key, _, value in (line.partition(":") for line in reversed(lines))}
    if "model name" not in first:
        return platform.processor() or platform.machine()
    return f"{first['model name']}, family {first.get('cpu family', '?')} model {first.get('model', '?')}"
