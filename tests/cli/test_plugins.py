"""A user's strategy in runs of the program: loaded, recorded, run again after a change, and reported if invalid."""

import json
import os
import shutil
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
import pytest

from fdabench.results.folder import ResultsFolder
from support.suites import SGD, SYNCHRONOUS, digits_suite, replace_text

Fdabench = Callable[..., subprocess.CompletedProcess[str]]
InProcess = Callable[..., Any]

SUITE = digits_suite(
    [SYNCHRONOUS, 'kind = "doubling"\nfirst = 2'],
    name="own",
    steps=12,
    every_steps=6,
    targets=[0.1],
    batch_size=16,
    optimizer=SGD,
    head='plugins = ["mine.py"]',
)
MINE = '''
"""FedAvg whose period doubles after each sync."""

from dataclasses import dataclass

from fdabench.api import Average, Count, StepResult, SyncRule, initial_round, synchronize


@dataclass(frozen=True)
class Doubling:
    """Sync after `first` steps, then after twice as many, and so on."""

    first: Count

    def init(self, w_D):
        return initial_round(w_D, SyncRule(Average()))

    def step(self, ctx, r, channel):
        if ctx.t + 1 < self.first * (2 ** (r.index + 1) - 1):
            return StepResult(ctx.w_KD, r, False)
        return synchronize(ctx, r, SyncRule(Average()), channel)


STRATEGIES = {"doubling": Doubling}
'''
STEP = "        if ctx.t + 1 < self.first"


class Done(NamedTuple):
    """A folder with the suite and its plug-in after a run with two processes, and the output of the program."""

    folder: Path
    output: subprocess.CompletedProcess[str]


@pytest.fixture(scope="session")
def done(tmp_path_factory: pytest.TempPathFactory, call_in: Fdabench) -> Done:
    """Tests do not change it."""
    folder = tmp_path_factory.mktemp("own")
    write(folder)
    return Done(folder, call_in(folder, "run", "own.toml", "--jobs", "2"))


def write(folder: Path) -> None:
    (folder / "own.toml").write_text(SUITE)
    (folder / "mine.py").write_text(MINE)


@pytest.fixture
def own(here: InProcess) -> InProcess:
    """Call the program in a folder with a suite and its plug-in."""
    write(Path())
    return here


@pytest.fixture
def ran(own: InProcess, done: Done) -> InProcess:
    """Call the program in a copy of the folder in which the suite was run."""
    shutil.copytree(done.folder / "results", "results")
    return own


def plan(own: InProcess) -> dict[str, tuple[str, str]]:
    """Status and why, by the first word of a cell's title."""
    result = own("plan", "own.toml", "--output-format", "json")
    assert result.exit_code == 0, result.output
    return {row["what"].split()[0]: (row["status"], row["why"]) for row in json.loads(result.stdout)}


def refused(own: InProcess, *arguments: str) -> str:
    """The error message for a suite that is refused; no file is written."""
    before = sorted(path.as_posix() for path in Path().rglob("*"))
    result = own(*(arguments or ("run", "own.toml", "--jobs", "1")))
    assert result.exit_code == 2, result.output
    assert "Traceback" not in result.output
    assert sorted(path.as_posix() for path in Path().rglob("*")) == before
    return str(result.stderr)


@pytest.mark.slow
def test_a_strategy_of_a_plugin_runs_in_worker_processes_and_writes_every_file(done: Done, ran: InProcess) -> None:
    assert done.output.returncode == 0, done.output.stderr
    assert "note: own.toml: plug-in mine.py adds strategies.doubling" in done.output.stderr
    runs = pd.read_parquet("results/own/runs.parquet").set_index("label")
    assert runs.loc["doubling", ["state", "strategy", "syncs"]].tolist() == ["done", "doubling", 2]
    cell = runs.loc["doubling", "cell_id"]
    rounds = pd.read_parquet(f"results/own/cells/{cell}/rounds.parquet")
    assert list(rounds["step"]) == [2, 6]
    names = sorted(path.name for path in done.folder.iterdir())
    assert names == ["mine.py", "own.toml", "results"], "nothing is written beside a user's file"
    lock = tomllib.loads(Path("results/own/suite.lock.toml").read_text())
    record = json.loads(Path(f"results/own/cells/{cell}/cell.json").read_text())
    (locked,) = lock["plugins"]
    assert (locked["name"], locked["adds"]) == ("mine.py", ["strategies.doubling"])
    assert locked["code"] == {key: record["code"][key] for key in ("plug-in mine.py",)}
    other = json.loads(Path(f"results/own/cells/{runs.loc['Synchronous', 'cell_id']}/cell.json").read_text())
    assert "plug-in mine.py" not in other["code"]
    assert {"core/strategy.py", "servers/average.py"} <= set(record["code"])


