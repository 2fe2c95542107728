"""Strategies: when to synchronize, and how. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.core.strategy import Strategy
from fdabench.strategies.ddp import DDP
from fdabench.strategies.diloco import DiLoCo
from fdabench.strategies.fda import FDA
from fdabench.strategies.fedadagrad import FedAdagrad
from fdabench.strategies.fedadam import FedAdam
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.fedavgm import FedAvgM
from fdabench.strategies.fedyogi import FedYogi
from fdabench.strategies.rounds import Rounds
from fdabench.strategies.sparseloco import SparseLoCo
from fdabench.strategies.synchronous import Synchronous

STRATEGIES: Mapping[str, type[Strategy]] = {
    "synchronous": Synchronous,
    "ddp": DDP,
    "fedavg": FedAvg,
    "fedadam": FedAdam,
    "fedavgm": FedAvgM,
    "fedyogi": FedYogi,
    "fedadagrad": FedAdagrad,
    "diloco": DiLoCo,
    "sparseloco": SparseLoCo,
    "fda": FDA,
    "rounds": Rounds,
}
