"""`fdabench init`: writes a suite with comments, as a start for suites of one's own."""

from pathlib import Path

from fdabench.cli.console import print_result
from fdabench.errors import UsageError
from fdabench.results.files import atomic_write_bytes

SUITE = """\
# A suite: lists in [[workload]] and [[strategy]] are crossed; every combination with every seed is a cell.
# `fdabench validate` checks it, `fdabench plan` prints its cost, `fdabench run` runs it.
# Every key: docs/suites.md. Allowed names: `fdabench list strategies`, `list models`, `list datasets`, ...
name = "my-suite"
description = "How many bytes does each strategy need on handwritten digits, with iid and with skewed labels?"
tuning = "Nothing is tuned: one plausible value for each strategy."
seeds = [0, 1]                    # repeats; all strategies of a seed begin with the same weights, data and batches

[budget]                          # the same for every strategy
steps = 120                       # local steps of each worker; or epochs = 20

[eval]
every_steps = 20                  # how often the test set is evaluated; or every_epochs = 1
targets = [0.7, 0.8]              # test accuracies to reach, as fractions

[[workload]]
dataset = "digits"                # needs no download; others: mnist, fashion-mnist, cifar10, cifar100
model = "mlp"
workers = 4
batch_size = 32
optimizer = { kind = "adam", lr = 1e-3 }
partition = ["iid", { kind = "dirichlet", alpha = 0.5 }]   # how samples are divided among the workers

[[strategy]]
kind = "synchronous"              # average after every step
reference = true                  # the other strategies are compared with this one

[[strategy]]
kind = "fedavg"
local_steps = 20                  # average after every 20th step

[[strategy]]
kind = "fda"                      # average when an estimate of the model variance exceeds theta
monitor = "linear"                # naive, linear, sketch
theta = 1.0                       # a list is a sweep: [0.5, 1.0, 2.0]
"""


def write_suite(path: Path) -> None:
    """Write the suite to a new file.

    Raises:
        UsageError: the file exists, or its name does not end in `.toml`.
        ResultError: the file cannot be written.
    """
    if path.suffix != ".toml":
        raise UsageError(f"init: {path}: expected a file name that ends in .toml, such as suite.toml")
    if path.exists() or path.is_symlink():
        raise UsageError(f"init: {path}: this file exists already and is unchanged; give another file name")
    atomic_write_bytes(path, SUITE.encode())
    print_result(f"{path.as_posix()}: written; next: fdabench run {path.as_posix()}")
