"""Reads folders that `save_to_disk` of the library `datasets` wrote, with pyarrow and without that library."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from fdabench.component_info import ComponentInfo
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.formats.base import DataError, DataFault, first_line, missing_names
from fdabench.datasets.formats.columns import column_array
from fdabench.datasets.formats.samples import Normalization, Samples, make_tensors
from fdabench.shared_types import ParsedTable

STATE = "state.json"
"""The file in the folder of a split that lists its Arrow files."""


@dataclass(frozen=True)
class HfDisk:
    """A folder of `DatasetDict.save_to_disk` or `Dataset.save_to_disk`.

    Args:
        path: the folder.
        split: the split of the training set; not used if the folder is a single data set without splits.
        test_split: the split of the test set; empty for the split `test` if there is one.
        test: the share of the training set that is the test set; used only if there is no test split.
        test_seed: the seed from which that share is drawn.
        input: the column of the inputs.
        label: the column of the labels.
        owner: the column of the owners; empty if rows have no owners.
        shape: the shape of one input, such as `1x28x28`; empty if the column has it.
        normalize: `channel`, `bytes` or `none`.
    """

    info: ClassVar[ComponentInfo] = ComponentInfo(name="Hugging Face data set on disk")

    path: str
    split: str = "train"
    test_split: str = ""
    test: float = 0.2
    test_seed: int = 0
    input: str = "image"
    label: str = "label"
    owner: str = ""
    shape: str = ""
    normalize: Normalization = "none"

    def files(self) -> list[Path]:
        return [file for folder in self._folders().values() for file in arrow_files(folder)]

    def read(self) -> DatasetTensors:
        parts = {part: self._samples(folder) for part, folder in self._folders().items()}
        return make_tensors(parts["train"], parts.get("test", self.test), self.test_seed, self.shape, self.normalize)

    def _folders(self) -> dict[str, Path]:
        splits = split_folders(self.path)
        if list(splits) == [""]:
            if self.test_split:
                raise DataError([DataFault("test_split", f"{self.path} is a single data set without splits")])
            return {"train": splits[""]}
        names = {"split": self.split, "test_split": self.test_split}
        if faults := missing_names(self.path, names, list(splits), "split"):
            raise DataError(faults)
        test = self.test_split or ("test" if "test" in splits and self.split != "test" else "")
        return {"train": splits[self.split], **({"test": splits[test]} if test else {})}

    def _samples(self, folder: Path) -> Samples:
        location = folder.as_posix()
        table = read_arrow(folder)
        names = {"input": self.input, "label": self.label, "owner": self.owner}
        if faults := missing_names(location, names, table.column_names, "column"):
            raise DataError(faults)
        x, y = (column_array(table, names[key], key, location) for key in ("input", "label"))
        owners = column_array(table, self.owner, "owner", location) if self.owner else None
        return Samples(location, x, y, owners, ("input", "label", "owner"))


def split_folders(path: str) -> dict[str, Path]:
    """Return the folders of the splits by name; a single data set has the name "".

    Raises:
        DataError: the folder does not have the layout of `save_to_disk`.
    """
    root = Path(path)
    if (root / STATE).is_file():
        return {"": root}
    splits = _json("path", root / "dataset_dict.json").get("splits")
    if not isinstance(splits, list) or not splits or not all(_is_name(name) for name in splits):
        raise DataError([DataFault("path", f"{root / 'dataset_dict.json'}: splits must be a list of names")])
    return {name: root / name for name in splits}


def arrow_files(folder: Path) -> list[Path]:
    """Return the files of one split in the order of their rows.

    Raises:
        DataError: `state.json` or a file that it lists is missing.
    """
    entries = _json("path", folder / STATE).get("_data_files")
    names = (
        [entry.get("filename") if isinstance(entry, dict) else None for entry in entries]
        if isinstance(entries, list)
        else []
    )
    if not names or not all(_is_name(name) for name in names):
        raise DataError([DataFault("path", f"{folder / STATE}: _data_files must be a list of tables with a filename")])
    files = [folder / str(name) for name in names]
    missing = [
        DataFault("path", f"{file}: there is no such file; {STATE} lists it") for file in files if not file.is_file()
    ]
    if missing:
        raise DataError(missing)
    return files


def read_arrow(folder: Path) -> Any:
    """Return the rows of one split as a pyarrow table.

    Raises:
        DataError: a file is damaged, or files have different columns.
    """
    tables = []
    for file in arrow_files(folder):
        try:
            with pa.memory_map(str(file)) as source:
                tables.append(pa.ipc.open_stream(source).read_all())
            _ = tables[-1].column_names  # pyarrow decodes names here, and damaged ones raise UnicodeDecodeError
        except (pa.ArrowException, OSError, ValueError) as error:
            message = f"{file}: it is not an Arrow stream, or it is damaged: {first_line(error)}"
            raise DataError([DataFault("path", message)]) from error
    try:
        return pa.concat_tables(tables)
    except pa.ArrowException as error:
        raise DataError(
            [DataFault("path", f"{folder}: its files have different columns: {first_line(error)}")]
        ) from error


def _is_name(name: object) -> bool:
    """Return whether a value from JSON is the name of a file in the same folder, and not a path out of it."""
    return isinstance(name, str) and name not in ("", ".", "..") and not set(name) & set("/\\\0")


def _json(key: str, file: Path) -> ParsedTable:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        message = f"{file}: cannot be read: {error.strerror}; expected a folder that datasets' save_to_disk wrote"
        raise DataError([DataFault(key, message)]) from error
    except (ValueError, RecursionError) as error:
        raise DataError([DataFault(key, f"{file}: not JSON: {first_line(error)}")]) from error
    if not isinstance(content, dict):
        raise DataError([DataFault(key, f"{file}: expected a JSON object")])
    return content
