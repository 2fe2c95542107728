"""The documents agree with the code: commands, suites, files, columns, and the strategy in 30 lines."""

import json
import re
import shlex
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import typer
from typer.testing import CliRunner

from fdabench.accounting.costs import CONVENTIONS
from fdabench.cli.commands.runs.run import SOME_FAILED
from fdabench.cli.exit_codes import BUG, INTERRUPTED, OUT_OF_TIME, TERMINATED
from fdabench.cli.main import app
from fdabench.codecs import CODECS
from fdabench.corrections import CORRECTIONS
from fdabench.datasets import DATASETS
from fdabench.errors import NotComparedError
from fdabench.models import MODELS
from fdabench.monitors import MONITORS
from fdabench.partitions import PARTITIONS
from fdabench.registry.plugin_checks import ROLES
from fdabench.results.cell_record import FAILURE_STATES, PENDING_STATES, SUCCESS_STATES
from fdabench.results.folder import TABLES
from fdabench.results.schema import HITS, OPTIONAL_COLUMNS, RUNS
from fdabench.servers import SERVERS
from fdabench.strategies import STRATEGIES
from fdabench.suite.gate_settings import GateSettings, Limit
from fdabench.suite.reader import read_suite
from fdabench.suite.schema import Exclude, StrategyOptions, Suite, Workload
from fdabench.triggers import TRIGGERS

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
SUITES = (ROOT / "docs" / "suites.md").read_text(encoding="utf-8")
RESULTS_PAGE = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
CI_PAGE = (ROOT / "docs" / "ci.md").read_text(encoding="utf-8")
RUNS_PAGE = (ROOT / "docs" / "runs.md").read_text(encoding="utf-8")
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *(path.relative_to(ROOT).as_posix() for path in sorted((ROOT / "docs").rglob("*.md"))),
)
COMMANDS: dict[str, Any] = typer.main.get_command(app).commands  # type: ignore[attr-defined]


METHODS_PAGE = (ROOT / "docs" / "methods.md").read_text(encoding="utf-8")


