"""Writes the suites of the study that depend on tuning results.

Three more candidates for each method, near its best one of the first nine:

    python suites/study/candidates.py near results/study-tuning-cifar10 > suites/study/tuning-cifar10-near.toml

The study itself, with the best of all twelve:

    R=results/study-tuning-cifar10
    python suites/study/candidates.py study $R $R-near > suites/study/cifar10.toml

README.md of this folder has the rules. Both commands print the choice of each method as a comment of the suite.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

import pandas as pd
import typer

import fdabench
from fdabench.api import Cell
from fdabench.metrics import METRICS, Metric
from fdabench.notebook import ResultsView
from fdabench.results.cell_record import SUCCESS_STATES

HERE = Path(__file__).parent
FIRST_RULE = "shakespeare"
"""The workload whose candidates were chosen by the rule before its amendment: README.md, Equal effort."""
HEADS = {
    "cifar10": """\
name = "study-cifar10"
description = "Twenty-one methods, each tuned alike, on CIFAR-10: 8 workers that are alike, unlike and very unlike."
tuning = "The best of twelve candidates for every method: suites/study/README.md. Seed 100 and validation images chose."
seeds = [0, 1, 2, 3, 4]

[budget]
steps = 600

[eval]
every_steps = 25
samples = 5000
targets = [0.4, 0.5, 0.55, 0.6]
headline = HEADLINE

[[workload]]
dataset = "cifar10"
model = "cnn"
workers = 8
batch_size = 32
optimizer = OPTIMIZER
partition = [{ kind = "iid" }, { kind = "dirichlet", alpha = [1.0, 0.1] }]
""",
    "shakespeare": """\
name = "study-shakespeare"
description = "Twenty-one methods, each tuned alike, on a small GPT: 8 workers, IID and roles dealt to workers."
tuning = "The best of twelve candidates for every method: suites/study/README.md. Seed 100 and validation roles chose."
seeds = [0, 1, 2, 3, 4]

[budget]
steps = 400

[eval]
every_steps = 20
metric = "loss"
targets = [2.6, 2.4, 2.2]
headline = HEADLINE

