"""The tables of `fdabench list conventions`, `fdabench list networks` and `fdabench list fleets`.

No plug-in can add to these names, so this module needs neither a registry nor torch.
"""

from collections.abc import Callable, Mapping

from fdabench.accounting.costs import CONVENTIONS, CostFunction, Message
from fdabench.accounting.fleets import FLEETS
from fdabench.accounting.network_time import NETWORKS
from fdabench.formatting import format_count
from fdabench.tables import Table, column

_KINDS = {
    "initial": "initial distribution",
    "model": "model sync of n bytes",
    "state": "local state of n bytes",
}


def conventions() -> Table:
    """Return the cost of each kind of collective under each convention, as a formula of K workers and n bytes."""
    records = [
        {"name": name, **{title: _formula(cost[kind]) for kind, title in _KINDS.items()}}
        for name, cost in CONVENTIONS.items()
    ]
    return Table(records, [column("name"), *map(column, _KINDS.values())])


def networks() -> Table:
    """Return the built-in networks. A suite may describe others."""
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
    columns = (
        column("name"),
        column("bandwidth_mbps", "bandwidth", lambda mbps: f"{format_count(mbps)} Mbit/s"),
        column("latency_ms", "latency, one way", lambda ms: f"{ms:g} ms"),
        column("shared", "link", lambda shared: "shared by all workers" if shared else "one per worker"),
        column("about"),
    )
    return Table(records, columns)


def fleets() -> Table:
    """Return the built-in fleets. A suite may describe others, and so may a fleet file."""
    records = [{"name": name, "about": fleet.about} for name, fleet in FLEETS.items()]
    return Table(records, (column("name"), column("about")))


CONSTANTS: Mapping[str, Callable[[], Table]] = {
    "conventions": conventions,
    "networks": networks,
    "fleets": fleets,
}


def _formula(cost: CostFunction) -> str:
    """Derive the formula from two values of the cost, which is linear in the number of workers and in the bytes."""
    two, three = (cost(Message(1, 1), workers) for workers in (2, 3))
    per_worker = three - two
    constant = two - 2 * per_worker
    if per_worker == 0:
        return "0"
    workers = "K" if constant == 0 else f"(K - {-constant // per_worker})"
    return f"{per_worker if per_worker > 1 else ''} {workers} n".strip()
