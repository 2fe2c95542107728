"""The output of each command in every format, and the exit of the program after an internal error."""

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
import typer

from fdabench import __version__
from fdabench.accounting.costs import CONVENTIONS
from fdabench.accounting.fleets import FLEETS
from fdabench.accounting.network_time import NETWORKS
from fdabench.cli.arguments.shipped_suites import shipped_suites
from fdabench.cli.main import app
from fdabench.codecs import CODECS
from fdabench.corrections import CORRECTIONS
from fdabench.datasets import DATASETS
from fdabench.datasets.formats import FORMATS
from fdabench.formatting import format_bytes
from fdabench.models import MODELS
from fdabench.models.sources import SOURCES
from fdabench.monitors import MONITORS
from fdabench.optimizers import OPTIMIZERS, SCHEDULES
from fdabench.partitions import PARTITIONS
from fdabench.results.folder import ResultsFolder
from fdabench.servers import SERVERS
from fdabench.strategies import STRATEGIES
from fdabench.triggers import TRIGGERS
from support.digits_results import make_record

InProcess = Callable[..., Any]
LISTED: dict[str, Any] = {
    "strategies": STRATEGIES,
    "monitors": MONITORS,
    "servers": SERVERS,
    "triggers": TRIGGERS,
    "codecs": CODECS,
    "corrections": CORRECTIONS,
    "optimizers": OPTIMIZERS,
    "schedules": SCHEDULES,
    "datasets": DATASETS,
    "formats": FORMATS,
    "models": MODELS,
    "sources": SOURCES,
    "partitions": PARTITIONS,
    "conventions": CONVENTIONS,
    "networks": NETWORKS,
    "fleets": FLEETS,
    "suites": shipped_suites(),
}
COMMANDS = sorted(typer.main.get_command(app).commands)  # type: ignore[attr-defined]


def test_the_version_is_printed(here: InProcess) -> None:
    result = here("--version")
    assert (result.exit_code, result.stdout) == (0, f"fdabench {__version__}\n")


def test_the_commands_are_exactly_the_listed_ones() -> None:
    look = ["compare", "report", "show", "status"]
    others = [
        "advise",
        "baseline",
        "check",
        "cite",
        "doctor",
        "export",
        "init",
        "inspect",
        "list",
        "merge",
        "plan",
        "run",
        "validate",
    ]
    assert sorted([*look, *others]) == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_and_option_has_help(here: InProcess, command: str) -> None:
    result = here(command, "--help")
    assert result.exit_code == 0
    assert re.search(r"\n +[A-Z][a-z]+ .*\.\n", result.stdout), "a sentence on what it does"
    described = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
    for parameter in described.params:
        assert parameter.param_type_name == "argument" or parameter.help, parameter.name


def test_without_a_command_the_help_is_shown(here: InProcess) -> None:
    output = here()
    assert all(f" {command} " in output.output for command in COMMANDS)


@pytest.mark.parametrize("what", LISTED)
def test_list_names_everything_in_the_registry(here: InProcess, what: str) -> None:
    result = here("list", what)
    assert result.exit_code == 0
    header, *rows = result.stdout.splitlines()
    assert header.split()[0] in ("kind", "name")
    assert [row.split()[0] for row in rows] == list(LISTED[what])


def test_list_of_an_unknown_kind_suggests_the_nearest_kind(here: InProcess) -> None:
    result = here("list", "strategy")
    assert result.exit_code == 2
    assert f"'strategy' is unknown; allowed: {', '.join(LISTED)}; did you mean \"strategies\"?" in result.stderr


@pytest.mark.parametrize("what", LISTED)
def test_list_gives_json_and_markdown(here: InProcess, what: str) -> None:
    rows = json.loads(here("list", what, "--output-format", "json").stdout)
    assert [next(iter(row.values())) for row in rows] == list(LISTED[what])
    lines = here("list", what, "--output-format", "markdown").stdout.splitlines()
    assert lines[1].replace(" ", "").strip("|").split("|") == ["---"] * len(rows[0])
    unescaped = [len(re.findall(r"(?<!\\)\|", line)) for line in lines]
    assert set(unescaped) == {len(rows[0]) + 1}
    assert len(lines) == len(rows) + 2


def test_list_states_the_syntax_of_each_key(here: InProcess) -> None:
    rows = {row["kind"]: row["keys"] for row in json.loads(here("list", "strategies", "--output-format=json").stdout)}
    parts = ["server = average", "codec (optional)", "feedback (optional)", "correction (optional)"]
    own = ["most (optional)", "lag (optional)", "last (optional)"]
    assert rows["fda"] == ["theta", "monitor", "every = 1", *parts, *own]
    assert rows["fedavg"] == ["local_steps | local_epochs", *parts]
    (sketch,) = [
        r for r in json.loads(here("list", "monitors", "--output-format=json").stdout) if r["kind"] == "sketch"
    ]
    assert sketch["keys"] == ["depth = 5", "width = 250"]