[[workload]]
dataset = "shakespeare"
model = "gpt-nano"
workers = 8
batch_size = 8
optimizer = OPTIMIZER
partition = [{ kind = "iid" }, { kind = "natural" }]
""",
}
"""What the suites of the study say before their strategies."""
METHODS = {
    ("ddp", "", "none", "", 0): "DDP",
    ("synchronous", "", "none", "", 0): "Synchronous",
    ("fedavg", "", "none", "", 0): "FedAvg",
    ("stages", "", "none", "", 0): "post-local SGD",
    ("qsr", "", "none", "", 0): "QSR",
    ("fedavgm", "", "none", "", 0): "FedAvgM",
    ("fedadam", "", "none", "", 0): "FedAdam",
    ("diloco", "", "none", "", 0): "DiLoCo",
    ("slowmo", "", "none", "", 0): "SlowMo",
    ("fedprox", "", "none", "", 0): "FedProx",
    ("scaffold", "", "none", "", 0): "SCAFFOLD",
    ("fda", "naive", "none", "average", 0): "NaiveFDA",
    ("fda", "linear", "none", "average", 0): "LinearFDA",
    ("fda", "sketch", "none", "average", 0): "SketchFDA",
    ("fdaopt", "linear", "none", "", 0): "FDA-Opt",
    ("fda", "linear", "none", "average", 5): "LinearFDA lag 5",
    ("fda", "linear", "none", "nesterov", 0): "LinearFDA Nesterov",
    ("fedavg", "", "int8", "", 0): "FedAvg int8",
    ("fedavg", "", "topk", "", 0): "FedAvg top-k",
    ("fda", "linear", "int8", "average", 0): "LinearFDA int8",
    ("fda", "linear", "topk", "average", 0): "LinearFDA top-k",
}
"""The methods by strategy, monitor, codec, server and lag. The server counts for FDA only: others have their own."""
EVERY_STEP = ("DDP", "Synchronous")

Table = Mapping[str, Any]


@dataclass(frozen=True)
class Candidate:
    """One point of the tuning of one method, with its result.

    Args:
        method: a value of `METHODS`.
        label: as tables show it.
        strategy: the table of the suite, with all defaults.
        lr: the learning rate of the local optimizer.
        target: the number of targets that were reached, from 0 for none; the targets are ordered by difficulty.
        num_bytes: the bytes to the hardest target that was reached, or those of the whole run if there is none.
    """

    method: str
    label: str
    strategy: Table
    lr: float
    target: int = 0
    num_bytes: float = 0.0

    @property
    def rank(self) -> tuple[int, float]:
        """The sort key: the smallest is the best candidate."""
        return -self.target, self.num_bytes


def method_of(strategy: Table) -> str:
    """Return the method that a strategy's table belongs to, whatever its tuned values are.

    Raises:
        typer.BadParameter: the table is of no method of the study.
    """

    def kind(key: str, default: str) -> str:
        part = strategy.get(key, default)
        return str(part["kind"] if isinstance(part, Mapping) else part)

    server = kind("server", "average") if strategy["kind"] == "fda" else ""
    key = (strategy["kind"], kind("monitor", ""), kind("codec", "none"), server, int(strategy.get("lag", 0)))
    if key not in METHODS:
        raise typer.BadParameter(f"{toml(strategy)} is no method of the study; README.md lists them")
    return METHODS[key]


def runs_with_methods(view: ResultsView) -> pd.DataFrame:
    """Return the table `runs` with the column `method`."""
    methods = {cell.id: method_of(cell.config.strategy.to_table()) for cell in view.cells}
    return view.runs.assign(method=view.runs["cell_id"].map(methods))


def candidates_of(folder: Path) -> list[Candidate]:
    """Read the candidates of a results folder of tuning, in the order of its suite.

    Raises:
        typer.BadParameter: a cell has no result yet.
    """
    results = fdabench.load(folder)
    targets = METRICS[results.results.lock.metric].easiest_first(results.targets["target"].unique())
    hits = results.targets[results.targets["reached"].astype(bool)]
    if not results.results.lock.suite.startswith(f"study-tuning-{FIRST_RULE}"):
        hits = kept_hits(hits, results.runs, METRICS[results.results.lock.metric])
    spent = results.runs.set_index("cell_id")["bytes_total"]
    unfinished = results.runs.loc[~results.runs["state"].isin(SUCCESS_STATES), "label"]
    if len(unfinished):
        raise typer.BadParameter(f"{folder}: {len(unfinished)} cells have no result, such as {unfinished.iloc[0]}")
    return [_candidate(cell, hits[hits["cell_id"] == cell.id], targets, spent[cell.id]) for cell in results.cells]


def kept_hits(hits: pd.DataFrame, runs: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    """Return the hits after the first sync of runs whose last evaluation still reaches the target.

    Args:
        hits: rows of the table `targets` that were reached.
        runs: the table `runs`.
        metric: of the suite.
    """
    last = hits["cell_id"].map(metric.score(metric.of(runs.set_index("cell_id"), "final")))
    return hits[(hits["syncs"] > 0) & (last >= metric.score(hits["target"]))]


def _candidate(cell: Cell, hits: Any, targets: Sequence[float], spent: float) -> Candidate:
    strategy, lr = cell.config.strategy.to_table(), float(cell.config.optimizer.to_table()["lr"])
    plain = Candidate(method_of(strategy), cell.label, strategy, lr, 0, spent)
    if hits.empty:
        return plain
    reached = max(targets.index(target) for target in hits["target"])
    return replace(
        plain, target=reached + 1, num_bytes=float(hits.loc[hits["target"] == targets[reached], "bytes_total"].iloc[0])
    )


def best_of(candidates: Iterable[Candidate]) -> dict[str, Candidate]:
    """Return the best candidate of each method: the hardest target, then the fewest bytes to it, then the first."""
    best: dict[str, Candidate] = {}
    for candidate in candidates:
        if candidate.method not in best or candidate.rank < best[candidate.method].rank:
            best[candidate.method] = candidate
    return {method: best[method] for method in METHODS.values() if method in best}


def learning_rate_step(best: Candidate, candidates: Sequence[Candidate], factor: float) -> float:
    """Return the learning rate moved by a factor: outward at an edge, else towards the better neighbor.

    The better neighbor is the next higher or lower learning rate whose best candidate is better.
    """
    actual = [item for item in candidates if item.method == best.method]
    rates = sorted({item.lr for item in actual})
    place = rates.index(best.lr)
    if place in (0, len(rates) - 1):
        return best.lr * (factor if place else 1 / factor)
    lower, higher = (min(item.rank for item in actual if item.lr == rates[place + side]) for side in (-1, 1))
    return best.lr * (factor if higher < lower else 1 / factor)


def near(candidates: Sequence[Candidate]) -> Iterator[Candidate]:
    """Yield three more candidates of each method, near its best one."""
    for method, best in best_of(candidates).items():
        if method in EVERY_STEP:
            rates = sorted({item.lr for item in candidates if item.method == method})
            edge = best.lr in (rates[0], rates[-1])
            third = learning_rate_step(best, candidates, 1.41 if edge else 1.09)
            yield from (_with_rate(best, lr) for lr in (best.lr * 0.84, best.lr * 1.19, third))
        else:
            yield from (replace(best, strategy=_scaled(best.strategy, factor)) for factor in (0.5, 2))
            yield _with_rate(best, learning_rate_step(best, candidates, 1.6))


def _with_rate(candidate: Candidate, lr: float) -> Candidate:
    return replace(candidate, lr=float(f"{lr:.2g}"))


def _scaled(strategy: Table, factor: float) -> Table:
    """The strategy with its period or threshold multiplied: the key that says how rarely it synchronizes."""
    when = strategy.get("when", {})
    if "least" in when:
        return {**strategy, "when": {**when, "least": max(1, round(when["least"] * factor))}}
    if "local_steps" in when:
        return {**strategy, "when": {**when, "local_steps": max(1, round(when["local_steps"] * factor))}}
    key = next(key for key in ("local_steps", "theta", "most") if key in strategy)
    value = strategy[key] * factor
    return {**strategy, key: max(1, round(value)) if key != "theta" else float(f"{value:.3g}")}


def suite_text(head: str, optimizer: Table, candidates: Iterable[Candidate], reference: str = "") -> str:
    """Return the suite: its head, then one table for each candidate.

    Args:
        head: the text before the first strategy.
        optimizer: the local optimizer of all candidates, except for its learning rate.
        candidates: one strategy each.
        reference: the method that ratios divide by; "" for none.
    """
    tables = [
        "[[strategy]]\n"
        + "".join(f"{key} = {toml(value)}\n" for key, value in item.strategy.items())
        + ("reference = true\n" if item.method == reference else "")
        + f"optimizer = {toml({**optimizer, 'lr': item.lr})}\n"
        for item in candidates
    ]
    return "\n".join([head, *tables])


def toml(value: object) -> str:
    """Return a value as TOML on one line.

    >>> toml({"kind": "adam", "lr": 0.003, "schedule": {"kind": "cosine"}})
    '{ kind = "adam", lr = 0.003, schedule = { kind = "cosine" } }'
    """
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {toml(values)}" for key, values in value.items()) + " }"
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else repr(value)


def choices(candidates: Sequence[Candidate], targets: Sequence[float]) -> Iterator[str]:
    """Yield a comment line for the best candidate of each method."""
    for method, best in best_of(candidates).items():
        reached = f"{targets[best.target - 1]:g}" if best.target else "no target"
        yield f"# {method:20} {best.label:60} reached {reached}, {best.num_bytes / 1e6:,.3g} MB"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
Results = Annotated[Path, typer.Argument(exists=True, help="A results folder or an archive.")]


@app.command("near")
def write_near(folder: Results) -> None:
    """Print the suite of three more candidates for each method."""
    name = _workload(folder)
    path = HERE / f"tuning-{name}.toml"
    suite = tomllib.loads(path.read_text())
    candidates = candidates_of(folder)
    # the head of the first nine candidates, with another name: from the line of its name to its first strategy
    head = path.read_text().split("[[strategy]]")[0]
    head = head[head.index("\nname = ") :].strip("\n").replace(suite["name"], f"{suite['name']}-near")
    head = head.replace("Nine candidates", "Three more candidates").replace("nine candidates", "three more candidates")
    comments = [f"# Three more candidates for each method, near its best one of {path.name}:"]
    text = "\n".join([*comments, *choices(candidates, suite["eval"]["targets"]), head, ""])
    typer.echo(suite_text(text, suite["workload"][0]["optimizer"], near(candidates)), nl=False)


@app.command("study")
def write_study(first: Results, second: Results) -> None:
    """Print the suite of the study with the best of the twelve candidates of each method."""
    name = _workload(first)
    suite = tomllib.loads((HERE / f"tuning-{name}.toml").read_text())
    candidates = candidates_of(first) + candidates_of(second)
    targets, best = suite["eval"]["targets"], best_of(candidates)
    optimizer = suite["workload"][0]["optimizer"]
    head = HEADS[name].replace("HEADLINE", repr(targets[max(1, headline_of(best.values())) - 1]))
    head = head.replace("OPTIMIZER", toml(optimizer))
    comments = [f"# The best of twelve candidates for each method, of tuning-{name}.toml and tuning-{name}-near.toml:"]
    text = "\n".join([*comments, *choices(candidates, targets), head])
    typer.echo(suite_text(text, optimizer, best.values(), reference="DDP"), nl=False)


def headline_of(best: Iterable[Candidate]) -> int:
    """Return the hardest target, from 1, that the best of all but at most two methods reached; 0 for none."""
    reached = sorted(item.target for item in best)
    return reached[min(2, len(reached) - 1)]


def _workload(folder: Path) -> str:
    """The workload of a tuning suite's results, from its name: study-tuning-cifar10 is of cifar10."""
    name = fdabench.load(folder).results.lock.suite.removeprefix("study-tuning-")
    if name not in HEADS:
        allowed = ", ".join(f"study-tuning-{item}" for item in HEADS)
        raise typer.BadParameter(f"{folder} has the results of {name}; allowed: {allowed}")
    return name


if __name__ == "__main__":
    app()
