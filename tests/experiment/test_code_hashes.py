"""The hash of a cell depends on the code that it runs only."""

import re
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from fdabench.experiment import code_fingerprint as closure
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.suite.cell import Cell
from support.cells import train_cell

READERS = {
    "registry/registry.py",
    "accounting/costs.py",
    "results/derive.py",
    "execution/shared_data.py",
    "execution/plugin_data.py",
    "registry/component_fields.py",
    "cell_config.py",
    *closure.OBSERVER_MODULES,
}


@pytest.fixture
def copy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of the package, of which the hashes are computed."""
    root = tmp_path / "fdabench"
    shutil.copytree(closure.ROOT, root, ignore=shutil.ignore_patterns("__pycache__", "report"))
    closure._read.cache_clear()
    monkeypatch.setattr(closure, "ROOT", root)
    yield root
    closure._read.cache_clear()


def changed_by(edit: Callable[[str], str], path: Path, cells: dict[str, Cell]) -> set[str]:
    """The labels of the cells whose hash changes after an edit of a file."""
    before = {label: code_hashes(cell.config) for label, cell in cells.items()}
    text = path.read_text(encoding="utf-8")
    assert edit(text) != text
    path.write_text(edit(text), encoding="utf-8")
    closure._read.cache_clear()
    return {label for label, cell in cells.items() if code_hashes(cell.config) != before[label]}


@pytest.mark.parametrize(
    "edit",
    [
        lambda text: text + "\n# a remark at the end\n",
        lambda text: text.replace("from math import sqrt", "from math import sqrt  # why"),
        lambda text: re.sub(r'^""".*?"""', '"""Other words."""', text, flags=re.DOTALL),
        lambda text: re.sub(r'class Sketch:\n    """.*?"""', "class Sketch:", text, flags=re.DOTALL),
        lambda text: text.replace("M₂ the median", "M₂ the mean").replace('"#D1260B"', '"#000000"'),
        lambda text: text.replace('("alon1996", "cormode2005")', '("other2030",)'),
        lambda text: text.replace("\n\n\n", "\n\n\n\n\n"),
        lambda text: text.replace(
            "torch.cat([row_squared_norms(u_KD)[:, None], sketch_KR], 1)",
            "torch.cat(\n            [row_squared_norms(u_KD)[:, None], sketch_KR],\n            1,\n        )",
        ),
    ],
    ids=[
        "comment",
        "comment on a line",
        "docstring",
        "docstring gone",
        "description",
        "reference",
        "blank lines",
        "layout",
    ],
)
def test_comments_docstrings_and_layout_change_no_hash(copy: Path, ran: Any, edit: Callable[[str], str]) -> None:
    assert changed_by(edit, copy / "monitors" / "sketch.py", ran.cells) == set()


@pytest.mark.parametrize(
    ("file", "old", "new", "labels"),
    [
        ("monitors/sketch.py", "1 / sqrt(self.width)", "2 / sqrt(self.width)", {"SketchFDA"}),
        ("monitors/naive.py", "s_S[0]", "2 * s_S[0]", {"NaiveFDA"}),
        ("servers/momentum.py", "self.momentum * v_D", "v_D", {"FedAvgM"}),
        ("strategies/fedavg.py", "if not is_period_end", "if is_period_end", {"FedAvg", "FedAdam", "FedAvgM"}),
        ("strategies/synchronous.py", "Forecast(run.steps,", "Forecast(0,", {"Synchronous"}),
        ("models/lenet5.py", "120", "121", set()),
        ("partitions/iid.py", "len(labels)", "len(labels) - 1", set()),
        ("datasets/images.py", "255", "256", set()),
        ("strategies/__init__.py", '"fda": FDA', '"fdaa": FDA', set()),
        ("distributed/traffic_meter.py", "IDLE_CALIBRATION_WINDOWS = 20", "IDLE_CALIBRATION_WINDOWS = 10", set()),
        ("cli/main.py", "Print the version", "Print a version", set()),
        ("results/files.py", "zstd", "snappy", set()),
    ],
)
def test_code_changes_the_cells_that_run_it(
    copy: Path, ran: Any, file: str, old: str, new: str, labels: set[str]
) -> None:
    """A registry is run by every cell, but what it names is not."""
    actual = changed_by(lambda text: text.replace(old, new), copy / file, ran.cells)
    assert {label.split(" ")[0] for label in actual} == labels


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("engine/loop.py", "t + 1", "t + 2"),
        ("core/channel.py", "x_KD[0]", "x_KD[1]"),
        ("core/sync.py", "ctx.w_KD[:, part] - anchor_D", "anchor_D - ctx.w_KD[:, part]"),
        ("engine/gradients/sequential.py", "gradient.copy_(computed)", "gradient.add_(computed)"),
        ("engine/gradients/vectorized.py", "len(indices)", "len(indices) + 0"),
        ("core/counter_rng.py", "0x85EBCA6B", "0x85EBCA6C"),
        ("partitions/dirichlet.py", "alpha * prior", "alpha"),
        ("datasets/digits.py", "== 4", "== 3"),
        ("models/mlp.py", "192", "128"),
        ("optimizers/adam.py", "0.999", "0.99"),
        ("experiment/train.py", "errors[0]", "errors[-1]"),
        ("experiment/build.py", "ones_like", "zeros_like"),
        ("registry/build_component.py", "steps_per_epoch)", "steps_per_epoch + 1)"),
    ],
)
def test_code_that_every_cell_runs_changes_every_hash(copy: Path, ran: Any, file: str, old: str, new: str) -> None:
    assert changed_by(lambda text: text.replace(old, new), copy / file, ran.cells) == set(ran.cells)


@pytest.mark.parametrize("label", ["Synchronous", "FedAdam", "SketchFDA", "FedAvgM"])
def test_every_file_that_runs_is_hashed(ran: Any, label: str) -> None:
    """What is executed while a cell runs, seen by the interpreter, but for what only reads or stores numbers."""
    (cell,) = [cell for name, cell in ran.cells.items() if name.split(" ")[0] == label]
    config = cell.config.with_changes({"budget": {"steps": 8}})
    executed: set[str] = set()

    def note(frame: FrameType, event: str, argument: Any) -> None:
        executed.add(frame.f_code.co_filename)

    sys.setprofile(note)
    try:
        train_cell(config)
    finally:
        sys.setprofile(None)
    files = {Path(name).relative_to(closure.ROOT).as_posix() for name in executed if str(closure.ROOT) in name}
    assert "engine/loop.py" in files
    assert files - READERS <= set(code_hashes(cell.config))