def test_list_shows_the_keys_of_each_kind_of_own_data_and_models(here: InProcess) -> None:
    formats, sources = (
        {row["kind"]: row for row in json.loads(here("list", what, "--output-format=json").stdout)}
        for what in ("formats", "sources")
    )
    for kind in FORMATS:
        assert "path" in formats[kind]["keys"], kind
    assert "owner (optional)" in formats["table"]["keys"]
    assert "context = 64" in formats["text"]["keys"]
    installs = {"torchvision": None, "timm": "fdabench[timm]", "hf": "fdabench[hf]"}
    assert {kind: row["install"] for kind, row in sources.items()} == installs
    assert sources["timm"]["keys"] == ["name", "weights (optional)"]


def test_list_gives_the_conventions_as_formulas(here: InProcess) -> None:
    rows = json.loads(here("list", "conventions", "--output-format", "json").stdout)
    assert [list(row.values()) for row in rows] == [
        ["paper", "2 K n", "2 K n", "K n"],
        ["star", "2 K n", "2 K n", "2 K n"],
        ["ring", "0", "2 (K - 1) n", "2 (K - 1) n"],
        ["upload", "0", "K n", "K n"],
    ]


def test_a_rich_table_has_the_text_of_a_plain_table(here: InProcess) -> None:
    assert set(here("list", "models").stdout.split()) <= set(
        here("list", "models", "--output-format", "rich").stdout.split()
    )


def test_plan_before_the_first_run_forecasts_the_bytes_of_every_cell(here: InProcess) -> None:
    result = here("plan", "tiny.toml")
    assert result.exit_code == 0
    header, synchronous, fda, everything, now = result.stdout.splitlines()
    assert header.split()[:3] == ["what", "seeds", "status"]
    assert "Synchronous | digits mlp | dirichlet(1) | K=2 b=32 " in synchronous
    # 51,466 parameters of 4 bytes, up and down for 2 workers: 823,456 bytes a sync; 30 syncs and the start
    assert re.search(r"to run +25\.5 MB$", synchronous)
    assert re.search(r"to run +824 kB to 25\.5 MB$", fda)
    assert everything == "total: 2 cells, 26.4 MB to 51.1 MB"
    assert re.fullmatch(r"0 done \| 2 to run: 26\.4 MB to 51\.1 MB, about [\d.]+ m?s with --jobs \d+", now)
    assert os.listdir(".") == ["tiny.toml"]


def test_plan_has_one_row_for_all_seeds_and_on_request_one_for_each_cell(here: InProcess) -> None:
    folded = here("plan", "tiny.toml", "--seeds", "0..2").stdout.splitlines()
    assert [re.split(" {2,}", line)[1:3] for line in folded[1:-2]] == [["3", "3 to run"]] * 2
    assert "s0" not in folded[1]
    every = here("plan", "tiny.toml", "--seeds", "0..2", "-v").stdout.splitlines()
    assert len(every) == 1 + 6 + 2
    assert every[-2] == folded[-2] == "total: 6 cells, 79.1 MB to 153 MB"
    assert re.match(r"[0-9a-f]{12}  Synchronous .* s0  to run", every[1])


@pytest.mark.slow
def test_plan_of_a_finished_run_shows_done(here: InProcess, finished: Any) -> None:
    result = here("plan", "tiny.toml", "-o", finished.results, "--output-format", "json")
    assert [(row["status"], row["why"]) for row in json.loads(result.stdout)] == [("done", "")] * 2
    assert "2 cells = 2 strategies x 1 workload x 1 seed" in result.stderr
    assert here("plan", "tiny.toml", "-o", finished.results).stdout.splitlines()[-1] == "2 done | 0 to run"


def test_plan_names_the_file_that_makes_a_cell_stale(here: InProcess, finished: Any) -> None:
    store, cell = ResultsFolder(Path("copy")), ResultsFolder(finished.results).read_lock().cell[1]
    record = ResultsFolder(finished.results).read_record(cell.id)
    assert record is not None
    store.write_record(record.with_changes({"code": {**record.code, "monitors/linear.py": "0" * 16}}))
    result = here("plan", "tiny.toml", "-o", "copy", "-k", "fda")
    assert "monitors/linear.py changed (0000000000000000 -> " in result.stdout
    assert "0 done | 1 stale: monitors/linear.py changed | 0 to run" in result.stdout
    rows = json.loads(here("plan", "tiny.toml", "-o", "copy", "-k", "fda", "--output-format", "json").stdout)
    now = record.code["monitors/linear.py"]
    assert [row["changed"] for row in rows] == [[{"what": "monitors/linear.py", "before": "0" * 16, "after": now}]]


