"""Shell completion: called by environment variables as bash, zsh and fish do, and by bash with the printed script."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fdabench.cli.arguments.completion import built_in_names
from fdabench.cli.arguments.shipped_suites import shipped_suites
from fdabench.cli.main import ListArgument, app
from fdabench.datasets import DATASETS
from fdabench.models import MODELS
from fdabench.strategies import STRATEGIES

InProcess = Callable[..., Any]
Complete = Callable[[str], list[str]]
PROGRAM = Path(sys.executable).with_name("fdabench")
LOCK = """\
[[cell]]
id = "0a1b2c3d4e"
label = "LinearFDA"
config = { seed = 0 }

[[cell]]
id = "0a9f8e7d6c"
label = "FedAvg"
config = { seed = 7 }
"""


def _ask(shell: str, words: str) -> list[str]:
    variables = {
        "bash": {"COMP_WORDS": words, "COMP_CWORD": str(words.count(" "))},
        "zsh": {"_TYPER_COMPLETE_ARGS": words},
        "fish": {"_TYPER_COMPLETE_ARGS": words, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    arguments = {"_FDABENCH_COMPLETE": f"complete_{shell}"} | variables
    result = CliRunner().invoke(app, [], prog_name="fdabench", env=arguments)
    assert result.exit_code == 0, result.output
    text = result.stdout.removeprefix("_arguments '*: :((").removesuffix("))'\n")
    return [line.split("\t")[0].split('":"')[0].strip('"') for line in text.splitlines() if line not in ("_files", "")]


@pytest.fixture(params=["bash", "zsh", "fish"])
def complete(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, here: InProcess) -> Complete:
    """Return the completions of a shell after the words of a line. The current folder has two results folders."""
    monkeypatch.setattr("shellingham.detect_shell", lambda: (request.param, f"/bin/{request.param}"))
    for folder in ("results/digits", "elsewhere/mine"):
        Path(folder).mkdir(parents=True)
        Path(folder, "suite.lock.toml").write_text(LOCK)
    Path("own.toml").write_text(
        '[[strategy]]\nkind = ["gm", "fda"]\n[[workload]]\npartition = { kind = "dirichlet" }\n'
    )
    return lambda words: _ask(request.param, words)


def test_names_parsed_from_the_source_equal_those_of_the_registry() -> None:
    assert built_in_names("strategies", "STRATEGIES") == list(STRATEGIES)
    assert built_in_names("datasets", "DATASETS") == list(DATASETS)
    assert built_in_names("models", "MODELS") == list(MODELS)
    assert built_in_names("models", "NOTHING") == []


def test_a_suite_is_a_file_a_folder_or_a_shipped_name(complete: Complete) -> None:
    for command in ("run", "plan", "validate", "cite"):
        assert complete(f"fdabench {command} qui") == ["quickstart"]
        assert complete(f"fdabench {command} o") == ["own.toml"]
    assert complete("fdabench run el") == ["elsewhere/"]
    assert set(complete("fdabench run ")) >= {"own.toml", "results/", *shipped_suites()}
    assert complete("fdabench run own.toml paper/mnist-vgg16star-s") == ["paper/mnist-vgg16star-small"]


def test_results_are_the_folders_with_a_lock(complete: Complete) -> None:
    for command in ("report", "status", "show", "compare", "export"):
        assert complete(f"fdabench {command} results/") == ["results/digits"]
        assert complete(f"fdabench {command} elsewhere/m") == ["elsewhere/mine"]


def test_cells_of_show_are_ids_labels_and_seeds(complete: Complete) -> None:
    assert complete("fdabench show results/digits 0a") == ["0a1b2c3d4e", "0a9f8e7d6c"]
    assert complete("fdabench show results/digits 0a9") == ["0a9f8e7d6c"]
    assert complete("fdabench show results/digits Lin") == ["LinearFDA"]
    assert complete("fdabench show results/digits s") == ["s0", "s7"]


def test_a_selection_has_the_components_of_the_suite(complete: Complete) -> None:
    assert complete("fdabench run own.toml -k d") == ["dirichlet"]
    assert complete("fdabench run own.toml -k ") == ["gm", "fda", "dirichlet"]
    assert "shakespeare" in complete("fdabench plan shakespeare -k sh")


def test_lists_are_completed(complete: Complete) -> None:
    assert complete("fdabench list su") == ["suites"]
    assert complete("fdabench list ") == [item.value for item in ListArgument]


def test_damaged_files_complete_nothing(complete: Complete) -> None:
    Path("results/digits/suite.lock.toml").write_text("cell = 3 =")
    assert complete("fdabench show results/digits 0a") == []
    Path("results/digits/suite.lock.toml").write_text("cell = [3, { id = 5 }]")
    assert complete("fdabench show results/digits 5") == ["5"]
    Path("own.toml").write_bytes(b"\xff")
    assert "fda" in complete("fdabench run own.toml -k f")


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
@pytest.mark.skipif(not PROGRAM.is_file(), reason="needs the program on disk, not only the package")
def test_bash_completes_with_the_script_that_the_program_prints(tmp_path: Path) -> None:
    line = f"""
eval "$(_FDABENCH_COMPLETE=source_bash '{PROGRAM}')"
COMP_WORDS=('{PROGRAM}' run qui) COMP_CWORD=2
PYTHONPROFILEIMPORTTIME=1 _fdabench_completion '{PROGRAM}'
printf '%s\\n' "${{COMPREPLY[@]}}"
"""
    done = subprocess.run(["bash", "--norc", "-c", line], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["quickstart"], done.stderr
    imported = {line.split("|")[-1].strip() for line in done.stderr.splitlines()}
    assert "fdabench.cli.main" in imported
    assert not imported & {"torch", "numpy", "pandas", "scipy", "matplotlib"}
