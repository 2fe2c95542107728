"""Untrusted or damaged results folders: refused with one message, without other exceptions or files outside."""

import json
import shutil
import tomllib
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fdabench.errors import ResultError
from fdabench.results.folder import ResultsFolder
from fdabench.results.load import Results, load
from support.lenet5_results import SyntheticCell, write_lenet5_results

LONG = "a" * 4096


@pytest.fixture(scope="session")
def good(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid results folder; tests do not change it."""
    return write_lenet5_results(
        tmp_path_factory.mktemp("good") / "good", [SyntheticCell([(100, 0.5, 1), (200, 0.99, 2)], [100])]
    )


@pytest.mark.parametrize(
    "name", ["../../outside", "/outside", "..", ".hidden", "a/b", "a\0b", "a\nb", LONG, "", 3, None]
)
@pytest.mark.parametrize("place", ["suite", "id"])
def test_names_with_a_path_out_of_the_folder_are_refused(good: Path, tmp_path: Path, place: str, name: object) -> None:
    lock: dict[str, Any] = tomllib.loads(ResultsFolder(good).lock_path.read_text(encoding="utf-8"))
    node = lock if place == "suite" else lock["cell"][0]
    node[place] = name
    if name is None:
        del node[place]
    (tmp_path / "suite.lock.toml").write_text(tomli_w.dumps(lock), encoding="utf-8")
    with pytest.raises(ResultError, match=r"is no name that fdabench gives|(suite|id) is missing") as caught:
        load(tmp_path)
    assert len(str(caught.value)) < 300


def test_an_unknown_state_of_a_cell_is_refused(good: Path, tmp_path: Path) -> None:
    copied = shutil.copytree(good, tmp_path / "copy")
    (path,) = copied.rglob("cell.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"state": "dome"}))
    with pytest.raises(
        ResultError,
        match=r"cell\.json: state: 'dome' is none of 'done', 'target_reached', .*'pending'; without 0+, its folder",
    ):
        load(copied)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.integers(0, 100), st.floats(0, 1, exclude_max=True), st.sampled_from([*range(8), "cut"]))
@example(0, 0.0, "cut")
def test_a_damaged_folder_is_read_or_refused(good: Path, file: int, place: float, damage: int | str) -> None:
    """A flipped bit or a lost end, in any file."""
    paths = sorted(path for path in good.rglob("*") if path.is_file())
    path = paths[file % len(paths)]
    whole = path.read_bytes()
    at = int(place * len(whole))
    flipped = bytes([whole[at] ^ (1 << damage)]) if isinstance(damage, int) else b""
    path.write_bytes(whole[:at] + flipped + (whole[at + 1 :] if flipped else b""))
    try:
        with suppress(ResultError):
            assert isinstance(load(good), Results)
    finally:
        path.write_bytes(whole)
