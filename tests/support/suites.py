"""The text of a small suite on the digits, with arguments for its settings, and functions for files of tests."""

import re
from collections.abc import Sequence
from pathlib import Path

ADAM = '{ kind = "adam", lr = 1e-3 }'
SGD = '{ kind = "sgd", lr = 0.1 }'
DIRICHLET = '{ kind = "dirichlet", alpha = 0.5 }'

SYNCHRONOUS = 'kind = "synchronous"'
FEDAVG = 'kind = "fedavg"\nlocal_steps = 2'
SKETCH_FDA = 'kind = "fda"\nmonitor = "sketch"\ntheta = 0.3'
FOUR_MONITORS = """kind = "fda"
monitor = ["naive", "linear", { kind = "sketch", depth = 3, width = 50 }, "exact"]
theta = 0.3"""

TEXT_SUITE = """
name = "text"
[budget]
steps = 6
[eval]
every_steps = 3
[[workload]]
dataset = "shakespeare"
model = "gpt-nano"
workers = 3
batch_size = 2
optimizer = { kind = "adamw", lr = 3e-3, clip = 1.0, schedule = { kind = "cosine", warmup = 0.3 } }
partition = "natural"
[[strategy]]
kind = "fda"
monitor = "linear"
theta = 0.5
[[strategy]]
kind = "diloco"
local_steps = 2
"""
"""A GPT on the plays of the package."""


def linear_fda(theta: float) -> str:
    """The table of FDA with the linear monitor."""
    return f'kind = "fda"\nmonitor = "linear"\ntheta = {theta}'


def digits_suite(
    strategies: Sequence[str],
    *,
    name: str = "tiny",
    steps: int,
    every_steps: int,
    targets: Sequence[float] | None = (0.3, 0.99),
    workers: int = 2,
    batch_size: int = 32,
    optimizer: str = ADAM,
    workload: str = "",
    head: str = "",
) -> str:
    """A suite in TOML: the multilayer perceptron on the digits.

    Args:
        strategies: the lines of each `[[strategy]]` table, such as `SYNCHRONOUS`.
        name: of the suite.
        steps: the budget, in local steps of each worker.
        every_steps: steps between two evaluations.
        targets: accuracies as fractions; None leaves the key out.
        workers: number of workers.
        batch_size: samples in a local batch.
        optimizer: an inline table, such as `ADAM`.
        workload: further lines of the `[[workload]]` table.
        head: further lines before the first table, such as `seeds = [0, 1]`.
    """
    lines = [f'name = "{name}"', *([head] if head else []), "", "[budget]", f"steps = {steps}", "", "[eval]"]
    lines += [f"every_steps = {every_steps}", *([] if targets is None else [f"targets = {list(targets)}"]), ""]
    lines += ["[[workload]]", 'dataset = "digits"', 'model = "mlp"', f"workers = {workers}"]
    lines += [f"batch_size = {batch_size}", f"optimizer = {optimizer}", *([workload] if workload else [])]
    for table in strategies:
        lines += ["", "[[strategy]]", table]
    return "\n" + "\n".join(lines) + "\n"


def read_files(root: Path) -> dict[str, bytes]:
    """Return the content of every file below `root`, by its path relative to `root`."""
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def replace_text(path: str | Path, old: str, new: str) -> None:
    """Replace each occurrence of `old` in a text file by `new`; `old` must occur."""
    text = Path(path).read_text()
    assert old in text
    Path(path).write_text(text.replace(old, new))


ORIGIN = re.compile(r"--set |(?P<file>.*\.toml):(?P<line>\d+): ")
"""Where a fault of a suite stands: an override, or a line of a file."""


def without_origin(fault: str) -> str:
    """Without `suite.toml:27: `, or `--set ` for a value that an override gave."""
    return ORIGIN.sub("", fault, count=1)
