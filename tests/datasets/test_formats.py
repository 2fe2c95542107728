"""The formats of a user's data: equal results for the same data in every format, and one message for each fault."""

import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from fdabench.cell_config import CellConfig
from fdabench.cli.main import app
from fdabench.datasets import DATASETS
from fdabench.datasets.base import DatasetTensors
from fdabench.datasets.checks import data_hash
from fdabench.datasets.formats import FORMATS
from fdabench.errors import SuiteError
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.experiment.train import CellJob, TrainingResult, train_cells
from fdabench.registry.registry import BUILT_IN, Registry
from fdabench.suite.reader import LoadedSuite, read_suite
from support.own_data import ROUTES, Images, enlarged_digits, png, write_leaf, write_torchvision

SUITE = """
name = "own"
budget.steps = 6
eval.every_steps = 3
[[workload]]
dataset = {dataset}
model = "mlp"
workers = 3
batch_size = 2
optimizer = {{ kind = "adam", lr = 0.001 }}
[[strategy]]
kind = "fda"
monitor = "linear"
theta = 0.05
"""


def suite_with(folder: Path, dataset: str) -> LoadedSuite:
    path = folder / "suite.toml"
    path.write_text(SUITE.format(dataset=dataset))
    return read_suite(path)


def faults_of(folder: Path, dataset: str) -> list[str]:
    with pytest.raises(SuiteError) as caught:
        suite_with(folder, dataset)
    return [fault.replace(folder.as_posix(), "DIR") for fault in caught.value.faults]


def faults_or_none(folder: Path, dataset: str) -> tuple[str, ...]:
    try:
        suite_with(folder, dataset)
    except SuiteError as error:
        return error.faults
    return ()


def load(folder: Path, dataset: str) -> DatasetTensors:
    loaded = suite_with(folder, dataset)
    name = loaded.cells[0].config.dataset
    return loaded.registry.datasets[name].load(folder)


def train(config: CellConfig, data: DatasetTensors, registry: Registry) -> TrainingResult:
    (done,) = train_cells([CellJob("0" * 12, ResolvedCell(config, registry))], data.to(torch.device("cpu")))
    assert isinstance(done, TrainingResult), done
    return done


def numbers(result: TrainingResult) -> dict[str, list[dict[str, object]]]:
    """The rows of all tables of a cell, without times."""
    return {
        name: [{key: value for key, value in dict(row).items() if not key.endswith("_s")} for row in rows]
        for name, rows in result.tables.items()
    }


def real_mnist() -> Images:
    root = os.environ.get("FDABENCH_DATA")
    if not root or not (Path(root) / "MNIST/raw/train-images-idx3-ubyte").exists():
        pytest.skip("FDABENCH_DATA has no MNIST")
    data = DATASETS["mnist"].load(Path(root))
    x, test_x = ((x[:400, 0] * 255).round().to(torch.uint8).numpy() for x in (data.train_x, data.test_x))
    return Images(x, data.train_y[:400].numpy(), test_x, data.test_y[:400].numpy())


def assert_same_everywhere(folder: Path, images: Images) -> None:
    """The tensors, their hash, and every number of a cell are equal through all routes and as built-in MNIST."""
    write_torchvision(folder, images)
    built_in = DATASETS["mnist"].load(folder)
    visited = {}
    for name, write in ROUTES.items():
        place = folder / name
        place.mkdir()
        table = write(place, images)
        data = load(place, table)
        for part in ("train_x", "train_y", "test_x", "test_y"):
            assert torch.equal(getattr(data, part), getattr(built_in, part)), (name, part)
        assert data.classes == built_in.classes
        loaded = suite_with(place, table)
        (cell,) = loaded.cells
        assert loaded.registry.data_hashes["mine"] == data_hash(data)
        visited[name] = (cell.id, train(cell.config, data, loaded.registry))
    assert len({cell_id for cell_id, _ in visited.values()}) == 1
    # seeds depend on the name of a data set, and epochs on its size
    spec = replace(DATASETS["mnist"], train_samples=len(images.train_y))
    direct = train(cell.config, built_in, replace(BUILT_IN, datasets={"mine": spec}))
    assert all(numbers(result) == numbers(direct) for _, result in visited.values())


def test_every_format_gives_the_same_cell(tmp_path: Path) -> None:
    assert_same_everywhere(tmp_path, enlarged_digits())


@pytest.mark.data
def test_mnist_gives_the_same_cell_in_every_format(tmp_path: Path) -> None:
    assert_same_everywhere(tmp_path, real_mnist())


def test_users_of_leaf_are_owners(tmp_path: Path) -> None:
    data = load(tmp_path, write_leaf(tmp_path, enlarged_digits(30, 10)))
    assert data.owner_names == ("ann", "bob")
    assert data.train_owners is not None
    assert data.test_owners is not None
    assert data.train_owners.tolist() == [0] * 15 + [1] * 15
    assert data.test_owners.tolist() == [0] * 5 + [1] * 5


