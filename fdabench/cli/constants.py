"""`fdabench list conventions` and `networks`: what a suite may name and no plug-in adds, so without torch."""

from collections.abc import Callable, Mapping

from fdabench.cli.console import Table
from fdabench.report.text import count
from fdabench.results.costs import CONVENTIONS
from fdabench.results.networks import NETWORKS

_KINDS = ("initial", "model", "state")


def conventions() -> Table:
    """What collectives cost under each, as formulas of K workers and n bytes."""
    rows = [(name, *(_formula(cost[kind]) for kind in _KINDS)) for name, cost in CONVENTIONS.items()]
    return Table(("name", "initial distribution", "model sync of n bytes", "local state of n bytes"), rows)


def networks() -> Table:
    """Those that have a name; a suite may describe others."""
    rows = [
        (
            name,
            f"{count(network.bandwidth / 1e6)} Mbit/s",
            f"{network.latency * 1e3:g} ms",
            "one channel for all" if network.shared else "each worker",
            network.about,
        )
        for name, network in NETWORKS.items()
    ]
    records = [
        {
            "name": name,
            "bandwidth_mbps": network.bandwidth / 1e6,
            "latency_ms": network.latency * 1e3,
            "shared": network.shared,
            "about": network.about,
        }
        for name, network in NETWORKS.items()
    ]
    return Table(("name", "bandwidth", "latency, one way", "whose", "about"), rows, records)


CONSTANTS: Mapping[str, Callable[[], Table]] = {"conventions": conventions, "networks": networks}


def _formula(cost: Callable[[int, int], int]) -> str:
    """Read off the cost itself, at two numbers of workers: it is linear in both."""
    per_worker = cost(1, 3) - cost(1, 2)
    constant = cost(1, 2) - 2 * per_worker
    if per_worker == 0:
        return "0"
    workers = "K" if constant == 0 else f"(K - {-constant // per_worker})"
    return f"{per_worker if per_worker > 1 else ''} {workers} n".strip()
