"""The description of a component is declared once, with its code, and every output uses it."""

import doctest
import json
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest
import tomli_w

import fdabench
from fdabench import component_info
from fdabench.cell_config import ComponentConfig
from fdabench.component_info import ComponentInfo, info_of
from fdabench.errors import ResultError, SuiteError
from fdabench.experiment.resolved_cell import ResolvedCell
from fdabench.planning.memory import process_bytes
from fdabench.registry.registry import BUILT_IN
from fdabench.results.folder import ResultsFolder
from fdabench.results.names import strategy_family
from fdabench.results.schema import SCHEMA_VERSION
from fdabench.suite.reader import read_suite
from support.digits_results import make_lock

MONITOR = '''
"""The largest squared norm of a drift."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from fdabench.component_info import ComponentInfo
from fdabench.core.row_sums import row_squared_norms
from fdabench.core.strategy import Round


@dataclass(frozen=True)
class Doubled:
    """Bound the variance by twice the mean squared norm of the drifts."""

    info: ClassVar[ComponentInfo] = ComponentInfo(
        name="Doubled", formula="H = 2 mean ‖u‖²", references=(REFERENCE,), memory_vectors=3
    )

    def state_size(self, num_parameters: int) -> int:
        return 1

    def local_state(self, u_KD: Tensor, r: Round) -> Tensor:
        return 2 * row_squared_norms(u_KD)[:, None]

    def variance_bound(self, s_S: Tensor) -> Tensor:
        return s_S[0]
'''
ENTRY = "@article{doubled2030,\n  title = {Twice is Enough},\n  year = {2030}\n}"
SUITE = """
name = "tiny"
seeds = [0]
[budget]
steps = 4
[eval]
every_steps = 2
targets = [0.1]
[[workload]]
dataset = "digits"
model = "mlp"
workers = 2
batch_size = 16
optimizer = { kind = "sgd", lr = 0.1 }
[[strategy]]
kind = "fda"
monitor = ["doubled", "naive"]
theta = 0.01
"""
COMMANDS = (
    ("list", "monitors", *("--suite", "tiny.toml"), "--output-format", "json"),
    ("list", "monitors", *("--suite", "tiny.toml")),
    ("plan", "tiny.toml", "--extrapolate", "workers=4", "--output-format", "json"),
    ("cite", "tiny.toml"),
    ("run", "tiny.toml", "-q", "--jobs", "1", "--device", "cpu", "-o", "results"),
    ("report", "results", "-o", "report"),
)
DRIVER = """
import json, sys
from typer.testing import CliRunner
from fdabench.cli.main import app
if __name__ == "__main__":
    said = [CliRunner().invoke(app, arguments) for arguments in json.loads(sys.argv[1])]
    print(json.dumps([[each.exit_code, each.stdout, each.stderr] for each in said]))
"""


def outputs(folder: Path, package: Path) -> list[str]:
    """The output of the commands in the folder, in a process that imports this copy of the package."""
    (folder / "driver.py").write_text(DRIVER)
    command = [sys.executable, "driver.py", json.dumps(COMMANDS)]
    environment = {"PYTHONPATH": str(package.parent), "PATH": "", "HOME": str(folder)}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    output = json.loads(done.stdout)
    assert [code for code, *_ in output] == [0] * len(COMMANDS), output
    # JSON is on stdout alone; formulas are notes, on stderr
    texts = ((stdout, stderr) for _, stdout, stderr in output)
    return [out if "json" in command else out + err for command, (out, err) in zip(COMMANDS, texts, strict=True)]