def blocks(text: str, language: str) -> list[str]:
    """The fenced blocks of a language."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def test_every_method_has_a_row_with_its_checks() -> None:
    table = METHODS_PAGE[METHODS_PAGE.index("| strategy | when |") :].partition("\n\n")[0].splitlines()
    title, _, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in table)
    assert all(len(row) == len(title) for row in rows)
    named = [name for row in rows for name in re.findall(r"`([\w-]+)`", row[0])]
    assert sorted({*named} & STRATEGIES.keys()) == sorted(STRATEGIES)
    assert all(row[title.index("checked here, and what came out")] for row in rows)


@pytest.mark.parametrize("registry", [TRIGGERS, SERVERS, CODECS, CORRECTIONS])
def test_every_part_of_a_method_is_on_the_page_of_methods(registry: Mapping[str, object]) -> None:
    assert [kind for kind in registry if f"`{kind}`" not in METHODS_PAGE] == []


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_every_command_is_in_the_readme(command: str) -> None:
    assert re.search(rf"^fdabench {command} ", README, re.MULTILINE)


def test_every_command_that_the_documents_call_exists() -> None:
    for name in DOCUMENTS:
        called = re.findall(
            r"(?:^|[`&|] ?)fdabench ([a-z]+)\b", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE
        )
        assert set(called) <= set(COMMANDS), name


def test_every_option_that_the_documents_name_exists() -> None:
    called = [*COMMANDS.values(), *COMMANDS["baseline"].commands.values()]
    reference = {option for command in called for parameter in command.params for option in parameter.opts}
    reference |= {"--install-completion"}  # typer's own, of fdabench itself
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README.split("## Two commands")[1] + SUITES + CI_PAGE))
    assert {"--set", "--data-dir"} <= named <= reference


def steps_of(workflow: str) -> list[str]:
    """The shell lines of a GitHub or GitLab workflow."""
    return re.findall(r"^ +(?:- )?(?:run: )?((?:pip|fdabench) .*)$", workflow, re.MULTILINE)


@pytest.fixture
def own_repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with the files of docs/ci.md: the plug-in of the examples and the suite of the page."""
    (suite,) = [text for text in blocks(CI_PAGE, "toml") if text.startswith("# gate.toml")]
    (tmp_path / "gate.toml").write_text(suite, encoding="utf-8")
    (tmp_path / "kamp.py").write_text((ROOT / "examples" / "kamp.py").read_text(encoding="utf-8"), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize("host", ["GitHub Actions", "GitLab CI"])
def test_the_commands_of_a_workflow_parse_and_name_existing_files(host: str, own_repository: Path) -> None:
    (own_repository / "baseline.toml").write_text("")
    (workflow,) = blocks(CI_PAGE.split(f"## {host}")[1].split("\n## ")[0], "yaml")
    install, *steps = [shlex.split(re.split(r" > | \|\| ", line)[0]) for line in steps_of(workflow)]
    assert install == ["pip", "install", "-c", "constraints.txt", "fdabench @ $FDABENCH"]
    assert [step[:2] for step in steps] == [["fdabench", "run"], ["fdabench", "check"]]
    for _, name, *arguments in steps:
        COMMANDS[name].make_context(name, arguments)
    run, check = steps
    assert run[run.index("-o") + 1] == check[2], "what is run is checked"
    assert all(Path(word).is_file() for step in steps for word in step if word.endswith(".toml"))


@pytest.mark.slow
@pytest.mark.usefixtures("own_repository")
def test_the_gate_of_another_repository_works_as_documented() -> None:
    """Each command of the page in turn; then `accept` finds nothing, as nothing changed."""
    (commands,) = [text for text in blocks(CI_PAGE, "sh") if text.startswith("fdabench run")]
    output = []
    for line in commands.splitlines():
        done = CliRunner().invoke(app, shlex.split(line, comments=True)[1:])
        assert done.exit_code == 0, line + done.output
        output.append(done.stdout.splitlines()[-1])
    assert output[1] == "baseline.toml: 12 runs of gate; commit this file"
    assert output[3] == "gate against baseline.toml: 12 runs compared: pass"
    assert output[4] == "baseline.toml: no value differs; the file is unchanged"


def test_every_suite_that_the_readme_runs_exists_and_is_valid() -> None:
    paths = set(re.findall(r"(?:suites|examples)/[\w/.-]+\.toml", README))
    assert "suites/quickstart.toml" in paths
    assert all((ROOT / path).is_file() for path in paths)
    # one needs text that .ci/get-data brings, the other its results; tests/suite/test_grid.py reads both
    with_inputs = {"suites/pretrain.toml", "suites/finetune.toml"}
    assert all(read_suite(ROOT / path).cells for path in paths - with_inputs)


def test_the_readme_names_every_component() -> None:
    table = README.split("## What there is")[1].split("##")[0]
    for kinds in (STRATEGIES, MONITORS, SERVERS, DATASETS, MODELS, PARTITIONS, CONVENTIONS):
        assert {kind for kind in kinds if f"`{kind}`" not in table} == set()


def test_the_documents_list_every_exit_code() -> None:
    text = README.split("Exit codes:")[1].split("\n\n")[0]
    gate = {1, NotComparedError.exit_code}
    runs = {0, 2, SOME_FAILED, BUG, OUT_OF_TIME, INTERRUPTED, TERMINATED}
    assert {int(code) for code in re.findall(r"\b\d+\b", text)} == runs | gate
    pages = ((RUNS_PAGE.split("## Exit codes")[1], runs), (CI_PAGE.split("| exit code |")[1], {0, 2, *gate}))
    for page, codes in pages:
        assert {int(code) for code in re.findall(r"^\| (\d+) \|", page.split("\n\n## ")[0], re.MULTILINE)} == codes


@pytest.mark.parametrize("name", DOCUMENTS)
def test_links_within_the_repository_have_targets(name: str) -> None:
    links = re.findall(r"\]\((?!https?://|#|mailto:)([^)#]+)", (ROOT / name).read_text(encoding="utf-8"))
    assert [link for link in links if not ((ROOT / name).parent / link).exists()] == []


def test_the_suite_in_the_documentation_is_valid_and_has_every_key(tmp_path: Path) -> None:
    text = blocks(SUITES, "toml")[0]
    path = tmp_path / "suite.toml"
    path.write_text(re.sub(r"^(extends|plugins).*\n", "", text, flags=re.MULTILINE), encoding="utf-8")
    assert len(read_suite(path).cells) > 10
    tables = tomllib.loads(text)
    assert set(tables) == {*Suite.model_fields, "extends"}
    # speeds is a comment there, because it does not go with participation
    (workload,) = tomllib.loads(text.replace("\n# speeds =", "\nspeeds ="))["workload"]
    assert set(workload) == set(Workload.model_fields)
    assert set(tables["workload"][0]) == set(Workload.model_fields) - {"speeds"}
    shown = {key for table in tables["strategy"] for key in table}
    assert set(StrategyOptions.model_fields) <= shown
    assert all(f"`{key}`" in SUITES for key in Exclude.model_fields)
    assert set(tables["gate"]) == set(GateSettings.model_fields)
    assert set(tables["gate"]["limit"][0]) >= set(Limit.model_fields) - set(Exclude.model_fields)


@pytest.mark.parametrize("name", [*TABLES, "runs", "hits"])
def test_every_column_is_documented_with_its_unit(name: str) -> None:
    section = re.split(rf"^## {name}$", RESULTS_PAGE, flags=re.MULTILINE)[1].split("\n## ")[0]
    message = {}
    for line in section.splitlines():
        if line.startswith("| `"):
            column, kind, meaning = (part.strip() for part in line.replace("\\|", "/").strip("|").split(" | "))
            message[column.strip("`")] = (kind, re.split("[;/(]", meaning)[0].strip())
    schema = {**TABLES, "runs": RUNS, "hits": HITS}[name]
    schema = pa.schema([*schema, *OPTIONAL_COLUMNS.get(name, [])])
    for field in schema:
        kind, meaning = message.pop(field.name)
        assert kind == str(field.type), field.name
        assert meaning in field.metadata[b"unit"].decode().replace(" | ", " or "), field.name
    assert message == {}


def test_every_state_is_documented() -> None:
    assert [
        state for state in (*SUCCESS_STATES, *FAILURE_STATES, *PENDING_STATES) if f"`{state}`" not in RESULTS_PAGE
    ] == []


def test_a_strategy_in_30_lines_is_the_example() -> None:
    """The README's Python block, its suite's table and its output are those of `examples/`."""
    (block,) = [block for block in blocks(README, "python") if block.startswith("# examples/")]
    first, _, code = block.partition("\n")
    path = ROOT / first.removeprefix("# ")
    assert code == path.read_text(encoding="utf-8")
    assert len([line for line in code.splitlines() if line.strip() and not line.strip().startswith("#")]) <= 30
    (shown,) = [tomllib.loads(block) for block in blocks(README, "toml") if "plugins = " in block]
    suite = tomllib.loads(path.with_suffix(".toml").read_text(encoding="utf-8"))
    assert shown["plugins"] == suite["plugins"] == [path.name]
    assert shown["strategy"] == suite["strategy"][-1:]


@pytest.mark.slow
def test_the_examples_of_every_role_run_as_documented(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All blocks make one plug-in; with the suite of the page every cell is done, and bytes are as planned."""
    page = (ROOT / "docs" / "extend.md").read_text(encoding="utf-8")
    code = "\n".join(blocks(page, "python"))
    (suite,) = blocks(page, "toml")
    assert [role.variable for role in ROLES if f"\n{role.variable} = " not in code] == []
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(code, encoding="utf-8")
    Path("mine.toml").write_text(suite, encoding="utf-8")
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = rng.normal(size=(300, 2, 1, 1)) + 3 * np.stack([y == 1, y == 2], 1)[:, :, None, None]
    np.savez("blobs.npz", x=x.astype(np.float32), y=y)

    def called(*arguments: str) -> Any:
        result = CliRunner().invoke(app, list(arguments))
        assert result.exit_code == 0, result.output
        return result

    planned = json.loads(called("plan", "mine.toml", "--output-format", "json").stdout)
    assert [row["status"] for row in planned] == ["to run"] * len(tomllib.loads(suite)["strategy"])
    called("run", "mine.toml", "--jobs", "1", "--device", "cpu")
    runs = read_runs(Path("results/mine"))
    assert [run["state"] for run in runs] == ["done"] * len(planned)
    assert runs[0]["label"] == "post-local"
    assert runs[-1]["label"] == "BlocksFDA clipped fp16 tightening"
    assert runs[0]["syncs"] == 5 + 4
    assert all(run["final_accuracy"] > 0.8 for run in runs)
    np.savez("blobs.npz", x=x.astype(np.float32), y=y[::-1].copy())
    assert f"{len(planned)} stale: data of blobs changed" in called("plan", "mine.toml").stdout


def read_runs(root: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = pd.read_parquet(root / "runs.parquet").to_dict("records")
    return rows
