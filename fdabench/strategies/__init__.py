"""Strategies: when to synchronize, and how. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.core.strategy import Strategy
from fdabench.strategies.adacomm import AdaCommStrategy
from fdabench.strategies.ddp import DDP
from fdabench.strategies.diloco import DiLoCo
from fdabench.strategies.fda import FDA
from fdabench.strategies.fdaopt import FDAOpt
from fdabench.strategies.fedadagrad import FedAdagrad
from fdabench.strategies.fedadam import FedAdam
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.fedavgm import FedAvgM
from fdabench.strategies.feddyn import FedDyn
from fdabench.strategies.fedprox import FedProx
from fdabench.strategies.fedyogi import FedYogi
from fdabench.strategies.gm import GM
from fdabench.strategies.layerwise_fda import LayerwiseFDA
from fdabench.strategies.qsr import QSRStrategy
from fdabench.strategies.rounds import Rounds
from fdabench.strategies.scaffold import ScaffoldStrategy
from fdabench.strategies.slowmo import SlowMoStrategy
from fdabench.strategies.sparseloco import SparseLoCo
from fdabench.strategies.stages import StagesStrategy
from fdabench.strategies.streaming_diloco import StreamingDiLoCo
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
    "streaming-diloco": StreamingDiLoCo,
    "slowmo": SlowMoStrategy,
    "fedprox": FedProx,
    "scaffold": ScaffoldStrategy,
    "feddyn": FedDyn,
    "sparseloco": SparseLoCo,
    "fda": FDA,
    "fdaopt": FDAOpt,
    "layerwise-fda": LayerwiseFDA,
    "qsr": QSRStrategy,
    "stages": StagesStrategy,
    "gm": GM,
    "adacomm": AdaCommStrategy,
    "rounds": Rounds,
}