@pytest.mark.slow
def test_a_cell_is_run_again_after_a_change_of_plugin_code_and_not_of_comments(ran: InProcess) -> None:
    assert plan(ran) == {"Synchronous": ("done", ""), "doubling": ("done", "")}
    replace_text("mine.py", STEP, "        # a remark\n\n" + STEP)
    replace_text("mine.py", "Sync after `first` steps", "Other words")
    assert plan(ran) == {"Synchronous": ("done", ""), "doubling": ("done", "")}
    before = next(iter(tomllib.loads(Path("results/own/suite.lock.toml").read_text())["plugins"][0]["code"].values()))
    replace_text("mine.py", "t + 1 <", "t <")
    actual = plan(ran)
    assert actual["Synchronous"] == ("done", "")
    status, why = actual["doubling"]
    assert status == "stale"
    assert why.startswith(f"plug-in mine.py changed ({before} -> ")
    result = ran("run", "own.toml", "--jobs", "1", "--device", "cpu")
    assert " 1 done | 1 stale: plug-in mine.py changed | 0 to run" in result.stderr
    assert "[1/1] done  doubling" in result.stderr
    assert plan(ran)["doubling"] == ("done", "")


def test_a_change_of_a_builtin_file_and_of_torch_are_named_too(ran: InProcess) -> None:
    store = ResultsFolder(Path("results/own"))
    cells = {cell.label: cell.id for cell in store.read_lock().cell}
    record = store.read_record(cells["doubling"])
    assert record is not None
    now = record.code["servers/average.py"]
    store.write_record(record.with_changes({"code": record.code | {"servers/average.py": "0" * 16}}))
    assert plan(ran)["doubling"] == ("stale", f"servers/average.py changed ({'0' * 16} -> {now})")
    store.write_record(record.with_changes({"environment": record.environment | {"torch": "1.0"}}))
    assert plan(ran)["doubling"][1].startswith("torch 1.0 -> ")


@pytest.mark.slow
def test_results_are_read_without_the_plugin(ran: InProcess) -> None:
    """Also where the file is gone, and where it would raise."""
    cell = ResultsFolder(Path("results/own")).read_lock().cell[1].id
    for ruin in ("raise SystemExit('never run this')", None):
        if ruin:
            Path("mine.py").write_text(ruin)
        else:
            os.unlink("mine.py")
        for arguments in (["status"], ["show", cell], ["report"]):
            command, *rest = arguments
            assert ran(command, "results/own", *rest).exit_code == 0
        assert "published numbers has a counterpart" in ran("compare", "results/own", "--published").stderr
    assert "doubling" in Path("reports/own/summary.md").read_text()


