"""Detects the format of data on disk, and the columns of inputs, labels and owners by common names."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from fdabench.datasets.formats.base import DataError, DataFault
from fdabench.datasets.formats.hf_disk import STATE, read_arrow, split_folders
from fdabench.datasets.formats.image_folder import SUFFIXES as IMAGES
from fdabench.datasets.formats.table import SUFFIXES as TABLES
from fdabench.datasets.formats.table import read_table
from fdabench.datasets.formats.torchvision_root import FILES
from fdabench.shared_types import ParsedTable

# common names of columns, in the order in which they are looked up
INPUTS = ("image", "img", "pixels", "input", "x")
LABELS = ("label", "labels", "target", "class", "character", "y")
OWNERS = ("owner", "user", "user_id", "writer_id", "client", "client_id", "speaker", "hospital")


class Detected(NamedTuple):
    """The detected format of a path.

    Args:
        table: the keys of the table `dataset` of a suite, `kind` first.
        columns: the names and types of the columns; empty if the format has none.
    """

    table: ParsedTable
    columns: list[str]


def detect_format(path: Path) -> Detected:
    """Detect the format of a file or a folder.

    Args:
        path: the file or the folder.

    Raises:
        DataError: the path does not exist, or no format can read it.
    """
    if not path.exists():
        raise DataError([DataFault("path", f"{path}: there is no such file or folder")])
    location = path.as_posix()
    if path.suffix == ".npz":
        return Detected({"kind": "npz", "path": location}, [])
    if path.suffix in TABLES or (path.is_dir() and _matches_any(path, [f"*{suffix}" for suffix in TABLES])):
        table = read_table("path", location)
        return Detected({"kind": "table", "path": location, **_table_keys(table.column_names)}, _columns(table))
    if (path / "dataset_dict.json").is_file() or (path / STATE).is_file():
        table = read_arrow(next(iter(split_folders(location).values())))
        return Detected({"kind": "hf-disk", "path": location, **_disk_keys(table.column_names)}, _columns(table))
    for name, pattern in FILES.items():
        if "/" in pattern and _matches_any(path, [pattern]):
            return Detected({"kind": "torchvision", "name": name, "path": location}, [])
    if path.suffix == ".json" or _matches_any(path, ["*.json", "train/*.json"]):
        return Detected({"kind": "leaf", "path": location}, [])
    inside = path / "train" if (path / "train").is_dir() else path
    for pattern, keys in (("*/*", {}), ("*/*/*", {"owner": "folder"})):
        if _matches_any(inside, [f"{pattern}{suffix}" for suffix in IMAGES]):
            return Detected({"kind": "image-folder", "path": location, **keys}, [])
    message = "expected .parquet, .csv, .npz or .json files, folders of images, of save_to_disk or of torchvision"
    raise DataError([DataFault("path", f"{location}: fdabench cannot read this; {message}")])


def _matches_any(folder: Path, patterns: Sequence[str]) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in patterns)


def _columns(table: Any) -> list[str]:
    return [f"{field.name} ({field.type!s:.60})" for field in table.schema]


def _first_match(names: Sequence[str], common: Sequence[str]) -> str:
    """Return the column with the first of the common names, in any case; empty if there is none."""
    by_lower_case = {name.casefold(): name for name in reversed(names)}
    return next((by_lower_case[name] for name in common if name in by_lower_case), "")


def _table_keys(names: Sequence[str]) -> dict[str, str]:
    """Return the keys `input`, `label` and `owner` of the detected columns."""
    keys = {
        "input": _first_match(names, INPUTS),
        "label": _first_match(names, LABELS),
        "owner": _first_match(names, OWNERS),
    }
    return {key: name for key, name in keys.items() if name}


def _disk_keys(names: Sequence[str]) -> dict[str, str]:
    """Return the keys as `_table_keys`, without an `input` that is the default of `HfDisk`."""
    return {key: name for key, name in _table_keys(names).items() if not (key == "input" and name == "image")}
