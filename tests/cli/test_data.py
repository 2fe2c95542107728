"""Data sets and models of a plug-in in runs of the program: they are checked, and a change of data is detected."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from support.suites import replace_text

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]

SUITE = """
name = "blobs"
plugins = ["blobs.py"]
seeds = [0, 1]

[budget]
steps = 8

[eval]
every_steps = 4

[[workload]]
dataset = "blobs"
model = "net"
workers = 2
batch_size = 8
optimizer = { kind = "sgd", lr = 0.1 }

[[workload]]
dataset = "digits"
model = "mlp"
workers = 2
batch_size = 8
optimizer = { kind = "sgd", lr = 0.1 }

[[strategy]]
kind = "synchronous"
"""
BLOBS = '''
"""Points around three centers, as images of one pixel in two channels."""

from pathlib import Path

import numpy as np
import torch

from fdabench.datasets.base import DatasetTensors, DatasetSpec
from fdabench.datasets.files import FileBackedDatasetSpec
from fdabench.models.base import ModelSpec

FILE = Path(__file__).resolve().parent / "blobs.npz"


def load(root):
    found = np.load(FILE)
    x, y = torch.from_numpy(found["x"]), torch.from_numpy(found["y"])
    return DatasetTensors(x[:60], y[:60], x[60:], y[60:], 3)


def build(shape, classes):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(2, classes))


DATASETS = {"blobs": DatasetSpec(load, 60, (2, 1, 1), 3, "three centers")}
MODELS = {"net": ModelSpec(build, None, "one layer")}
'''


def write_data(seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, 80)
    x = rng.normal(size=(80, 2, 1, 1)) + y[:, None, None, None]
    np.savez("blobs.npz", x=x.astype(np.float32), y=y)


@pytest.fixture
def blobs(here: InProcess) -> InProcess:
    """The program in a folder with a suite, its plug-in and the data that it loads."""
    Path("blobs.toml").write_text(SUITE)
    # a module is known by its path and its content, and tests share a process
    Path("blobs.py").write_text(f"{BLOBS}\n# {Path.cwd()}\n")
    write_data()
    return here


def run(blobs: InProcess, *more: str) -> str:
    result = blobs("run", "blobs.toml", "--jobs", "1", "--device", "cpu", *more)
    assert result.exit_code == 0, result.output
    return str(result.stderr)


def refused(blobs: InProcess, command: str = "run") -> list[str]:
    """The lines of the error message for a suite that is refused; no file is written."""
    result = blobs(command, "blobs.toml", *(["--jobs", "1"] if command == "run" else []))
    assert result.exit_code == 2, result.output
    assert "bug in fdabench" not in result.output
    assert not Path("results").exists()
    lines = [line for line in str(result.stderr).splitlines() if not line.startswith("note:")]
    return [line.removeprefix("fdabench: ") for line in lines if not line.endswith((" fault", " faults"))]


def line_of(text: str) -> int:
    return Path("blobs.py").read_text().split(text)[0].count("\n") + 1


def planned(blobs: InProcess, *more: str) -> dict[str, Any]:
    result = blobs("plan", "blobs.toml", "--output-format", "json", *more)
    assert result.exit_code == 0, result.output
    rows = json.loads(result.stdout)
    return {row["what"]: row for row in rows if "blobs" in row["what"]} | {
        "others": {row["status"] for row in rows if "blobs" not in row["what"]}
    }


@pytest.mark.slow
def test_a_change_of_the_data_makes_its_cells_stale_and_plan_names_both_hashes(blobs: InProcess) -> None:
    assert " 0 done | 4 to run" in run(blobs)
    assert " 4 done | 0 to run" in run(blobs)
    others = planned(blobs).pop("others")
    assert others == {"done"}
    write_data(seed=1)
    actual = planned(blobs)
    assert actual.pop("others") == {"done"}
    assert len(actual) == 2
    for row in actual.values():
        assert row["status"] == "stale"
        (changed,) = row["changed"]
        assert changed["what"] == "data of blobs"
        assert len({changed["before"], changed["after"]} & {row["why"][-17:-1], row["why"][-37:-21]}) == 2, row["why"]
        assert row["why"] == f"data of blobs changed ({changed['before']} -> {changed['after']})"
    assert "2 stale: data of blobs changed | 0 to run" in blobs("plan", "blobs.toml").stdout
    output = run(blobs)
    assert " 2 done | 2 stale: data of blobs changed | 0 to run" in output
    assert output.count("] done  ") == 2
    assert planned(blobs).pop("others") == {"done"}
    assert " 4 done | 0 to run" in run(blobs)
    write_data(seed=0)
    assert "2 stale: data of blobs changed" in blobs("plan", "blobs.toml").stdout, "also when it is what it once was"


def test_the_hash_is_recorded_for_the_cells_that_use_the_data_and_for_no_other(blobs: InProcess) -> None:
    run(blobs)
    records = [json.loads(path.read_text()) for path in Path("results/blobs/cells").glob("*/cell.json")]
    hashed = {record["config"]["dataset"]: [key for key in record["code"] if "data of" in key] for record in records}
    assert hashed == {"blobs": ["data of blobs"], "digits": []}


@pytest.mark.slow
def test_two_processes_and_distributed_workers_record_the_same_hash(blobs: InProcess, fdabench_in: Fdabench) -> None:
    run(blobs)
    for more in (["--jobs", "2"], ["--engine", "distributed", "--processes", "2", "--jobs", "1"]):
        result = fdabench_in("run", "blobs.toml", "--fresh", "--device", "cpu", *more)
        assert result.returncode == 0, result.stderr
        assert " 4 done | 0 to run" in blobs("run", "blobs.toml").stderr


def test_plan_does_not_load_data_of_cells_that_never_ran(blobs: InProcess) -> None:
    os.unlink("blobs.npz")
    assert {row["status"] for row in planned(blobs).values() if isinstance(row, dict)} == {"to run"}
    write_data()
    run(blobs)
    os.unlink("blobs.npz")
    result = blobs("plan", "blobs.toml")
    assert result.exit_code == 2
    line = line_of("found = np.load")
    assert result.stderr.splitlines()[-1].startswith(
        f"fdabench: blobs.py:{line}: data set 'blobs': load: FileNotFoundError: "
    )


@pytest.mark.slow
def test_files_are_hashed_in_place_of_tensors_where_the_spec_names_them(blobs: InProcess) -> None:
    replace_text("blobs.py", 'DatasetSpec(load, 60, (2, 1, 1), 3, "three centers")', (
        'FileBackedDatasetSpec(load, 60, (2, 1, 1), 3, "three centers", files=(FILE, "more.txt"))'))  # fmt: skip
    Path("data").mkdir()
    Path("data/more.txt").write_text("one")
    run(blobs)
    replace_text("blobs.py", "    found = np.load(FILE)\n", "    print('loaded')\n    found = np.load(FILE)\n")
    result = blobs("plan", "blobs.toml")
    assert "2 stale: plug-in blobs.py changed" in result.stdout
    assert "loaded" not in result.output
    Path("data/more.txt").write_text("two")
    assert "2 stale: data of blobs changed, plug-in blobs.py changed" in blobs("plan", "blobs.toml").stdout
    os.unlink("data/more.txt")
    result = blobs("plan", "blobs.toml")
    assert (result.exit_code, result.stderr.splitlines()[-1]) == (
        2,
        "fdabench: data/more.txt: cannot be read: No such file or directory",
    )
    Path("elsewhere").mkdir()
    Path("elsewhere/more.txt").write_text("one")
    assert "2 stale: plug-in blobs.py changed" in blobs("plan", "blobs.toml", "--data-dir", "elsewhere").stdout


KNOWN = (
    "fdabench supports images, or other data of shape [N, C, H, W], with class labels, and sequences of tokens [N, T] "
    "with task = 'next-token' in the DatasetSpec"
)
DATA_FAULTS: dict[str, tuple[str, str, list[str]]] = {
    "sequences": (
        "    return DatasetTensors(",
        "    x = y = torch.zeros(80, 32, dtype=torch.int64)\n    return DatasetTensors(",
        [
            "train_x must be float32 of shape [60, 2, 1, 1] (train_samples and shape of its DatasetSpec); "
            f"it is [60, 32] int64. {KNOWN}",
            f"train_y must be int64 of shape [60]; it is [60, 32] int64. {KNOWN}",
            f"test_x must be float32 of shape [20, 2, 1, 1] (shape of its DatasetSpec); it is [20, 32] int64. {KNOWN}",
            f"test_y must be int64 of shape [20]; it is [20, 32] int64. {KNOWN}",
        ],
    ),
    "nan": (
        "    return DatasetTensors(",
        "    x[7, 1] = torch.nan\n    y[3] = 9\n    return DatasetTensors(",
        ["train_x[7, 1, 0, 0] is nan; every value must be finite", "train_y[3] is 9; classes = 3 allows 0 to 2"],
    ),
    "nothing": ("    return DatasetTensors(", "    return None\n    DatasetTensors(", [
        "load must return a fdabench.datasets.base.DatasetTensors; it returned None"]),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "faults"), DATA_FAULTS.values(), ids=DATA_FAULTS)
def test_data_that_cannot_be_trained_on_are_reported_as_a_fault_of_the_plugin(
    blobs: InProcess, old: str, new: str, faults: list[str]
) -> None:
    replace_text("blobs.py", old, new)
    where = f"blobs.py:{line_of('DATASETS =')}: data set 'blobs': "
    assert refused(blobs) == [where + fault for fault in faults]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("return {}['x']", "KeyError: 'x'"),
        ("exit(3)", "SystemExit: 3"),
        ("raise type('Quit', (BaseException,), {})('no more')", "blobs.py: Quit: no more"),
    ],
)
def test_a_loader_that_raises_is_reported_with_its_line(blobs: InProcess, body: str, message: str) -> None:
    replace_text("blobs.py", "    found = np.load(FILE)\n", f"    {body}\n    found = np.load(FILE)\n")
    (messages_seen,) = refused(blobs)
    assert messages_seen.startswith(f"blobs.py:{line_of(body)}: data set 'blobs': load: ")
    assert messages_seen.endswith(message.removeprefix("blobs.py: "))


MODEL_FAULTS = {
    "too wide": ("torch.nn.Linear(2, classes)", "torch.nn.Linear(3, classes)", "RuntimeError: "),
    "classes": (
        "torch.nn.Linear(2, classes)",
        "torch.nn.Linear(2, classes + 1)",
        "its output must be a float32 tensor of shape [N, classes], here [2, 3]; it is [2, 4] float32",
    ),
    "no module": ("return torch.nn.Sequential(", "return (", "build must return a torch.nn.Module; it returned tuple"),
    "no weights": (
        "torch.nn.Linear(2, classes)",
        "torch.nn.Identity()",
        "it has no trainable parameters",
    ),
    "in place": (
        "torch.nn.Flatten(), ",
        "torch.nn.ReLU(inplace=True), torch.nn.Flatten(), ",
        "forward changes its input in place; it must leave the images as they are",
    ),
    "raises": ("    return torch.nn", "    raise OSError('no disk')\n    return torch.nn", "OSError: no disk"),
}


@pytest.mark.parametrize(("old", "new", "fault"), MODEL_FAULTS.values(), ids=MODEL_FAULTS)
def test_validate_reports_a_model_that_does_not_fit(blobs: InProcess, old: str, new: str, fault: str) -> None:
    replace_text("blobs.py", old, new)
    (message,) = refused(blobs, "validate")
    assert message.startswith("blobs.py:")
    assert f": model 'net' on data set 'blobs' (shape (2, 1, 1), 3 classes): {fault}" in message


def test_a_model_that_gives_nan_is_reported_before_anything_is_written(blobs: InProcess) -> None:
    replace_text("blobs.py", "torch.nn.Linear(2, classes))", "torch.nn.Linear(2, classes), Nan())")
    replace_text(
        "blobs.py",
        "def build(",
        "class Nan(torch.nn.Module):\n    def forward(self, x):\n        return x / 0 * 0\n\n\ndef build(",
    )
    assert refused(blobs) == [
        f"blobs.py:{line_of('MODELS =')}: model 'net': its output is not finite with the initial weights"
    ]


def test_other_shapes_than_images_are_refused_where_they_are_declared(blobs: InProcess) -> None:
    replace_text("blobs.py", "(2, 1, 1)", "(32,)")
    (message,) = refused(blobs, "validate")
    assert message.endswith(f"DATASETS['blobs']: shape must be (channels, height, width); it is (32,). {KNOWN}")


@pytest.mark.slow
def test_fresh_states_which_cells_are_run_again(blobs: InProcess) -> None:
    result = blobs("plan", "blobs.toml", "--fresh")
    assert "0 done | 4 to run" in result.stdout
    run(blobs)
    result = blobs("plan", "blobs.toml", "--fresh")
    assert "4 done, run again because of --fresh | 0 to run: " in result.stdout
    assert {row["why"] for row in planned(blobs, "--fresh").values() if isinstance(row, dict)} == {
        "run again because of --fresh"
    }
    result = run(blobs, "--fresh")
    assert " 4 done, run again because of --fresh | 0 to run" in result
    assert result.count("] done  ") == 4


HALVES = """

import dataclasses


@dataclasses.dataclass(frozen=True)
class Halves:
    def split(self, labels, workers, rng):
        return BODY


PARTITIONS = {"halves": Halves}
"""


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("labels[10**6]", "IndexError: index 1000000 is out of bounds"),
        ("[range(60), range(3)]", "TypeError: Halves.split, line "),
        ("[range(60), range(3)]", "every sample belongs to one worker; sample 0 belongs to 2"),
    ],
)
def test_a_partition_that_raises_or_is_not_a_partition_is_reported_before_anything_is_written(
    blobs: InProcess, body: str, message: str
) -> None:
    with Path("blobs.py").open("a") as file:
        file.write(HALVES.replace("BODY", body))
    replace_text("blobs.toml", 'model = "net"\n', 'model = "net"\npartition = "halves"\n')
    messages_seen = refused(blobs)
    assert messages_seen
    assert all(
        "blobs.py" in line and "partition 'halves': split: " in line and message in line for line in messages_seen
    )
