"""Describes the environment of a cell for its record: versions, device and libraries that its bits may depend on."""

import os
import platform
import re
from functools import cache
from pathlib import Path

import numpy as np
import torch

import fdabench
from fdabench.cell_config import Scalar
from fdabench.experiment.git import package_revision

_MKL = r"Math Kernel Library Version ([\d.]+)"
_CHOICES = (
    "MKL_CBWR",
    "MKL_ENABLE_INSTRUCTIONS",
    "MKL_DEBUG_CPU_TYPE",
    "ONEDNN_MAX_CPU_ISA",
    "DNNL_MAX_CPU_ISA",
    "OPENBLAS_CORETYPE",
)
"""Environment variables that make MKL, oneDNN and OpenBLAS use other instructions."""


def environment(device: torch.device) -> dict[str, Scalar]:
    """Return versions, device, vector instructions, BLAS, threads, and the git revision; empty without a repository."""
    return {
        "fdabench": fdabench.__version__,
        "python": platform.python_version(),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "platform": f"{platform.system()} {platform.machine()}",
        "device": device_name(device),
        "capability": torch.backends.cpu.get_cpu_capability(),
        "blas": blas_path(),
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "git": package_revision(),
    }


def blas_path() -> str:
    """Return the BLAS library and the environment variables that select its instructions.

    For example `MKL 2024.2, MKL_CBWR=AVX2`. Variables that are not set are left out.
    """
    built = re.search(_MKL, torch.__config__.show()) if torch.backends.mkl.is_available() else None
    other = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    library = f"MKL {built[1]}" if built else other[1] if other else "unknown"
    return ", ".join([library, *(f"{name}={os.environ[name]}" for name in _CHOICES if os.environ.get(name))])


def device_name(device: torch.device) -> str:
    """Return the name of the model of a GPU or CPU."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else _cpu_name()


@cache
def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return next(names, platform.processor() or platform.machine())


def usable_cores() -> int:
    """Return the number of cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
