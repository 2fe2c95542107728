"""What all tests share: one thread, so that sums have one order, and slow tests only when asked for."""

import pytest
import torch
from hypothesis import settings

settings.register_profile("fdabench", deadline=None, max_examples=60, derandomize=True, database=None)
settings.load_profile("fdabench")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if "slow" in config.getoption("markexpr"):
        return
    skip = pytest.mark.skip(reason="slow: asked for by -m 'slow or not slow'")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> None:
    torch.set_num_threads(1)
