"""Allowed imports between packages, and limits on the size of files, functions and folders.

Each line of MAY_IMPORT names only packages above it, so no cycle can be written down.
"""

import ast
import subprocess
import sys
from collections.abc import Iterator, Mapping
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import fdabench

ROOT = Path(fdabench.__file__).parent
TESTS = Path(__file__).parent

MAY_IMPORT = {
    "errors": "",
    "shared_types": "",
    "hyperparameters": "",
    "regular_files": "",
    "torchvision_compat": "",
    "component_info": "",
    "run_log": "regular_files",
    "cell_config": "",
    "formatting": "",
    "metrics": "cell_config formatting",
    "tables": "formatting",
    "published": "",
    "accounting": "errors",
    "core": "errors hyperparameters",
    "servers": "component_info core hyperparameters",
    "monitors": "component_info core hyperparameters",
    "optimizers": "component_info hyperparameters",
    "triggers": "component_info core hyperparameters monitors",
    "codecs": "component_info core hyperparameters",
    "corrections": "component_info core hyperparameters optimizers",
    "strategies": "component_info core hyperparameters servers monitors triggers codecs corrections",
    "partitions": "component_info errors hyperparameters",
    "datasets": "component_info errors hyperparameters formatting regular_files shared_types torchvision_compat",
    "models": "component_info errors core shared_types torchvision_compat",
    "distributed": "errors core",
    "engine": "errors core models optimizers partitions",
    "registry": "cell_config component_info shared_types errors hyperparameters regular_files published core servers "
    "monitors triggers codecs corrections strategies partitions datasets models optimizers",
    "results": "shared_types metrics cell_config component_info errors hyperparameters regular_files formatting "
    "accounting",
    "validation": "errors regular_files accounting results",
    "suite": "shared_types cell_config component_info core corrections datasets errors formatting "
    "hyperparameters metrics models "
    "regular_files registry engine results published accounting validation",
    "experiment": "metrics cell_config component_info errors regular_files formatting accounting core partitions "
    "datasets models optimizers distributed engine registry results suite",
    "style": "cell_config component_info results",
    "analysis": "errors metrics cell_config component_info formatting accounting published results style",
    "planning": "cell_config errors formatting accounting analysis core datasets models optimizers engine registry "
    "results suite experiment",
    "execution": "partitions run_log cell_config errors regular_files formatting datasets distributed engine "
    "registry results "
    "suite experiment planning",
    "own_loop": "cell_config errors accounting core corrections distributed engine experiment optimizers registry "
    "results servers strategies suite triggers validation",
    "report": "metrics cell_config component_info errors style formatting tables accounting analysis published results",
    "gate": "shared_types metrics cell_config component_info errors formatting tables accounting analysis "
    "results validation report",
    "export": "errors formatting metrics tables analysis results suite",
    "notebook": "errors analysis report results suite",
    "__init__": "notebook own_loop",
    "cli": "shared_types metrics run_log cell_config component_info errors hyperparameters formatting tables "
    "accounting registry "
    "datasets results analysis suite experiment planning execution report gate validation export",
    "api": "run_log cell_config component_info core datasets errors execution experiment hyperparameters "
    "models optimizers own_loop partitions report results servers suite",
    "__main__": "cli",
}
ONLY_IN = {  # third-party package: the packages or files that may import it
    "torch.distributed": "core/collective.py distributed",
    "torch": "torchvision_compat core servers monitors triggers codecs corrections strategies datasets models "
    "optimizers distributed engine registry experiment planning execution own_loop",
    "torchvision": "torchvision_compat.py",
    "pydantic": "cell_config.py results suite validation gate",
    "pydantic_core": "suite validation",
    "pandas": "metrics.py results accounting experiment planning execution own_loop analysis report gate notebook cli",
    "pyarrow": "results datasets",
    "matplotlib": "report style notebook",
    "jinja2": "report",
    "scipy": "analysis report gate",
    "typer": "cli",
    "rich": "cli",
    "filelock": "execution",
    "tensorboard": "export/tensorboard.py",
    "mlflow": "export/mlflow.py",
    "wandb": "export/wandb.py",
    "trackio": "export/trackio.py",
    "ray": "execution/ray_backend.py execution/ray_cluster.py",
    "lightning": "own_loop/lightning_callback.py",
    "transformers": "own_loop/transformers_callback.py models/sources/hf_model.py",
}
MAX_FILE_LINES, MAX_FUNCTION_LINES, MAX_FOLDER_FILES = 400, 60, 15
MAX_LINES = dict.fromkeys(("strategies", "monitors", "servers", "triggers", "codecs", "corrections"), 105)
"""Of a file in these packages: an algorithm and its reference fit on one page."""
LARGER = {"report/figures": 22}  # one file for each figure
"""Folders with more files, files and functions with more lines than the limits. These numbers may only fall."""
PICKLERS = ("pickle", "cPickle", "dill", "cloudpickle", "shelve", "marshal", "joblib")
UNPICKLING = (
    "broadcast_object_list",
    "gather_object",
    "all_gather_object",
    "scatter_object_list",
    "send_object_list",
    "recv_object_list",
)
MAPPED = "execution/shared_data.py", "models/weight_files.py"  # torch.load with weights_only=True
RECORDS, DYNAMIC, OTHERS_CODE = "core/channel.py", "torchvision_compat.py", "registry/plugin_source.py"
HEAVY = {"torch", "numpy", "pandas", "pyarrow", "matplotlib", "scipy"}


