"""`action.yml`: valid by the schema of GitHub, and its steps run a suite and compare the results."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from support.suites import SYNCHRONOUS, digits_suite

yaml = pytest.importorskip("yaml")
ROOT = Path(__file__).parents[2]
ACTION = yaml.safe_load((ROOT / "action.yml").read_text(encoding="utf-8"))


def run_step(name: str, folder: Path, **environment: str) -> int:
    """Run the shell script of a step in a folder as GitHub does, and return its exit code."""
    (step,) = [step for step in ACTION["runs"]["steps"] if step.get("name") == name]
    assert environment.keys() == step["env"].keys()
    files = {variable: str(folder / variable.lower()) for variable in ("GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY")}
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = ["bash", "--noprofile", "--norc", "-e", "-o", "pipefail", "-c", step["run"]]
    return subprocess.run(
        script, cwd=folder, env={**os.environ, **environment, **files, "PATH": path}, check=False, timeout=240
    ).returncode


def test_the_action_is_valid_by_the_schema_of_github() -> None:
    pytest.importorskip("check_jsonschema")
    command = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.github-actions", "action.yml"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_no_script_of_the_action_contains_a_template_expression() -> None:
    comment = yaml.safe_load((ROOT / "comment" / "action.yml").read_text(encoding="utf-8"))
    steps = [*ACTION["runs"]["steps"], *comment["runs"]["steps"]]
    scripts = [step["run"] for step in steps if "run" in step]
    assert len(scripts) == 5
    assert not any("${{" in script for script in scripts)  # an input could then run commands


@pytest.mark.slow
def test_the_steps_run_a_suite_and_compare_it(tmp_path: Path) -> None:
    (tmp_path / "gate.toml").write_text(
        digits_suite([SYNCHRONOUS], name="gate", steps=6, every_steps=3, targets=[0.1]), encoding="utf-8"
    )
    assert run_step("Run the suite", tmp_path, SUITE="gate.toml", RESULTS="out") == 0
    compare = {"BASELINE": "baseline.toml", "RESULTS": "out"}
    assert run_step("Compare with the baseline", tmp_path, **compare) == 4
    comment = {**compare, "FOLDER": str(tmp_path / "kept")}
    assert run_step("Write the comment", tmp_path, **comment) == 0
    stored = tmp_path / "kept" / "comment.md"
    text = stored.read_text(encoding="utf-8")
    assert text.startswith("### fdabench: not compared\n\n~~~~~~text\nfdabench: baseline.toml: this file does not")
    save = [sys.executable, "-m", "fdabench", "baseline", "save", "out", "-o", "baseline.toml"]
    subprocess.run(save, cwd=tmp_path, check=True, capture_output=True)
    assert run_step("Compare with the baseline", tmp_path, **compare) == 0
    assert (tmp_path / "github_output").read_text(encoding="utf-8").splitlines() == ["exit-code=4", "exit-code=0"]
    assert (tmp_path / "github_step_summary").stat().st_size > 0
    assert run_step("Write the comment", tmp_path, **comment) == 0
    assert stored.read_text(encoding="utf-8").startswith("### fdabench: 1 run compared: pass\n")
    assert stored.read_text(encoding="utf-8").endswith("<!-- fdabench check: unchanged -->\n")
