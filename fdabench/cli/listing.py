"""`fdabench list`: what a suite may name, from the components themselves."""

from collections.abc import Callable, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

from fdabench.catalogue.kinds import Catalogue
from fdabench.cli.console import Table, print_table
from fdabench.fields import SEED, STEPS
from fdabench.results.costs import CONVENTIONS
from fdabench.results.networks import NETWORKS
from fdabench.suite.members import Member, members
from fdabench.suite.reader import read_plugins

Row = tuple[str, ...]
Listed = tuple[Row, list[Row]]


def print_list(what: str, suite: Path | None, form: str) -> None:
    """Where there are plug-ins, of installed packages or of the suite, also the file that each name comes from."""
    catalogue = read_plugins(suite)
    columns, rows = _LISTS[what](catalogue)
    if catalogue.plugins:
        columns, rows = (*columns, "plug-in"), [(*row, _plugin(catalogue, what, row[0])) for row in rows]
    print_table(Table(columns, rows), form)


def _plugin(catalogue: Catalogue, what: str, name: str) -> str:
    plugin = catalogue.plugin_of(what, name)
    return "" if plugin is None else plugin.origin.path.as_posix()


def _components(role: str) -> Callable[[Catalogue], Listed]:
    def listed(catalogue: Catalogue) -> Listed:
        kinds: Mapping[str, type[Any]] = getattr(catalogue, role)
        rows: list[Row] = [(kind, _keys(cls, catalogue), _first_sentence(cls)) for kind, cls in kinds.items()]
        return ("kind", "keys", "what it does"), rows

    return listed


def _keys(cls: type[Any], catalogue: Catalogue) -> str:
    return ", ".join(text for member in members(cls, catalogue) if (text := _key(member))) or "-"


def _key(member: Member) -> str:
    if member.means(SEED):
        return ""
    if member.means(STEPS):
        return " | ".join(member.span_keys)
    if member.required:
        return member.name
    default = member.default_kind or member.default
    return (
        f"{member.name} = {float(default):g}" if isinstance(default, float | Fraction) else f"{member.name} = {default}"
    )


def _first_sentence(cls: type[Any]) -> str:
    text = " ".join((cls.__doc__ or "").split("\n\n")[0].split())
    return text.removesuffix(".")


def _datasets(catalogue: Catalogue) -> Listed:
    rows: list[Row] = [
        (name, f"{data.train_samples:,}", "x".join(map(str, data.shape)), str(data.classes), data.about)
        for name, data in catalogue.datasets.items()
    ]
    return ("name", "training samples", "shape", "classes", "about"), rows


def _models(catalogue: Catalogue) -> Listed:
    rows: list[Row] = [
        (name, "x".join(map(str, model.takes)) if model.takes else "any", model.about)
        for name, model in catalogue.models.items()
    ]
    return ("name", "images", "about"), rows


def _conventions(catalogue: Catalogue) -> Listed:
    kinds = ("initial", "model", "state")
    rows = [(name, *(_formula(cost[kind]) for kind in kinds)) for name, cost in CONVENTIONS.items()]
    return ("name", "initial distribution", "model sync of n bytes", "local state of n bytes"), rows


def _formula(cost: Callable[[int, int], int]) -> str:
    """Read off the cost itself, at two numbers of workers: it is linear in both."""
    per_worker = cost(1, 3) - cost(1, 2)
    constant = cost(1, 2) - 2 * per_worker
    if per_worker == 0:
        return "0"
    workers = "K" if constant == 0 else f"(K - {-constant // per_worker})"
    return f"{per_worker if per_worker > 1 else ''} {workers} n".strip()


def _networks(catalogue: Catalogue) -> Listed:
    rows: list[Row] = [
        (
            name,
            f"{network.bandwidth / 1e6:,.0f} Mbit/s",
            f"{network.latency * 1e3:g} ms",
            "one channel for all" if network.shared else "each worker",
            network.about,
        )
        for name, network in NETWORKS.items()
    ]
    return ("name", "bandwidth", "latency, one way", "whose", "about"), rows


_LISTS: Mapping[str, Callable[[Catalogue], Listed]] = {
    "strategies": _components("strategies"),
    "monitors": _components("monitors"),
    "servers": _components("servers"),
    "optimizers": _components("optimizers"),
    "partitions": _components("partitions"),
    "datasets": _datasets,
    "models": _models,
    "conventions": _conventions,
    "networks": _networks,
}
