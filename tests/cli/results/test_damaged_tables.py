"""Commands on results with a damaged value: one message, and no traceback."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.digits_results import SIX, Suite, write

InProcess = Callable[..., Any]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "digits", Suite(SIX[:1], seeds=(0,), targets=(0.9,))).root


@pytest.mark.parametrize("value", [float("nan"), None])
def test_an_accuracy_that_is_no_number_ends_no_command_as_a_bug(
    here: InProcess, root: Path, value: float | None
) -> None:
    (path,) = root.glob("cells/*/evals.parquet")
    table = pq.read_table(path)
    values = pa.array([value, *table["test_accuracy"].to_pylist()[1:]], pa.float64())
    pq.write_table(table.set_column(table.column_names.index("test_accuracy"), "test_accuracy", values), path)
    for command in (["show", root], ["report", root, "-o", "page"], ["status", root]):
        result = here(*command)
        assert result.exit_code in (0, 2), result.output
        assert command[0] == "status" or f"row 1: {'nan' if value else 'None'} is out of range" in result.stderr


def test_the_version_of_a_record_cannot_write_a_line(here: InProcess, root: Path) -> None:
    (path,) = root.glob("cells/*/cell.json")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "schema": "x\n::error::forged"}))
    result = here("show", root)
    assert result.exit_code == 2
    assert "results of schema version x ::error::forged; this" in result.stderr
    assert not any(line.startswith("::") for line in result.stderr.splitlines())
