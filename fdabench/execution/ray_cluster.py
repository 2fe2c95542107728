"""Connects to a Ray cluster, and compares what cells need with the resources of its nodes."""

import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import NamedTuple

from torch import Tensor

from fdabench.errors import UsageError
from fdabench.execution.backend import RunContext
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.formatting import format_bytes, plural
from fdabench.planning.memory import simulation_bytes
from fdabench.suite.cell import Cell

try:
    import ray

    INSTALLED = True
except ModuleNotFoundError:
    INSTALLED = False

CONNECT_S = 5.0
ANSWER_S = 30.0


class ResourceRequest(NamedTuple):
    """The resources that a task requests of its node."""

    cpus: int
    gpus: float
    memory: int
    """Bytes."""

    def fits(self, node: Mapping[str, float]) -> bool:
        """Return whether a node with these total resources can run the task."""
        capacity = (node.get("CPU", 0), node.get("GPU", 0), node.get("memory", 0))
        return all(requested <= available for requested, available in zip(self, capacity, strict=True))

    def __str__(self) -> str:
        gpus = f", {self.gpus:g} GPU" if self.gpus else ""
        return f"{self.cpus} CPU{gpus} and {format_bytes(self.memory)}"


@contextmanager
def connect(address: str | None) -> Iterator[None]:
    """Connect to the cluster at `address`, at RAY_ADDRESS, or of this machine, and disconnect at the end.

    Raises:
        UsageError: Ray is not installed, or there is no cluster.
    """
    if not INSTALLED:
        raise UsageError("--executor ray: Ray is not installed here: pip install 'fdabench[ray]'")
    _join(address or os.environ.get("RAY_ADDRESS") or "auto")
    try:
        yield
    finally:
        ray.shutdown()


def _join(address: str) -> None:
    prefix = f"--executor ray: no cluster at {address}"
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if address != "auto":
        # Ray tries for minutes and then ends the process
        try:
            socket.create_connection((host.strip("[]"), int(port)), CONNECT_S).close()
        except (OSError, ValueError, OverflowError) as error:
            raise UsageError(f"{prefix}: {error}; expected HOST:PORT, as `ray start --head` prints it") from error
        if not address.startswith("ray://"):
            _check_answer(address, prefix)
    terminated = signal.getsignal(signal.SIGTERM)
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR)
    except (ConnectionError, RuntimeError, ValueError, OSError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UsageError(f"{prefix}: {reason:.200}; `ray start --head` starts one, --ray-address names one") from error
    # Ray prints messages about nodes to stdout, which is for results; events report the same
    ray._private.worker.print_to_stdstream = _discard_log
    # ray.init has replaced the handler
    signal.signal(signal.SIGTERM, terminated)


def _check_answer(address: str, prefix: str) -> None:
    """Check in a process, which can be killed, that the head of a Ray cluster listens there."""
    code = "import sys, ray; ray._raylet.GcsClient(address=sys.argv[1])"
    try:
        subprocess.run([sys.executable, "-c", code, address], capture_output=True, check=True, timeout=ANSWER_S)
    except subprocess.SubprocessError as error:
        raise UsageError(f"{prefix}: something listens there that is not the head of a Ray cluster") from error


def _discard_log(data: object, ignore_prefix: bool) -> None:
    pass


def check_resources(cells: Sequence[Cell], context: RunContext, jobs: int | None) -> None:
    """Check that for each cell there is a node with enough processors, GPUs and memory.

    Raises:
        UsageError: `--engine distributed` is given, or no node has what a cell needs.
    """
    if context.config.distributed is not None:
        raise UsageError(
            "--executor ray: Ray runs each cell in one process, so --engine distributed is not allowed; remove it, or "
            "use --executor processes"
        )
    nodes = alive_nodes()
    requests = {cell.title: resources_for([cell], context, jobs) for cell in cells}
    unplaceable = [
        f"{title} needs {request}"
        for title, request in requests.items()
        if not any(request.fits(node) for node in nodes)
    ]
    if unplaceable:
        most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in ("CPU", "GPU", "memory")}
        largest = ResourceRequest(int(most["CPU"]), most["GPU"], int(most["memory"]))
        raise UsageError(
            f"--executor ray: no node has enough resources for {plural(len(unplaceable), 'cell')}: {unplaceable[0]}; "
            f"a node has at most {largest}"
        )


def alive_nodes() -> list[dict[str, float]]:
    """The resources of each node that is alive."""
    return [node["Resources"] for node in ray.nodes() if node["Alive"]]


def resources_for(cells: Sequence[Cell], context: RunContext, jobs: int | None) -> ResourceRequest:
    """What a batch of cells needs. On an accelerator `jobs` tasks share one."""
    gpus = 0.0 if context.config.device.type == "cpu" else 1 / (jobs or 1)
    fields = vars(context.data[cells[0].config.dataset]).values()
    # the data set as received, and on the device
    data_bytes = 2 * sum(value.nbytes for value in fields if isinstance(value, Tensor))
    return ResourceRequest(
        context.config.threads,
        gpus,
        sum(simulation_bytes(ResolvedCell(cell.config, context.registry)) for cell in cells) + data_bytes,
    )