def violations(root: Path) -> list[str]:
    """One line for each import in the package at `root` that the rules forbid."""
    return [breach for path in sorted(root.rglob("*.py")) for breach in _in_file(root, path)]


def _in_file(root: Path, path: Path) -> Iterator[str]:
    file, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
    folder = file.split("/")[0].removesuffix(".py")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.level:
            yield f"{file}:{node.lineno}: relative import"
        for name in _imported(node, root.name):
            yield from (f"{file}:{node.lineno}: {fault}" for fault in _import_faults(name, file, folder, root.name))
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called == "record" and file != RECORDS:
                yield f"{file}:{node.lineno}: the ledger is written in {RECORDS} only"
            if called in UNPICKLING:
                yield f"{file}:{node.lineno}: {called} unpickles what another process sent"
            if called in ("load", "save") and ast.unparse(node.func).startswith("torch.") and file not in MAPPED:
                yield f"{file}:{node.lineno}: torch.{called} belongs in {' or '.join(MAPPED)}"
            if called in ("import_module", "__import__") and file != DYNAMIC:
                yield f"{file}:{node.lineno}: import by name"
            if called in ("exec", "load_module", "exec_module") and file != OTHERS_CODE:
                yield f"{file}:{node.lineno}: others' code is run in {OTHERS_CODE} only"


def oversized(root: Path, larger: Mapping[str, int], max_lines: Mapping[str, int] = MAX_LINES) -> list[str]:
    """One line for each folder with too many files, file with too many lines and function with too many lines.

    `larger` has other limits by name: `folder`, `folder/file.py` or `folder/file.py:function`. `max_lines` has the
    limit of a file by the package at the top.
    """
    sizes: dict[str, tuple[int, int, str]] = {}
    for path in root.rglob("*.py"):
        file, text = path.relative_to(root).as_posix(), path.read_text(encoding="utf-8")
        folder = path.parent.relative_to(root).as_posix()
        sizes[folder] = (sizes.get(folder, (0, 0, ""))[0] + 1, MAX_FOLDER_FILES, "files")
        sizes[file] = (text.count("\n"), max_lines.get(file.split("/")[0], MAX_FILE_LINES), "lines")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                sizes[f"{file}:{node.name}"] = (lines, MAX_FUNCTION_LINES, "lines")
    return [
        f"{name}: {size} {unit}, more than {larger.get(name, limit)}"
        for name, (size, limit, unit) in sorted(sizes.items())
        if size > larger.get(name, limit)
    ]


