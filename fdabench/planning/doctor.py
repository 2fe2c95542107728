"""Collects what `fdabench doctor` prints: versions, devices, data sets, and whether results are reproducible here."""

import json
import os
import platform
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import torch

from fdabench import __version__
from fdabench.datasets.base import DatasetSpec, DatasetTensors
from fdabench.engine.gradients.selection import ENGINES, resolve_engine
from fdabench.experiment.environment import device_name, environment, usable_cores
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, train_cells
from fdabench.formatting import format_bytes
from fdabench.planning.placement import differing_offsets, sums
from fdabench.registry.registry import Registry
from fdabench.results.cell_record import ComputeEnvironment
from fdabench.results.schema import CLOCK_COLUMNS
from fdabench.suite.reader import read_suite

SUITE = Path(__file__).with_name("doctor.toml")
_OPTIONAL = ("ray",)
"""Packages without which some options are not available."""


class DoctorCheck(NamedTuple):
    """One line of the output: a kind, a name, and the result."""

    kind: str
    name: str
    result: str


def versions() -> Iterator[DoctorCheck]:
    """Yield the versions of fdabench, with its git revision, of Python, and of every package that fdabench requires."""
    revision = environment(torch.device("cpu"))["git"]
    yield DoctorCheck("version", "fdabench", f"{__version__} {revision}".strip())
    yield DoctorCheck("version", "python", platform.python_version())
    for name in (*_required(), *_OPTIONAL):
        yield DoctorCheck("version", name, _version(name))


def _required() -> list[str]:
    """Return the names of the packages that fdabench requires; a fixed list where its metadata are not installed."""
    try:
        lines = metadata.requires("fdabench") or []
    except metadata.PackageNotFoundError:
        lines = ["torch", "torchvision", "numpy"]
    return [re.split(r"[^\w.-]", line)[0] for line in lines if "extra ==" not in line]


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"not installed: pip install 'fdabench[{name}]'" if name in _OPTIONAL else "not installed"


def devices() -> Iterator[DoctorCheck]:
    """Yield the CPU and its memory, each CUDA device, and the free disk space in the current folder."""
    cpu = torch.device("cpu")
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    capability = torch.backends.cpu.get_cpu_capability()
    yield DoctorCheck("device", "cpu", f"{device_name(cpu)}, {capability}, {usable_cores()} cores, {_memory(memory)}")
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        yield DoctorCheck("device", f"cuda:{index}", f"{properties.name}, {_memory(properties.total_memory)}")
    if not torch.cuda.is_available():
        built = "" if torch.version.cuda else ": this torch is built without CUDA"
        yield DoctorCheck("device", "cuda", f"none{built}")
    yield DoctorCheck("device", "disk", f"{format_bytes(shutil.disk_usage(Path.cwd()).free)} free")


def _memory(count: int) -> str:
    return format_bytes(count) if count else "unknown memory"


def data_sets(root: Path, registry: Registry) -> Iterator[DoctorCheck]:
    """Yield whether each data set is available. Nothing is downloaded.

    Args:
        root: the data folder.
        registry: the registry of the data sets.
    """
    for name, source in registry.datasets.items():
        yield DoctorCheck("data", name, _location(source, root))


def _location(source: DatasetSpec, root: Path) -> str:
    if source.locate is None:
        return "unknown until it is loaded"
    return (
        source.locate(root)
        or f"not found under {root}: the first run that needs it downloads it, or states how to get it"
    )


def determinism() -> Iterator[DoctorCheck]:
    """Yield whether the cells of `SUITE` give the same results to the last bit when they are computed again.

    The cells are computed twice on each device and with more threads, and sums are computed at other memory addresses.
    Different results with another number of threads are expected; the remedy is to keep `--threads` the same.
    """
    cpu, cores = torch.device("cpu"), usable_cores()
    one_thread = _numbers(cpu, 1)
    yield DoctorCheck("same numbers", "twice, cpu", _compare_runs(one_thread, _numbers(cpu, 1)))
    if torch.cuda.is_available():
        cuda = torch.device("cuda")
        yield DoctorCheck("same numbers", "twice, cuda", _compare_runs(_numbers(cuda, 1), _numbers(cuda, 1)))
    with _threads(1):
        yield DoctorCheck("same numbers", "anywhere in memory", _format_difference(differing_offsets(sums())))
    if cores > 1:
        comparison = _compare_runs(one_thread, _numbers(cpu, cores))
        expected = " (expected; keep --threads the same)" if comparison.startswith("no") else ""
        yield DoctorCheck("same numbers", f"1 and {cores} threads", comparison + expected)


def _compare_runs(first: dict[str, str], second: dict[str, str]) -> str:
    return _format_difference([name for name in first if first[name] != second[name]])


def _format_difference(different: Sequence[str]) -> str:
    return f"no, not in {', '.join(different)}" if different else "yes, to the last bit"


def _numbers(device: torch.device, threads: int) -> dict[str, str]:
    """Train all cells of `SUITE` and return their tables by name, without columns of times."""
    data = _synthetic_mnist().to(device)
    tables: dict[str, str] = defaultdict(str)
    for cell in read_suite(SUITE).cells:
        with _threads(threads):
            (outcome,) = train_cells(
                [CellJob(cell.id, ResolvedCell(cell.config))], data, ENGINES[resolve_engine("auto", device)]
            )
        if isinstance(outcome, Exception):
            raise outcome
        for name, rows in outcome.tables.items():
            without_clock = [{key: value for key, value in row.items() if key not in CLOCK_COLUMNS} for row in rows]
            tables[name] += json.dumps(without_clock)
    return dict(tables)


def _synthetic_mnist(samples: int = 600) -> DatasetTensors:
    """Return random data in the shape of MNIST, so that the computations have realistic sizes."""
    generator = torch.Generator().manual_seed(0)
    x = torch.rand(samples, 1, 28, 28, generator=generator)
    y = torch.randint(10, (samples,), generator=generator)
    test = torch.arange(samples) % 6 == 5
    return DatasetTensors(x[~test], y[~test], x[test], y[test], 10)


def current_environment(device: torch.device) -> ComputeEnvironment:
    """Return the environment that `run` would record for a cell on this device with one thread, the default."""
    with _threads(1):
        return ComputeEnvironment(environment(device), resolve_engine("auto", device))


@contextmanager
def _threads(count: int) -> Iterator[None]:
    """Set the number of torch's threads within a `with` block."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
