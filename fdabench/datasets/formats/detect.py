"""Guesses the format of data on disk, and the columns of inputs, labels and owners by their usual names."""

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

INPUTS = ("image", "img", "pixels", "input", "x")
LABELS = ("label", "labels", "target", "class", "character", "y")
OWNERS = ("owner", "user", "user_id", "writer_id", "client", "client_id", "speaker", "hospital")


class Detected(NamedTuple):
    """What a path seems to be.

    Args:
        table: the keys of the table `dataset` of a suite, `kind` first.
        columns: the names and types of the columns; empty if the format has none.
    """

    table: ParsedTable
    columns: list[str]


def detect_format(path: Path) -> Detected:
    """Guess the format of a file or a folder.

    Args:
        path: of the file or the folder.

    Raises:
        DataError: there is nothing, or nothing that a format reads.
    """
    if not path.exists():
        raise DataError([DataFault("path", f"{path}: there is no such file or folder")])
    place = path.as_posix()
    if path.suffix == ".npz":
        return Detected({"kind": "npz", "path": place}, [])
    if path.suffix in TABLES or (path.is_dir() and _matches_any(path, [f"*{suffix}" for suffix in TABLES])):
        table = read_table("path", place)
        return Detected({"kind": "table", "path": place, **_table_keys(table.column_names)}, _columns(table))
    if (path / "dataset_dict.json").is_file() or (path / STATE).is_file():
        table = read_arrow(next(iter(split_folders(place).values())))
        return Detected({"kind": "hf-disk", "path": place, **_disk_keys(table.column_names)}, _columns(table))
    for name, pattern in FILES.items():
        if "/" in pattern and _matches_any(path, [pattern]):
            return Detected({"kind": "torchvision", "name": name, "path": place}, [])
    if path.suffix == ".json" or _matches_any(path, ["*.json", "train/*.json"]):
        return Detected({"kind": "leaf", "path": place}, [])
    inside = path / "train" if (path / "train").is_dir() else path
    for pattern, keys in (("*/*", {}), ("*/*/*", {"owner": "folder"})):
        if _matches_any(inside, [f"{pattern}{suffix}" for suffix in IMAGES]):
            return Detected({"kind": "image-folder", "path": place, **keys}, [])
    message = "expected .parquet, .csv, .npz or .json files, folders of images, of save_to_disk or of torchvision"
    raise DataError([DataFault("path", f"{place}: there is nothing that fdabench reads; {message}")])


def _matches_any(folder: Path, patterns: Sequence[str]) -> bool:
    return any(next(folder.glob(pattern), None) for pattern in patterns)


def _columns(table: Any) -> list[str]:
    return [f"{field.name} ({field.type!s:.60})" for field in table.schema]


def _first_match(names: Sequence[str], usual: Sequence[str]) -> str:
    lower = {name.casefold(): name for name in reversed(names)}
    return next((lower[name] for name in usual if name in lower), "")


def _table_keys(names: Sequence[str]) -> dict[str, str]:
    keys = {
        "input": _first_match(names, INPUTS),
        "label": _first_match(names, LABELS),
        "owner": _first_match(names, OWNERS),
    }
    return {key: name for key, name in keys.items() if name}


def _disk_keys(names: Sequence[str]) -> dict[str, str]:
    return {key: name for key, name in _table_keys(names).items() if not (key == "input" and name == "image")}
