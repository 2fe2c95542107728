"""The backend that `fdabench run` uses, from its options `--executor` and `--ray-address`."""

from contextlib import AbstractContextManager, nullcontext

from fdabench.errors import UsageError, did_you_mean
from fdabench.execution.backend import Backend
from fdabench.execution.local_backend import LocalBackend

PROCESSES, RAY = EXECUTORS = ("processes", "ray")


def select_backend(
    name: str, ray_address: str | None, jobs: int | None, processes: int
) -> AbstractContextManager[Backend]:
    """Return a context manager that opens and closes the backend for `--executor`.

    Ray is imported only when it is chosen.

    Args:
        name: the value of `--executor`, one of `EXECUTORS`.
        ray_address: the value of `--ray-address`, or None.
        jobs: cells to run at the same time; None lets the backend choose.
        processes: processes that share the workers of one cell.

    Raises:
        UsageError: the name is unknown, an address is given without Ray, or Ray is chosen for a cell that needs several
            processes.
    """
    if name not in EXECUTORS:
        raise UsageError(f"--executor {name}: expected {' or '.join(EXECUTORS)}{did_you_mean(name, EXECUTORS)}")
    if name == PROCESSES:
        if ray_address is not None:
            raise UsageError(f"--ray-address {ray_address}: this option requires --executor {RAY}")
        return nullcontext(LocalBackend())
    if processes > 1:
        raise UsageError(
            f"--executor {RAY}: Ray runs each cell in one process, so --engine distributed is not allowed; remove it, "
            f"or use --executor {PROCESSES}"
        )
    from fdabench.execution.ray_backend import ray_backend

    return ray_backend(ray_address, jobs)