def test_a_strategy_that_raises_fails_its_cell_and_the_output_names_the_users_line(own: InProcess) -> None:
    """So does one that returns nothing or changes the models in place, where no line of theirs is under way, and one
    that would end the program.
    """
    bodies = {
        "Raises": "raise ValueError('I give up\\nreally')",
        "Silent": "return None",
        "Exits": "exit(3)",
        "Quits": "raise type('Quit', (BaseException,), {})('no more')",
        "Meddles": "ctx.w_KD.zero_(); return super().step(ctx, r, channel)",
    }
    for name, body in bodies.items():
        with Path("mine.py").open("a") as file:
            file.write(f"\n\nclass {name}(Doubling):\n    def step(self, ctx, r, channel):\n        {body}\n")
            file.write(f"\n\nSTRATEGIES['{name.lower()}'] = {name}\n")
        with Path("own.toml").open("a") as file:
            file.write(f'\n[[strategy]]\nkind = "{name.lower()}"\nfirst = 2\n')
    result = own("run", "own.toml", "--jobs", "1", "--device", "cpu", "-q")
    assert result.exit_code == 3, result.output
    runs = pd.read_parquet("results/own/runs.parquet").set_index("label")
    failed = {label for label, state in runs["state"].items() if state == "failed"}
    assert (failed, set(runs["state"])) == ({name.lower() for name in bodies}, {"failed", "done"})
    lines = result.stderr[result.stderr.index("failed") :].splitlines()
    assert len(lines) == 15
    message = {title.split()[1]: cause.strip() for title, cause in zip(lines[::3], lines[1::3], strict=True)}
    place = {name: Path("mine.py").read_text().split(body)[0].count("\n") + 1 for name, body in bodies.items()}
    assert message["raises"] == f"mine.py:{place['Raises']}: really"
    above = {name: line - 1 for name, line in place.items()}
    assert message["silent"] == (
        f"mine.py: TypeError: Silent.step, line {above['Silent']}: must return a StepResult; it returned None"
    )
    assert message["meddles"] == (
        f"mine.py: TypeError: Meddles.step, line {above['Meddles']}: "
        "changed ctx.w_KD in place; it must return new tensors"
    )
    assert message["quits"] == f"mine.py:{place['Quits']}: RuntimeError: Quit: no more ends no cell"
    assert message["exits"] == f"mine.py:{place['Exits']}: RuntimeError: sys.exit(3) ends no cell"
    shown = own("show", "results/own", runs.loc["raises", "cell_id"]).stdout
    assert "Traceback (most recent call last)" in shown
    assert "raise ValueError('I give up" in shown


FAULTS: dict[str, tuple[str, str, str]] = {
    "raises": ("STRATEGIES =", "1 / 0\nSTRATEGIES =", "mine.py:24: ZeroDivisionError: division by zero"),
    "no Python": ("class Doubling:", "class Doubling", "mine.py:10: SyntaxError: expected ':'"),
    "nul": ("class Doubling:", "\0", "mine.py"),
    "exits": ("STRATEGIES =", "exit(0)\nSTRATEGIES =", "mine.py:24: SystemExit: 0"),
    "import": ("from dataclasses", "import nowhere\nfrom dataclasses", "mine.py:4: ModuleNotFoundError: "),
    "nothing": ("STRATEGIES =", "STRATEGY =", "mine.py:1: adds nothing: expected STRATEGIES = {\"name\": Class}"),
    "near": ("STRATEGIES =", "STRATEGY =", 'did you mean "STRATEGIES"?'),
    "no dict": ('{"doubling": Doubling}', "[Doubling]", "mine.py:24: STRATEGIES must be a dict"),
    "no class": ('": Doubling}', '": Doubling(2)}', "a strategy is a frozen dataclass; a Doubling is none"),
    "no dataclass": ("@dataclass(frozen=True)", "", "a strategy is a frozen dataclass; Doubling is none"),
    "not frozen": ("(frozen=True)", "", "STRATEGIES['doubling']: Doubling is a dataclass that is not frozen"),
    "no step": ("def step(", "def stepp(", "Doubling lacks step(self, ctx: fdabench.core.strategy.StepContext"),
    "no init": ("def init(", "def start(", "Doubling lacks init(self, w_D: torch.Tensor)"),
    "other step": ("def step(self, ctx, ", "def step(self, ", "Doubling.step(self, r, channel) should be step("),
    "built in": ('"doubling"', '"fda"', "mine.py:24: 'fda' is taken: of the strategies, 'fda' is built in"),
    "other case": ('"doubling"', '"FedAvg"', "mine.py:24: 'FedAvg' is taken: of the strategies, 'fedavg' is built in"),
    "name": ('"doubling"', '"../doubling"', "a name has only letters, digits"),
    "long name": ('"doubling"', '"a" * 5000', "at most 64"),
    "number for a name": ('"doubling"', "3", "a name has only letters, digits"),
    "own name": ("first: Count", "name: str", "mine.py:24: doubling: the field 'name' is a key that the suite's table"),
    "tensor": ("first: Count", "first: StepResult", "the field 'first': a suite can give numbers, strings"),
    "annotation": ("first: Count", "first: 'Cuont'", "mine.py:24: doubling: name 'Cuont' is not defined"),
    "theta": ("first: Count", "theta: str", "the field 'theta': results take it for a number"),
    "monitor": ("first: Count", "monitor: str", "the field 'monitor': results take it for a component"),
    "list": ("first: Count", "first: list[int]", "the field 'first': a suite can give numbers, strings"),
    "private": ("first: Count", "_first: int", "mine.py:24: doubling: "),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "expected_message"), FAULTS.values(), ids=FAULTS)
