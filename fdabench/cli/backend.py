"""`--executor` and `--ray-address` of `run`."""

from contextlib import AbstractContextManager, nullcontext

from fdabench.errors import UsageError, did_you_mean
from fdabench.execution.backend import LOCAL_BACKEND, Backend

HERE, RAY = EXECUTORS = ("processes", "ray")


def select_backend(
    name: str, ray_address: str | None, jobs: int | None, processes: int
) -> AbstractContextManager[Backend]:
    """Who runs cells that are held by so many processes each.

    Raises:
        UsageError: no such executor, an address for one that has none, or cells that are no single task.
    """
    if name not in EXECUTORS:
        raise UsageError(f"--executor {name}: expected {' or '.join(EXECUTORS)}{did_you_mean(name, EXECUTORS)}")
    if name == HERE:
        if ray_address is not None:
            raise UsageError(f"--ray-address {ray_address}: that is for --executor {RAY}")
        return nullcontext(LOCAL_BACKEND)
    if processes > 1:
        raise UsageError(f"--executor {RAY}: a cell is one task there; leave --engine distributed away")
    from fdabench.execution.ray_backend import ray_backend

    return ray_backend(ray_address, jobs)
