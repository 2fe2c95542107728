"""Every command of fdabench on a page is executed: by this module, with a small budget, or by the test that is named.

The commands in `ONLY_PARSED` need data, packages, machines or minutes that a test does not have. Of these, the command,
its options and its arguments are checked. So are the options of incomplete commands in running text.
"""

import re
import shlex
import shutil
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner

from fdabench.cli.main import app
from support.digits_results import SIX, Suite, write
from support.own_data import enlarged_digits, write_parquet

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
SHELLS = ("sh", "bash", "console", "text", "")
"""Languages of the fenced blocks that contain command lines."""
USAGE_ERROR: type[Any] = typer.BadParameter.__mro__[1]
"""The base class of the errors of a command line; typer exports only this subclass of it."""
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]
SMALL = "--set budget.steps=20 --set eval.every_steps=10 --seeds 0..0 --jobs 1 --device cpu -q -k 'iid and LinearFDA'"
EXECUTED_ELSEWHERE = {
    ("tutorial.md", ""): "tests/site/test_tutorial.py",
    ("ci.md", "gate"): "tests/test_docs.py",
    ("own-loop.md", "own-loop"): "tests/own_loop/test_example.py",
    ("own-loop.md", "examples/own_loop/digits.toml"): "tests/own_loop/test_example.py",
    ("clusters.md", '"$@"'): "tests/cli/results/test_merge.py",
    ("clusters.md", "joined"): "tests/cli/results/test_merge.py",
    ("distributed.md", "--engine distributed"): "tests/distributed/test_program.py",
    ("models.md", "inspect --model"): "tests/models/test_models_page.py",
    ("results.md", "--log-to tensorboard"): "tests/export/test_live.py",
}
"""Page and a part of the command, and the test that executes it."""
ONLY_PARSED = {
    "--executor ray": "needs the package ray and a cluster",
    "suites/tuning/": "needs CIFAR-10 or a GPU, and hours",
    "suites/paper/": "needs MNIST and hours",
    "suites/shakespeare.toml": "trains a GPT for an hour",
    "suites/study/": "takes hours, and needs CIFAR-10 or trains a GPT",
    "suites/pretrain.toml": "needs text that .ci/get-data downloads",
    "suites/participation.toml": "trains a GPT for an hour",
    "report results/schedules": "needs the results of suites/schedules.toml",
    "report results/paper-mnist-lenet5-small": "needs the results of suites/paper/mnist-lenet5-small.toml",
    "report results/fleets": "draws for ten seconds; the report of docs/fleets.md is drawn in its place",
    "report reports/study/cifar10.tar.xz": "draws 315 cells for half a minute",
    "--published": "needs results of a model of the FDA paper",
    "baseline accept DIR/results": "needs the results of .ci/suite",
    "parameters=7e9 --results": "needs results of the suite; tests/planning/test_extrapolate.py has them",
}
"""A part of the command, and why it is not executed."""
ONCE = ("run", "report")
"""Commands that take seconds: if several pages show the same one, it is executed for the first of them."""
PLACEHOLDERS = {
    r"\$@": "suites/quickstart.toml",
    r"\$\{\w+:-(\d+)\}": r"\1",
    r"\bSUITE(\.toml)?\b": "suites/quickstart.toml",
    r"\bRESULTS\b(\.{3})?": "results/quickstart",
    r"\bID\b": "LinearFDA iid s0",
    r"\bWORDS\b": "LinearFDA iid s0",
    r"\bFILE\b": "saved.toml",
    r"\bFOLDER\b": "results/folder",
    r"\bPATH\b": "femnist.parquet",
    r"\bNEW\b|\bOLD\b": "results/quickstart",
    r"\bI/N\b": "1/1",
    r"\bI\b": "1",
    r"\bN\b": "1",
    r"(?<=compare )A B": "first/quickstart first/quickstart",
    r"(?<= )A B(\.{3})?": "first/quickstart second/quickstart",
    r"\bC\b": "results/joined",
}


def blocks(path: Path) -> list[tuple[str, str]]:
    """Language and text of the fenced blocks of a page."""
    return re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)


def block_commands(path: Path) -> list[str]:
    """The commands of fdabench in the blocks of a page, without comments, pipes and redirections.

    A line such as `fdabench merge A B -o C    merge the results` of the overview in README.md is a synopsis and is left
    out: it has two spaces where the description begins.
    """
    text = "\n".join(text for language, text in blocks(path) if language in SHELLS)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    parts = [part.strip().removeprefix("$ ") for line in lines for part in re.split(r"&&|\|\||[|;>]| #", line)]
    return [part for part in parts if re.match(r"fdabench [a-z]+ +[^ ]", part) and "  " not in part]


def inline_commands(path: Path) -> list[str]:
    """The commands of fdabench with at least one argument in the code spans of a page."""
    text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
    return [
        " ".join(part.split())
        for span in re.findall(r"`(fdabench [a-z]+ [^`]+)`", text)
        for part in re.split(r"&&|[|;>]", span)
    ]


