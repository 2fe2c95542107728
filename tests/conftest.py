"""What all tests share: one thread, so that sums have one order, and examples that are the same each time."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("fdabench", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("fdabench")


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
