"""`fdabench init`: writes a suite with comments, which the user then changes.

The registry and the reader of suites need torch, so they are imported after the questions.
"""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import typer

from fdabench.cli.console import print_result
from fdabench.errors import SuiteError, UsageError, did_you_mean
from fdabench.results.files import atomic_write_bytes

SUITE = """\
# A suite: lists in [[workload]] and [[strategy]] are crossed; every combination with every seed is a cell.
# `fdabench validate` checks it, `fdabench plan` prints its cost, `fdabench run` runs it.
# Every key: docs/suites.md. Allowed names: `fdabench list strategies`, `list models`, `list datasets`, ...
name = "my-suite"
description = "How many bytes does each strategy need on {dataset}, with {partitions}?"
tuning = "Nothing is tuned: one plausible value for each strategy."
seeds = [0, 1]                    # repeats; all strategies of a seed begin with the same weights, data and batches

[budget]                          # the same for every strategy
steps = {steps:<26}# local steps of each worker; or epochs = 20

[eval]
every_steps = {every_steps:<20}# how often the test set is evaluated; or every_epochs = 1
{targets}

[[workload]]
dataset = {quoted_dataset:<24}# others: `fdabench list datasets`, or data of your own: `fdabench inspect PATH`
model = {quoted_model:<26}# others: `fdabench list models`
workers = {workers}
batch_size = {batch_size}
optimizer = {optimizer}
partition = {partition}   # how samples are divided among the workers
"""


@dataclass(frozen=True)
class WorkloadTemplate:
    """What `init` writes for a data set.

    Args:
        model: the model, if none is given.
        steps, every_steps: the budget and the interval of evaluations, in local steps of each worker.
        theta: the threshold of FDA and of GM, as TOML.
        targets: the lines of `[eval]` with the targets.
        batch_size, optimizer: of the workload, as TOML.
        partition, partitions: the value of `partition` as TOML, and what it is in words.
    """

    model: str
    steps: int
    every_steps: int
    theta: str
    targets: str
    batch_size: int = 32
    optimizer: str = '{ kind = "adam", lr = 1e-3 }'
    partition: str = '["iid", { kind = "dirichlet", alpha = 0.5 }]'
    partitions: str = "iid and with skewed labels"


_PUBLISHED_THETA = '"balanced"'
"""The published rule: theta is a constant times the number of parameters."""


def _accuracies(*targets: float) -> str:
    return f"targets = {f'{list(targets)}':<24}# test accuracies to reach, as fractions"


WORKLOADS: Mapping[str, WorkloadTemplate] = {
    "digits": WorkloadTemplate("mlp", 120, 20, "1.0", _accuracies(0.7, 0.8)),
    "mnist": WorkloadTemplate("lenet5", 1000, 50, _PUBLISHED_THETA, _accuracies(0.95, 0.97)),
    "fashion-mnist": WorkloadTemplate("lenet5", 1000, 50, _PUBLISHED_THETA, _accuracies(0.75, 0.8)),
    "cifar10": WorkloadTemplate("cnn", 1200, 50, _PUBLISHED_THETA, _accuracies(0.4, 0.5)),
    "cifar100": WorkloadTemplate("cnn", 2000, 100, _PUBLISHED_THETA, _accuracies(0.1, 0.2)),
    "shakespeare": WorkloadTemplate(
        "gpt-nano",
        600,
        25,
        _PUBLISHED_THETA,
        'metric = "loss"                   # of the next byte, in nats\ntargets = [2.6, 2.4]',
        batch_size=16,
        optimizer='{ kind = "adamw", lr = 3e-3, beta2 = 0.95, clip = 1.0 }',
        partition='["iid", "natural"]',
        partitions="iid text and with the roles of the plays divided among the workers",
    ),
}
"""By the name of the data set."""

STRATEGIES = ("synchronous", "fedavg", "fda")
"""The strategies of the suite, if none are given."""

_COMMENTS = {
    "synchronous": "average the models after every step",
    "ddp": "average the gradients at every step",
    "fedavg": "average after every 20th step",
    "fda": "average when an estimate of the model variance exceeds theta",
}
_REFERENCES = ("synchronous", "ddp")


@dataclass(frozen=True)
class Answers:
    """The options of `init`. None and an empty tuple stand for the defaults."""

    dataset: str | None = None
    model: str | None = None
    strategies: tuple[str, ...] = ()
    workers: int | None = None


def check_path(path: Path) -> None:
    """Refuse a file that cannot be written, before questions are asked.

    Raises:
        UsageError: the file exists, or its name does not end in `.toml`.
    """
    if path.suffix != ".toml":
        raise UsageError(f"init: {path}: expected a file name that ends in .toml, such as suite.toml")
    if path.exists() or path.is_symlink():
        raise UsageError(f"init: {path}: this file exists already and is unchanged; give another file name")


def write_suite(path: Path, answers: Answers) -> None:
    """Write the suite to a new file, which `check_path` accepted.

    Raises:
        UsageError: the answers give no valid suite.
        ResultError: the file cannot be written.
    """
    text = suite_text(answers)
    _validate(text)
    atomic_write_bytes(path, text.encode())
    print_result(f"{path.as_posix()}: written; next: fdabench run {path.as_posix()}")