def test_plan_applies_the_selection_of_cells_and_the_convention(here: InProcess) -> None:
    arguments = ["-k", "synchronous", "--seeds", "1,2", "--set", "accounting.convention=upload"]
    result = here("plan", "tiny.toml", *arguments, "--output-format", "json")
    # 30 uploads by 2 workers; the start is free
    assert [row["bytes_most"] for row in json.loads(result.stdout)] == [30 * 2 * 51_466 * 4] * 2
    assert [row["what"][-2:] for row in json.loads(result.stdout)] == ["s1", "s2"]


def test_status_counts_states(here: InProcess, finished: Any) -> None:
    result = here("status", finished.results)
    assert result.stdout.splitlines() == [
        "state  cells  which",
        "done   2      Synchronous, LinearFDA",
        "all    2      tiny",
    ]


def test_status_lists_failures_and_remaining_cells(here: InProcess, finished: Any) -> None:
    store, lock = ResultsFolder(Path("copy")), ResultsFolder(finished.results).read_lock()
    store.write_lock(lock)
    store.write_record(make_record(lock.cell[0].id, "failed"))
    rows = json.loads(here("status", "copy", "--output-format", "json").stdout)
    assert [(row["state"], row["cells"]) for row in rows] == [("failed", 1), ("pending", 1), ("all", 2)]


def test_show_finds_a_cell_by_the_start_of_its_id(here: InProcess, finished: Any) -> None:
    fda = ResultsFolder(finished.results).read_lock().cell[1]
    result = here("show", finished.results, fda.id[:6])
    assert result.exit_code == 0
    text = result.stdout
    title = "LinearFDA | digits mlp | dirichlet(1) | K=2 b=32 s0"
    assert text.startswith(f"{title}\n{fda.id}  LinearFDA  seed 0  done\n")
    for line in ("theta = 0.3", 'kind = "linear"', "num_parameters   51466"):
        assert line in text
    assert re.search(r"^state +30 +8 B$", text, re.MULTILINE)
    assert re.search(r"^initial +1 +205,864 B$", text, re.MULTILINE)
    assert all(re.search(rf"^{name} +[\d.]+ [kM]B$", text, re.MULTILINE) for name in CONVENTIONS)
    assert re.search(r"^\d+ syncs in 30 steps: at steps [\d, ]+\n\|.{60}\|\n0[ \d]+30$", text, re.MULTILINE)


def test_show_of_a_cell_that_never_ran_has_its_configuration(here: InProcess, finished: Any) -> None:
    lock = ResultsFolder(finished.results).read_lock()
    ResultsFolder(Path("copy")).write_lock(lock)
    result = here("show", "copy", lock.cell[0].id)
    assert result.exit_code == 0
    assert f"\n{lock.cell[0].id}  Synchronous  seed 0  pending\n" in result.stdout
    assert 'kind = "synchronous"' in result.stdout


def test_show_refuses_a_text_that_matches_no_cell_or_several(here: InProcess, finished: Any) -> None:
    none, several = here("show", finished.results, "LinearFDA", "dirichle(1)"), here("show", finished.results, "digits")
    assert (none.exit_code, several.exit_code) == (2, 2)
    assert "no cell matches 'LinearFDA dirichle(1)'; did you mean \"dirichlet(1)\"?" in none.stderr
    assert "2 cells match 'digits'; give more words, or an id:\n" in several.stderr
    for cell in ResultsFolder(finished.results).read_lock().cell:
        assert re.search(rf"^  {cell.id}  {cell.label} \| digits", several.stderr, re.MULTILINE)


def test_validate_prints_the_size_of_a_suite(here: InProcess) -> None:
    result = here("validate", "tiny.toml")
    assert (result.exit_code, result.stdout) == (0, "tiny.toml: valid; 2 cells = 2 strategies x 1 workload x 1 seed\n")


def test_validate_reports_the_errors_of_every_file(here: InProcess) -> None:
    for name in ("x", "y"):
        Path(f"{name}.toml").write_text(Path("tiny.toml").read_text().replace("theta", f"thet{name}"))
    result = here("validate", "x.toml", "tiny.toml", "y.toml")
    assert result.exit_code == 2
    assert result.stdout.startswith("tiny.toml: valid")
    assert "x.toml: 2 faults" in result.stderr
    assert 'reference, optimizer; did you mean "theta"?' in result.stderr