def commands_of(page: Path) -> list[str]:
    """The commands of a page, each once."""
    return list(dict.fromkeys([*block_commands(page), *inline_commands(page)]))


def with_values(command: str) -> list[str]:
    """The arguments of a command, with files of the test in place of words such as SUITE."""
    for placeholder, value in PLACEHOLDERS.items():
        command = re.sub(placeholder, value, command)
    return shlex.split(command)[1:]


def is_complete(arguments: list[str]) -> bool:
    """Parse the arguments; False where a value is missing, as in `fdabench plan --extrapolate` in running text.

    Raises:
        USAGE_ERROR: the command has no such option, or a value is not allowed.
    """
    name, *rest = arguments
    command = COMMANDS[name]
    if name == "baseline":
        command, rest = command.commands[rest[0]], rest[1:]
    try:
        command.make_context(name, rest)
    except USAGE_ERROR as error:
        if type(error).__name__ == "MissingParameter" or "requires an argument" in error.message:
            return False
        raise
    return True


def executing_test(page: str, command: str) -> str:
    """The test that executes a command of a page; empty if none does."""
    tests = (test for (name, part), test in EXECUTED_ELSEWHERE.items() if name == page and part in command)
    return next(tests, "")


WITH_COMMANDS = [page for page in PAGES if commands_of(page)]


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the files that the pages name: suites, examples, results, a baseline, a fleet, a table."""
    folder = tmp_path_factory.mktemp("inputs")
    for name in ("suites", "examples"):
        (folder / name).symlink_to(ROOT / name)
    pretended = {"partitions": ({"kind": "iid"},), "targets": (0.9,)}
    write(folder / "results" / "quickstart", Suite(SIX, seeds=(0, 1), **pretended))
    for seed, name in enumerate(("first", "second")):
        write(folder / name / "quickstart", Suite(SIX[:2], seeds=(seed,), **pretended))
    write_parquet(folder, enlarged_digits(40, 10))
    (folder / "train.parquet").rename(folder / "femnist.parquet")
    (fleet,) = re.findall(
        r"^```toml\n(\[\[fleet\]\].*?)^```$", (ROOT / "docs/fleets.md").read_text("utf-8"), re.M | re.S
    )
    (folder / "my-fleet.toml").write_text(fleet, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def executed() -> set[str]:
    """The commands of `ONCE` that a page has executed."""
    return set()


@pytest.mark.slow
@pytest.mark.parametrize("page", WITH_COMMANDS, ids=[page.name for page in WITH_COMMANDS])
def test_the_commands_of_a_page_run(
    page: Path, inputs: Path, executed: set[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = shutil.copytree(inputs, tmp_path / "work", symlinks=True)
    monkeypatch.chdir(work)
    if page.name == "ci.md":
        CliRunner().invoke(app, shlex.split("baseline save results/quickstart -o baseline.toml"))
    if page.name == "extrapolation.md":
        # `plan --extrapolate` reads the results of the suite if there are any, and these are of other cells
        shutil.rmtree(work / "results")
    for command in commands_of(page):
        elsewhere, arguments = executing_test(page.name, command), with_values(command)
        if elsewhere or not is_complete(arguments) or any(part in command for part in ONLY_PARSED):
            continue
        if arguments[0] in ONCE:
            if shlex.join(arguments) in executed:
                continue
            executed.add(shlex.join(arguments))
        if arguments[0] == "run":
            arguments += shlex.split(SMALL)
        done = CliRunner().invoke(app, arguments)
        assert done.exit_code == 0, f"{page.name}: {command}\n{done.output}"


@pytest.mark.parametrize("page", WITH_COMMANDS, ids=[page.name for page in WITH_COMMANDS])
def test_the_options_of_the_commands_of_a_page_exist(page: Path) -> None:
    for command in commands_of(page):
        try:
            is_complete(with_values(command))
        except USAGE_ERROR as error:
            pytest.fail(f"{page.name}: {command}: {error.format_message()}")


def test_no_entry_of_the_lists_is_left_over() -> None:
    shown = [(page.name, command) for page in WITH_COMMANDS for command in commands_of(page)]
    assert [part for part in ONLY_PARSED if not any(part in command for _, command in shown)] == []
    assert [
        (name, part) for name, part in EXECUTED_ELSEWHERE if not any(name == page and part in c for page, c in shown)
    ] == []
    assert [test for test in EXECUTED_ELSEWHERE.values() if not (ROOT / test).is_file()] == []


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("fdabench run SUITE --job 4", "No such option: --job"),
        ("fdabench plan SUITE --out-put x", "No such option: --out-put"),
        ("fdabench run SUITE --jobs many", "unable to parse string as an integer"),
    ],
)
def test_an_option_that_does_not_exist_is_found(command: str, message: str) -> None:
    with pytest.raises(USAGE_ERROR) as caught:
        is_complete(with_values(command))
    assert message in caught.value.format_message()
