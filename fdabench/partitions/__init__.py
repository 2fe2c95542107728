"""Partitions: who holds which samples. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.partitions.base import Partition
from fdabench.partitions.dirichlet import Dirichlet
from fdabench.partitions.iid import Iid, IidFileOrder, RoundRobin
from fdabench.partitions.natural import Natural
from fdabench.partitions.sorted import Label, Sorted

PARTITIONS: Mapping[str, type[Partition]] = {
    "iid": Iid,
    "iid-file-order": IidFileOrder,
    "round-robin": RoundRobin,
    "dirichlet": Dirichlet,
    "sorted": Sorted,
    "label": Label,
    "natural": Natural,
}
