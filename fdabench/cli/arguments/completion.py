"""What a shell completes for the arguments of the commands.

A shell starts the program each time that the user presses Tab, so these functions import neither torch nor pandas.
They only read files, and a file that cannot be read gives no completions.
"""

import ast
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

import typer

import fdabench
from fdabench.cli.arguments.shipped_suites import parse_suite, shipped_suites
from fdabench.shared_types import ParsedTable

LOCK = "suite.lock.toml"
"""A folder with this file is a results folder."""
MAX_LISTED = 200
"""Words that are offered at most."""


def complete_suite(incomplete: str) -> list[str]:
    """Complete the path of a suite file, or the name of a suite that ships with the package."""
    return _starting_with(incomplete, [*_paths(incomplete, ".toml"), *shipped_suites()])


def complete_folder(incomplete: str) -> list[str]:
    """Complete the folder of a file that a command writes."""
    return _starting_with(incomplete, [path for path in _paths(incomplete, ".toml") if path.endswith("/")])


def complete_results(incomplete: str) -> list[str]:
    """Complete a results folder: the ones in `results`, and those below the incomplete path."""
    return _starting_with(incomplete, _results_folders(incomplete))


def complete_results_or_cell(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete the arguments of `show`: a results folder, then the ids of its cells and the words of their titles."""
    folders = [str(folder) for folder in ctx.params.get("results") or ()]
    if not folders:
        return complete_results(incomplete)
    cells = _read_toml(Path(folders[0]) / LOCK).get("cell")
    return _starting_with(incomplete, [*_cell_words(cells), *_results_folders(incomplete)])


def complete_selection(ctx: typer.Context, incomplete: str) -> list[str]:
    """Complete a word of `-k`: strategies, data sets, models and partitions of the suite.

    Words that precede the last one, such as `FDA and `, stay as they are.
    """
    # The line ends in `-k` without a value, so the arguments before it are not parsed.
    kinds = [kind for suite in ctx.args for kind in _kinds_in_suite(suite)]
    before, blank, word = incomplete.rpartition(" ")
    words = [f"{before}{blank}{name}" for name in kinds or built_in_names("strategies", "STRATEGIES")]
    return _starting_with(f"{before}{blank}{word}", words)


def complete_strategies(incomplete: str) -> list[str]:
    """Complete the last name of a list that is separated by commas: `fda,fed` to `fda,fedavg`, `fda,fedadam`, ..."""
    return _after_commas(incomplete, built_in_names("strategies", "STRATEGIES"))


def complete_dataset(incomplete: str) -> list[str]:
    """Complete the name of a built-in data set."""
    return _starting_with(incomplete, built_in_names("datasets", "DATASETS"))


def complete_model(incomplete: str) -> list[str]:
    """Complete the name of a built-in model."""
    return _starting_with(incomplete, built_in_names("models", "MODELS"))


def built_in_names(package: str, registry: str) -> list[str]:
    """Return the names of built-in components from the source of their package, without importing it.

    Args:
        package: such as `strategies`.
        registry: the variable of the package whose value is a dict with these names, such as `STRATEGIES`.
    """
    source = Path(fdabench.__file__).parent / package / "__init__.py"
    for node in ast.parse(source.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == registry:
            keys = node.value.keys if isinstance(node.value, ast.Dict) else ()
            return [key.value for key in keys if isinstance(key, ast.Constant) and isinstance(key.value, str)]
    return []


def _after_commas(incomplete: str, names: Iterable[str]) -> list[str]:
    before, comma, _ = incomplete.rpartition(",")
    left = [name for name in names if name not in before.split(",")]
    return _starting_with(incomplete, [f"{before}{comma}{name}" for name in left])


def _starting_with(incomplete: str, words: Iterable[str]) -> list[str]:
    return [word for word in dict.fromkeys(words) if word.startswith(incomplete)][:MAX_LISTED]


def _paths(incomplete: str, suffix: str) -> list[str]:
    """The files with the suffix in the folder of the incomplete path, and the folders in it with a slash."""
    folder, slash, _ = incomplete.rpartition("/")
    prefix = f"{folder}{slash}"
    entries = _entries(Path(prefix or "."))
    files = [f"{prefix}{path.name}" for path in entries if path.suffix == suffix and path.is_file()]
    return files + [f"{prefix}{path.name}/" for path in entries if path.is_dir() and not path.name.startswith(".")]


def _results_folders(incomplete: str) -> list[str]:
    folder, slash, _ = incomplete.rpartition("/")
    matches = [path for path in _entries(Path(f"{folder}{slash}" or ".")) if path.is_dir()]
    usual = [] if slash else [path for path in _entries(Path("results")) if path.is_dir()]
    return [path.as_posix() for path in [*matches, *usual] if (path / LOCK).is_file()] or [
        f"{path.as_posix()}/" for path in matches if not path.name.startswith(".")
    ]


def _entries(folder: Path) -> list[Path]:
    try:
        return sorted(folder.iterdir())
    except OSError:
        return []


def _read_toml(path: Path) -> ParsedTable:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError):
        return {}


def _cell_words(cells: object) -> Iterator[str]:
    """Ids of cells, then labels of strategies and seeds, which are words of titles."""
    tables = _tables(cells)
    yield from (str(cell["id"]) for cell in tables if "id" in cell)
    yield from (str(cell["label"]) for cell in tables if "label" in cell)
    configs = [cell["config"] for cell in tables if isinstance(cell.get("config"), dict)]
    yield from (f"s{config['seed']}" for config in configs if "seed" in config)


def _kinds_in_suite(suite: str) -> list[str]:
    """Strategies, data sets, models and partitions that a suite file names, in this order."""
    try:
        raw = _read_toml(parse_suite(suite))
    except typer.BadParameter:
        return []
    settings = {"strategy": ("kind", "monitor"), "workload": ("dataset", "model", "partition")}
    return [
        name
        for tables, keys in settings.items()
        for key in keys
        for table in _tables(raw.get(tables))
        for name in _names(table.get(key))
    ]


def _tables(value: object) -> list[ParsedTable]:
    return [table for table in value if isinstance(table, dict)] if isinstance(value, list) else []


def _names(value: object) -> list[str]:
    """The names in a value of a suite: a name, a table with a `kind`, or a list of these."""
    if isinstance(value, str):
        return [value]
    if isinstance(value, dict):
        return _names(value.get("kind"))
    return [name for item in value for name in _names(item)] if isinstance(value, list) else []
