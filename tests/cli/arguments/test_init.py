"""`fdabench init`: for any options and answers the suite is valid, or nothing is written."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fdabench.cli.commands.runs.init import STRATEGIES, WORKLOADS, Answers, ask, split_names, suite_text
from fdabench.registry.registry import BUILT_IN
from fdabench.suite.reader import LoadedSuite, read_suite

InProcess = Callable[..., Any]


def _read(tmp_path: Path, answers: Answers) -> LoadedSuite:
    path = tmp_path / "suite.toml"
    path.write_text(suite_text(answers), encoding="utf-8")
    return read_suite(path)


def test_every_built_in_data_set_has_a_workload() -> None:
    assert WORKLOADS.keys() == BUILT_IN.datasets.keys()


@pytest.mark.parametrize("dataset", WORKLOADS)
@pytest.mark.parametrize("workers", [None, 1, 12])
def test_every_data_set_gives_a_valid_suite(dataset: str, workers: int | None, tmp_path: Path) -> None:
    suite = _read(tmp_path, Answers(dataset=dataset, workers=workers))
    assert {cell.config.dataset for cell in suite.cells} == {dataset}
    assert {cell.config.workers for cell in suite.cells} == {workers or 4}
    assert {cell.config.strategy.kind for cell in suite.cells} == set(STRATEGIES)
    assert len(suite.suite.eval.targets) == 2


@pytest.mark.parametrize("kind", BUILT_IN.strategies)
@pytest.mark.parametrize("dataset", ["digits", "shakespeare"])
def test_every_strategy_gives_a_valid_suite_alone_and_with_others(kind: str, dataset: str, tmp_path: Path) -> None:
    alone = _read(tmp_path, Answers(dataset=dataset, strategies=(kind,)))
    assert {cell.config.strategy.kind for cell in alone.cells} == {kind}
    others = tuple({kind: None, "ddp": None, "fda": None})
    assert {cell.config.strategy.kind for cell in _read(tmp_path, Answers(strategies=others)).cells} == set(others)


def test_the_documented_command_writes_a_valid_suite(here: InProcess) -> None:
    options = ("--workload", "mnist", "--strategies", "fda, fedavg", "--workers", "8", "-o", "own.toml")
    result = here("init", *options)
    assert (result.exit_code, result.stdout) == (0, "own.toml: written; next: fdabench run own.toml\n")
    assert here("validate", "own.toml").stdout == "own.toml: valid; 8 cells = 2 strategies x 2 workloads x 2 seeds\n"


@pytest.mark.parametrize(
    ("options", "messages"),
    [
        (
            ["--workload", "mnits", "--model", "lenet", "--strategies", "fdaa,fda,fda"],
            [
                "--workload: 'mnits' is unknown",
                'did you mean "mnist"?',
                "--model: 'lenet' is unknown",
                "--strategies: 'fdaa' is unknown",
                "'fda' is given twice",
            ],
        ),
        (
            ["--workload", "mnist", "--model", "gpt-nano"],
            ["init: workload.0.model: gpt-nano is a model for next-token"],
        ),
        (["--workers", "0"], ["--workers"]),
        (["one.toml", "-o", "two.toml"], ["one.toml and -o two.toml are both given"]),
    ],
)
def test_options_without_a_valid_suite_are_refused_and_nothing_is_written(
    options: list[str], messages: list[str], here: InProcess
) -> None:
    result = here("init", *options)
    assert result.exit_code == 2
    for message in messages:
        assert message in result.stderr
    assert list(Path().glob("*.toml")) == [Path("tiny.toml")]


def test_questions_have_defaults_and_skip_given_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("\n\n\n\n"))
    assert ask(Answers()) == Answers("digits", "mlp", STRATEGIES, 4)
    monkeypatch.setattr("sys.stdin", io.StringIO("shakespeare\n\nfda, gm\n6\n"))
    answers = ask(Answers())
    assert answers == Answers("shakespeare", "gpt-nano", ("fda", "gm"), 6)
    assert {cell.config.model for cell in _read(tmp_path, answers).cells} == {"gpt-nano"}
    monkeypatch.setattr("sys.stdin", io.StringIO("3\n"))
    assert ask(Answers("mnist", "cnn", ("ddp",))) == Answers("mnist", "cnn", ("ddp",), 3)


def test_names_are_split_at_commas() -> None:
    assert split_names(" fda,fedavg , gm,") == ("fda", "fedavg", "gm")
    assert split_names("") == ()
