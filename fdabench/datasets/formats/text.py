"""Reads text files whose bytes are tokens, for models of the task next-token; `datasets.text` makes the samples."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, ClassVar

from annotated_types import Gt, Lt

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats.base import DataError, DataFault
from fdabench.datasets.text import compile_owners, find_files, make_windows, owner_texts, read_texts
from fdabench.errors import WorkloadError
from fdabench.hyperparameters import Count


@dataclass(frozen=True)
class Text:
    """Text files; each sample is `context` bytes, and its targets are the bytes that follow them.

    Args:
        path: a file; a folder, whose files `*.txt` at any depth are read; or a pattern such as `plays/**/*.md`.
        owners: `file` or `folder` if the owner of a text is its file or the folder of its file; or a regular expression
            with one group: after each line that it matches, the text of the owner that the group names begins.
        context: the number of bytes of a sample.
        test: the share of each owner's text, at its end, in the test set.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="Text")

    path: str
    owners: str = "file"
    context: Count = 64
    test: Annotated[float, Gt(0), Lt(1)] = 0.1

    def files(self) -> list[Path]:
        with _faults_of("path"):
            return [file.path for file in find_files(self.path)]

    def read(self) -> DatasetTensors:
        with _faults_of("owners"):
            compile_owners(self.owners)
        with _faults_of("path"):
            texts = read_texts(find_files(self.path))
        with _faults_of("owners"):
            by_owner = owner_texts(texts, self.owners)
        with _faults_of("context"):
            return make_windows(by_owner, self.context, self.test)


@contextmanager
def _faults_of(key: str) -> Iterator[None]:
    """Convert a `WorkloadError` to a `DataError` with one fault of `key` for each line of its message."""
    try:
        yield
    except WorkloadError as error:
        raise DataError([DataFault(key, line) for line in str(error).splitlines()]) from error