def built_in(folder: Path) -> Path:
    """A copy of the package with the monitor's file, its line in the registry and its entry in the bibliography."""
    package = folder / "copy" / "fdabench"
    shutil.copytree(Path(fdabench.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    (package / "monitors" / "doubled.py").write_text(MONITOR.replace("REFERENCE", '"doubled2030"'))
    registry = package / "monitors" / "__init__.py"
    text = registry.read_text().replace('    "exact": Exact,\n', '    "exact": Exact,\n    "doubled": Doubled,\n')
    registry.write_text(text.replace("\n\nMONITORS", "\nfrom fdabench.monitors.doubled import Doubled\n\nMONITORS"))
    with (package / "suite" / "references.bib").open("a") as file:
        file.write(f"\n{ENTRY}\n")
    (folder / "tiny.toml").write_text(SUITE)
    return package


def plug_in(folder: Path) -> Path:
    """The unchanged package, and the same monitor as a plug-in with its own bibliography entry."""
    text = MONITOR.replace("REFERENCE", repr(ENTRY)) + '\n\nMONITORS = {"doubled": Doubled}\n'
    (folder / "doubled.py").write_text(text)
    (folder / "tiny.toml").write_text(SUITE.replace("[budget]", 'plugins = ["doubled.py"]\n[budget]'))
    return Path(fdabench.__file__).parent


@pytest.mark.slow
@pytest.mark.parametrize("add", [built_in, plug_in])
def test_a_monitor_is_described_everywhere_after_it_is_added_in_one_place(tmp_path: Path, add: Any) -> None:
    listed, shown, planned, cited, _, _ = outputs(tmp_path, add(tmp_path))
    (row,) = [row for row in json.loads(listed) if row["kind"] == "doubled"]
    described = {key: row[key] for key in ("display_name", "formula", "memory_vectors", "cites")}
    assert described == {
        "display_name": "Doubled",
        "formula": "H = 2 mean ‖u‖²",
        "memory_vectors": 3.0,
        "cites": ["doubled2030"],
    }
    assert "doubled (Doubled): H = 2 mean ‖u‖²" in shown.splitlines()
    (line,) = [line for line in shown.splitlines() if line.startswith("doubled  ")]
    assert line.replace("doubled.py", "").split()[-3:] == ["3", "D", "doubled2030"]
    rows = {row["strategy"]: row for row in json.loads(planned)}
    assert set(rows) == {"DoubledFDA", "NaiveFDA"}
    # three vectors of 51,466 numbers of 4 bytes
    assert rows["DoubledFDA"]["memory_bytes"] - rows["NaiveFDA"]["memory_bytes"] == 3 * 4 * 51_466
    assert ENTRY in cited
    summary = (tmp_path / "report" / "summary.md").read_text()
    assert "- doubled monitor: H = 2 mean ‖u‖²\n" in summary
    assert "DoubledFDA" in summary
    page = (tmp_path / "report" / "index.html").read_text()
    assert "doubled monitor: H = 2 mean ‖u‖²" in page
    assert "@article{doubled2030," in page


def test_the_example_in_the_docstring_of_the_module_is_correct() -> None:
    assert doctest.testmod(component_info).failed == 0


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("name", "two\nlines", "name: expected one line of text"),
        ("name", "{monitor}", "only label may have them"),
        ("formula", 3, "formula: expected one line of text"),
        ("formula", "\x1b[2J", "formula: expected one line of text"),
        ("references", "mcmahan2017", "references: expected a tuple of strings"),
        ("references", ("@article{",), "references: expected BibTeX"),
        ("references", ("@article{a, title = {\x1b}}",), "has control characters"),
        ("memory_vectors", -1, "memory_vectors: expected a number, at least 0"),
        ("memory_vectors", float("nan"), "memory_vectors: expected a number"),
        ("color", "red", "color: expected #rrggbb"),
        ("marker", "+", "marker: expected one of"),
        ("sync_period", 0, "sync_period: expected a whole number"),
        ("is_iid", "yes", "expected True or False"),
    ],
)
def test_an_invalid_description_is_refused(field: str, value: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        ComponentInfo(**{field: value})


def test_a_table_of_a_lock_and_a_description_are_inverses() -> None:
    infos = [BUILT_IN.info("monitors", kind) for kind in BUILT_IN.monitors] + [BUILT_IN.info("strategies", "fda")]
    assert [ComponentInfo.from_table(json.loads(json.dumps(info.as_table()))) for info in infos] == infos
    assert ComponentInfo().as_table() == {}


def test_a_subclass_does_not_inherit_a_description() -> None:
    """It would take the name, the color and the references of another method."""

    @dataclass(frozen=True)
    class Base:
        info: ClassVar[ComponentInfo] = ComponentInfo(name="Base")

    class Derived(Base):
        pass

    assert info_of(Base).name == "Base"
    assert info_of(Derived) == info_of(None) == ComponentInfo()


def test_every_built_in_component_has_a_display_name_of_its_own() -> None:
    for role in ("strategies", "monitors", "servers", "optimizers", "partitions", "datasets", "models"):
        names = [BUILT_IN.info(role, kind).name for kind in getattr(BUILT_IN, role)]
        assert all(names)
        assert len({name.casefold() for name in names}) == len(names)


def test_declared_memory_is_counted_for_every_parameter() -> None:
    cells = read_suite(Path(fdabench.__file__).parents[1] / "suites" / "ci.toml").cells
    by_monitor = {
        monitor.kind: ResolvedCell(cell.config)
        for cell in cells
        if (monitor := cell.config.strategy.component("monitor"))
    }
    naive, linear, sketch = (process_bytes(by_monitor[kind], 10**12) for kind in ("naive", "linear", "sketch"))
    assert linear - naive == 4 * 10**12 + 4
    assert sketch - naive == 7 * 10**12 + 4 * 1250


def test_a_lock_without_descriptions_is_read_with_kinds_as_names() -> None:
    lock = make_lock([])
    assert lock.info("strategies", "fedavg") == ComponentInfo()
    table = {"kind": "fda", "monitor": {"kind": "linear"}}
    assert strategy_family(ComponentConfig.from_table(table), lock.info) == "fda"


@pytest.mark.parametrize(
    "table", [{"color": "red"}, {"no_such_key": 1}, {"name": "\x1b[2J"}, {"memory_vectors": "many"}, 3]
)
def test_a_lock_with_a_damaged_description_is_refused(tmp_path: Path, table: Any) -> None:
    store, suite = ResultsFolder(tmp_path), read_suite(Path(fdabench.__file__).parents[1] / "suites" / "ci.toml")
    content = {"schema": SCHEMA_VERSION, **suite.to_lock().to_dict(), "components": {"strategies": {"fda": table}}}
    store.lock_path.write_text(tomli_w.dumps({**content, "end": {"cells": len(suite.cells)}}), encoding="utf-8")
    with pytest.raises(ResultError, match=r"suite\.lock\.toml: components\.strategies\.fda: "):
        store.read_lock()


def plugin_faults(folder: Path, code: str) -> str:
    """The message on a plug-in whose class has this code after its docstring."""
    (folder / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom typing import ClassVar\n"
        "from fdabench.component_info import ComponentInfo\nfrom fdabench.strategies.fedavg import FedAvg\n\n\n"
        f"@dataclass(frozen=True)\nclass Mine(FedAvg):\n    {code}\n\n\nSTRATEGIES = {{'mine': Mine}}\n"
    )
    (folder / "suite.toml").write_text(SUITE.replace("[budget]", 'plugins = ["mine.py"]\n[budget]'))
    with pytest.raises(SuiteError) as raised:
        read_suite(folder / "suite.toml")
    return str(raised.value)


@pytest.mark.parametrize(
    ("code", "expected_message"),
    [
        ("info = 'FedAvg'", "Mine.info is the component's description"),
        ("info: ComponentInfo = ComponentInfo()", "write info: ClassVar[ComponentInfo]"),
        ("info = ComponentInfo(name='fedavg')", "its name 'fedavg' is taken: it is the name of the built-in 'fedavg'"),
        ("info = ComponentInfo(label='{watch}FDA')", "Mine.info.label names {watch}, which is no field of it"),
        ("info = ComponentInfo(label='{')", "Mine.info.label names {{}, which is no field of it"),
        ("info = ComponentInfo(references=('mcmahan2016',))", 'did you mean "mcmahan2017"?'),
        ("info = ComponentInfo(color='red')", "color: expected #rrggbb"),
    ],
)
def test_an_invalid_description_of_a_plugin_is_reported_with_its_line(
    tmp_path: Path, code: str, expected_message: str
) -> None:
    message = plugin_faults(tmp_path, code)
    assert expected_message in message
    assert "mine.py:" in message


def test_a_plugin_can_define_presets_of_a_server(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from dataclasses import dataclass\nfrom fdabench.component_info import ComponentInfo\n"
        "from fdabench.servers.momentum import Momentum\n\n\n"
        "@dataclass(frozen=True)\nclass Slow(Momentum):\n    info = ComponentInfo(preset='slow')\n\n\n"
        "SERVERS = {'heavy-slow': Slow}\n"
    )
    strategies = """
[[strategy]]
kind = "fedavg"
local_steps = 2
server = [{ kind = "heavy", preset = "slow" }, { preset = "keras" }, { preset = "slow", lr = 0.5 }]
"""
    text = SUITE.split("[[strategy]]")[0].replace("[budget]", 'plugins = ["mine.py"]\n[budget]') + strategies
    (tmp_path / "suite.toml").write_text(text)
    suite = read_suite(tmp_path / "suite.toml")
    kinds = [server.kind for cell in suite.cells if (server := cell.config.strategy.component("server"))]
    assert kinds == ["heavy-slow", "adam-keras", "heavy-slow"]
    assert [cell.label for cell in suite.cells] == [
        "FedAvg slow server lr=1",
        "FedAvg keras",
        "FedAvg slow server lr=0.5",
    ]
