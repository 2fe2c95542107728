"""Settings of all tests: one thread, so that sums have one order, and hypothesis examples that are always the same."""

import gc
import os

# OpenMP reads this when torch is imported. By default an idle thread polls for work, and takes the processor from the
# tests and processes beside this one.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import pytest
import torch
from hypothesis import settings

# modules and collected tests are no garbage, and looking for garbage among them takes time
gc.set_threshold(50_000, 20, 50)

pytest_plugins = ["support.cells"]

settings.register_profile("fdabench", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("fdabench")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests marked `cuda` are skipped where there is no CUDA device."""
    if torch.cuda.is_available():
        return
    for item in items:
        if item.get_closest_marker("cuda"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