def test_a_share_without_a_test_set_uses_each_sample_once(tmp_path: Path) -> None:
    x = np.arange(50, dtype=np.float32)
    np.savez(
        tmp_path / "a.npz", x_train=x, y_train=np.arange(50) % 3, owner_train=np.array(["b", "a"])[x.astype(int) % 2]
    )
    one, same, other = (
        load(tmp_path, f'{{ kind = "npz", path = "a.npz", test = 0.3, test_seed = {seed} }}') for seed in (1, 1, 2)
    )
    assert (len(one.train_y), len(one.test_y)) == (35, 15)
    assert torch.cat((one.train_x, one.test_x)).flatten().sort().values.tolist() == x.tolist()
    assert torch.equal(one.test_x, same.test_x)
    assert not torch.equal(one.test_x, other.test_x)
    for split in ("train", "test"):
        rows = getattr(one, f"{split}_x").flatten().long()
        assert torch.equal(getattr(one, f"{split}_y"), rows % 3)
        assert torch.equal(getattr(one, f"{split}_owners"), 1 - rows % 2)
    assert one.owner_names == ("a", "b")


def test_normalization_by_channel_gives_mean_0_and_variance_1(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    columns = {"age": rng.normal(40, 9, 200), "height": rng.normal(1.7, 0.1, 200), "constant": np.ones(200)}
    pq.write_table(pa.table({**columns, "ill": rng.integers(0, 2, 200)}), tmp_path / "t.parquet")
    data = load(
        tmp_path,
        '{ kind = "table", path = "t.parquet", label = "ill", normalize = "channel" }',
    )
    assert data.shape == (1, 1, 3)
    moments = torch.stack((data.train_x.mean(0), data.train_x.std(0, correction=0))).reshape(2, 3)
    assert torch.allclose(moments, torch.tensor([[0.0, 0.0, 0.0], [1.0, 1.0, 0.0]]), atol=1e-5)


FAULTS = {
    "missing": ('{ kind = "npz", path = "no.npz" }', "path: DIR/no.npz: there is no such file"),
    "folder": ('{ kind = "npz", path = "." }', "path: DIR: it is a folder; expected a file"),
    "kind": ('{ kind = "parket", path = "a" }', 'kind: "parket" is unknown; allowed: "table", "hf-disk"'),
    "key": ('{ kind = "npz", pth = "images.npz" }', 'npz takes no pth; allowed: kind, path, test'),
    "share": (
        '{ kind = "npz", path = "rows.npz", test = 1.5 }',
        "test: 1.5 is out of range: a share must be more than 0",
    ),
    "shape": (
        '{ kind = "npz", path = "rows.npz", shape = "3x3" }',
        "shape: '3x3' does not fit: DIR/rows.npz: an input has 4 numbers",
    ),
    "column": (
        '{ kind = "table", path = "rows.csv", label = "lable", owner = "writr" }',
        "label: DIR/rows.csv has no column 'lable'; did you mean \"label\"?",
    ),
    "text": ('{ kind = "table", path = "rows.csv" }', "input: DIR/rows.csv: 'writer' have no numbers"),
    "lists": ('{ kind = "table", path = "lists.parquet", input = "x" }', "column 'x': its lists have 1 to 2 values"),
    "nulls": (
        '{ kind = "table", path = "nulls.parquet", input = "x" }',
        "column 'x': 1 values are missing, the first in row 1",
    ),
    "pickle": ('{ kind = "npz", path = "objects.npz" }', "it has Python objects, which fdabench does not unpickle"),
    "infinite": ('{ kind = "npz", path = "infinite.npz" }', "sample 2 (from 0) has a value that is not finite"),
    "lengths": (
        '{ kind = "npz", path = "lengths.npz" }',
        "labels must have the shape [9], one for each input; they have [8]",
    ),
    "fractions": ('{ kind = "npz", path = "fractions.npz" }', "labels must be whole numbers or strings"),
    "class": ('{ kind = "torchvision", name = "MNST", path = "." }', 'did you mean "MNIST"?'),
    "built-in": (
        '{ kind = "npz", path = "rows.npz", alias = "mnist" }',
        '"mnist" is a data set that fdabench or a plug-in adds',
    ),
    "images": ('{ kind = "image-folder", path = "pictures" }', "pictures/0/b.png has the shape [5, 5], but"),
}  # fmt: skip


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_of_own_data_has_one_clear_message(tmp_path: Path, name: str) -> None:
    x, y = np.ones((9, 4), np.float32), np.arange(9) % 2
    np.savez(tmp_path / "rows.npz", x_train=x, y_train=y)
    (tmp_path / "rows.csv").write_text("label,writer,x\n0,ann,1\n1,bob,2\n")
    pq.write_table(pa.table({"label": [0, 1], "x": [[1], [1, 2]]}), tmp_path / "lists.parquet")
    pq.write_table(pa.table({"label": [0, 1], "x": [1, None]}), tmp_path / "nulls.parquet")
    np.savez(tmp_path / "objects.npz", x_train=x, y_train=y.astype(object))
    np.savez(tmp_path / "infinite.npz", x_train=np.where(np.arange(9) == 2, np.inf, 1.0), y_train=y)
    np.savez(tmp_path / "lengths.npz", x_train=x, y_train=y[:-1])
    np.savez(tmp_path / "fractions.npz", x_train=x, y_train=y / 2)
    (tmp_path / "pictures" / "0").mkdir(parents=True)
    for i, file in enumerate(("a.png", "b.png")):
        (tmp_path / "pictures" / "0" / file).write_bytes(png(np.zeros((4 + i, 4 + i), np.uint8)))
    dataset, message = FAULTS[name]
    faults = faults_of(tmp_path, dataset)
    assert [message in fault for fault in faults].count(True) == 1, faults
    assert all(fault.startswith("DIR/suite.toml:6: workload.0.dataset") for fault in faults), faults


@pytest.mark.parametrize("name", ROUTES)
def test_a_damaged_file_gives_one_message_with_its_name(tmp_path: Path, name: str) -> None:
    """Files cut at any length and files with changed bytes are read, or named in a message."""
    table = ROUTES[name](tmp_path, enlarged_digits(12, 4))
    files = [file for file in sorted(tmp_path.rglob("*")) if file.is_file()]
    rng = np.random.default_rng(0)
    rejected = 0
    for trial in range(24):
        file = files[trial % len(files)]
        whole = file.read_bytes()
        damaged = bytearray(whole[: rng.integers(0, len(whole))] if trial % 2 else whole)
        for at in rng.integers(0, max(len(damaged), 1), 3):
            damaged[at : at + 1] = rng.bytes(1)
        file.write_bytes(damaged)
        os.utime(file, (trial, trial))
        faults = faults_or_none(tmp_path, table)
        rejected += bool(faults)
        assert all("workload.0." in fault for fault in faults), faults
        file.write_bytes(whole)
    assert rejected > 3


@pytest.mark.slow
@pytest.mark.parametrize("name", ROUTES)
def test_a_run_with_a_damaged_file_ends_with_exit_code_2_and_writes_nothing(tmp_path: Path, name: str) -> None:
    table = ROUTES[name](tmp_path, enlarged_digits(12, 4))
    suite, out = tmp_path / "suite.toml", tmp_path / "out"
    suite.write_text(SUITE.format(dataset=table))
    (damaged, *_) = sorted(file for file in tmp_path.rglob("*") if file.is_file() and file != suite)
    damaged.write_bytes(b"")
    done = CliRunner().invoke(app, ["run", str(suite), "-o", str(out)])
    assert done.exit_code == 2, done.output
    assert f"{suite.as_posix()}:6: workload.0.dataset" in done.output
    assert "Traceback" not in done.output
    assert not out.exists()


@pytest.mark.parametrize("name", ROUTES)
@settings(max_examples=8, deadline=None)
@given(content=st.binary(max_size=300), place=st.integers(0, 99))
def test_a_file_of_any_bytes_is_read_or_named_in_a_message(name: str, content: bytes, place: int) -> None:
    with TemporaryDirectory() as folder:
        table = ROUTES[name](Path(folder), enlarged_digits(4, 2))
        files = sorted(file for file in Path(folder).rglob("*") if file.is_file())
        files[place % len(files)].write_bytes(content)
        faults = faults_or_none(Path(folder), table)
    assert all("workload.0." in fault for fault in faults), faults


DOCS = (Path(__file__).parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
# test_text_format.py has the examples of text, whose samples are no images
EXAMPLES = [text for text in re.findall(r"```toml\ndataset = (.*)\n```", DOCS) if 'kind = "text"' not in text]


def write_all(folder: Path) -> None:
    for write in ROUTES.values():
        write(folder, enlarged_digits(40, 10))


def test_every_example_of_the_page_on_data_is_read(tmp_path: Path) -> None:
    write_all(tmp_path)
    assert {tomllib.loads(f"_ = {text}")["_"]["kind"] for text in EXAMPLES} == set(FORMATS) - {"text"}
    for text in EXAMPLES:
        assert load(tmp_path, text).shape == (1, 28, 28), text


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("images.npz", "npz"),
        ("train.parquet", "table"),
        ("hf", "hf-disk"),
        ("pictures", "image-folder"),
        ("leaf", "leaf"),
        ("", "torchvision"),
    ],
)
def test_the_table_that_inspect_prints_can_be_pasted(tmp_path: Path, path: str, kind: str) -> None:
    place = tmp_path / "data"
    place.mkdir()
    if kind == "torchvision":
        write_torchvision(place, enlarged_digits(40, 10))
    else:
        write_all(place)
    done = CliRunner().invoke(app, ["inspect", str(place / path)])
    assert done.exit_code == 0, done.output
    assert f"kind: {kind}" in done.output
    assert "classes: 10" in done.output
    (pasted,) = re.findall(r"^dataset = (.*)$", done.output, re.M)
    assert load(tmp_path, pasted).classes == 10