def test_a_plugin_that_cannot_be_used_is_the_users_fault_with_file_and_line(
    own: InProcess, old: str, new: str, expected_message: str
) -> None:
    replace_text("mine.py", old, new)
    message = refused(own)
    assert message.startswith("fdabench: own.toml: ")
    assert "plugins.0: mine.py" in message
    assert expected_message in message


@pytest.mark.parametrize(
    ("plugins", "message"),
    [
        ('["nowhere.py"]', "plugins.0: 'nowhere.py': there is no such file"),
        ('["mine.py", "sub"]', "plugins.1: 'sub': expected the path of a Python file"),
        ('["https://example.org/mine.py"]', "expected the path of a Python file"),
        ('["file:///mine.py"]', "expected the path of a Python file"),
        ('["folder.py"]', "plugins.0: 'folder.py': there is no such file"),
        ('["a\\u0000.py"]', "expected the path of a Python file"),
        ('["' + "a" * 5000 + '.py"]', "cannot be read: File name too long"),
        ('["/dev/zero"]', "expected the path of a Python file"),
        ('["zero.py"]', "plugins.0: 'zero.py': there is no such file"),
        ('["huge.py"]', "larger than 1,000,000 bytes"),
        ('"mine.py"', 'plugins: expected a list, found "mine.py"'),
        ("[3]", "plugins.0: expected a string, found 3"),
    ],
)
def test_a_file_that_is_not_a_plugin_is_refused(own: InProcess, plugins: str, message: str) -> None:
    Path("folder.py").mkdir()
    Path("zero.py").symlink_to("/dev/zero")
    Path("huge.py").write_text("#" * 1_000_001)
    replace_text("own.toml", '["mine.py"]', plugins)
    assert message in refused(own)


SEVERAL = """

@dataclass
class Thawed(Doubling):
    pass


@dataclass(frozen=True)
class Listed(Doubling):
    values: list[int] = ()


STRATEGIES |= {"thawed": Thawed, "../x": Doubling, "fda": Doubling, "listed": Listed}
SERVERS = {"halves": 3}
"""


def test_all_errors_of_a_plugin_are_reported_at_once(own: InProcess) -> None:
    """What is declared wrongly, names that are taken, and fields that no suite can give."""
    with Path("mine.py").open("a") as file:
        file.write(SEVERAL.replace("@dataclass\nclass Thawed(Doubling)", "@dataclass\nclass Thawed"))
    output = refused(own)
    wanted = [
        "STRATEGIES['thawed']: Thawed is a dataclass that is not frozen: write @dataclass(frozen=True)",
        "STRATEGIES['thawed']: Thawed lacks init(",
        "STRATEGIES['thawed']: Thawed lacks step(",
        "STRATEGIES['../x']: a name has only letters",
        "SERVERS['halves']: a server is a frozen dataclass; a int is none",
        "'fda' is taken: of the strategies, 'fda' is built in",
        "listed: the field 'values'",
    ]
    assert [text for text in wanted if text not in output] == []
    assert len(output.splitlines()) == 1 + len(wanted), output


def test_two_plugins_with_one_name_are_refused_with_both_places(own: InProcess) -> None:
    Path("sub").mkdir()
    Path("sub/other.py").write_text(MINE)
    replace_text("own.toml", '["mine.py"]', '["mine.py", "sub/other.py"]')
    text = refused(own)
    assert (
        "plugins.1: sub/other.py:24: 'doubling' is taken: of the strategies, 'doubling' is added by mine.py:24" in text
    )
    shutil.move("sub/other.py", "sub/mine.py")
    replace_text("own.toml", "sub/other.py", "sub/mine.py")
    assert "another plug-in mine.py is mine.py: rename one of them" in refused(own)


def test_plugins_of_an_extended_suite_are_relative_to_its_file(own: InProcess) -> None:
    Path("base").mkdir()
    for name in ("own.toml", "mine.py"):
        shutil.move(name, f"base/{name}")
    Path("over.py").write_text(MINE.replace('"doubling"', '"twice"'))
    Path("own.toml").write_text('extends = "base/own.toml"\nplugins = ["over.py", "base/mine.py"]\n')
    result = own("validate", "own.toml")
    assert result.exit_code == 0, result.output
    assert "plug-in base/mine.py adds strategies.doubling" in result.stderr
    assert "plug-in over.py adds strategies.twice" in result.stderr
    replace_text("base/mine.py", "class Doubling:", "class Doubling")
    assert "base/own.toml:3: plugins.0: base/mine.py:10: SyntaxError" in refused(own)


