"""Settings that all tests share."""

import matplotlib as mpl
import nbmake.pytest_items
import pytest
from hypothesis import settings
from remember import RememberedRun

mpl.use("agg")  # not through the environment: the kernels that tests start would inherit it and draw nothing
# The same examples in every run: a red build can be repeated. No deadline: the two cores are shared.
settings.register_profile("book", derandomize=True, deadline=None)
settings.load_profile("book")
nbmake.pytest_items.NotebookRun = RememberedRun  # nbmake has no hook for what it executed


def pytest_collection_modifyitems(items):
    """Skip what needs a GPU where there is none."""
    on_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not on_gpu:
        return
    import torch

    if not torch.cuda.is_available():
        for item in on_gpu:
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))