def ask(answers: Answers) -> Answers:
    """Ask for the values that the command line does not give. The Enter key accepts the value in brackets."""
    dataset = answers.dataset or typer.prompt(f"Data set: {', '.join(WORKLOADS)}", "digits", err=True)
    default_model = WORKLOADS[dataset].model if dataset in WORKLOADS else "mlp"
    model = answers.model or typer.prompt("Model", default_model, err=True)
    names = ",".join(answers.strategies) or typer.prompt("Strategies, with commas", ",".join(STRATEGIES), err=True)
    workers = answers.workers or typer.prompt("Workers", 4, type=int, err=True)
    return replace(answers, dataset=dataset, model=model, strategies=split_names(names), workers=workers)


def split_names(text: str) -> tuple[str, ...]:
    """Split names at commas: `fda, fedavg` gives `("fda", "fedavg")`."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def suite_text(answers: Answers) -> str:
    """Return the suite as TOML with comments.

    Raises:
        UsageError: names are unknown or repeated. The message has all of them.
    """
    from fdabench.registry.registry import BUILT_IN

    dataset, strategies = answers.dataset or "digits", answers.strategies or STRATEGIES
    faults = [
        *_unknown("--workload", [dataset], list(WORKLOADS)),
        *_unknown("--model", [answers.model] if answers.model else [], list(BUILT_IN.models)),
        *_unknown("--strategies", strategies, list(BUILT_IN.strategies)),
        *(f"--strategies: {name!r} is given twice" for name in set(strategies) if strategies.count(name) > 1),
    ]
    if faults:
        raise UsageError("\n".join(f"init: {fault}" for fault in faults))
    workload = WORKLOADS[dataset]
    head = SUITE.format(
        dataset="handwritten digits" if dataset == "digits" else dataset,
        partitions=workload.partitions,
        steps=workload.steps,
        every_steps=workload.every_steps,
        targets=workload.targets,
        quoted_dataset=f'"{dataset}"',
        quoted_model=f'"{answers.model or workload.model}"',
        workers=answers.workers or 4,
        batch_size=workload.batch_size,
        optimizer=workload.optimizer,
        partition=workload.partition,
    )
    reference = next((name for name in strategies if name in _REFERENCES), strategies[0])
    return "\n".join([head, *(_strategy(name, workload.theta, name == reference) for name in strategies)])


def _unknown(option: str, names: Sequence[str], allowed: Sequence[str]) -> list[str]:
    return [
        f"{option}: {name!r} is unknown; allowed: {', '.join(allowed)}{did_you_mean(name, allowed)}"
        for name in names
        if name not in allowed
    ]


def _strategy(kind: str, theta: str, is_reference: bool) -> str:
    """Return the table of a strategy, with a plausible value for each key that has no default."""
    from fdabench.registry.component_fields import component_fields
    from fdabench.registry.registry import BUILT_IN

    cls = BUILT_IN.strategies[kind]
    comment = _COMMENTS.get(kind) or " ".join((cls.__doc__ or "").split("\n\n")[0].split()).removesuffix(".")
    lines = [f"# {comment}", "[[strategy]]", f'kind = "{kind}"']
    if is_reference:
        lines.append("reference = true                  # the other strategies are compared with this one")
    for field in component_fields(cls, BUILT_IN):
        if field.required:
            lines.append(_key(kind, field.name, theta))
    if kind == "scaffold":
        lines.append('correction = { kind = "scaffold", of = "gradient" }   # "drift" needs SGD without momentum')
    return "\n".join(lines) + "\n"


def _key(kind: str, name: str, theta: str) -> str:
    triggers = {
        "qsr": "{ rate = 0.6, least = 4 }",
        "stages": "{ first = 1, switch_steps = 100, local_steps = 20 }",
        "gm": f"{{ theta = {theta} }}",
        "adacomm": "{ first = 16 }",
        "rounds": '{ kind = "doubling", every_steps = 150, most = 32 }',
    }
    rule = "the published rule; " if theta == _PUBLISHED_THETA else ""
    return {
        "period": "local_steps = 20",
        "fragments": "fragments = 4",
        "monitor": 'monitor = "linear"                # naive, linear, sketch',
        "theta": f"theta = {theta:<26}# {rule}a list is a sweep: [0.5, 1.0, 2.0]",
        "when": f"when = {triggers.get(kind, '')}",
    }[name]


def _validate(text: str) -> None:
    """Read the suite as `fdabench validate` does.

    Raises:
        UsageError: the suite is not valid, for example because the model does not fit the data set.
    """
    from fdabench.suite.reader import read_suite

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "suite.toml"
        path.write_text(text, encoding="utf-8")
        try:
            read_suite(path)
        except SuiteError as error:
            faults = [fault.removeprefix(path.as_posix()).lstrip(":0123456789 ") for fault in error.faults]
            raise UsageError("\n".join(f"init: {fault}" for fault in faults)) from None