def test_without_a_named_plugin_no_user_code_is_run(own: InProcess) -> None:
    """Files of the names that Python itself looks for are in the folder, too."""
    for name in ("mine.py", "conftest.py", "sitecustomize.py", "torch.py", "fdabench_plugin.py"):
        Path(name).write_text("open('ran', 'w').close()\n")
    for arguments in (["validate"], ["plan"], ["cite"], ["run", "-q", "--jobs", "1", "--device", "cpu"]):
        assert own(*arguments, "tiny.toml").exit_code == 0
    assert own("validate", "--plugins", "own.toml").stdout.splitlines()[1].split() == [
        "mine.py",
        "own.toml:",
        "plugins.0",
    ]
    assert not Path("ran").exists()
    own("validate", "own.toml")
    assert Path("ran").exists()
    assert "only a suite's file names plug-ins" in refused(own, "plan", "tiny.toml", "--set", 'plugins=["mine.py"]')


def test_text_that_a_plugin_prints_does_not_change_the_result(own: InProcess) -> None:
    replace_text("mine.py", "STRATEGIES", "print('hello')\nSTRATEGIES")
    assert plan(own)["doubling"] == ("to run", "")


def test_list_shows_components_of_plugins_with_their_file(own: InProcess) -> None:
    rows = json.loads(own("list", "strategies", "--suite", "own.toml", "--output-format", "json").stdout)
    assert rows[-1] == {
        "kind": "doubling",
        "keys": ["first"],
        "about": "Sync after `first` steps, then after twice as many, and so on",
        "display_name": None,
        "memory_vectors": 0.0,
        "cites": [],
        "formula": None,
        "plug-in": "mine.py",
    }
    assert {row["plug-in"] for row in rows[:-1]} == {None}
    assert "doubling" not in own("list", "strategies").stdout
    assert (
        "Doubling"
        in json.loads(own("validate", "--schema", "own.toml").stdout)["properties"]["strategy"]["items"]["anyOf"][-1][
            "title"
        ]
    )


def test_errors_in_a_plugin_components_table_are_reported_like_any_other(own: InProcess) -> None:
    replace_text("own.toml", "first = 2", "frist = 2")
    output = refused(own)
    allowed = "kind, first, name, reference, optimizer"
    assert f'unknown key: doubling takes no frist; allowed: {allowed}; did you mean "first"?' in output
    assert "strategy.1: first is missing; doubling needs it" in output
    replace_text("own.toml", "frist = 2", "first = 0")
    assert "strategy.1.first: 0 is out of range: it must be at least 1" in refused(own)
    replace_text("mine.py", "    def init", "    def __post_init__(self):\n        {}['no']\n\n    def init")
    replace_text("own.toml", "first = 0", "first = 1")
    assert "strategy.1: Doubling refuses it: KeyError: 'no'" in refused(own)


EVERYTHING = '''
"""One of everything."""

from dataclasses import dataclass, replace

import numpy as np
import torch

from fdabench.core.row_sums import row_squared_norms
from fdabench.core.strategy import ServerOptimizer
from fdabench.datasets.digits import DIGITS
from fdabench.models.mlp import MLP
from fdabench.servers.average import Average


@dataclass(frozen=True)
class Half:
    share: float = 0.5
    is_plain_average = False

    def init(self, w_D):
        return ()

    def update(self, w_D, u_D, state, info):
        return w_D + self.share * u_D, state


@dataclass(frozen=True)
class Norm:
    scale: float = 1.0

    def state_size(self, num_parameters):
        return 1

    def local_state(self, u_KD, r):
        return self.scale * row_squared_norms(u_KD)[:, None]

    def variance_bound(self, s_S):
        return s_S[0]


@dataclass(frozen=True)
class Plain:
    speed: float
    state_on_sync: str = "keep"

    def build(self, rows):
        return torch.optim.SGD(rows, lr=self.speed)


@dataclass(frozen=True)
class Stripes:
    width: int = 1

    def split(self, labels, workers, rng):
        return [np.arange(len(labels))[k::workers] for k in range(workers)]


SERVERS = {"half": Half}
MONITORS = {"norm": Norm}
OPTIMIZERS = {"plain": Plain}
PARTITIONS = {"stripes": Stripes}
DATASETS = {"mine": replace(DIGITS, load=lambda root: DIGITS.load(root))}
MODELS = {"net": replace(MLP, build=lambda shape, classes: torch.nn.Sequential(
    torch.nn.Flatten(), torch.nn.Linear(64, classes)))}
'''


