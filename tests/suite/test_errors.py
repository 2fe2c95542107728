"""Invalid suites: one line for each fault, all faults in one error, and no other exception."""

import datetime
import re
from collections.abc import Callable
from contextlib import suppress
from copy import deepcopy
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fdabench.errors import FdabenchError, SuiteError
from fdabench.strategies import STRATEGIES
from fdabench.suite.reader import LoadedSuite, read_suite
from fdabench.suite.schema import Exclude, Suite, Workload

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


ORIGIN = re.compile(r"--set |(?P<file>.*\.toml):(?P<line>\d+): ")


def without_origin(fault: str) -> str:
    """Without `suite.toml:27: `, or `--set ` for a value that an override gave."""
    return ORIGIN.sub("", fault, count=1)


@pytest.mark.parametrize(("override", "expected"), FAULTS.items(), ids=FAULTS)
def test_an_error_is_reported_in_one_line(good: Table, read: Read, override: str, expected: list[str]) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, override)
    assert [without_origin(fault) for fault in caught.value.faults] == expected


@pytest.mark.parametrize(
    ("override", "place"),
    [
        ("budget.steps=1" + "0" * 400, "budget.steps"),
        ("budget={epochs = 1e300}", "budget.epochs"),
        ("seeds=[1" + "0" * 30 + "]", "seeds.0"),
        ("workload.0.batch_size=1" + "0" * 30, "workload.0.batch_size"),
        ("strategy.1={kind = 'fedavg', local_steps = 1" + "0" * 400 + "}", "strategy.1.local_steps"),
        ("strategy.1.local_epochs=1e308", "strategy.1.local_epochs"),
    ],
    ids=lambda value: value if len(value) < 30 else "",
)
def test_numbers_that_are_too_large_for_a_run_are_refused(good: Table, read: Read, override: str, place: str) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, override)
    assert {fault.split(":")[0] for fault in caught.value.faults} == {f"--set {place}"}


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


def test_too_many_cells_are_refused_before_they_are_expanded(good: Table, read: Read) -> None:
    wide = list(range(1, 701))
    with pytest.raises(SuiteError, match=r"workload\.0: its lists make 490000 variants; between 1 and 100000"):
        read(good | {"workload": [good["workload"][0] | {"workers": wide, "batch_size": wide}]})
    with pytest.raises(SuiteError, match="150000 cells; at most 100000 are allowed"):
        read(good, "seeds=" + str(list(range(50_000))))


def test_a_shown_value_is_never_longer_than_a_line(good: Table, read: Read) -> None:
    for override in ("workload.0.workers=1" + "0" * 400, "strategy.2.kind=" + "x" * 400, "name=" + "/" * 400):
        with pytest.raises(SuiteError) as caught:
            read(good, override)
        assert not any(re.search(r"(.)\1{90}", fault) for fault in caught.value.faults)


ODD = st.one_of(
    st.integers(),
    st.sampled_from([0, -1, 1, 2, 10**6, 10**40, True, 0.5, float("inf"), float("nan"), 1e308]),
    st.floats(),
    st.sampled_from(["", "x", "fda", "sketch", "adam", "reddi", "iid", "label", "table", "number", "digits", "3"]),
    st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), max_size=5),
    st.just(datetime.date(2020, 1, 1)),
    st.just(datetime.datetime(2020, 1, 1, 12, 0)),
    st.just(datetime.time(12, 0)),
)
WORDS = st.sampled_from(
    ["kind", "name", "label", "theta", "monitor", "depth", "server", "preset", "lr", "alpha", "local_steps", "table"]
)
VALUES = st.recursive(
    ODD,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3),
    max_leaves=6,
)