def _imported(node: ast.AST, package: str) -> list[str]:
    """Dotted names; `from package import x` counts as `package.x`."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module == package:
        return [f"{package}.{alias.name}" for alias in node.names if alias.name != "__version__"]
    if isinstance(node, ast.ImportFrom) and node.module in ("torch",):
        return [f"{node.module}.{alias.name}" for alias in node.names]
    return [node.module or ""] if isinstance(node, ast.ImportFrom) else []


def _import_faults(name: str, file: str, folder: str, package: str) -> Iterator[str]:
    if name.split(".")[0] in PICKLERS:
        yield f"{name} runs what it reads"
    for other, places in ONLY_IN.items():
        if f"{name}.".startswith(f"{other}.") and not {file, folder} & set(places.split()):
            yield f"{other} belongs in {places}"
    top, _, rest = name.partition(".")
    there = rest.split(".")[0]
    if top == package and there and there != folder and there not in MAY_IMPORT.get(folder, "").split():
        yield f"{folder} may not import {there}"


def module_graph(root: Path) -> dict[str, set[str]]:
    """Each module and the modules of the same package that it imports, at the top or within a function.

    The package's own `__getattr__` is left out: it runs when a user reads `fdabench.sync`, after every import.
    """
    modules = {_module(root, path): path for path in root.rglob("*.py")}
    return {
        name: {
            actual
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            for actual in _imported(node, root.name)
            if actual in modules and actual != name and name != root.name
        }
        for name, path in modules.items()
    }


def _module(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root.parent).with_suffix("").parts).removesuffix(".__init__")


def imported_by(*arguments: str) -> set[str]:
    """The third-party packages that a Python process with these arguments has imported when it ends."""
    done = subprocess.run(
        [sys.executable, "-X", "importtime", *arguments], capture_output=True, text=True, check=True, cwd=ROOT.parent
    )
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if "|" in line}


def test_each_line_names_only_packages_above_it() -> None:
    visited: set[str] = set()
    for package, allowed in MAY_IMPORT.items():
        assert set(allowed.split()) <= visited, package
        visited.add(package)


def test_every_package_has_a_line() -> None:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    files = {path.stem for path in ROOT.glob("*.py")}
    assert packages | files == set(MAY_IMPORT)


def test_the_package_imports_allowed_packages_only() -> None:
    assert violations(ROOT) == []


def test_files_functions_and_folders_are_within_their_limits() -> None:
    assert oversized(ROOT, LARGER) == []
    assert oversized(TESTS, {}, {}) == []


@pytest.mark.parametrize(
    ("file", "text", "larger", "message"),
    [
        ("report/page/page.py", "x = 1\n" * 401, {}, "report/page/page.py: 401 lines, more than 400"),
        ("monitors/mine.py", "x = 1\n" * 106, {}, "monitors/mine.py: 106 lines, more than 105"),
        (
            "execution/local_backend.py",
            "def f():\n" + "    x = 1\n" * 60,
            {},
            "execution/local_backend.py:f: 61 lines, more than 60",
        ),
        ("execution/local_backend.py", "def f():\n" + "    x = 1\n" * 60, {"execution/local_backend.py:f": 61}, ""),
        ("execution/local_backend.py", "", {"execution": 0}, "execution: 1 files, more than 0"),
    ],
)
def test_a_file_or_function_above_its_limit_is_reported(
    tmp_path: Path, file: str, text: str, larger: dict[str, int], message: str
) -> None:
    path = tmp_path / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    assert oversized(tmp_path, larger) == ([message] if message else [])


def test_a_folder_with_too_many_files_is_reported(tmp_path: Path) -> None:
    for number in range(16):
        (tmp_path / f"m{number}.py").write_text("")
    assert oversized(tmp_path, {}) == [".: 16 files, more than 15"]


def test_no_test_imports_another_test_file_or_a_conftest() -> None:
    folders = {path.name for path in TESTS.iterdir() if path.is_dir()} - {"support"}
    actual = [
        f"{path.relative_to(TESTS)}: {name}"
        for path in TESTS.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        for name in _imported(node, "fdabench")
        if name.split(".")[0] in folders | {"conftest", "tests"}
    ]
    assert actual == []


def test_no_module_imports_itself_by_way_of_others() -> None:
    graph = module_graph(ROOT)
    assert len(graph) > 50
    assert len(list(TopologicalSorter(graph).static_order())) == len(graph)


@pytest.mark.parametrize(
    ("file", "text", "breach"),
    [
        ("engine/loop.py", "from fdabench.strategies.fda import FDA", "engine may not import strategies"),
        ("strategies/mine.py", "import fdabench.engine.loop", "strategies may not import engine"),
        ("core/channel.py", "from fdabench import suite", "core may not import suite"),
        ("errors.py", "from fdabench.core import ledger", "errors may not import core"),
        ("report/page/page.py", "import torch.nn.functional as F", "torch belongs in"),
        ("cli/commands/show.py", "def f():\n    import torch", "torch belongs in"),
        ("engine/loop.py", "import torch.distributed as dist", "torch.distributed belongs in"),
        ("engine/loop.py", "from torch import distributed", "torch.distributed belongs in"),
        ("execution/local_backend.py", "from rich.live import Live", "rich belongs in"),
        ("results/load.py", "import matplotlib.pyplot as plt", "matplotlib belongs in"),
        ("datasets/images.py", "import torchvision", "torchvision belongs in"),
        ("datasets/images.py", "import_module('torchvision')", "import by name"),
        ("models/convnext.py", "from torchvision.models import convnext_large", "torchvision belongs in"),
        ("strategies/mine.py", "import pydantic", "pydantic belongs in"),
        ("results/load.py", "exec(code)", "others' code is run in"),
        (
            "report/build.py",
            "from fdabench.registry.plugin_loading import load_plugins",
            "report may not import registry",
        ),
        ("strategies/mine.py", "channel.ledger.record('model', x)", "the ledger is written in"),
        ("suite/grid.py", "from . import cell", "relative import"),
        ("distributed/process_group.py", "dist.gather_object(mine, everyones)", "gather_object unpickles"),
        ("experiment/checkpoint/serialize.py", "def f():\n    from pickle import loads", "pickle runs what it reads"),
        ("experiment/checkpoint/file.py", "torch.load(path)", "torch.load belongs in execution/shared_data.py"),
    ],
)
def test_a_forbidden_import_is_reported(tmp_path: Path, file: str, text: str, breach: str) -> None:
    path = tmp_path / "fdabench" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    (actual,) = [line for line in violations(tmp_path / "fdabench") if breach in line]
    assert actual.startswith(file)


def test_an_import_cycle_is_reported(tmp_path: Path) -> None:
    root = tmp_path / "fdabench" / "suite"
    root.mkdir(parents=True)
    (root / "a.py").write_text("from fdabench.suite.b import x")
    (root / "b.py").write_text("def f():\n    import fdabench.suite.a")
    with pytest.raises(CycleError):
        list(TopologicalSorter(module_graph(tmp_path / "fdabench")).static_order())


def test_importing_fdabench_imports_no_slow_package() -> None:
    actual = imported_by("-c", "import fdabench")
    assert "fdabench" in actual
    assert actual & (HEAVY | {"typer", "rich"}) == set()


@pytest.mark.parametrize("arguments", [["-h"], ["--help"], ["--version"], ["run", "--help"], ["report", "-h"]])
def test_help_imports_no_slow_package(arguments: list[str]) -> None:
    actual = imported_by("-m", "fdabench", *arguments)
    assert "typer" in actual
    assert actual & HEAVY == set()


def test_reading_results_and_reporting_need_no_torch() -> None:
    actual = imported_by(
        "-c", "import fdabench.results.load, fdabench.report.build, fdabench.cli.commands.results.report"
    )
    assert "pandas" in actual
    assert "torch" not in actual


def test_reading_results_in_a_notebook_needs_no_torch() -> None:
    assert imported_by("-c", "import fdabench; fdabench.load") & {"pandas", "torch"} == {"pandas"}


@pytest.mark.parametrize(
    ("modules", "absent"),
    [
        ("fdabench.cli.commands.results.show", {"torch"}),
        ("fdabench.cli.commands.results.status", {"torch", "pandas", "scipy", "matplotlib"}),
        ("fdabench.cli.constants, fdabench.cli.commands.runs.init", {"torch", "scipy", "matplotlib"}),
    ],
)
def test_read_only_commands_import_allowed_packages_only(modules: str, absent: set[str]) -> None:
    actual = imported_by("-c", f"import {modules}")
    assert "rich" in actual
    assert actual & absent == set()
