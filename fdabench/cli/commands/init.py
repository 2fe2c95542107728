"""`fdabench init`: writes a suite with comments, as a start for suites of one's own."""

from pathlib import Path

from fdabench.cli.console import print_result
from fdabench.errors import UsageError
from fdabench.results.files import atomic_write_bytes

SUITE = """\
# A suite: lists in [[workload]] and [[strategy]] are crossed; every combination with every seed is a cell.
# Check it with `fdabench validate`, see what it costs with `fdabench plan`, run it with `fdabench run`.
# Every key: docs/suites.md. What may be named: `fdabench list strategies`, `list models`, `list datasets`, ...
name = "my-suite"
description = "Who needs how many bytes to read handwritten digits, with alike and with unlike workers?"
tuning = "Nothing is tuned: one plausible value for each strategy."
seeds = [0, 1]                    # repeats; all strategies of a seed begin with the same weights, data and batches

[budget]                          # the same for every strategy
steps = 120                       # local steps of each worker; or epochs = 20

[eval]
every_steps = 20                  # how often the test set is evaluated; or every_epochs = 1
targets = [0.7, 0.8]              # test accuracies to reach, as fractions

[[workload]]
dataset = "digits"                # without a download; also mnist, fashion-mnist, cifar10, cifar100
model = "mlp"
workers = 4
batch_size = 32
optimizer = { kind = "adam", lr = 1e-3 }
partition = ["iid", { kind = "dirichlet", alpha = 0.5 }]   # how samples are divided among the workers

[[strategy]]
kind = "synchronous"              # average after every step
reference = true                  # what the others are compared with

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
        raise UsageError(f"init: {path}: expected a file that ends in .toml, as in: fdabench init suite.toml")
    if path.exists() or path.is_symlink():
        raise UsageError(f"init: {path}: is there already and is left as it is; name another file")
    atomic_write_bytes(path, SUITE.encode())
    print_result(f"{path.as_posix()}: written; next: fdabench run {path.as_posix()}")
