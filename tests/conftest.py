"""Settings that all tests share."""

import functools
import os

import matplotlib as mpl
import nbmake.pytest_items
import pytest
from browsing import CHROMIUM, QUIET, ROOT, SITE
from filelock import FileLock
from hypothesis import settings
from making import OURS, make
from playwright.sync_api import sync_playwright
from remember import RememberedRun

mpl.use("agg")  # not through the environment: the kernels that tests start would inherit it and draw nothing
# The same examples in every run: a red build can be repeated. No deadline: the two cores are shared.
settings.register_profile("book", derandomize=True, deadline=None)
settings.load_profile("book")
# The files that take longest: at the end one of two workers would be alone with them. The first are long enough for the
# other worker to finish the last chapter, whose run the build of the pages takes over.
LONG = ("test_repo.py", "test_stored.py", "test_pages.py", "test_mutations.py")
nbmake.pytest_items.NotebookRun = RememberedRun  # nbmake has no hook for what it executed


def pytest_collection_modifyitems(items):
    """Put what takes longest first, after the chapters, and skip what needs another machine."""
    ranks = {name: rank for rank, name in enumerate(LONG)}
    # Whoever asks for the pages while the other worker makes them would wait for minutes: those files come last.
    late = {item.path for item in items if "site" in getattr(item, "fixturenames", ())}
    last = len(LONG)
    items.sort(
        key=lambda item: -1 if item.path.suffix == ".ipynb" else ranks.get(item.path.name, last + (item.path in late))
    )
    for item in items:
        if item.get_closest_marker("posix") and os.name != "posix":
            item.add_marker(pytest.mark.skip(reason="this system is not POSIX"))
        if item.get_closest_marker("gpu") and not has_cuda():
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@functools.cache
def has_cuda():
    import torch

    return torch.cuda.is_available()


@pytest.fixture(scope="module")
def site():
    """Return the folder of the book, built as `make book` builds it; takes seconds where it is up to date."""
    (ROOT / "_build").mkdir(exist_ok=True)
    with FileLock(ROOT / "_build/book.lock"):  # two workers may ask for it
        done = make("book", *OURS, folder=ROOT)
    if done.returncode:
        pytest.fail(f"make book failed:\n{done.stdout}{done.stderr}", pytrace=False)
    return SITE


@pytest.fixture(scope="module")
def pages(site):
    """Return every page of the book, without the one that only redirects to the first."""
    found = sorted(path for path in site.rglob("*.html") if "_static" not in path.parts)
    return [path for path in found if 'http-equiv="Refresh"' not in path.read_text()]


@pytest.fixture(scope="module")
def browser():
    """Return a running Chromium."""
    assert CHROMIUM, "no Chromium, and REQUIRE_BROWSER is set"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=QUIET)
        yield chromium
        chromium.close()