@pytest.mark.slow
def test_a_plugin_can_define_components_of_every_role(own: InProcess, fdabench_in: Fdabench) -> None:
    Path("mine.py").write_text(EVERYTHING)
    replace_text(
        "own.toml", 'kind = "doubling"\nfirst = 2', 'kind = "fda"\nmonitor = "norm"\ntheta = 0.001\nserver = "half"'
    )
    replace_text("own.toml", '{ kind = "sgd", lr = 0.1 }', '{ kind = "plain", speed = 0.1 }\npartition = "stripes"')
    replace_text("own.toml", 'dataset = "digits"\nmodel = "mlp"', 'dataset = "mine"\nmodel = "net"')
    assert {status for status, _ in plan(own).values()} == {"to run"}
    result = fdabench_in("run", "own.toml", "--jobs", "2")
    assert result.returncode == 0, result.stderr
    runs = pd.read_parquet("results/own/runs.parquet").set_index("label")
    assert set(runs["state"]) == {"done"}
    names = ["dataset", "model", "partition", "monitor", "server", "optimizer", "num_parameters"]
    assert runs.loc["NormFDA half", names].tolist() == ["mine", "net", "stripes(width=1)", "norm", "half", "plain", 650]
    assert own("report", "results/own").exit_code == 0
    assert own("cite", "own.toml").exit_code == 0
    replace_text("mine.py", "return s_S[0]", "return 2 * s_S[0]")
    assert {status for status, _ in plan(own).values()} == {"stale"}, "both cells use its data"


@pytest.fixture
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an installed package that has a plug-in."""
    root = tmp_path_factory.mktemp("site")
    (root / "fdabench_double").mkdir()
    (root / "fdabench_double" / "__init__.py").write_text(
        "from fdabench_double.strategy import STRATEGIES as STRATEGIES\n"
    )
    (root / "fdabench_double" / "strategy.py").write_text(MINE)
    info = root / "fdabench_double-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: fdabench-double\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[fdabench.plugins]\ndouble = fdabench_double\n")
    return root


@pytest.mark.slow
def test_an_installed_package_provides_a_plugin(own: InProcess, fdabench_in: Fdabench, package: Path) -> None:
    import fdabench

    path = {"PYTHONPATH": f"{Path(fdabench.__file__).parents[1]}{os.pathsep}{package}", "PYTHONDONTWRITEBYTECODE": "1"}
    replace_text("own.toml", 'plugins = ["mine.py"]', "")
    os.unlink("mine.py")
    assert '"doubling" is unknown' in refused(own)
    result = fdabench_in("run", "own.toml", "--jobs", "2", **path)
    assert result.returncode == 0, result.stderr
    assert "note: own.toml: plug-in double of fdabench-double 1.2 adds strategies.doubling" in result.stderr
    lock = tomllib.loads(Path("results/own/suite.lock.toml").read_text())
    files = {"plug-in fdabench_double/__init__.py", "plug-in fdabench_double/strategy.py"}
    assert [set(item["code"]) for item in lock["plugins"]] == [files]
    (package / "fdabench_double" / "strategy.py").write_text(MINE.replace("t + 1 <", "t <"))
    planned = fdabench_in("plan", "own.toml", **path).stdout
    assert "1 done | 1 stale: plug-in fdabench_double/strategy.py changed | 0 to run" in planned
    listed = fdabench_in("list", "strategies", **path).stdout.splitlines()
    assert listed[-1].endswith("fdabench_double/__init__.py")
    (package / "fdabench_double" / "strategy.py").write_text("1 / 0")
    broken = fdabench_in("plan", "tiny.toml", **path)
    assert broken.returncode == 2
    assert "fdabench-double 1.2: " in broken.stderr
    assert "ZeroDivisionError" in broken.stderr