def test_the_schema_for_editors_has_every_key(here: InProcess) -> None:
    schema = json.loads(here("validate", "--schema").stdout)
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert {"name", "seeds", "budget", "eval", "workload", "strategy", "exclude", "extends"} <= set(
        schema["properties"]
    )
    variants = schema["properties"]["strategy"]["items"]["anyOf"]
    assert [variant["properties"]["kind"]["const"] for variant in variants] == list(STRATEGIES)
    references = re.findall(r'"#/\$defs/([^"]+)"', json.dumps(schema))
    assert set(references) <= set(schema["$defs"])


def test_cite_prints_exactly_the_references_of_the_suite(here: InProcess) -> None:
    keys = re.findall(r"^@\w+\{(\w+),$", here("cite", "tiny.toml").stdout, re.MULTILINE)
    assert keys == sorted(keys)
    assert {"fdabench", "theologitis2025", "kingma2015"} <= set(keys)
    assert not {"reddi2021", "alon1996", "krizhevsky2009"} & set(keys)


@pytest.mark.parametrize("suite", ["quickstart.toml", "ci.toml"])
def test_cite_works_for_the_suites_of_the_repository(here: InProcess, suite: str) -> None:
    result = here("cite", Path(__file__).parents[2] / "suites" / suite)
    assert result.exit_code == 0
    assert result.stdout.count("{") == result.stdout.count("}") > 10


def test_report_writes_a_summary_tables_and_figures(here: InProcess, finished: Any) -> None:
    result = here("report", finished.results, "-o", "out")
    assert result.exit_code == 0, result.output
    files = {path.relative_to("out").as_posix() for path in Path("out").rglob("*") if path.is_file()}
    assert result.stdout == f"{len(files)} files in out; open out/index.html\n"
    assert "LinearFDA" in Path("out/summary.md").read_text(encoding="utf-8")
    assert "@inproceedings{theologitis2025" in Path("out/index.html").read_text(encoding="utf-8")
    assert {Path(file).suffix for file in files if file.startswith("tables/")} == {".csv", ".md", ".tex"}
    assert {Path(file).suffix for file in files if file.startswith("figures/")} == {".svg", ".pdf", ".png"}


def test_an_internal_error_writes_a_traceback_file_and_prints_its_path(
    here: InProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*args: Any) -> NoReturn:
        raise AssertionError("this cannot happen")

    monkeypatch.setattr("fdabench.cli.commands.results.status.print_status", broken)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    result = here("status", ".")
    assert result.exit_code == 70
    (path,) = re.findall(r"the traceback is in (\S+)", result.stderr)
    text = Path(path).read_text(encoding="utf-8")
    assert f"fdabench {__version__}, Python {sys.version}" in text
    assert "AssertionError: this cannot happen" in text
    assert "Traceback" not in result.output


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"state": "done"}', '{"schema": "99", "state": "done"}'])
@pytest.mark.parametrize("command", ["status", "plan", "show", "report"])
def test_a_record_that_is_damaged_or_of_another_schema_is_refused_with_its_path(
    here: InProcess, finished: Any, command: str, damage: str
) -> None:
    lock = ResultsFolder(finished.results).read_lock()
    store, cell_id = ResultsFolder(Path("copy")), lock.cell[0].id
    store.write_lock(lock)
    path = store.cell_dir(cell_id) / "cell.json"
    path.parent.mkdir(parents=True)
    path.write_text(damage)
    arguments = {"plan": ["tiny.toml", "-o", "copy"], "show": ["copy", cell_id]}.get(command, ["copy"])
    result = here(command, *arguments)
    assert result.exit_code == 2, result.output
    assert "cell.json: " in result.stderr


def test_a_closed_output_pipe_is_not_an_error(start: Callable[..., Any]) -> None:
    """As `| head` does, only sooner."""
    program: subprocess.Popen[str] = start("validate", "--schema")
    assert program.stdout is not None
    assert program.stderr is not None
    program.stdout.close()
    err = program.stderr.read()
    assert program.wait(timeout=60) == 0
    assert err == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("arguments", [["list", "models"], ["--help"], ["run", "--help"], ["validate", "--schema"]])
def test_a_full_output_device_is_reported_in_one_line(arguments: list[str]) -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-m", "fdabench", *arguments]
        result = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    assert result.stderr == "fdabench: the output: cannot be written: No space left on device\n"
    assert result.returncode == 2


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "1.00 kB"),
        (1234, "1.23 kB"),
        (999_600, "1.00 MB"),
        (10**9, "1.00 GB"),
        (10**16, "10.0 PB"),
        (10**27, "1,000 YB"),
    ],
)
def test_bytes_are_written_in_decimal_units_and_three_digits(count: int, text: str) -> None:
    assert format_bytes(count) == text
