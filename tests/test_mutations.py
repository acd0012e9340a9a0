"""The tests can fail: each of these small lies in a law, a count or a constant turns some of them red."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIB = "lib/scalinglaws"
MUTATIONS = {  # what: file, the truth, the lie, a test that must notice
    "backward pass": (f"{LIB}/counting.py", "return 3 * (2 * count(model).n_params_matmul", "return 2 * (2 * count(model).n_params_matmul", "test_counting.py::test_flops_equal_torchs_counter"),
    "attention matrices": (f"{LIB}/counting.py", "model.n_layer * 4 * d * d", "model.n_layer * 3 * d * d", "test_counting.py::test_groups_equal_the_built_model"),
    "optimal size": (f"{LIB}/laws/law.py", "np.log(alpha / beta) + log_A", "np.log(beta / alpha) + log_A", "laws/test_laws.py::test_optimum_at_gophers_budget"),
    "optimal exponent": (f"{LIB}/laws/law.py", "return beta / (alpha + beta), alpha", "return alpha / (alpha + beta), alpha", "laws/test_laws.py::test_optimum_exponents_are_the_slopes_of_the_optimum"),
    "joint law": (f"{LIB}/laws/catalogue.py", "(N_c - logs[0]) * (alpha_N / alpha_D)", "(N_c - logs[0]) * (alpha_D / alpha_N)", "laws/test_laws.py::test_the_other_published_formulas"),
    "robust threshold": (f"{LIB}/laws/fit.py", "HUBER_SIGMAS = 1.345", "HUBER_SIGMAS = 1.645", "laws/test_fit.py::test_delta_follows_the_noise"),
    "noise trace": (f"{LIB}/lab/noise.py", "(1 / small_tokens - 1 / big_tokens)", "(1 / small_tokens + 1 / big_tokens)", "lab/test_noise.py::test_two_batches_are_unbiased"),
    "muP learning rate": (f"{LIB}/lab/mup.py", "lr=1 / r, decay=r)", "lr=1 / r**0.5, decay=r)", "lab/test_mup.py::test_hidden_matrices_lose_learning_rate_with_width"),
    "Chinchilla's exponent": ("data/published/published.csv", "alpha=0.34; beta=0.28", "alpha=0.35; beta=0.28", "test_published.py"),
    "Kaplan's exponent": ("data/published/published.csv", "data)\",alpha_N,0.076,0.076", "data)\",alpha_N,0.067,0.067", "test_published.py"),
    "entropy of the source": (f"{LIB}/lab/corpus/markov.py", "(self.bigram_entropy - self.entropy) / seq_len", "(self.bigram_entropy - self.entropy) / (seq_len + 1)", "lab/test_corpus.py::test_the_floor_of_a_window"),
    "interval": (f"{LIB}/laws/bootstrap.py", "(1 - level) / 2, (1 + level) / 2", "(1 - level) / 3, (2 + level) / 3", "laws/test_bootstrap.py::test_intervals_of_anything"),
}  # fmt: skip


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """What the tests of the library need, to be told lies in."""
    folder = tmp_path_factory.mktemp("mutated")
    for name in ("_ext", "lib", "tests", "data", "sweeps"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    for path in ROOT.iterdir():
        if path.is_file():
            shutil.copy(path, folder)
    return folder


@pytest.fixture(scope="module")
def pytest_in(copy):
    """Return a function that runs some tests of the copy and returns their exit status and what they printed."""
    printed = copy / "printed.txt"
    with (
        printed.open("w+") as log,
        subprocess.Popen(
            [sys.executable, ROOT / "tests/forking.py"],
            cwd=copy,
            env=os.environ | {"PYTHONPATH": str(copy / "lib")},
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
        ) as server,
    ):

        def run(tests):
            before = printed.stat().st_size
            server.stdin.write(f"tests/{tests} -q -x -p no:cacheprovider\n")
            server.stdin.flush()
            return server.stdout.readline().strip(), printed.read_text()[before:]

        yield run
        server.stdin.close()


@pytest.mark.slow
@pytest.mark.posix
@pytest.mark.parametrize("name", MUTATIONS)
def test_a_lie_turns_tests_red(name, copy, pytest_in):
    file, truth, lie, tests = MUTATIONS[name]
    path = copy / file
    text = path.read_text(encoding="utf-8")
    assert text.count(truth) == 1, "the line has changed: mend the table"
    path.write_text(text.replace(truth, lie), encoding="utf-8")
    try:
        status, printed = pytest_in(tests)
    finally:
        path.write_text(text, encoding="utf-8")
    assert status == "1", printed[-2000:]
    assert "\nFAILED " in printed, printed[-2000:]
