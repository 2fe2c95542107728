"""Partitions: who holds which samples. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.partition.base import Partition
from fdabench.partition.dirichlet import Dirichlet
from fdabench.partition.iid import IidFileOrder, Iid, RoundRobin
from fdabench.partition.sorted import Label, Sorted

PARTITIONS: Mapping[str, type[Partition]] = {
    "iid": Iid,
    "iid-file-order": IidFileOrder,
    "round-robin": RoundRobin,
    "dirichlet": Dirichlet,
    "sorted": Sorted,
    "label": Label,
}
