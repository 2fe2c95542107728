"""Data sets decoded once and mapped by every process that runs cells, instead of a copy for each."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from fdabench.catalogue.kinds import BUILT_IN, Catalogue
from fdabench.datasets.base import Data
from fdabench.errors import TaskError

CPU = torch.device("cpu")


def load_all(names: Iterable[str], data_root: Path, catalogue: Catalogue = BUILT_IN) -> dict[str, Data]:
    """
    Raises:
        TaskError: data is missing; all that is missing is in the message.
    """
    found, faults = {}, []
    for name in dict.fromkeys(names):
        try:
            found[name] = catalogue.datasets[name].load(data_root).to(CPU)
        except TaskError as error:
            faults.append(str(error))
    if faults:
        raise TaskError("\n".join(dict.fromkeys(faults)))
    return found


@contextmanager
def on_disk(data: Mapping[str, Data]) -> Iterator[Path]:
    """A temporary folder with these data sets, in the layout in which they are used.

    Raises:
        TaskError: there is no room for them.
    """
    with TemporaryDirectory(prefix="fdabench-", ignore_cleanup_errors=True) as folder:
        try:
            for name, each in data.items():
                torch.save(asdict(each), Path(folder) / f"{name}.pt")
        except (OSError, RuntimeError) as error:
            raise TaskError(f"no room for the data in {folder}; TMPDIR says where there is: {error}") from error
        yield Path(folder)


def mapped(folder: Path, device: torch.device) -> Callable[[str], Data]:
    """Data sets of `on_disk` by name. On a CPU their memory is shared; the last one used is kept."""

    @lru_cache(maxsize=1)
    def load(name: str) -> Data:
        return Data(**torch.load(folder / f"{name}.pt", mmap=True, weights_only=True)).to(device)

    return load
