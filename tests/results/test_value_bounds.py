"""Tables of a cell that cannot be results are refused: the message has the file, the value and the remedy."""

import json
import random
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from typer.testing import CliRunner

from fdabench.cli.main import app
from fdabench.errors import ResultError
from fdabench.results.folder import TABLES
from fdabench.results.load import load
from fdabench.results.schema import BOUNDS
from support.digits_results import SIX, Suite, write


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return write(tmp_path / "digits", Suite(SIX[:1], seeds=(0,), targets=(0.9,))).root


def replace_first(root: Path, name: str, column: str, value: object) -> Path:
    """Write another value into the first row of the only cell's table, which gets a row if it has none."""
    (path,) = root.glob(f"cells/*/{name}.parquet")
    table = pq.read_table(path)
    rows = table.to_pylist() or [dict.fromkeys(table.column_names)]
    pq.write_table(pa.Table.from_pylist([rows[0] | {column: value}, *rows[1:]], table.schema), path)
    return path


def test_every_table_and_only_its_columns_have_bounds() -> None:
    assert BOUNDS.keys() == TABLES.keys()
    assert all(set(columns) <= set(TABLES[name].names) for name, columns in BOUNDS.items())


@pytest.mark.parametrize(("name", "column"), [(name, column) for name, columns in BOUNDS.items() for column in columns])
def test_a_value_out_of_range_is_named(root: Path, name: str, column: str) -> None:
    wrong = 7.0 if column == "test_accuracy" else -3
    path = replace_first(root, name, column, wrong)
    with pytest.raises(ResultError) as caught:
        load(root)
    expected = f"{path}: column '{column}', row 1: {wrong} is out of range, so the file is damaged; without "
    assert str(caught.value) == f"{expected}{path.parent.name}, its folder, `run` does the cell again"


def test_evaluations_are_in_the_order_of_their_steps(root: Path) -> None:
    replace_first(root, "evals", "step", 200)
    with pytest.raises(ResultError, match=r"column 'step', row 2: \d+ follows 200"):
        load(root)


@pytest.mark.parametrize("name", ["evals", "ledger"])
def test_a_table_without_rows_is_refused(root: Path, name: str) -> None:
    (path,) = root.glob(f"cells/*/{name}.parquet")
    pq.write_table(pq.read_table(path).slice(0, 0), path)
    with pytest.raises(
        ResultError, match=r"it has no rows, so the file is damaged; without .* `run` does the cell again"
    ):
        load(root)


def test_a_flipped_bit_in_the_values_of_a_table_is_found(root: Path) -> None:
    """The footer, which has no checksum, is left out: it has the names and places of the columns."""
    (path,) = root.glob("cells/*/evals.parquet")
    content, expected = path.read_bytes(), load(root).evals
    with pq.ParquetFile(path) as file:
        chunks = [file.metadata.row_group(0).column(i) for i in range(file.metadata.num_columns)]
    draw = random.Random(0)
    num_refused = 0
    for chunk in chunks:
        start = chunk.dictionary_page_offset or chunk.data_page_offset
        for _ in range(20):
            damaged = bytearray(content)
            damaged[draw.randrange(start, start + chunk.total_compressed_size)] ^= 1 << draw.randrange(8)
            path.write_bytes(damaged)
            try:
                assert load(root).evals.equals(expected)
            except ResultError:
                num_refused += 1
    assert num_refused > 10 * len(chunks)


@pytest.mark.parametrize("value", [float("nan"), None])
def test_an_accuracy_that_is_no_number_ends_no_command_as_a_bug(root: Path, value: float | None) -> None:
    replace_first(root, "evals", "test_accuracy", value)
    for command in (["show", root], ["report", root, "-o", root / "page"], ["status", root]):
        result = CliRunner().invoke(app, [str(argument) for argument in command])
        assert result.exit_code in (0, 2), result.output
        assert command[0] == "status" or f"row 1: {'nan' if value else 'None'} is out of range" in result.stderr


def test_the_version_of_a_record_cannot_write_a_line(root: Path) -> None:
    (path,) = root.glob("cells/*/cell.json")
    path.write_text(json.dumps({**json.loads(path.read_bytes()), "schema": "x\n::error::forged"}))
    result = CliRunner().invoke(app, ["show", str(root)])
    assert result.exit_code == 2
    assert "results of schema version x ::error::forged; this" in result.stderr
    assert not any(line.startswith("::") for line in result.stderr.splitlines())
