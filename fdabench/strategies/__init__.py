"""Strategies: when to synchronize, and how. A new one joins by a line here."""

from collections.abc import Mapping

from fdabench.core.strategy import Strategy
from fdabench.strategies.ddp import DDP
from fdabench.strategies.fda import FDA
from fdabench.strategies.fdaopt import FDAOpt
from fdabench.strategies.fedavg import FedAvg
from fdabench.strategies.layerwise_fda import LayerwiseFDA
from fdabench.strategies.presets.adacomm import AdaCommStrategy
from fdabench.strategies.presets.diloco import DiLoCo
from fdabench.strategies.presets.fedadagrad import FedAdagrad
from fdabench.strategies.presets.fedadam import FedAdam
from fdabench.strategies.presets.fedavgm import FedAvgM
from fdabench.strategies.presets.feddyn import FedDyn
from fdabench.strategies.presets.fedprox import FedProx
from fdabench.strategies.presets.fedyogi import FedYogi
from fdabench.strategies.presets.gm import GM
from fdabench.strategies.presets.qsr import QSRStrategy
from fdabench.strategies.presets.scaffold import ScaffoldStrategy
from fdabench.strategies.presets.slowmo import SlowMoStrategy
from fdabench.strategies.presets.sparseloco import SparseLoCo
from fdabench.strategies.presets.stages import StagesStrategy
from fdabench.strategies.rounds import Rounds
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
