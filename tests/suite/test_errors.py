"""Invalid suites: one line for each fault, all faults in one error, and no other exception."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from fdabench.errors import SuiteError
from fdabench.strategies import STRATEGIES
from fdabench.suite.reader import LoadedSuite, read_suite
from fdabench.suite.schema import Exclude, Suite, Workload
from support.suites import without_origin

Read = Callable[..., LoadedSuite]
Table = dict[str, Any]
TOP = ", ".join([*Suite.model_fields, "extends"])
WORKLOAD, AXES = (", ".join(table.model_fields) for table in (Workload, Exclude))
STRATEGY_NAMES = ", ".join(f'"{name}"' for name in STRATEGIES)

# override of the good suite: the lines that it should lead to
FAULTS: dict[str, list[str]] = {
    # unknown keys, with the nearest name
    "budgets={steps = 3}": [
        f'budgets: unknown key; allowed: {TOP}; did you mean "budget"?',
    ],
    "eval.target=[0.5]": [
        "eval.target: unknown key; allowed: every_steps, every_epochs, metric, targets, headline, consecutive, "
        'comparison, stop_at_last_target, model, validation, samples, worst_decile; did you mean "targets"?',
    ],
    "workload.0.batchsize=3": [
        f'workload.0.batchsize: unknown key; allowed: {WORKLOAD}; did you mean "batch_size"?',
    ],
    "workload.0.optimizer.learning_rate=3": [
        "workload.0.optimizer.learning_rate: unknown key: adam takes no learning_rate; allowed: kind, lr, "
        'beta1, beta2, eps, weight_decay, state_on_sync, schedule, clip, first_every, second_every; did you mean "lr"?',
    ],
    "workload.0.partition.alhpa=3": [
        "workload.0.partition.alhpa: unknown key: dirichlet takes no alhpa; allowed: kind, alpha, shares, "
        'min_samples; did you mean "alpha"?',
    ],
    "strategy.2.thetta=1": [
        "strategy.2.thetta: unknown key: fda takes no thetta; allowed: kind, theta, monitor, every, server, "
        'codec, feedback, correction, most, lag, last, name, reference, optimizer; did you mean "theta"?',
    ],
    "strategy.2.monitor.deptth=1": [
        "strategy.2.monitor.deptth: unknown key: sketch takes no deptth; allowed: kind, depth, width; did "
        'you mean "depth"?',
    ],
    "strategy.2.monitor.seed=1": [
        "strategy.2.monitor.seed: unknown key: sketch takes no seed; allowed: kind, depth, width",
    ],
    "strategy.0.theta=1": [
        "strategy.0.theta: unknown key: synchronous takes no theta (fda, layerwise-fda do); allowed: "
        "kind, name, reference, optimizer",
    ],
    "exclude=[{worker = 3}]": [f'exclude.0.worker: unknown key; allowed: {AXES}; did you mean "workers"?'],
    # what other tools call it, told once for a list
    "budget={rounds = 5}": [
        "budget.rounds: unknown key; allowed: steps, epochs; rounds are not counted beforehand: a budget is "
        "in steps or epochs",
    ],
    "strategy.1.period=[5, 10]": [
        "strategy.1.period: unknown key: fedavg takes no period; allowed: kind, local_steps, local_epochs, "
        "server, codec, feedback, correction, name, reference, optimizer; the period of a round is local_steps "
        "or local_epochs, of strategies that have one",
    ],
    "workload.0.num_clients=3": [
        f'workload.0.num_clients: unknown key; allowed: {WORKLOAD}; did you mean "workers"?',
    ],
    "exclude=[{workers = [3, 5]}, {sede = 1}]": [
        f'exclude.1.sede: unknown key; allowed: {AXES}; did you mean "seed"?',
    ],
    # unknown names, with the nearest
    "workload.0.dataset=digit": [
        'workload.0.dataset: "digit" is unknown; allowed: "digits", "mnist", "fashion-mnist", "cifar10", '
        '"cifar100", "shakespeare"; did you mean "digits"?',
    ],
    "workload.0.model=mpl": [
        'workload.0.model: "mpl" is unknown; allowed: "mlp", "lenet5", "vgg16star", "cnn", "densenet121", '
        '"densenet201", "convnext-large", "convnext-large-imagenet", "gpt-nano", "gpt-micro", "gpt-mini"; did '
        'you mean "mlp"?',
    ],
    "strategy.2.kind=fdaa": [
        'strategy.2.kind: "fdaa" is unknown; allowed: ' + STRATEGY_NAMES + '; did you mean "fda"?',
    ],
    "strategy.2.kind=3": [
        "strategy.2.kind: 3 is unknown; allowed: " + STRATEGY_NAMES,
    ],
    "strategy.2.monitor=linaer": [
        'strategy.2.monitor: kind "linaer" is unknown; allowed: "naive", "linear", "sketch", "exact"; did '
        'you mean "linear"?',
    ],
    "workload.0.partition=dirichlt": [
        'workload.0.partition: kind "dirichlt" is unknown; allowed: "iid", "iid-file-order", "round-robin", '
        '"dirichlet", "sorted", "label", "natural"; did you mean "dirichlet"?',
    ],
    "workload.0.optimizer.kind=adma": [
        'workload.0.optimizer.kind: "adma" is unknown; allowed: "sgd", "adam", "adamw"; did you mean "adam"?',
    ],
    "workload.0.partition.shares=per-clas": [
        'workload.0.partition.shares: "per-clas" is unknown; allowed: "per-class", "per-worker"; did you '
        'mean "per-class"?',
    ],
    "workload.0.sampling=shufle": [
        'workload.0.sampling: "shufle" is unknown; allowed: "shuffle", "replacement"; did you mean "shuffle"?',
    ],
    "accounting.convention=rign": [
        'accounting.convention: "rign" is unknown; allowed: "paper", "star", "ring", "upload"; did you mean "ring"?',
    ],
    "eval.comparison=over": ['eval.comparison: "over" is unknown; allowed: ">=", ">"'],
    # wrong types
    "seeds=3": ["seeds: expected a list, found 3"],
    "seeds=[[1]]": ["seeds.0: expected a whole number, found [1]"],
    "seeds=[1.0]": ["seeds.0: expected a whole number, found 1.0"],
    "budget.steps=30.0": ["budget.steps: expected a whole number, found 30.0"],
    "budget=3": ["budget: expected a table, found 3"],
    "eval.targets=0.5": ["eval.targets: expected a list, found 0.5"],
    "name=3": ["name: expected a string, found 3"],
    "workload=3": ["workload: expected a list, found 3"],
    "strategy=[1]": ["strategy.0: expected a table, found 1"],
    'exclude=["x"]': ['exclude.0: expected a table, found "x"'],
    "workload.0.workers=true": ["workload.0.workers: expected a whole number, found true"],
    "workload.0.optimizer=3": [
        'workload.0.optimizer: expected a kind, or a table with a kind, found 3; allowed kinds: "sgd", "adam", "adamw"',
    ],
    "strategy.2.theta=x": [
        'strategy.2.theta: expected a number, or one of "hpc", "balanced", "fl", found "x"',
    ],
    "strategy.2.theta=balance": [
        'strategy.2.theta: expected a number, or one of "hpc", "balanced", "fl", found "balance"; did you '
        'mean "balanced"?',
    ],
    'strategy.2.theta={per_parameter = "hpx"}': [
        'strategy.2.theta.per_parameter: expected a number, or one of "hpc", "balanced", "fl", found "hpx"; '
        'did you mean "hpc"?',
    ],
    "strategy.2.theta=2020-01-01": ["strategy.2.theta: expected a number, found 2020-01-01"],
    "strategy.2.theta=inf": ["strategy.2.theta: expected a finite number, found inf"],
    "strategy.2.reference=1": ["strategy.2.reference: expected true or false, found 1"],
    "strategy.2.kind={a = 1}": [
        "strategy.2.kind: { a = 1 } is unknown; allowed: " + STRATEGY_NAMES,
    ],
    # out of range
    "strategy.2.theta=-1": [
        "strategy.2.theta: -1 is out of range: it must be at least 0",
    ],
    "strategy.2.theta={per_parameter = 0.0}": [
        "strategy.2.theta.per_parameter: 0.0 is out of range: it must be more than 0",
    ],
    "workload.0.partition.alpha=0": [
        "workload.0.partition.alpha: 0 is out of range: it must be more than 0",
    ],
    "workload.0.partition.alpha=-0.5": [
        "workload.0.partition.alpha: -0.5 is out of range: it must be more than 0",
    ],
    'workload.0.partition={kind = "label", label = -1}': [
        "workload.0.partition.label: -1 is out of range: it must be at least 0",
    ],
    "eval.targets=[0.5, 98]": [
        "eval.targets.1: 98 is out of range: it must be at most 1; a fraction, so 98 % is 0.98",
    ],
    "eval.consecutive=0": ["eval.consecutive: 0 is out of range: it must be at least 1"],
    "budget.steps=0": ["budget.steps: 0 is out of range: it must be at least 1"],
    "seeds=[0, -1]": ["seeds.1: -1 is out of range: it must be at least 0"],
    "workload.0.optimizer.lr=0": [
        "workload.0.optimizer.lr: 0 is out of range: it must be more than 0",
    ],
    "workload.0.optimizer.beta1=1": [
        "workload.0.optimizer.beta1: 1 is out of range: it must be less than 1",
    ],
    "workload.0.workers=[2, 0]": [
        "workload.0.workers.1: 0 is out of range: it must be at least 1",
    ],
    'strategy.1.server={kind = "momentum", momentum = 1}': [
        "strategy.1.server.momentum: 1 is out of range: it must be less than 1",
    ],
    'strategy.1={kind = "fedavgm", local_steps = 1, server = {momentum = 1}}': [
        "strategy.1.server.momentum: 1 is out of range: it must be less than 1",
    ],
    # more than anything could hold
    "strategy.2.monitor.width=100000000000000": [
        "strategy.2.monitor.width: 100000000000000 is out of range: it must be at most 1e+09",
    ],
    "strategy.2.monitor={kind = 'sketch', depth = 1001, width = 1}": [
        "strategy.2.monitor.depth: 1001 is out of range: it must be at most 999",
    ],
    "strategy.2.monitor={kind = 'sketch', depth = 999, width = 100000000}": [
        "strategy.2.monitor: a local state of 9.99e+10 numbers; at most 1e+08 are allowed",
    ],
    "strategy.2.every=10000000000": [
        "strategy.2.every: 10000000000 is out of range: it must be at most 1e+09",
    ],
    "workload.0.partition.min_samples=1000000000000": [
        "workload.0.partition.min_samples: 1000000000000 is out of range: it must be at most 1e+09",
    ],
    "budget.steps=1000000000000": [
        "budget.steps: 1000000000000 is out of range: it must be at most 1e+09",
    ],
    "workload.0.workers=1000000000000": [
        "workload.0.workers: 1000000000000 workers, but digits has 1438 training samples",
        "workload.0.workers: 1000000000000 is out of range: it must be at most 1e+09",
    ],
    f"workload.0.workers=0x{'f' * 5000}": [
        "workload.0.workers: a number of thousands of digits workers, but digits has 1438 training samples",
        "workload.0.workers: a number of thousands of digits is out of range: it must be at most 1e+09",
    ],
    f"eval.targets={[0.5] * 1001}": [
        "eval.targets: the list has 1001 entries; at most 1000 are allowed",
    ],
    "strategy.2.monitor.width=0": [
        "strategy.2.monitor.width: 0 is out of range: it must be at least 1",
    ],
    # what does not fit together
    "workload.0.workers=2000": [
        "workload.0.workers: 2000 workers, but digits has 1438 training samples",
    ],
    "workload.0.workers=[4, 2000]": [
        "workload.0.workers.1: 2000 workers, but digits has 1438 training samples",
    ],
    "workload.0.model=lenet5": [
        "workload.0.model: lenet5 takes images of shape (1, 28, 28), but those of digits are (1, 8, 8)",
    ],
    'workload.0.partition={kind = "label", label = [1, 12]}': [
        "workload.0.partition: there is no label 12: digits has 0 to 9",
    ],
    "strategy.2.monitor.depth=4": [
        "strategy.2.monitor.depth: 4 is even; the median of the rows needs an odd number",
    ],
    'workload.0.optimizer={kind = "sgd", lr = 0.1, nesterov = true}': [
        "workload.0.optimizer.nesterov: needs a momentum > 0"
    ],
    "exclude=[{workers = 4}]": ["exclude: nothing is left to run"],
    # both or neither
    "budget={steps = 3, epochs = 3}": [
        "budget: both steps and epochs are given; remove one of them",
    ],
    "budget={}": ["budget: neither steps nor epochs is given; add one of them"],
    "eval={every_steps = 1, every_epochs = 1}": [
        "eval: both every_steps and every_epochs are given; remove one of them",
    ],
    "eval={}": [
        "eval: neither every_steps nor every_epochs is given; add one of them",
    ],
    'strategy.1={kind = "fedavg", local_steps = 5, local_epochs = 1}': [
        "strategy.1: both local_steps and local_epochs are given; remove one of them",
    ],
    'strategy.1={kind = "fedavg"}': [
        "strategy.1: neither local_steps nor local_epochs is given; add one of them",
    ],
    "eval={every_steps = 1, stop_at_last_target = true}": ["eval: stop_at_last_target needs targets"],
    # missing
    'strategy.2={kind = "fda", monitor = "naive"}': ["strategy.2: theta is missing; fda needs it"],
    "strategy.2={theta = 1}": [
        "strategy.2: kind is missing; allowed: " + STRATEGY_NAMES,
    ],
    "workload.0.optimizer=adam": ["workload.0.optimizer: lr is missing; adam needs it"],
    "workload.0.optimizer={lr = 0.1}": [
        'workload.0.optimizer: kind is missing; allowed: "sgd", "adam", "adamw"',
    ],
    # empty, too many, badly named
    "seeds=[]": [
        "seeds: the list is too short: it must have at least 1 entry",
    ],
    "workload=[]": [
        "workload: the list is too short: it must have at least 1 entry",
    ],
    "strategy=[]": [
        "strategy: the list is too short: it must have at least 1 entry",
    ],
    "strategy.2.theta=[]": [
        "strategy.2: its lists make 0 variants; between 1 and 100000 are allowed",
    ],
    "exclude=[{monitor = []}]": [
        "exclude.0: its lists make 0 variants; between 1 and 100000 are allowed",
    ],
    "name=a/b": [
        'name: "a/b" is no name: a name has letters, digits, ".", "_" and "-", at most 64 of them, and '
        "begins with a letter or digit",
    ],
    "name=..": [
        'name: ".." is no name: a name has letters, digits, ".", "_" and "-", at most 64 of them, and begins '
        "with a letter or digit",
    ],
}


@pytest.mark.parametrize(("override", "expected"), FAULTS.items(), ids=FAULTS)
def test_an_error_is_reported_in_one_line(good: Table, read: Read, override: str, expected: list[str]) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, override)
    assert [without_origin(fault) for fault in caught.value.faults] == expected


def test_all_errors_are_reported_at_once(good: Table, read: Read) -> None:
    overrides = [
        "name=a/b",
        "eval.targets=[2]",
        "workload.0.workers=0",
        "workload.0.modle=3",
        "strategy.1.local_epochs=-1",
        'strategy.2.theta=[-1, "x"]',
        "exclude=[{seed = 1.5}]",
    ]
    with pytest.raises(SuiteError) as caught:
        read(good, *overrides)
    places = sorted(without_origin(fault).split(":")[0] for fault in caught.value.faults)
    assert places == [
        "eval.targets.0",
        "exclude.0.seed",
        "name",
        "strategy.1.local_epochs",
        "strategy.2.theta.0",
        "strategy.2.theta.1",
        "workload.0.modle",
        "workload.0.workers",
    ]
    assert str(caught.value).splitlines()[0].endswith("suite.toml: 8 faults")


def test_an_error_in_a_crossed_list_is_reported_once(good: Table, read: Read) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, "workload.0.workers=[2, 4, 8]", "workload.0.batch_size=[8, 16, 0]", "seeds=[0, 1, 2]")
    assert caught.value.faults == ("--set workload.0.batch_size.2: 0 is out of range: it must be at least 1",)


def test_missing_tables_are_named_without_an_empty_place(read: Read) -> None:
    with pytest.raises(SuiteError) as caught:
        read("")
    assert list(caught.value.faults) == [
        f"{key} is missing" for key in ("name", "budget", "eval", "workload", "strategy")
    ]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match=r"^[^\n]*nowhere\.toml: no such file$"):
        read_suite(tmp_path / "nowhere.toml")


def test_a_folder_in_place_of_a_suite_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SuiteError, match="cannot be read: it is no file, but a folder"):
        read_suite(tmp_path)


@pytest.mark.parametrize(
    "text",
    [
        "name = ",
        "a = 1\na = 2",
        "\0",
        "[[a]\n",
        "\ufeff" * 2,
        "a = " + "[" * 9000 + "]" * 9000,
        "a = 1" + "0" * 9000,
    ],
    ids=["no value", "twice", "nul", "bracket", "mark", "deep", "long"],
)
def test_a_file_that_is_not_toml_is_refused(read: Read, text: str) -> None:
    with pytest.raises(SuiteError, match="1 fault\nnot TOML: "):
        read(text)


def test_a_byte_order_mark_is_ignored(good: Table, read: Read, tmp_path: Path) -> None:
    plain = read(good)
    marked = tmp_path / "marked.toml"
    marked.write_bytes(b"\xef\xbb\xbf" + tomli_w.dumps(good).encode())
    assert read_suite(marked).cells == plain.cells


def test_a_file_that_is_not_utf8_is_refused(tmp_path: Path) -> None:
    (tmp_path / "suite.toml").write_bytes(b'name = "\xff"')
    with pytest.raises(SuiteError, match="not TOML: 'utf-8' codec"):
        read_suite(tmp_path / "suite.toml")


def test_a_shown_value_is_never_longer_than_a_line(good: Table, read: Read) -> None:
    for override in ("workload.0.workers=1" + "0" * 400, "strategy.2.kind=" + "x" * 400, "name=" + "/" * 400):
        with pytest.raises(SuiteError) as caught:
            read(good, override)
        assert not any(re.search(r"(.)\1{90}", fault) for fault in caught.value.faults)
