"""`fdabench doctor`: it reports what is installed and what is missing, and computes numbers twice."""

import json
from importlib import metadata
from typing import Any

import pytest
import torch
from torch import Tensor
from typer.testing import CliRunner

from fdabench.cli.commands.reference import doctor as cli_doctor
from fdabench.cli.main import app
from fdabench.core.row_sums import row_squared_norms
from fdabench.datasets import DATASETS
from fdabench.errors import SuiteError
from fdabench.gate.baseline.keys import environment_class
from fdabench.planning import doctor
from fdabench.planning.placement import ONE_SAMPLE, differing_offsets


@pytest.fixture(scope="module")
def findings(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], str]:
    """The output of the command in a folder without data, by kind and name; the number of threads is not changed."""
    empty, threads = tmp_path_factory.mktemp("nothing"), torch.get_num_threads()
    result = CliRunner().invoke(app, ["doctor", "--data-dir", str(empty), "--output-format", "json"])
    assert result.exit_code == 0, result.output
    assert torch.get_num_threads() == threads
    return {(row["kind"], row["name"]): row["result"] for row in json.loads(result.stdout)}


def test_versions_are_those_that_are_installed(findings: dict[tuple[str, str], str]) -> None:
    for name in ("torch", "torchvision", "numpy"):
        assert findings["version", name] == metadata.version(name)


def test_every_data_set_is_reported_as_found_or_missing(findings: dict[tuple[str, str], str]) -> None:
    assert [name for kind, name in findings if kind == "data"] == list(DATASETS)
    assert findings["data", "digits"] == "comes with scikit-learn"
    assert findings["data", "cifar100"].startswith("not found under ")


def test_two_runs_on_a_cpu_have_equal_numbers(findings: dict[tuple[str, str], str]) -> None:
    assert findings["same numbers", "twice, cpu"] == "yes, to the last bit"


def test_differing_numbers_are_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    arguments = iter([{"evals": "1", "rounds": "2"}, {"evals": "1", "rounds": "3"}])
    monkeypatch.setattr(doctor, "_numbers", lambda device, threads: next(arguments))
    monkeypatch.setattr(doctor, "usable_cores", lambda: 1)
    monkeypatch.setattr(doctor, "sums", dict)
    assert [finding.result for finding in doctor.determinism()] == ["no, not in rounds", "yes, to the last bit"]


def test_sums_do_not_depend_on_the_memory_address(findings: dict[tuple[str, str], str]) -> None:
    """A batch of one sample is torch's own product of a matrix and a vector: doctor names it where it differs."""
    actual = findings["same numbers", "anywhere in memory"]
    assert actual in ("yes, to the last bit", f"no, not in {ONE_SAMPLE}")


def test_a_sum_that_depends_on_alignment_is_reported() -> None:
    """As MKL's sdot does on some processors: what comes before it is added last."""

    def peeled(x_KD: Tensor) -> Tensor:
        before = (-x_KD.data_ptr() // 4) % 4
        return x_KD[0, before:].cumsum(0)[-1] + x_KD[0, :before].sum()

    assert differing_offsets({"peeled": peeled, "norms": row_squared_norms}) == ["peeled"]


def test_different_numbers_with_more_threads_are_reported_as_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_numbers", lambda device, threads: {"evals": str(threads)})
    monkeypatch.setattr(doctor, "usable_cores", lambda: 2)
    *_, last = doctor.determinism()
    assert last.name == "1 and 2 threads"
    assert last.result == "no, not in evals (expected; keep --threads the same)"


@pytest.mark.parametrize("name", ["MKL_CBWR", "OPENBLAS_CORETYPE"])
def test_another_code_path_of_the_blas_is_another_environment_class(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The library reads such a variable when it is loaded, so it belongs to a process as its threads do."""
    monkeypatch.delenv(name, raising=False)
    usual = environment_class(doctor.current_environment(torch.device("cpu")))
    monkeypatch.setenv(name, "AVX2")
    other = environment_class(doctor.current_environment(torch.device("cpu")))
    assert other == usual | {"blas": f"{usual['blas']}, {name}=AVX2"}


def test_the_compared_tables_contain_syncs_and_estimates() -> None:
    """The numbers have every table, and syncs of each kind of strategy in them."""
    numbers = doctor._numbers(torch.device("cpu"), 1)
    assert set(numbers) >= {"evals", "ledger", "rounds", "trace"}
    assert numbers["rounds"].count('"step"') > 30
    assert numbers["trace"].count('"estimate"') > 10


def test_the_environment_class_is_that_of_a_run_with_one_thread(findings: dict[tuple[str, str], str]) -> None:
    assert f"torch {torch.__version__}, " in findings["class", "environment"]
    assert "threads 1, " in findings["class", "environment"]


def test_a_broken_installed_plugin_is_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(path: object) -> Any:
        raise SuiteError("installed plug-ins", ["kamp 1.0: no such module"])

    monkeypatch.setattr(cli_doctor, "read_registry", broken)
    monkeypatch.setattr(cli_doctor, "determinism", lambda: iter(()))
    result = CliRunner().invoke(app, ["doctor", "--output-format", "json"])
    assert result.exit_code == 0, result.output
    (finding,) = [row for row in json.loads(result.stdout) if row["kind"] == "plug-in"]
    assert "kamp 1.0: no such module" in finding["result"]