def places_in(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    keys = node.keys() if isinstance(node, dict) else range(len(node)) if isinstance(node, list) else ()
    return [*([path] if path else []), *(place for key in keys for place in places_in(node[key], (*path, key)))]


def mutate(suite: Table, draw: Callable[[Any], Any]) -> None:
    """Delete, rename or replace one value of the suite, or put it into a list or a table."""
    *above, last = draw(st.sampled_from(places_in(suite)))
    node: Any = suite
    for step in above:
        node = node[step]
    action = draw(st.sampled_from(["delete", "rename", "replace", "replace", "wrap", "nest", "add"]))
    if action == "delete":
        del node[last]
    elif action == "rename" and isinstance(node, dict):
        node[draw(WORDS)] = node.pop(last)
    elif action == "wrap":
        node[last] = [node[last]] * draw(st.integers(0, 2))
    elif action == "nest":
        node[last] = {draw(WORDS): node[last]}
    elif action == "add" and isinstance(node[last], dict):
        node[last][draw(WORDS)] = draw(VALUES)
    else:
        node[last] = draw(VALUES)


@settings(max_examples=250, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_any_suite_is_read_or_refused(tmp_path: Path, data: st.DataObject) -> None:
    """Whatever stands in a file, it never looks like a bug in fdabench."""
    suite: Table = {
        "name": "good",
        "seeds": [0],
        "budget": {"steps": 40},
        "eval": {"every_steps": 10, "targets": [0.5]},
        "accounting": {"convention": "paper"},
        "workload": [
            {
                "dataset": "digits",
                "model": "mlp",
                "workers": 4,
                "batch_size": 16,
                "optimizer": {"kind": "adam", "lr": 1e-3},
                "partition": [{"kind": "dirichlet", "alpha": 1.0}, {"kind": "label", "label": 3}],
            }
        ],
        "strategy": [
            {"kind": "fedadam", "local_epochs": 1, "server": {"preset": "keras", "lr": 0.1}},
            {"kind": "fda", "monitor": ["naive", {"kind": "sketch"}], "theta": [1.0, {"per_parameter": 1.0}]},
        ],
        "exclude": [{"workers": 5, "alpha": 1.0}],
    }
    for _ in range(data.draw(st.integers(1, 4))):
        mutate(suite, data.draw)
    path = tmp_path / "suite.toml"
    path.write_text(tomli_w.dumps(suite), encoding="utf-8")
    with suppress(FdabenchError):
        assert read_suite(path).cells


def test_values_of_every_type_are_refused_everywhere(good: Table, read: Read) -> None:
    """The same without chance: each place of the suite in turn holds something odd."""
    odd = [3, -1, 0.5, "x", True, [], [[1]], {}, {"kind": "fda"}, {"a": {"b": 1}}, datetime.date(2020, 1, 1)]
    places = places_in(good)
    assert len(places) > 30
    for place, value in product(places, odd):
        suite = deepcopy(good)
        node: Any = suite
        for step in place[:-1]:
            node = node[step]
        node[place[-1]] = value
        try:
            assert read(suite).cells
        except SuiteError as error:
            assert_lines_named(error, tomli_w.dumps(suite).splitlines())


def assert_lines_named(error: SuiteError, lines: list[str]) -> None:
    """A message that names a line names one where a table or a key of its path stands."""
    for fault in error.faults:
        actual = ORIGIN.match(fault)
        if not actual:
            # what is wrong with the whole file, such as a key that is missing at the top
            assert re.match(r"\w+ is missing|gate.limit|the suite has|exclude", fault), fault
            continue
        path = without_origin(fault).split(": ")[0].split(".")
        header_or_key = [key for key in path if not key.isdigit()]
        line = lines[int(actual["line"]) - 1]
        assert any(key in line for key in header_or_key) or re.fullmatch(r"\s*[\[{].*|\s*\S+,", line), (fault, line)


LINES = """\
extends = "base.toml"
name = "lines"

[[strategy]]
kind = "synchronous"
theta = 1.0

[[strategy]]
kind = "fda"
monitor = { kind = "sketch", detph = 5 }
theta = [
    1.0,
    # of no use
    -1.0,
]

[gate]
soft = 2
"""
BASE = """\
seeds = [0, 1,
         -2]

[eval]
every_steps = 10
targets = [0.5]

[gate]
cost_margin = true
soft = 0.5

[[workload]]
dataset = "digits"
model = "mlp"
workers = 4
batch_size = 16
optimizer = { lr = 0.1 }

[[workload]]
dataset = "digits"
model = "mlp"
"""


def test_a_fault_names_the_file_and_the_line_of_its_key(tmp_path: Path) -> None:
    """Also of what comes from the file that a suite extends; --set stands for what no file has."""
    (tmp_path / "base.toml").write_text(BASE)
    (tmp_path / "suite.toml").write_text(LINES)
    with pytest.raises(SuiteError) as caught:
        read_suite(tmp_path / "suite.toml", ["eval.consecutive=0", "workload.workers=0"])
    message = [fault.removeprefix(f"{tmp_path}/").split(": unknown")[0] for fault in caught.value.faults]
    assert sorted(message) == [
        "--set eval.consecutive: 0 is out of range: it must be at least 1",
        "--set workload.0.workers: 0 is out of range: it must be at least 1",
        "--set workload.1.workers: 0 is out of range: it must be at least 1",
        'base.toml:17: workload.0.optimizer: kind is missing; allowed: "sgd", "adam", "adamw"',
        "base.toml:19: workload.1: batch_size is missing",
        "base.toml:19: workload.1: optimizer is missing",
        "base.toml:2: seeds.2: -2 is out of range: it must be at least 0",
        "base.toml:9: gate.cost_margin: expected a number, found true",
        "budget is missing",
        "suite.toml:10: strategy.1.monitor.detph",
        "suite.toml:14: strategy.1.theta.1: -1.0 is out of range: it must be at least 0",
        "suite.toml:18: gate.soft: 2 is out of range: it must be less than 1",
        "suite.toml:6: strategy.0.theta",
    ]


@pytest.mark.parametrize(
    ("overrides", "fault"),
    [
        (
            ["budget={epochs = 999999}", "eval.every_steps=1000000", "workload.0.workers=1", "workload.0.batch_size=1"],
            "budget: for digits, workers = 1 and batch_size = 1 it comes to 1.44e+09 local steps; at most 1e+09",
        ),
        (
            ["budget.steps=1000000000", "eval.every_steps=1"],
            "eval: for digits, workers = 4 and batch_size = 16 there would be 1e+09 evaluations; at most 1e+06",
        ),
        (["budget.steps=2000000", "eval={every_epochs = 1e-300}"], "there would be 2e+06 evaluations"),
    ],
)
def test_a_suite_that_is_too_large_is_refused_before_anything_is_run(
    read: Read, good: Table, overrides: list[str], fault: str
) -> None:
    with pytest.raises(SuiteError) as caught:
        read(good, *overrides)
    assert fault in caught.value.faults[0]
    assert len(caught.value.faults) == 1


@pytest.mark.parametrize(
    "override",
    [
        "budget.steps=1000000",
        "workload.0.workers=1438",
        "strategy.2.monitor={kind = 'sketch', depth = 99, width = 1000000}",
        "strategy.2.every=1000000000",
    ],
)
def test_a_large_value_that_fits_is_not_refused(read: Read, good: Table, override: str) -> None:
    assert read(good, override).cells
