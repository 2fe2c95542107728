"""The names that other programs import: pinned, documented, and enough for a plug-in and for a program."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

import fdabench
from fdabench import api
from fdabench.experiment.code_fingerprint import code_hashes
from fdabench.suite.reader import read_suite
from support.suites import SYNCHRONOUS, digits_suite

ROOT = Path(api.__file__).parents[1]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
NAMES = """
AtSync Average Cell CellConfig CellFinished CellProgress CellRecord CellStarted CellWarning Channel Codec
ComponentConfig ComponentInfo CorrectedGradients Correction CorrectionUpdate Count DatasetSpec DatasetTensors Decay
Decision Event FdabenchError FileBackedDatasetSpec HasSyncRule HasTrafficForecast Idle LRSchedule LoadedSuite
LocalOptimizer MeansForecast ModelSpec Monitor NonNegative NotComparedError Partition PartitionError PlannedRun
PluginError PositiveFloat Reply ResultError Results Round RoundInfo RunDescription Seed ServerOptimizer StepContext
StepResult Steps Strategy SuiteError SuiteLock SyncRule TensorSlice Threshold TrafficForecast Trigger UsageError
WorkloadError conclusion initial_round is_period_end load_results read_suite row_dots row_squared_norms run_suite
synchronize
"""
"""What this version exports. To remove or rename one of these breaks other people's programs."""


def test_the_exported_names_are_the_listed_ones() -> None:
    assert sorted(api.__all__) == NAMES.split()
    assert len(set(api.__all__)) == len(api.__all__)


@pytest.mark.parametrize("name", api.__all__)
def test_each_name_is_described_on_the_page(name: str) -> None:
    assert re.search(rf"^\| `{name}` \| \S", PAGE, re.MULTILINE)


def test_the_page_describes_no_other_name() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE)) == set(api.__all__)


@pytest.mark.parametrize("name", [name for name in api.__all__ if isinstance(getattr(api, name), type)])
def test_each_class_has_a_docstring_of_its_own(name: str) -> None:
    assert vars(getattr(api, name)).get("__doc__")


CALLBACKS = ("fdabench.own_loop.lightning_callback", "fdabench.own_loop.transformers_callback")
"""Public modules that import a trainer, so they cannot be part of `fdabench.api`."""


def blocks(path: Path) -> list[str]:
    text = path.read_text(encoding="utf-8")
    return [text] if path.suffix == ".py" else re.findall(r"^```python\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("path", [ROOT / "README.md", *(ROOT / "docs").glob("*.md"), *(ROOT / "examples").glob("*.py")])
def test_documents_and_examples_import_exported_names_only(path: Path) -> None:
    imports = [node for block in blocks(path) for node in ast.walk(ast.parse(block))]
    modules = {node.module for node in imports if isinstance(node, ast.ImportFrom) and node.module}
    modules |= {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    named = {
        alias.name
        for node in imports
        if isinstance(node, ast.ImportFrom) and node.module in ("fdabench", "fdabench.api")
        for alias in node.names
    }
    assert {module for module in modules if module.startswith("fdabench")} <= {"fdabench", "fdabench.api", *CALLBACKS}
    assert named <= {"api", *fdabench.__all__, *api.__all__}


def test_a_plugin_that_imports_it_needs_no_plotting_library() -> None:
    code = "import sys, fdabench.api; sys.exit(', '.join(sys.modules.keys() & {'matplotlib', 'scipy.stats', 'typer'}))"
    assert (
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False).stderr.strip() == ""
    )


def test_a_plugins_cells_depend_on_the_code_behind_the_names_that_it_uses() -> None:
    suite = read_suite(ROOT / "examples" / "kamp.toml")
    cell = next(cell for cell in suite.cells if cell.config.strategy.kind == "kamp")
    hashed = code_hashes(cell.config, suite.registry)
    assert {"core/row_sums.py", "core/channel.py", "core/strategy.py", "servers/average.py"} <= hashed.keys()
    assert "api.py" not in hashed


PROGRAM = """
from fdabench.api import CellFinished, FdabenchError, conclusion, load_results, run_suite

if __name__ == "__main__":
    seen = []
    results = run_suite("tiny.toml", out="out", jobs=2, on_event=seen.append, overrides=["budget.steps=6"])
    print(sorted(event.record.state for event in seen if isinstance(event, CellFinished)))
    again = run_suite("tiny.toml", out="out", overrides=["budget.steps=6"], on_event=seen.append)
    print(len([event for event in seen if isinstance(event, CellFinished)]), again.runs.equals(results.runs))
    print(load_results("out").runs["steps"].tolist())
    print(conclusion(again).splitlines()[0])
    try:
        run_suite("absent.toml")
    except FdabenchError as error:
        print(error)
"""


@pytest.mark.slow
def test_a_program_runs_a_suite_and_reads_its_results(tmp_path: Path) -> None:
    (tmp_path / "tiny.toml").write_text(
        digits_suite(
            [SYNCHRONOUS, 'kind = "fedavg"\nlocal_steps = 3'], name="tiny", steps=9, every_steps=3, targets=[0.1]
        )
    )
    (tmp_path / "program.py").write_text(PROGRAM)
    done = subprocess.run(
        [sys.executable, "program.py"], cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr
    states, count, steps, first, error = done.stdout.splitlines()
    assert states == "['done', 'done']"
    assert count == "2 True"
    assert steps == "[6, 6]"
    assert first.startswith("10 %: ")
    assert "absent.toml" in error
